package replicas

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// durable has a killed server keep every acknowledged write.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

const (
	fellBack = "Falling back to memory cache"
	restored = "Redis connection restored"
)

func TestJ1RedisIsDownAtStart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(s.Address())))
	p := newUser(t, "alice").signIn(a)
	a.says(fellBack, 1)
	p.isAtOnce(a, "in")
	p.waits(b)
	q := newUser(t, "bob").signIn(a)
	gone := q.copy()
	gone.isAtOnce(a, "in")
	q.signOut(a)
	gone.isAtOnce(a, "provider")

	s.Start()
	a.says("Redis cache initialized", 1)
	a.says(restored, 1)
	b.says(restored, 1)
	p.becomes(b, "in")
	p.is(a, "in")
	gone.becomes(b, "provider")
	newUser(t, "carol").signIn(b).is(a, "in")
}

func TestJ1RedisIsKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t, durable...)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(s.Address())))
	a.ready()
	b.ready()
	onlyA, both, leaver := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(a), newUser(t, "carol").signIn(a)
	both.is(b, "in")
	leaver.is(b, "in")
	left := leaver.copy()
	s.Kill()

	// Until the breaker has opened, and after.
	for range 12 {
		onlyA.isAtOnce(a, "in")
		both.isAtOnce(a, "in")
		both.isAtOnce(b, "in")
		onlyA.waits(b)
	}
	b.says(fellBack, 1)
	b.says("Circuit breaker opened", 1)
	for range 3 {
		onlyA.waits(b)
		both.isAtOnce(b, "in")
	}
	if page := onlyA.on(b).Fetch(appURL + "/api"); page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" {
		t.Errorf("a script's request: status %d, %v", page.Status, page.Header)
	}
	leaver.signOut(a)
	left.isAtOnce(a, "provider")
	left.isAtOnce(b, "in") // B cannot know yet
	newcomer := newUser(t, "bob").signIn(b)
	newcomer.waits(a)

	s.Start()
	a.says(restored, 1)
	b.says(restored, 1)
	left.becomes(b, "provider")
	left.is(a, "provider")
	onlyA.becomes(b, "in")
	newcomer.becomes(a, "in")
	both.is(a, "in")
	both.is(b, "in")
	if log := a.log() + b.log(); strings.Contains(log, "lost its data") {
		t.Errorf("data that is there was taken for lost:\n%s", log)
	}
}

// TestJ1RedisStalls counts the requests that query a server that does not reply. It
// fails if there are more than the threshold.
func TestJ1RedisStalls(t *testing.T) {
	s := startServer(t)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(s.Address(), "circuitBreakerThreshold", "3", "operationTimeout", "500ms")))
	a.ready()
	b.ready()
	p, q := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(a)
	q.becomes(b, "in")
	s.Signal(syscall.SIGSTOP)
	defer s.Signal(syscall.SIGCONT)

	fallen := func() bool { return strings.Count(b.log(), fellBack) > strings.Count(b.log(), restored) }
	opened := strings.Count(b.log(), "Circuit breaker opened")
	asked := 0
	for asked < 10 && !fallen() && strings.Count(b.log(), "Circuit breaker opened") == opened {
		p.waits(b)
		asked++
	}
	if asked > 4 { // the log may be written while one is answered
		t.Errorf("%d requests asked, with a threshold of 3", asked)
	}
	eventually.True(t, "fallen back", fallen)
	q.isAtOnce(b, "in")
	p.waits(b)

	s.Signal(syscall.SIGCONT)
	p.becomes(b, "in")
	b.says(restored, 1)
}

