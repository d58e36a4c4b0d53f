package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// longest is for how many milliseconds the provider waits where a test lets it go on.
const longest = 60_000

// TestRenewals are renewals that something comes between.
func TestRenewals(t *testing.T) {
	x := theReplicas(t)
	for _, row := range []struct {
		name string
		run  func(x *replicas)
	}{
		{"I7 a sign-out at B during a token refresh of A lasts", func(x *replicas) {
			x.logoutWhileRenewing(func(p *person) { x.signOut(p, x.b) })
		}},
		{"I7 BL16 a logout by the provider during a token refresh of B lasts", func(x *replicas) {
			x.a, x.b = x.b, x.a
			x.logoutWhileRenewing(x.signOutAtProvider)
		}},
		{"E9 a client that hangs up during the token refresh loses nothing", (*replicas).hangUpWhileRenewing},
		{"E9 Redis is killed during a token refresh of A: the new tokens are not lost", (*replicas).redisDiesWhileRenewing},
		{"E6 a crowd over both while tokens are short and the configuration changes", (*replicas).crowd},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := x.in(t)
			t.Cleanup(func() {
				x.set()
				x.recover()
			})
			row.run(x)
		})
	}
}

// asking is one request at r, under way until it has its answer.
func (x *replicas) asking(p *person, r *rig) <-chan string {
	x.t.Helper()
	answer := make(chan string, 1)
	a := x.asker(p, r)
	go func() { answer <- a.ask() }()
	return answer
}

func (x *replicas) logoutWhileRenewing(logout func(p *person)) {
	p := x.expired("quinn")
	copied := x.copy(p)
	x.set("hold", longest)
	before := x.counts()
	answer := x.asking(p, x.a)
	x.a.eventually("A has used the refresh token", func() bool { return x.counts().Refreshes == before.Refreshes+1 })
	logout(p)
	x.becomes(copied, x.b, http.StatusUnauthorized)
	x.set()
	<-answer
	for range 20 {
		for _, r := range []*rig{x.a, x.b} {
			if page := copied.fetch(r); page.Status != http.StatusUnauthorized {
				x.t.Fatalf("I7 the renewal brought the session back: status %d", page.Status)
			}
		}
	}
}

func (x *replicas) hangUpWhileRenewing() {
	p := x.expired("rosa")
	x.set("delay", longest)
	before := x.counts()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", x.a.home().String()+"x", nil)
	if err != nil {
		x.t.Fatal(err)
	}
	req.Header.Set("Cookie", x.asker(p, x.a).cookie)
	gone := make(chan error, 1)
	go func() {
		_, err := x.a.client().Do(req)
		gone <- err
	}()
	x.a.eventually("A asks the provider", func() bool { return x.counts().Asked == before.Asked+1 })
	cancel()
	if err := <-gone; err == nil {
		x.t.Fatal("the request was answered before it was given up")
	}
	x.set()
	x.isIn(p, x.b, x.a)
	if now := x.counts(); now.Asked != before.Asked+1 || now.Refreshes != before.Refreshes+1 || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want one refresh", before, now)
	}
}

func (x *replicas) redisDiesWhileRenewing() {
	p := x.expired("sara")
	x.set("hold", longest, "lifetime", 4)
	before := x.counts()
	answer := x.asking(p, x.a)
	x.a.eventually("A has used the refresh token", func() bool { return x.counts().Refreshes == before.Refreshes+1 })
	x.killRedis()
	w := x.watch(p, x.b)
	x.set()
	if wrong := <-answer; wrong != "" {
		x.t.Errorf("at A: %s", wrong)
	}
	x.isInAtOnce(p, x.a, x.b)
	x.startRedis()
	x.a.within(time.Minute, "the next renewal, with the token that came then", func() bool {
		x.isIn(p, x.a, x.b)
		return x.counts().Refreshes >= before.Refreshes+2
	})
	w.end(x.t, "at B")
	x.isIn(p, x.a, x.b)
	if now := x.counts(); now.Refreshes != before.Refreshes+2 || now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want two refreshes", before, now)
	}
}

// crowd is many people at either replica, in no order, while each of them is due
// for renewal all the time, and the configuration changes.
func (x *replicas) crowd() {
	const people, changes = 30, 12
	before := x.counts()
	c := x.gather(people, false)
	changed := 0
	x.a.within(5*time.Minute, "so many changes and renewals", func() bool {
		x.changes([]*rig{x.a, x.b}[changed%2])
		changed++
		return changed >= changes && x.counts().Refreshes >= before.Refreshes+people
	})
	c.ends()
	now := x.counts()
	if now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want no grant refused", before, now)
	}
	x.t.Logf("%d renewals of %d people, %d changes", now.Refreshes-before.Refreshes, people, changed)
}

// changes changes the configuration of r, and waits until the new one is in use.
func (x *replicas) changes(r *rig) {
	x.t.Helper()
	r.settings.generation++
	r.configure()
	r.within(time.Minute, "the new configuration", func() bool {
		res, err := r.client().Get(r.url + "/open")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.Header.Get("X-Generation") == fmt.Sprint(r.settings.generation)
	})
}

// A crowd is people with short tokens, each of whom asks at both replicas.
type crowd struct {
	stop  atomic.Bool
	wait  sync.WaitGroup
	asked atomic.Int64
}

func (c *crowd) ends() {
	c.stop.Store(true)
	c.wait.Wait()
}

// gather starts a crowd. Where A may be dead, it need not answer.
func (x *replicas) gather(people int, mayDie bool) *crowd {
	x.t.Helper()
	x.set("lifetime", 2)
	var all []*person
	for i := range people {
		all = append(all, x.known(fmt.Sprintf("person%02d", i)))
	}
	c := &crowd{}
	for _, p := range all {
		for range 2 {
			askers := []*asker{x.asker(p, x.a), x.asker(p, x.b)}
			c.wait.Add(1)
			go func() {
				defer c.wait.Done()
				for !c.stop.Load() {
					at := rand.IntN(2)
					c.asked.Add(1)
					if wrong := askers[at].ask(); wrong != "" && !(mayDie && at == 0 && x.down.Load()) {
						x.t.Errorf("%s, replica %d: %s", p.name, at+1, wrong)
						return
					}
					time.Sleep(rand.N(200 * time.Millisecond))
				}
			}()
		}
	}
	return c
}
