package replicas

import (
	"flag"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/resp"
)

var switchesFlag = flag.Int("switches", 6, "how often TestSwitchesUnderTraffic changes the store")

// Users visit, sign in and sign out at two replicas, while both go from store to store.
// Half of the times it is another address of the same server, half of the times a replica
// of it that was promoted. No request fails, nobody signs in again, and each sign-out
// stays.
func TestSwitchesUnderTraffic(t *testing.T) {
	master := startServer(t, "--repl-diskless-sync-delay", "0")
	copied := startServer(t, "--repl-diskless-sync-delay", "0")
	copied.follows(master)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(master.Address()), channels))
	a.ready()
	b.ready()
	var visitors []*visitor
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i, name := range []string{"alice", "bob", "carol", "dave"} {
		v := &visitor{r: []*replica{a, b}[i%2], name: name}
		visitors = append(visitors, v)
		wg.Add(1)
		go func() {
			defer wg.Done()
			v.run(stop)
		}()
	}
	second := false
	for i := range *switchesFlag {
		if promotes := i%2 == 1; promotes {
			copied.Do("REPLICAOF", "NO", "ONE")
			master, copied = copied, master
			second = false
		} else {
			second = !second
		}
		address := master.Address()
		if second {
			address = "localhost:" + master.Port()
		}
		a.reload(m.options(hybrid(address), channels))
		b.reload(m.options(hybrid(address), channels))
		a.says(inUse, i+1)
		b.says(inUse, i+1)
		if i%2 == 1 {
			copied.follows(master)
		}
	}
	close(stop)
	wg.Wait()
	if t.Failed() {
		t.Fatalf("the log of A:\n%s\nof B:\n%s", a.log(), b.log())
	}
	visits, slowest := 0, time.Duration(0)
	for _, v := range visitors {
		visits += v.visits
		slowest = max(slowest, v.slowest)
		for _, r := range []*replica{a, b} {
			v.user.lives(r)
			for _, p := range v.gone {
				p.ended(r)
			}
		}
	}
	t.Logf("%d switches, %d requests, the slowest took %s", *switchesFlag, visits, slowest)
}

// follows makes s a replica of another server, and waits until it has its data.
func (s *server) follows(master *server) {
	s.t.Helper()
	s.Do("REPLICAOF", "127.0.0.1", master.Port())
	eventually.True(s.t, "the replica has the data of its master", func() bool {
		return resp.InfoField(s.Do("INFO", "replication"), "master_link_status") == "up"
	})
}

// A visitor is one user at one replica, with one session after another.
type visitor struct {
	r       *replica
	name    string
	user    *user
	gone    []*user // with the cookies of sessions that were signed out
	visits  int
	slowest time.Duration
}

// run visits until stop is closed. Each twentieth visit is a sign-out, and then a
// sign-in.
func (v *visitor) run(stop <-chan struct{}) {
	v.arrives()
	for {
		select {
		case <-stop:
			return
		default:
		}
		began := time.Now()
		if v.visits++; v.visits%20 != 0 {
			v.user.livesAtOnce(v.r)
			v.slowest = max(v.slowest, time.Since(began))
			continue
		}
		gone := v.user.copy()
		v.user.leaves(v.r)
		gone.endedAtOnce(v.r)
		v.gone = append(v.gone, gone)
		v.arrives()
	}
}

// arrives signs the user in, and accepts no outage.
func (v *visitor) arrives() {
	p := newUser(v.r.t, v.name)
	back := p.provided(v.r, p.get(v.r, "/page"))
	p.signsIn(v.r, back.String())
	v.user = p
}

// leaves signs the user out, and accepts no outage.
func (p *user) leaves(r *replica) {
	p.t.Helper()
	if page := p.get(r, logoutPath); page.Status >= http.StatusBadRequest || p.value() != "" {
		p.t.Errorf("sign-out of %s: status %d: %s", p.name, page.Status, strings.TrimSpace(string(page.Body)))
	}
}
