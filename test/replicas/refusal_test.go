package replicas

import (
	"net/http"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// TestAServerThatRefuses has the refusals of a running server. Signed-in users notice
// nothing, and new users can sign in. Their changes are at both replicas once the server
// accepts them.
func TestAServerThatRefuses(t *testing.T) {
	kick := []string{"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}
	for _, row := range []struct {
		name        string
		fault, mend [][]string
	}{
		{"OOM", [][]string{{"CONFIG", "SET", "maxmemory", "1"}}, [][]string{{"CONFIG", "SET", "maxmemory", "0"}}},
		{"NOREPLICAS", [][]string{{"CONFIG", "SET", "min-replicas-to-write", "1"}}, [][]string{{"CONFIG", "SET", "min-replicas-to-write", "0"}}},
		{"READONLY", [][]string{{"REPLICAOF", "127.0.0.1", "1"}}, [][]string{{"REPLICAOF", "NO", "ONE"}}},
		{"NOAUTH", [][]string{{"CONFIG", "SET", "requirepass", "x"}, kick}, [][]string{{"CONFIG", "SET", "requirepass", ""}}},
		{"NOPERM", [][]string{{"ACL", "SETUSER", "default", "-@all", "+ping", "+hello", "+acl", "+client", "+config"}}, [][]string{{"ACL", "SETUSER", "default", "+@all"}}},
		{"no scripts", [][]string{{"ACL", "SETUSER", "default", "-eval", "-evalsha", "-script"}}, [][]string{{"ACL", "SETUSER", "default", "+@all"}}},
		{"killed connections", [][]string{kick}, nil},
	} {
		t.Run("J1 "+row.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			m := newMiddleware(t, oidctest.Options{})
			a, b := m.pair(m.options(hybrid(s.Address())))
			a.ready()
			b.ready()
			p, leaver := newUser(t, "alice").signIn(a), newUser(t, "carol").signIn(a)
			p.is(b, "in")
			left := leaver.copy()
			left.is(b, "in")
			for _, command := range row.fault {
				s.Do(command...)
			}
			q := newUser(t, "bob").signIn(a)
			for range 8 {
				p.isAtOnce(a, "in")
				p.isAtOnce(b, "in")
				q.isAtOnce(a, "in")
			}
			if got := q.sees(b); got != "in" && got != "503" && got != "provider" {
				t.Errorf("a session that the server refused came to %q at the other replica", got)
			}
			leaver.signOut(a)
			left.isAtOnce(a, "provider")
			if page := p.get(b, "/page"); page.Status >= http.StatusInternalServerError {
				t.Errorf("status %d", page.Status)
			}
			for _, command := range row.mend {
				s.Do(command...)
			}
			q.becomes(b, "in")
			left.becomes(b, "provider")
			left.is(a, "provider")
			p.is(b, "in")
		})
	}
}
