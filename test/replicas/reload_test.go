package replicas

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

const (
	inUse     = "the changed Redis options work and are in use"
	doNotWork = "the changed Redis options do not work; the store before them stays in use"
)

// alone starts one replica of a new middleware.
func alone(t *testing.T, redis section) *replica {
	t.Helper()
	m := newMiddleware(t, oidctest.Options{})
	first, _ := load(t)
	return m.start(first, m.options(redis))
}

// TestReloadsLeaveNothing is not parallel: it counts the goroutines of the process.
func TestReloadsLeaveNothing(t *testing.T) {
	const reloads, slack = 40, 8
	connections := func(s *server) int {
		pooled, listening := s.clients()
		return len(pooled) + len(listening)
	}
	for _, row := range []struct {
		name   string
		stores int
		next   func(a *replica, s *server, i int) section
	}{
		{"the same options", 1, func(a *replica, s *server, i int) section { return a.options(hybrid(s.Address())) }},
		{"another option", 1, func(a *replica, s *server, i int) section {
			return a.options(hybrid(s.Address()), section{"logLevel": []string{"info", "debug"}[i%2]})
		}},
		{"two prefixes in turn", 2, func(a *replica, s *server, i int) section {
			return a.options(hybrid(s.Address(), "keyPrefix", []string{"traefikoidc", "other"}[i%2]))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startServer(t)
			a := alone(t, hybrid(s.Address()))
			a.ready()
			p := newUser(t, "alice").signIn(a)
			for i := range 4 {
				a.reload(row.next(a, s, i+1))
				newUser(t, "bob").signIn(a)
			}
			most := row.stores * (5 + 1 + 1) // minIdleConns, the link, and one more for a short time
			eventually.True(t, "connections at rest", func() bool { return connections(s) <= most })
			before := runtime.NumGoroutine()
			for i := range reloads {
				a.reload(row.next(a, s, i+1))
				if row.stores == 1 {
					p.is(a, "in")
				}
			}
			a.reload(row.next(a, s, 0))
			p.becomes(a, "in")
			eventually.True(t, "connections as before", func() bool { return connections(s) <= most })
			eventually.True(t, "goroutines as before", func() bool { return runtime.NumGoroutine() <= before+slack })
		})
	}
}

