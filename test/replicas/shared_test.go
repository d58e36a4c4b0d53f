package replicas

import (
	"net/http"
	"sync"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// usual starts a server, and a middleware with it on two connected replicas.
func usual(t *testing.T, more ...any) (s *server, a, b *replica) {
	t.Helper()
	s = startServer(t)
	m := newMiddleware(t, oidctest.Options{})
	a, b = m.pair(m.options(hybrid(s.Address(), more...)))
	a.ready()
	b.ready()
	return s, a, b
}

func TestReplicasAreOne(t *testing.T) {
	t.Parallel()
	s, a, b := usual(t)

	t.Run("a sign-in at one is one at the other", func(t *testing.T) {
		p := newUser(t, "alice").signIn(a)
		p.is(b, "in")
		p.is(a, "in")
		q := newUser(t, "bob").signIn(b)
		q.is(a, "in")
	})

	t.Run("a callback that was used at one cannot be used at the other", func(t *testing.T) {
		p := newUser(t, "alice")
		to := p.callback(a)
		twin := p.twin()
		if page := p.comesBack(a, to); page.Status != http.StatusFound || p.value() == "" {
			t.Fatalf("status %d: %s", page.Status, page.Body)
		}
		redeemed := a.provider.Count(oidctest.Token)
		if got := b.outcome(twin.comesBack(b, to)); got != "provider" || twin.value() != "" {
			t.Errorf("the second use came to %q, with the cookie %q", got, twin.value())
		}
		if n := a.provider.Count(oidctest.Token) - redeemed; n != 0 {
			t.Error("the code was sent to the provider again")
		}
	})

	t.Run("J13 an unknown session is read again", func(t *testing.T) {
		p := newUser(t, "alice").signIn(a)
		key := s.keys(0, "traefikoidc:s:*")
		var kept []string
		for _, k := range key {
			kept = append(kept, k, string(s.Do("DUMP", k).Str))
			s.Do("DEL", k)
		}
		p.becomes(b, "provider")
		for i := 0; i < len(kept); i += 2 {
			s.Do("RESTORE", kept[i], "600000", kept[i+1])
		}
		p.is(b, "in")
	})
}

func TestJ14OfManyCallbacksWithOneCodeAtBothOneWins(t *testing.T) {
	t.Parallel()
	_, a, b := usual(t)
	p := newUser(t, "alice")
	to := p.callback(a)
	redeemed := a.provider.Count(oidctest.Token)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 100 {
		twin, r := p.twin(), a
		if i%2 == 1 {
			r = b
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			twin.comesBack(r, to)
			mu.Lock()
			defer mu.Unlock()
			if twin.value() != "" {
				won++
			}
		}()
	}
	wg.Wait()
	if n := a.provider.Count(oidctest.Token) - redeemed; n != 1 || won != 1 {
		t.Errorf("%d redemptions and %d sessions; %s\n%s", n, won, a.log(), b.log())
	}
}

func TestMemorySharesNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(s.Address(), "cacheMode", "memory")))
	p := newUser(t, "alice").signIn(a)
	p.is(a, "in")
	p.copy().is(b, "provider")
	if pooled, listening := s.clients(); len(pooled)+len(listening) != 0 {
		t.Errorf("%d connections", len(pooled)+len(listening))
	}
}

func TestTenantsOfOneServer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	m := newMiddleware(t, oidctest.Options{})
	first, second := load(t)
	for _, row := range []struct {
		name string
		a, b section
	}{
		{"J7 two prefixes", hybrid(s.Address(), "keyPrefix", "one"), hybrid(s.Address(), "keyPrefix", "two")},
		{"J7 a prefix that begins like the other", hybrid(s.Address(), "keyPrefix", "three"), hybrid(s.Address(), "keyPrefix", "three:s")},
		{"J7 two databases", hybrid(s.Address(), "db", "1"), hybrid(s.Address(), "db", "2")},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := m.in(t)
			a, b := m.start(first, m.options(row.a)), m.start(second, m.options(row.b))
			a.ready()
			b.ready()
			p := newUser(t, "alice").signIn(a)
			q := newUser(t, "bob").signIn(b)
			p.copy().is(b, "provider")
			q.copy().is(a, "provider")
			p.signOut(a)
			q.is(b, "in")
		})
	}
}

func TestClocksDiffer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	m := newMiddleware(t, oidctest.Options{})
	first, _ := load(t)
	options := m.options(hybrid(s.Address()))
	a, b := m.start(first, options), m.start(ahead(t), options)
	a.ready()
	b.ready()
	t.Run("J11 the other is a minute ahead", func(t *testing.T) {
		p := newUser(t, "alice").signIn(a)
		p.is(b, "in")
		copied := p.copy()
		p.signOut(b)
		copied.becomes(a, "provider")
	})
	t.Run("J11 the other is a minute behind", func(t *testing.T) {
		p := newUser(t, "alice").signIn(b)
		p.is(a, "in")
		copied := p.copy()
		p.signOut(a)
		copied.becomes(b, "provider")
	})
}
