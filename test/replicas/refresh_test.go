package replicas

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// newClockedScene returns a scene with clocks that a test may advance. There is one
// such scene at a time.
func newClockedScene(t *testing.T, s *server, more ...any) *scene {
	t.Helper()
	loadAll(t)
	return newSceneIn(t, s, plugins.pass1, plugins.pass2, plugins.pass1.Clock.Now, more...)
}

// expire advances the clocks beyond the lifetime of the provider's tokens.
func (x *scene) expire() { x.pass(6 * time.Minute) }

func (x *scene) pass(d time.Duration) {
	x.a.plugin.Clock.Pass(d)
	x.b.plugin.Clock.Pass(d)
}

// leaseTime is how long a lease for a refresh lasts that is not prolonged.
const leaseTime = 6 * time.Second

// overBefore reports whether f returns before a timeout of the plugin can end. The result
// of a longer f depends on the speed of the machine.
func overBefore(timeout time.Duration, f func()) bool {
	t := time.NewTimer(timeout)
	f()
	return t.Stop()
}

// refreshedAtExpiry has so many rounds of a crowd at expiry. Each has one call and new
// tokens for every request. A busy machine may lose a link to Redis or the lease. Such a
// round shows only that every request is served and no refresh token is sent twice. The
// next round has half the crowd and another session, because a refresh token with a lost
// lease is not used again.
func (x *scene) refreshedAtExpiry(rounds, crowded int) {
	x.t.Helper()
	p := x.member("alice")
	good := 0
	for tries := 0; good < rounds && tries < rounds+10; tries++ {
		x.expire()
		before := p.lives(x.a).access()
		asked, listening := x.provider.Count(oidctest.Refresh), x.listening()
		x.expire()
		var answers []answer
		quick := overBefore(leaseTime, func() { answers = crowd(crowded, p, x.a, x.b) })
		served(x.t, answers)
		if !quick || x.listening() != listening {
			p, crowded = x.member("alice"), max(crowded/2, 4)
			continue
		}
		good++
		if n := x.provider.Count(oidctest.Refresh) - asked; n != 1 {
			x.t.Errorf("%d calls with a refresh token", n)
		}
		for _, n := range answers {
			if n.access() == before || n.access() != answers[0].access() {
				x.t.Error("a request got another access token than the new one")
				break
			}
		}
	}
	if n := x.provider.Count("refresh_reuse"); n != 0 || good == 0 {
		x.t.Errorf("%d refresh tokens were sent twice, in %d rounds", n, good)
	}
}

// listening counts the connections that ever listened for changes.
func (x *scene) listening() int { return x.linkA.listeners() + x.linkB.listeners() }