func TestChangedOptions(t *testing.T) {
	t.Run("another prefix", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		a := alone(t, hybrid(s.Address(), "keyPrefix", "before"))
		a.ready()
		p := newUser(t, "alice").signIn(a)
		a.reload(a.options(hybrid(s.Address(), "keyPrefix", "after")))
		a.says(inUse, 1)
		p.is(a, "provider")
		newUser(t, "bob").signIn(a).is(a, "in")
		if n, m := len(s.keys(0, "before:s:*")), len(s.keys(0, "after:s:*")); n != 1 || m != 1 {
			t.Errorf("%d sessions under the prefix before, %d under the other", n, m)
		}
	})

	t.Run("another server that does not run yet", func(t *testing.T) {
		t.Parallel()
		before, after := startServer(t), newServer(t)
		a := alone(t, hybrid(before.Address()))
		a.ready()
		p := newUser(t, "alice").signIn(a)
		arrived, leave := make(chan bool), make(chan bool)
		a.echo.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/long" {
				arrived <- true
				<-leave
			}
			return false
		}
		ended := make(chan string)
		go func() { ended <- a.outcome(p.twin().get(a, "/long")) }()
		<-arrived
		a.reload(a.options(hybrid(after.Address())))
		close(leave)
		if got := <-ended; got != "in" {
			t.Errorf("a request in flight came to %q", got)
		}
		a.says(doNotWork, 2)
		a.says(fmt.Sprintf("%s\" plugin=traefikoidc middleware=%s address=%s", doNotWork, a.name, after.Address()), 2)
		p.is(a, "in")
		newUser(t, "bob").signIn(a).is(a, "in")
		if n := len(before.keys(0, "traefikoidc:s:*")); n != 2 {
			t.Errorf("%d sessions on the server before, want 2", n)
		}

		after.Start()
		eventually.True(t, "in use", func() bool {
			if got := p.sees(a); got != "in" && got != "provider" {
				t.Fatalf("it came to %q", got)
			}
			return strings.Contains(a.log(), inUse)
		})
		q := newUser(t, "carol").signIn(a)
		q.is(a, "in")
		if n, m := len(before.keys(0, "traefikoidc:s:*")), len(after.keys(0, "traefikoidc:s:*")); n != 2 || m != 1 {
			t.Errorf("%d sessions on the server before, %d on the one after", n, m)
		}
	})

	t.Run("a wrong password, and the reloads after it", func(t *testing.T) {
		t.Parallel()
		const right, wrong, worse = "right-cAnArY", "wrong-cAnArY", "worse-cAnArY"
		s := startServer(t)
		s.Do("CONFIG", "SET", "requirepass", right)
		a := alone(t, hybrid(s.Address(), "password", right))
		a.ready()
		p := newUser(t, "alice").signIn(a)
		sessions := 1
		serves := func(when string) {
			t.Helper()
			p.is(a, "in")
			newUser(t, "bob").signIn(a).is(a, "in")
			sessions++
			if n := len(s.keys(0, "traefikoidc:s:*")); n != sessions {
				t.Fatalf("%s: the server has %d sessions, want %d; the log:\n%s", when, n, sessions, a.log())
			}
		}
		a.reload(a.options(hybrid(s.Address(), "password", wrong)))
		serves("at once")
		a.says(doNotWork, 1)
		serves("after the verification")
		a.reload(a.options(hybrid(s.Address(), "password", wrong), section{"logLevel": "debug"}))
		serves("after a change of something else")
		a.reload(a.options(hybrid(s.Address(), "password", worse)))
		serves("after another wrong password")
		a.reload(a.options(hybrid(s.Address(), "password", right), section{"logLevel": "debug"}))
		serves("after the operator put it right")
		s.Do("CONFIG", "SET", "requirepass", wrong)
		a.reload(a.options(hybrid(s.Address(), "password", wrong)))
		a.says(inUse, 1)
		serves("after the server's password changed")
		log := a.log()
		if !strings.Contains(log, "level=WARN") || !strings.Contains(log, "WRONGPASS") {
			t.Errorf("the log does not say why:\n%s", log)
		}
		if strings.Contains(log, "cAnArY") {
			t.Errorf("the log has a password:\n%s", log)
		}
	})

	t.Run("memory, and an option of Redis", func(t *testing.T) {
		t.Parallel()
		a := alone(t, hybrid("127.0.0.1:1", "cacheMode", "memory"))
		p := newUser(t, "alice").signIn(a)
		a.reload(a.options(hybrid("127.0.0.1:2", "cacheMode", "memory", "poolSize", "11", "password", "new")))
		p.is(a, "in")
		a.reload(a.options(nil))
		p.is(a, "in")
		a.reload(a.options(section{"hybridL1Size": "99999", "hybridL1MemoryMB": "63"}))
		p.is(a, "in")
		a.reload(a.options(nil))
		p.is(a, "in")
		if log := a.log(); strings.Contains(log, "changed Redis options") {
			t.Errorf("the log:\n%s", log)
		}
	})

	t.Run("from memory to Redis", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		a := alone(t, nil)
		alice := newUser(t, "alice").signIn(a)
		alice.is(a, "in")
		a.reload(a.options(hybrid(s.Address())))
		a.says(inUse, 1)
		alice.is(a, "in")
		newUser(t, "bob").signIn(a).is(a, "in")
		// Memory hands over the sessions of all middlewares that it serves.
		if n := s.sessions("traefikoidc"); n < 2 {
			t.Errorf("%d sessions on the server, want those of alice and bob", n)
		}
	})
}