func TestJ2RestartWithoutData(t *testing.T) {
	t.Parallel()
	s, a, b := usual(t)
	p, q, leaver := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(b), newUser(t, "carol").signIn(a)
	p.is(a, "in")
	q.is(b, "in")
	leaver.is(b, "in")
	left := leaver.copy()
	leaver.signOut(a)
	left.becomes(b, "provider")
	s.Kill()
	s.Start()
	for range 20 {
		p.isAtOnce(a, "in")
		q.isAtOnce(b, "in")
		for _, x := range []*user{p, q} {
			for _, r := range []*replica{a, b} {
				// A session of the other replica has to wait until that has given it back.
				if got := x.sees(r); got != "in" && got != "503" {
					t.Fatalf("%s came to %q", x.name, got)
				}
			}
		}
	}
	a.says("lost its data", 1)
	b.says("lost its data", 1)
	p.becomes(b, "in")
	q.becomes(a, "in")
	left.is(a, "provider")
	left.is(b, "provider")
	if n := len(s.keys(0, "traefikoidc:s:*")); n != 3 {
		t.Errorf("%d records of two sessions and a sign-out", n)
	}
}

func TestJ2FlushAllSignsEverybodyOut(t *testing.T) {
	t.Parallel()
	s, a, b := usual(t)
	p, q := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(b)
	p.is(b, "in")
	q.is(a, "in")
	s.Do("FLUSHALL")
	for _, x := range []*user{p, q} {
		for _, r := range []*replica{a, b} {
			if !eventually.Within(patience, func() bool {
				got := x.sees(r)
				if got != "in" && got != "provider" {
					t.Fatalf("%s came to %q:\n%s", x.name, got, r.log())
				}
				return got == "provider"
			}) {
				t.Fatalf("%s is still signed in", x.name)
			}
		}
	}
	p.signIn(a).is(b, "in")
	q.signIn(b).is(a, "in")
}

func TestJ3OneReplicaIsCutOff(t *testing.T) {
	for _, row := range []struct {
		protection string
		signsIn    bool
	}{
		{"allow", true},
		{"deny", false},
	} {
		t.Run("J3 replayProtection "+row.protection, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			k := newLink(t, s.Address())
			m := newMiddleware(t, oidctest.Options{})
			first, second := load(t)
			protection := section{"replayProtection": row.protection}
			a := m.start(first, m.options(hybrid(s.Address()), protection))
			b := m.start(second, m.options(hybrid(k.address), protection))
			a.ready()
			b.ready()
			used := newUser(t, "alice")
			to := used.callback(a)
			twin := used.twin()
			used.comesBack(a, to)
			used.is(a, "in")

			k.set(cut)
			eventually.True(t, "fallen back", func() bool { used.waits(b); return strings.Contains(b.log(), fellBack) })
			q := newUser(t, "bob")
			page := q.comesBack(b, q.callback(b))
			if row.signsIn {
				if page.Status != http.StatusFound || q.value() == "" {
					t.Errorf("a sign-in: status %d: %s", page.Status, page.Body)
				}
				q.is(b, "in")
			} else if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || q.value() != "" {
				t.Errorf("a sign-in: status %d, %v", page.Status, page.Header)
			}
			redeemed := m.provider.Count("code_reuse")
			page = twin.comesBack(b, to)
			if twin.value() != "" || page.Status < 400 {
				t.Errorf("a used callback: status %d, cookie %q", page.Status, twin.value())
			}
			if reused := m.provider.Count("code_reuse") - redeemed; (reused == 1) != row.signsIn {
				t.Errorf("the provider was asked %d times", reused)
			}

			k.set(whole)
			b.says(restored, 1)
			if row.signsIn {
				b.says("used twice", 1)
				q.becomes(a, "in")
			} else {
				q.signIn(b).is(a, "in")
			}
			used.becomes(b, "in")
		})
	}
}

func TestJ10AnEvictingServerIsReported(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		policy string
		warns  bool
	}{
		{"noeviction", false}, {"allkeys-lru", true},
	} {
		t.Run("J10 "+row.policy, func(t *testing.T) {
			s := startServer(t, "--maxmemory", "50mb", "--maxmemory-policy", row.policy)
			m := newMiddleware(t, oidctest.Options{})
			a, _ := m.pair(m.options(hybrid(s.Address())))
			a.ready()
			warns := func() bool {
				return strings.Contains(a.log(), "Redis may evict") && strings.Contains(a.log(), "level=WARN")
			}
			if row.warns {
				eventually.True(t, "a warning", warns)
			} else {
				newUser(t, "alice").signIn(a)
				never(t, "warned", 300*time.Millisecond, warns)
			}
		})
	}
}
