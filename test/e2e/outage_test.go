package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// TestReplicasWithoutRedis has one site behind two Traefiks. Their Redis goes away
// and comes back.
func TestReplicasWithoutRedis(t *testing.T) {
	x := theReplicas(t)
	for _, row := range []struct {
		name       string
		away, back func(x *replicas)
	}{
		{"J1 BL18 Redis is killed, and comes back with its data", (*replicas).killRedis, (*replicas).startRedis},
		{"J1 J2 BL18 Redis is killed, and comes back without its data", (*replicas).killRedis, (*replicas).startRedisEmpty},
		{"J1 BL18 Redis is stopped, and goes on", (*replicas).stopRedis, (*replicas).continueRedis},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := x.in(t)
			t.Cleanup(func() { x.recover() })
			x.outage(func() { row.away(x) }, func() { row.back(x) })
		})
	}
	t.Run("J1 tokens expire while Redis is away: they serve on, and are refreshed afterwards", func(t *testing.T) {
		x := x.in(t)
		t.Cleanup(func() { x.recover() })
		x.expiryInOutage()
	})
}

func (x *replicas) killRedis() { x.redis.Kill() }

func (x *replicas) startRedisEmpty() {
	x.loseData()
	x.startRedis()
}

func (x *replicas) stopRedis() { x.signalRedis(syscall.SIGSTOP) }

func (x *replicas) continueRedis() { x.signalRedis(syscall.SIGCONT) }

func (x *replicas) signalRedis(s syscall.Signal) {
	x.t.Helper()
	if err := x.redis.Signal(s); err != nil {
		x.t.Fatal(err)
	}
}

// recover has Redis serve, and waits until the replicas use it.
func (x *replicas) recover() {
	_ = x.redis.Signal(syscall.SIGCONT)
	x.startRedis()
	p := x.signedIn("last")
	x.becomes(p, x.b, http.StatusOK)
}

// outage checks the responses to users from before Redis goes until after it came back.
func (x *replicas) outage(away, back func()) {
	everywhere, atA := x.known("gina"), x.signedIn("hugo")
	leaving, told := x.known("ida"), x.known("olga")
	copied, toldToo := x.copy(leaving), x.copy(told)
	before := x.counts()
	w := x.watch(everywhere, x.a, x.b)

	away()
	x.isInAtOnce(atA, x.a)
	x.unknownAt(x.b, atA)
	newcomer := x.signedIn("jack")
	x.isInAtOnce(newcomer, x.a)
	x.signOut(leaving, x.a)
	if page := copied.fetch(x.a); page.Status != http.StatusUnauthorized {
		x.t.Errorf("a copy of the cookie after a sign-out in the outage: status %d", page.Status)
	}

	page := everywhere.on(x.b).Do(browser.Request{Method: "POST", URL: x.b.url + "/save", From: x.b.home(), Body: "a=1", OneHop: true})
	if seen := x.b.sees(page); seen.Method != "POST" || seen.Body != "a=1" {
		x.t.Errorf("a form of a signed-in user: %+v", seen)
	}
	x.signOutAtProvider(told)
	if now := x.counts(); now.Told != before.Told || now.Untold != before.Untold+1 {
		x.t.Errorf("BL18 before %+v, after %+v, want that the logout token is not acknowledged; the provider says:\n%s", before, now, x.a.provider)
	}
	if page := toldToo.fetch(x.a); page.Status != http.StatusUnauthorized {
		x.t.Errorf("BL18 at the replica with the provider's logout token: status %d", page.Status)
	}

	back()
	x.becomes(copied, x.b, http.StatusUnauthorized)
	x.becomes(toldToo, x.b, http.StatusUnauthorized)
	for _, p := range []*user{atA, newcomer} {
		x.becomes(p, x.b, http.StatusOK)
	}
	for range 20 { // and so it stays
		for _, r := range []*rig{x.a, x.b} {
			for _, p := range []*user{copied, toldToo} {
				if page := p.fetch(r); page.Status != http.StatusUnauthorized {
					x.t.Fatalf("a logout of the outage was forgotten: %s gets %d", p.name, page.Status)
				}
			}
			x.isIn(atA, r)
			x.isIn(newcomer, r)
		}
	}
	w.end(x.t, "a user with a session at both, all the time")
	if now := x.counts(); now.Codes != before.Codes+1 {
		x.t.Errorf("%d sign-ins, want only the newcomer's", now.Codes-before.Codes)
	}
}

// unknownAt checks the responses of a replica that cannot know the session of p. They
// are 503 with Retry-After and redirect nowhere.
func (x *replicas) unknownAt(r *rig, p *user) {
	x.t.Helper()
	b := p.on(r)
	x.waits("a navigation", b.Hop(r.url+"/page"))
	x.waits("a script", p.fetch(r))
	for name, fetch := range map[string]bool{"a form": false, "a script's POST": true} {
		page := b.Do(browser.Request{Method: "POST", URL: r.url + "/save", From: r.home(), Body: "a=1", Fetch: fetch, OneHop: true})
		x.waits(name, page)
		if page.Location() != nil || strings.Contains(string(page.Body), "X-Subject") {
			x.t.Errorf("%s: to %s: %.200s", name, page.Location(), page.Body)
		}
	}
}

func (x *replicas) expiryInOutage() {
	p := x.expired("paul")
	before := x.counts()
	x.killRedis()
	w := x.watch(p, x.a, x.b)
	w.asks(x, 20)
	if now := x.counts(); now.Asked != before.Asked {
		x.t.Errorf("before %+v, after %+v, want no refresh without a lease in Redis", before, now)
	}
	x.startRedis()
	// An attempt that failed is repeated after a pause that doubles.
	x.a.within(time.Minute, "the refresh", func() bool { return x.counts().Refreshes == before.Refreshes+1 })
	w.end(x.t, "a user with tokens that expired in the outage")
	if now := x.counts(); now.Asked != before.Asked+1 || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want one refresh", before, now)
	}
}