// TestRefresh has one server for all tests that do not disturb it.
func TestRefresh(t *testing.T) {
	t.Parallel()
	common := startServer(t)

	t.Run("E6 fifty requests over two replicas at expiry: one call, fifty answers", func(t *testing.T) {
		x := newClockedScene(t, common)
		x.refreshedAtExpiry(3, 50)
	})

	t.Run("E6 with cacheMode redis", func(t *testing.T) {
		x := newClockedScene(t, common, "cacheMode", "redis")
		x.refreshedAtExpiry(2, 30)
	})

	t.Run("E7 a provider that takes eight seconds: one call, everybody waits", func(t *testing.T) {
		const slow = 8 * time.Second
		x := newClockedScene(t, common)
		p := x.member("alice")
		before := p.lives(x.a).access()
		x.disturb(oidctest.Fault{Delay: slow})
		x.expire()
		answers := crowd(20, p, x.a, x.b)
		served(t, answers)
		for _, n := range answers {
			// A request that does not wait for the provider gets the old token.
			if n.access() == before || n.access() != answers[0].access() {
				t.Error("a request got another token than the new one")
				break
			}
		}
		x.refreshes(1)
	})

	t.Run("E7 a slow provider, asked before tokens expire, keeps nobody waiting", func(t *testing.T) {
		x := newClockedScene(t, common)
		early := section{"refreshGracePeriodSeconds": 60}
		x.a.reload(x.options(hybrid(x.linkA.address), channels, early))
		x.b.reload(x.options(hybrid(x.linkB.address), channels, early))
		p := x.member("alice")
		x.pass(4*time.Minute + 30*time.Second)
		hold := make(chan struct{})
		x.disturb(oidctest.Fault{Hold: hold, Times: 1})
		// All requests pass before the provider responds, with the token of the session.
		answers := crowd(30, p, x.a, x.b)
		served(t, answers)
		before := answers[0].access()
		for _, n := range answers {
			if n.access() != before {
				t.Error("a request got a token that the provider holds back")
			}
		}
		close(hold)
		for _, r := range x.both() {
			eventually.True(t, "the new tokens", func() bool { return p.lives(r).access() != before })
		}
		x.refreshes(1)
	})

	t.Run("E8 a holder that is cut off for good: nobody sends that refresh token again", func(t *testing.T) {
		x := newClockedScene(t, common)
		p := x.member("alice")
		before := p.lives(x.b).access()
		answers := make(chan struct{})
		x.disturb(oidctest.Fault{HoldDone: answers, Times: 1})
		x.expire()
		ofA := make(chan answer, 1)
		go func() { ofA <- p.uses(x.a) }()
		eventually.True(t, "A sends the refresh token", func() bool { return x.provider.Count(oidctest.Refresh) == 1 })
		x.linkA.set(cut)
		served(t, crowd(10, p, x.b))
		if got := p.livesAtOnce(x.b).access(); got != before {
			t.Error("the other replica has refreshed")
		}
		x.b.says("the response to a token refresh was lost", 1)
		x.refreshes(1)
		if p.sees(x.b) != "in" {
			t.Error("signed out")
		}

		// The link comes back, and the response of the provider after it.
		x.linkA.set(whole)
		x.a.says("Redis invalidation link up", 2)
		eventually.True(t, "A is out of the outage", func() bool {
			log := x.a.log()
			return strings.Count(log, fellBack) == strings.Count(log, restored)
		})
		close(answers)
		if n := <-ofA; n.status != http.StatusOK {
			t.Errorf("the request that waited at A: status %d", n.status)
		}
		for _, r := range x.both() {
			eventually.True(t, "the tokens that came late", func() bool { return p.lives(r).access() != before })
		}
		x.refreshes(1)
	})

	t.Run("E9 a lost answer: served to the end, the refresh token never sent again", func(t *testing.T) {
		x := newClockedScene(t, common)
		p := x.member("alice")
		x.disturb(oidctest.Fault{DropDone: true, Times: 1})
		x.expire()
		eventually.True(t, "the loss is noticed", func() bool {
			served(t, crowd(10, p, x.a, x.b))
			return strings.Contains(x.a.log()+x.b.log(), "the response to a token refresh was lost")
		})
		for range 3 {
			served(t, crowd(10, p, x.a, x.b))
		}
		x.refreshes(1)
		if n := strings.Count(x.a.log()+x.b.log(), `msg="the response to a token refresh was lost`); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})

	t.Run("E10 a provider that fails: the session goes on, and is refreshed later", func(t *testing.T) {
		x := newClockedScene(t, common)
		p := x.member("alice")
		before := p.lives(x.a).access()
		x.disturb(oidctest.Fault{Status: http.StatusServiceUnavailable, Body: "out of order"})
		x.expire()
		for range 4 {
			served(t, crowd(6, p, x.a, x.b))
		}
		if n := x.provider.Count(oidctest.Refresh); n == 0 || n > 2 {
			t.Errorf("%d calls to a provider that is out of order", n)
		}
		x.calm()
		x.pass(time.Minute)
		for _, r := range x.both() {
			eventually.True(t, "a refresh", func() bool { return p.lives(r).access() != before })
		}
		if n := x.provider.Count("refresh_reuse"); n != 0 {
			t.Errorf("%d refresh tokens were used twice", n)
		}
	})

	t.Run("E10 invalid_grant signs out at both", func(t *testing.T) {
		x := newClockedScene(t, common)
		p, q := x.member("alice"), x.member("bob")
		x.provider.Set(func(b *oidctest.Behaviour) { b.RefreshError = "invalid_grant" })
		x.expire()
		for _, n := range crowd(10, p, x.a, x.b) {
			if n.status != http.StatusUnauthorized {
				t.Errorf("status %d", n.status)
			}
		}
		p.ended(x.a)
		p.ended(x.b)
		x.refreshes(1)
		x.provider.Set(func(b *oidctest.Behaviour) { b.RefreshError = "" })
		q.lives(x.a)
		p.signIn(x.b).lives(x.a)
	})

	t.Run("I7 a slow token refresh and a logout elsewhere: it stays ended, and the tokens are revoked", func(t *testing.T) {
		x := newClockedScene(t, common)
		for _, row := range []struct {
			name string
			end  func(p *user, sid string)
		}{
			{"the user's", func(p *user, sid string) { p.signOut(x.b) }},
			{"the provider's", func(p *user, sid string) { x.b.taken(x.provider.LogoutToken("client", p.name, sid, nil)) }},
		} {
			p := x.member("alice")
			stolen, sid := p.copy(), p.sid(x.a)
			held := make(chan struct{})
			asked, revoked := x.provider.Count(oidctest.Refresh), x.provider.Count(oidctest.Revocation)
			x.disturb(oidctest.Fault{HoldDone: held, Times: 1})
			x.expire()
			waiting := make(chan answer, 1)
			go func() { waiting <- stolen.uses(x.a) }()
			eventually.True(t, "A sends the refresh token", func() bool { return x.provider.Count(oidctest.Refresh) == asked+1 })
			row.end(p, sid)
			stolen.ended(x.b)
			close(held)
			if n := <-waiting; n.status != http.StatusUnauthorized {
				t.Errorf("%s: the request that waited for the refresh: status %d", row.name, n.status)
			}
			never(t, row.name+": it lives again", 300*time.Millisecond, func() bool {
				return stolen.uses(x.a).status != http.StatusUnauthorized || stolen.uses(x.b).status != http.StatusUnauthorized
			})
			eventually.True(t, "the tokens are revoked", func() bool { return x.provider.Count(oidctest.Revocation) > revoked })
		}
		x.refreshes(2)
	})

	t.Run("E6 J1 a replica without Redis refreshes no tokens", func(t *testing.T) {
		x := newClockedScene(t, common)
		p := x.member("alice")
		before := p.lives(x.a).access()
		x.linkA.set(cut)
		x.expire()
		for range 10 {
			if p.livesAtOnce(x.a).access() != before {
				t.Error("refreshed by a replica without Redis")
			}
		}
		x.refreshes(0)
		if p.lives(x.b).access() == before {
			t.Error("not refreshed by the other")
		}
		x.linkA.set(whole)
		eventually.True(t, "the other's tokens", func() bool { return p.lives(x.a).access() != before })
		x.refreshes(1)
	})
}

// TestRefreshWithClocksThatDiffer has tokens that expire in real time.
func TestRefreshWithClocksThatDiffer(t *testing.T) {
	t.Parallel()
	const soon, later = 2 * time.Second, 5 * time.Minute
	common := startServer(t)
	for _, row := range []struct {
		name  string
		ahead bool // the sign-in is at the replica that is ahead
	}{
		{"J11 E6 signed in at the one that is a minute ahead", true},
		{"J11 E6 signed in at the one that is a minute behind", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			first, _ := load(t)
			plugins := []*loader.Plugin{first, ahead(t)}
			if row.ahead {
				plugins = []*loader.Plugin{ahead(t), first}
			}
			x := newSceneIn(t, common, plugins[0], plugins[1], nil)
			x.tokensLast(soon, later)
			p := newUser(t, "alice").signIn(x.a)
			eventually.True(t, "the tokens expire", func() bool {
				served(t, crowd(10, p, x.a, x.b))
				return x.provider.Count(oidctest.Refresh) > 0
			})
			for range 3 {
				served(t, crowd(10, p, x.a, x.b))
			}
			x.refreshes(1)
		})
	}
}
