package interpreted

import (
	"net/http"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
)

// served makes so many requests of a member at once, and fails the test unless each
// gets its response.
func (s *site) served(m member, n int) {
	s.t.Helper()
	value := cookie + "=" + s.value(m.Browser)
	s.each(n, func(int) {
		if got := s.sees(s.withCookies(value)).Header.Get("X-Sub"); got != m.sub {
			s.t.Errorf("%s is %q", m.sub, got)
		}
	})
}

// TestSlowRefresh has a slow provider. The cases run in parallel, because its time is
// real.
func TestSlowRefresh(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	const slow = 8 * time.Second
	told := make(chan struct{}) // closed when the logout was accepted
	cases := []*slowCase{
		{name: "E7 eight seconds at expiry: one call, everybody is served", fault: oidctest.Fault{Delay: slow}, run: servedAndRenewed},
		{name: "E7 eight seconds before expiry: one call, everybody is served", early: true, fault: oidctest.Fault{Delay: slow}, run: servedAndRenewed},
		{name: "E7 E9 eight seconds, and then the answer is lost", fault: oidctest.Fault{Delay: slow, DropDone: true}, run: func(s *site, c *slowCase) {
			s.served(c.m, 20)
			for range 5 {
				s.asBefore(c.m, c.before)
			}
			s.refreshes(1)
		}},
		{name: "E9 no answer within any time", fault: oidctest.Fault{Hold: make(chan struct{})}, run: func(s *site, c *slowCase) {
			s.served(c.m, 10)
			eventually.True(s.t, "the end of the call", func() bool { s.asBefore(c.m, c.before); return s.provider.Count(oidctest.Refresh) == 1 })
			s.refreshes(1)
		}},
		{name: "E7 eight seconds, and a form in the middle", fault: oidctest.Fault{Delay: slow}, run: func(s *site, c *slowCase) {
			s.status(s.postAs(c.m, "x=1"), http.StatusOK)
			s.refreshed(c.m, c.before)
			s.refreshes(1)
		}},
		{name: "E7 I7 eight seconds, and a logout in the middle", fault: oidctest.Fault{Delay: slow, Hold: told}, run: func(s *site, c *slowCase) {
			value := cookie + "=" + s.value(c.m.Browser)
			done := make(chan int)
			go func() { done <- s.withCookies(value).Status }()
			eventually.True(s.t, "the call", func() bool { return s.provider.Count(oidctest.Refresh) == 1 })
			s.taken(s.tell(s.token(c.m, nil))) // the refresh has no response before
			close(told)
			<-done
			s.gone(c.m)
		}},
	}
	for _, c := range cases {
		if !c.early {
			c.signIn(t)
		}
	}
	movable(t).Clock.Pass(90 * time.Second)
	for _, c := range cases {
		if c.early {
			c.signIn(t)
		}
	}
	movable(t).Clock.Pass(4*time.Minute + 15*time.Second)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(c.site.in(t), c)
		})
	}
}

// A slowCase is a session at a slow provider. Its tokens last five minutes and are due
// for a refresh.
type slowCase struct {
	name  string
	early bool // the tokens have not expired yet
	fault oidctest.Fault
	run   func(s *site, c *slowCase)

	site   *site
	m      member
	before backend.Seen
}

func (c *slowCase) signIn(t *testing.T) {
	t.Helper()
	c.site = newMovable(t, setup{})
	c.m = c.site.member("alice")
	c.before = c.site.me(c.m)
	c.site.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Refresh] = c.fault })
}

func servedAndRenewed(s *site, c *slowCase) {
	s.t.Helper()
	s.served(c.m, 20)
	s.refreshed(c.m, c.before)
	s.refreshes(1)
}
