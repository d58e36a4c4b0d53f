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

// longest is the number of milliseconds for which the provider waits until a test lets
// it go on.
const longest = 60_000

// TestRefreshes are token refreshes that are disturbed.
func TestRefreshes(t *testing.T) {
	x := theReplicas(t)
	for _, row := range []struct {
		name string
		run  func(x *replicas)
	}{
		{"I7 a sign-out at B during a token refresh of A lasts", func(x *replicas) {
			x.logoutDuringRefresh(func(p *user) { x.signOut(p, x.b) })
		}},
		{"I7 BL16 a logout by the provider during a token refresh of B lasts", func(x *replicas) {
			x.a, x.b = x.b, x.a
			x.logoutDuringRefresh(x.signOutAtProvider)
		}},
		{"E9 a client that hangs up during the token refresh loses nothing", (*replicas).hangUpDuringRefresh},
		{"E9 Redis is killed during a token refresh of A: the new tokens are not lost", (*replicas).redisDiesDuringRefresh},
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

// asking sends one request to r. Its result is in the channel.
func (x *replicas) asking(p *user, r *rig) <-chan string {
	x.t.Helper()
	answer := make(chan string, 1)
	a := x.asker(p, r)
	go func() { answer <- a.ask() }()
	return answer
}

func (x *replicas) logoutDuringRefresh(logout func(p *user)) {
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
				x.t.Fatalf("I7 the refresh brought the session back: status %d", page.Status)
			}
		}
	}
}

func (x *replicas) hangUpDuringRefresh() {
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
		x.t.Fatal("the request had a response before it was given up")
	}
	x.set()
	x.isIn(p, x.b, x.a)
	if now := x.counts(); now.Asked != before.Asked+1 || now.Refreshes != before.Refreshes+1 || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want one refresh", before, now)
	}
}

func (x *replicas) redisDiesDuringRefresh() {
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
	x.a.within(time.Minute, "the next refresh, with the token that came then", func() bool {
		x.isIn(p, x.a, x.b)
		return x.counts().Refreshes >= before.Refreshes+2
	})
	w.end(x.t, "at B")
	x.isIn(p, x.a, x.b)
	if now := x.counts(); now.Refreshes != before.Refreshes+2 || now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want two refreshes", before, now)
	}
}

// crowd has many users at either replica, in no order. Their tokens are due for a
// refresh all the time, and the configuration changes.
func (x *replicas) crowd() {
	const users, changes = 30, 12
	before := x.counts()
	c := x.gather(users, false)
	changed := 0
	x.a.within(5*time.Minute, "so many changes and refreshes", func() bool {
		x.changes([]*rig{x.a, x.b}[changed%2])
		changed++
		return changed >= changes && x.counts().Refreshes >= before.Refreshes+users
	})
	c.ends()
	now := x.counts()
	if now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want no grant refused", before, now)
	}
	x.t.Logf("%d refreshes of %d users, %d changes", now.Refreshes-before.Refreshes, users, changed)
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

// A crowd is a number of users with short tokens. Each sends requests to both replicas.
type crowd struct {
	stop  atomic.Bool
	wait  sync.WaitGroup
	asked atomic.Int64
}

func (c *crowd) ends() {
	c.stop.Store(true)
	c.wait.Wait()
}

// gather starts a crowd. With mayDie, requests to A may fail while it is killed.
func (x *replicas) gather(users int, mayDie bool) *crowd {
	x.t.Helper()
	x.set("lifetime", 2)
	var all []*user
	for i := range users {
		all = append(all, x.known(fmt.Sprintf("user%02d", i)))
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
