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

// TestRenewals are renewals that something comes between.
func TestRenewals(t *testing.T) {
	x := theReplicas(t)
	for _, row := range []struct {
		name string
		run  func(x *replicas)
	}{
		{"I7 a sign-out at B while A renews holds", func(x *replicas) {
			x.logoutWhileRenewing(func(p *person) { x.signOut(p, x.b) })
		}},
		{"I7 BL16 a logout by the provider while B renews holds", func(x *replicas) {
			x.a, x.b = x.b, x.a
			x.logoutWhileRenewing(x.signOutAtProvider)
		}},
		{"E9 who hangs up while the session is renewed loses nothing", (*replicas).hangUpWhileRenewing},
		{"E9 Redis is killed while A renews: the tokens that came are not lost", (*replicas).redisDiesWhileRenewing},
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

// expired is somebody known at both whose tokens have expired, with nobody asking.
func (x *replicas) expired(name string) *person {
	x.t.Helper()
	x.set("lifetime", 2)
	p := x.known(name)
	x.set()
	time.Sleep(2 * time.Second)
	return p
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
	x.set("hold", 2000)
	before := x.counts()
	answer := x.asking(p, x.a)
	x.a.eventually("A has used the refresh token", func() bool { return x.counts().Refreshes == before.Refreshes+1 })
	logout(p)
	x.becomes(copied, x.b, http.StatusUnauthorized)
	<-answer
	for range 20 {
		for _, r := range []*rig{x.a, x.b} {
			if page := copied.fetch(r); page.Status != http.StatusUnauthorized {
				x.t.Fatalf("I7 the renewal brought the session back: status %d", page.Status)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (x *replicas) hangUpWhileRenewing() {
	p := x.expired("rosa")
	x.set("delay", 1500)
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
	x.isIn(p, x.b, x.a)
	if now := x.counts(); now.Asked != before.Asked+1 || now.Refreshes != before.Refreshes+1 || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want one refresh", before, now)
	}
}

func (x *replicas) redisDiesWhileRenewing() {
	p := x.expired("sara")
	x.set("hold", 1500, "lifetime", 4)
	before := x.counts()
	answer := x.asking(p, x.a)
	x.a.eventually("A has used the refresh token", func() bool { return x.counts().Refreshes == before.Refreshes+1 })
	x.killRedis()
	w := x.watch(p, x.b)
	if wrong := <-answer; wrong != "" {
		x.t.Errorf("at A: %s", wrong)
	}
	x.isIn(p, x.a, x.b)
	x.set()
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
	before := x.counts()
	lasts := 6 * time.Second
	c := x.gather(30, lasts, false)
	for time.Now().Before(c.end) {
		for _, r := range []*rig{x.a, x.b} {
			r.settings.generation++
			r.configure()
			time.Sleep(500 * time.Millisecond)
		}
	}
	c.wait.Wait()
	now := x.counts()
	if now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want no grant refused", before, now)
	}
	renewals := now.Refreshes - before.Refreshes
	if renewals < 30 {
		x.t.Errorf("%d renewals of 30 people in %v", renewals, lasts)
	}
	x.t.Logf("%d renewals of 30 people in %v", renewals, lasts)
}

// A crowd is people with short tokens, each of whom asks at both replicas.
type crowd struct {
	end   time.Time
	wait  sync.WaitGroup
	asked atomic.Int64
}

// gather starts a crowd. Where A may be dead, it need not answer.
func (x *replicas) gather(people int, lasts time.Duration, mayDie bool) *crowd {
	x.t.Helper()
	x.set("lifetime", 2)
	var all []*person
	for i := range people {
		all = append(all, x.known(fmt.Sprintf("person%02d", i)))
	}
	c := &crowd{end: time.Now().Add(lasts)}
	for _, p := range all {
		for range 2 {
			askers := []*asker{x.asker(p, x.a), x.asker(p, x.b)}
			c.wait.Add(1)
			go func() {
				defer c.wait.Done()
				for time.Now().Before(c.end) {
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
