package replicas

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// comesFrom sends a callback that came through a proxy from an address.
func (p *user) comesFrom(r *replica, to *url.URL, address string) *browser.Page {
	p.t.Helper()
	return p.on(r).Do(browser.Request{URL: to.String(), OneHop: true, Header: http.Header{"X-Forwarded-For": {address}}})
}

// madeUp returns to with a made-up code.
func madeUp(to *url.URL) *url.URL {
	u := *to
	q := u.Query()
	q.Set("code", "made-up")
	u.RawQuery = q.Encode()
	return &u
}

func TestReplayMarkers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(s.Address()), section{"trustedProxies": []any{"127.0.0.0/8"}}))
	a.ready()
	b.ready()
	markers := func() int { return len(s.keys(0, "traefikoidc:j:*")) }

	t.Run("L11 a sign-in leaves one", func(t *testing.T) {
		p := newUser(t, "alice")
		to := p.callback(a)
		twin := p.twin()
		p.comesBack(a, to)
		p.is(b, "in")
		if n := markers(); n != 1 {
			t.Errorf("%d markers", n)
		}
		calls := m.provider.Count(oidctest.Token)
		if got := b.outcome(twin.comesBack(b, to)); got != "provider" || m.provider.Count(oidctest.Token) != calls {
			t.Errorf("B3: the same callback at the other replica came to %q", got)
		}
	})

	t.Run("L11 L3 made-up callbacks leave none during the endpoint's pause", func(t *testing.T) {
		p := newUser(t, "bob")
		good := p.callback(a)
		m.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Token] = oidctest.Fault{Status: 500} })
		before, calls := markers(), m.provider.Count(oidctest.Token)
		sent := func() int { return m.provider.Count(oidctest.Token) - calls }
		for i := range 40 {
			q := newUser(t, "bob")
			page := q.comesFrom(a, madeUp(q.callback(a)), fmt.Sprintf("192.0.2.%d", i%4))
			if page.Status != http.StatusServiceUnavailable {
				t.Errorf("status %d", page.Status)
			}
		}
		// After the pause of the breaker, each client may try.
		if n := markers() - before; n != sent() || n > 30 {
			t.Errorf("%d markers, %d calls", n, sent())
		}
		m.provider.Reset()
		if !eventually.Within(patience, func() bool { return p.comesBack(a, good).Header.Get("Location") == "/page" }) {
			t.Error("a callback that was put off does not come through later")
		}
		p.is(b, "in")
	})
}
