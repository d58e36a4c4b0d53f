package interpreted

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// expire advances the clock beyond the lifetime of the provider's tokens.
func (s *site) expire() { s.pass(6 * time.Minute) }

// me returns the request of a member at the backend.
func (s *site) me(m member) backend.Seen {
	s.t.Helper()
	return s.sees(m.Fetch(s.url + "/me"))
}

// refreshes fails the test unless so many refresh tokens were sent, none of them twice.
func (s *site) refreshes(want int) {
	s.t.Helper()
	if n := s.provider.Count(oidctest.Refresh); n != want {
		s.t.Errorf("%d calls with a refresh token, want %d", n, want)
	}
	if n := s.provider.Count("refresh_reuse"); n != 0 {
		s.t.Errorf("%d refresh tokens were sent twice", n)
	}
}

// refreshed sends requests until the backend gets another access token than before. That
// is one request, or two if the first is served while the refresh runs.
func (s *site) refreshed(m member, before backend.Seen) backend.Seen {
	s.t.Helper()
	var now backend.Seen
	eventually.True(s.t, "a refresh", func() bool {
		now = s.me(m)
		return now.Header.Get("X-Access") != before.Header.Get("X-Access")
	})
	if now.Header.Get("X-Sub") != m.sub {
		s.t.Errorf("the session of %s is one of %s", m.sub, now.Header.Get("X-Sub"))
	}
	return now
}

