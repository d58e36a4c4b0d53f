package replicas

import (
	"context"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

const masterName = "sessions"

// A watched is a master with a replica, and the sentinels that watch them.
type watched struct {
	t         testing.TB
	servers   []*server
	sentinels []*redistest.Fixture
	admin     *resp.Client // of the first sentinel
}

func startWatched(t testing.TB) *watched {
	t.Helper()
	w := &watched{t: t}
	w.servers = append(w.servers, startServer(t, "--repl-diskless-sync-delay", "0"))
	w.servers = append(w.servers, startServer(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+w.servers[0].Port()))
	for range 3 {
		s := redistest.Prepare(t, redistest.Options{Args: []string{"--sentinel"}, Config: []string{
			"sentinel monitor " + masterName + " 127.0.0.1 " + w.servers[0].Port() + " 2",
			"sentinel down-after-milliseconds " + masterName + " 5000",
			"sentinel failover-timeout " + masterName + " 20000",
		}})
		s.Start()
		w.sentinels = append(w.sentinels, s)
	}
	w.admin = resp.NewClient(resp.Options{Address: w.sentinels[0].Address(), OperationTimeout: patience, ReadTimeout: patience})
	t.Cleanup(w.admin.Close)
	eventually.True(t, "the sentinels know each other and the replica", func() bool {
		r, err := w.admin.Do(context.Background(), "SENTINEL", "CKQUORUM", masterName)
		if err != nil || !strings.HasPrefix(string(r.Str), "OK 3 usable") {
			return false
		}
		r, err = w.admin.Do(context.Background(), "SENTINEL", "REPLICAS", masterName)
		return err == nil && len(r.Elems) == 1
	})
	return w
}

// addresses are those of the sentinels, as an operator writes them.
func (w *watched) addresses() string {
	var all []string
	for _, s := range w.sentinels {
		all = append(all, s.Address())
	}
	return strings.Join(all, ",")
}

// failOver has the sentinels make the replica the master.
func (w *watched) failOver() {
	w.t.Helper()
	eventually.True(w.t, "a failover begins", func() bool {
		_, err := w.admin.Do(context.Background(), "SENTINEL", "FAILOVER", masterName)
		return err == nil
	})
	eventually.True(w.t, "the replica is the master", func() bool {
		return strings.Contains(string(w.servers[1].Do("INFO", "replication").Str), "role:master")
	})
}

// Users stay signed in through a failover, and signed-out users stay out.
func TestAFailoverOfSentinels(t *testing.T) {
	t.Parallel()
	w := startWatched(t)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(w.addresses(), "sentinelMasterName", masterName)))
	a.ready()
	b.ready()
	alice, bob := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(a)
	alice.is(b, "in")
	bob.is(b, "in")
	left := bob.copy()
	bob.signOut(a)
	w.failOver()
	alice.becomes(a, "in")
	alice.becomes(b, "in")
	left.becomes(b, "provider")
	left.is(a, "provider")

	eventually.True(t, "the new master has the sessions of new sign-ins", func() bool {
		before := w.servers[1].sessions("traefikoidc")
		newUser(t, "carol").signIn(b)
		return w.servers[1].sessions("traefikoidc") > before
	})
	out := alice.copy()
	alice.signOut(b)
	out.becomes(a, "provider")
	if log := a.log() + b.log(); strings.Contains(log, "was used twice") {
		t.Errorf("the log:\n%s", log)
	}
}

// A master that does not come back is replaced within the sentinels' own detection.
func TestAMasterIsKilled(t *testing.T) {
	t.Parallel()
	w := startWatched(t)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(w.addresses(), "sentinelMasterName", masterName)))
	a.ready()
	b.ready()
	alice, bob := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(a)
	alice.is(b, "in")
	left := bob.copy()
	left.is(b, "in")
	eventually.True(t, "the replica has the sessions", func() bool { return w.servers[1].sessions("traefikoidc") == 2 })
	w.servers[0].Kill()
	alice.is(a, "in")
	alice.is(b, "in")
	bob.signOut(a)
	left.becomes(a, "provider")
	eventually.True(t, "the replica is the master", func() bool {
		return strings.Contains(string(w.servers[1].Do("INFO", "replication").Str), "role:master")
	})
	left.becomes(b, "provider")
	alice.becomes(b, "in")
	carol := newUser(t, "carol").signIn(a)
	eventually.True(t, "the replicas share sessions again", func() bool { return carol.sees(b) == "in" })
}