func TestRefresh(t *testing.T) {
	t.Run("E6 fifty requests at expiry: one call, fifty answers", func(t *testing.T) {
		s := newMovable(t, setup{})
		m := s.member("alice")
		value := cookie + "=" + s.value(m.Browser)
		for round := 1; round <= 3; round++ {
			before := s.me(m)
			s.expire()
			s.each(50, func(int) {
				if got := s.sees(s.withCookies(value)).Header.Get("X-Sub"); got != "alice" {
					t.Errorf("alice is %q", got)
				}
			})
			s.refreshed(m, before)
			s.refreshes(round)
		}
	})

	t.Run("E6 fifty requests before expiry", func(t *testing.T) {
		s := newMovable(t, setup{})
		m := s.member("alice")
		value := cookie + "=" + s.value(m.Browser)
		before := s.me(m)
		s.pass(4*time.Minute + 30*time.Second)
		s.each(50, func(int) { s.status(s.withCookies(value), http.StatusOK) })
		s.refreshed(m, before)
		s.refreshes(1)
	})

	for _, row := range []struct {
		name         string
		grace        any
		before, from time.Duration // no refresh then, a refresh then
	}{
		{"a minute before expiry, if nothing else is said", nil, 3*time.Minute + 50*time.Second, 15 * time.Second},
		{"two minutes before", 120, 2*time.Minute + 50*time.Second, 15 * time.Second},
		{"at expiry", 0, 4*time.Minute + 50*time.Second, 15 * time.Second},
	} {
		t.Run("refreshGracePeriodSeconds: "+row.name, func(t *testing.T) {
			options := map[string]any{}
			if row.grace != nil {
				options["refreshGracePeriodSeconds"] = row.grace
			}
			s := newMovable(t, setup{options: options})
			m := s.member("alice")
			s.pass(row.before)
			before := s.me(m)
			s.refreshes(0)
			s.pass(row.from)
			s.refreshed(m, before)
			s.refreshes(1)
		})
	}

	t.Run("the headers for the backend change with the claims", func(t *testing.T) {
		s := newMovable(t, setup{})
		m := s.member("alice")
		before := s.me(m)
		s.provider.Change("alice", func(q *oidctest.User) { q.Groups, q.Email = []string{"others"}, "alice@new.example" })
		s.expire()
		now := s.refreshed(m, before)
		if got := now.Header.Get("X-User-Groups") + " " + now.Header.Get("X-Forwarded-User"); got != "others alice@new.example" {
			t.Errorf("the backend sees %q", got)
		}
		if now.Header.Get("X-Sid") != m.sid || now.Header.Get("X-Refresh") == before.Header.Get("X-Refresh") {
			t.Errorf("sid %q, refresh token %q", now.Header.Get("X-Sid"), now.Header.Get("X-Refresh"))
		}
	})

	t.Run("E4 userinfo that comes without an ID token is newer than the one before", func(t *testing.T) {
		s := newMovable(t, setup{options: map[string]any{"userinfo": "always"}})
		m := s.member("alice")
		before := s.me(m)
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.RefreshResponse = func(r map[string]any) { delete(r, "id_token") }
			b.UserInfo = func(c map[string]any) { c["groups"], c["sid"] = []string{"others"}, "evil" }
		})
		s.expire()
		now := s.refreshed(m, before)
		if now.Header.Get("X-User-Groups") != "others" || now.Header.Get("X-Sid") != m.sid {
			t.Errorf("groups %q, sid %q", now.Header.Get("X-User-Groups"), now.Header.Get("X-Sid"))
		}
	})

	t.Run("claims of userinfo are requested again", func(t *testing.T) {
		s := newMovable(t, setup{options: map[string]any{"userinfo": "always"}})
		s.provider.Set(func(b *oidctest.Behaviour) { b.ClaimsOnlyInUserInfo = true })
		m := s.member("alice")
		before := s.me(m)
		s.provider.Change("alice", func(q *oidctest.User) { q.Groups = []string{"others"} })
		s.expire()
		if got := s.refreshed(m, before).Header.Get("X-User-Groups"); got != "others" {
			t.Errorf("groups %q", got)
		}
	})

	t.Run("E13 a group that was taken away", func(t *testing.T) {
		s := newMovable(t, setup{options: map[string]any{"allowedRolesAndGroups": []any{"staff"}}})
		m := s.member("alice")
		s.provider.Change("alice", func(q *oidctest.User) { q.Groups, q.Roles = nil, nil })
		s.expire()
		s.untouched(func() {
			eventually.True(t, "a refusal", func() bool { return m.Fetch(s.url+"/").Status == http.StatusForbidden })
			s.status(m.Hop(s.url+"/"), http.StatusForbidden)
		})
		s.provider.Change("alice", func(q *oidctest.User) { q.Groups = []string{"staff"} })
		s.expire()
		eventually.True(t, "a way back in", func() bool { return m.Fetch(s.url+"/").Status == http.StatusOK })
		s.refreshes(2)
	})

	t.Run("E12 a refresh token that stays the same", func(t *testing.T) {
		s := newMovable(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.NoRotation = true })
		m := s.member("alice")
		for round := 1; round <= 3; round++ {
			before := s.me(m)
			s.expire()
			s.refreshed(m, before)
			for range 10 {
				s.me(m)
			}
			s.refreshes(round)
		}
	})

	t.Run("E12 neither expires_in nor an ID token in the answer: the tokens last as long as those before", func(t *testing.T) {
		s := newMovable(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.RefreshResponse = func(r map[string]any) { delete(r, "expires_in"); delete(r, "id_token") }
		})
		m := s.member("alice")
		for round := 1; round <= 2; round++ {
			before := s.me(m)
			s.expire()
			s.refreshed(m, before)
			for range 3 {
				s.pass(time.Minute)
				s.me(m)
			}
			s.refreshes(round)
		}
	})

	t.Run("E12 no ID token in the answer", func(t *testing.T) {
		s := newMovable(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.RefreshResponse = func(r map[string]any) { delete(r, "id_token") } })
		m := s.member("alice")
		for round := 1; round <= 2; round++ {
			before := s.me(m)
			s.expire()
			for range 10 {
				s.me(m)
			}
			now := s.refreshed(m, before)
			for _, name := range []string{"X-User-Groups", "X-Forwarded-User", "X-Sub", "X-Sid"} {
				if got, want := now.Header.Get(name), before.Header.Get(name); got != want || want == "" {
					t.Errorf("%s is %q, was %q", name, got, want)
				}
			}
			s.refreshes(round)
		}
	})

	for _, row := range []struct {
		name   string
		change func(b *oidctest.Behaviour)
		most   int // refreshes in two lifetimes
	}{
		{"E12 no refresh token at all", func(b *oidctest.Behaviour) { b.RefreshTokens = oidctest.RefreshNever }, 0},
		{"E12 no expires_in at the sign-in", func(b *oidctest.Behaviour) { b.TokenResponse = func(r map[string]any) { delete(r, "expires_in") } }, 2},
		{"E12 no expires_in in the answer", func(b *oidctest.Behaviour) { b.RefreshResponse = func(r map[string]any) { delete(r, "expires_in") } }, 2},
		{"E12 an expires_in that is past", func(b *oidctest.Behaviour) { b.RefreshResponse = func(r map[string]any) { r["expires_in"] = -1 } }, 2},
		{"E12 tokens that last a second", func(b *oidctest.Behaviour) { b.TokenResponse = func(r map[string]any) { r["expires_in"] = 1 } }, 4},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newMovable(t, setup{})
			s.provider.Set(row.change)
			m := s.member("alice")
			for range 2 {
				s.expire()
				for range 15 {
					s.me(m)
				}
			}
			s.alive(m)
			if n := s.provider.Count(oidctest.Refresh); n > row.most || s.provider.Count("refresh_reuse") != 0 {
				t.Errorf("%d refreshes, %d refresh tokens sent twice", n, s.provider.Count("refresh_reuse"))
			}
		})
	}
}

// TestRefreshAndStreams has a response under way during a refresh. It does not change.
func TestRefreshAndStreams(t *testing.T) {
	s := newMovable(t, setup{})
	began, goOn := make(chan struct{}), make(chan struct{})
	s.echo.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/events" {
			return false
		}
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w)
		for i := range 4 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if err := flush.Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			if i == 1 {
				close(began)
				<-goOn
			}
		}
		return true
	}
	m := s.member("alice")
	done := make(chan *browser.Page)
	go func() { done <- m.Fetch(s.url + "/events") }()
	<-began
	before := s.me(m)
	s.expire()
	s.refreshed(m, before)
	close(goOn)
	if p := <-done; string(p.Body) != "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n" {
		t.Errorf("status %d: %q", p.Status, p.Body)
	}
	s.refreshes(1)
}
