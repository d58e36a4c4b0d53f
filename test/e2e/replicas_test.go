package e2e

import (
	"net/http"
	"sort"
	"sync"
	"testing"
	"time"
)

// TestReplicas is one site behind two Traefiks, with a healthy Redis.
func TestReplicas(t *testing.T) {
	x := theReplicas(t)
	for _, row := range []struct {
		name string
		run  func(x *replicas)
	}{
		{"a session made at A is used at B", (*replicas).sharedSession},
		{"E6 E7 fifty parallel requests at expiry over both, a slow provider: one refresh, fifty answers", (*replicas).fiftyAtExpiry},
		{"E10 a provider that fails signs nobody out", (*replicas).failingProvider},
		{"I6 a sign-out at A is one at B within 50 ms", (*replicas).signOutEverywhere},
		{"BL16 BL22 the provider ends a session at both by the back channel", (*replicas).backchannel},
		{"K17 Chromium works on at B while tokens are renewed", (*replicas).chromiumAtBoth},
		{"E8 E9 a replica is killed while it renews: the other goes on", (*replicas).killedInRenewal},
	} {
		t.Run(row.name, func(t *testing.T) { row.run(x.in(t)) })
	}
}

func (x *replicas) sharedSession() {
	x.isIn(x.known("anna"), x.a, x.b)

	// A sign-in may begin at one and end at the other.
	ben := x.person("ben")
	x.b.sees(x.b.atProvider(ben.on(x.b), ben.on(x.a).Open(x.a.url+"/start"), "ben"))
	x.isIn(ben, x.a, x.b)
}

func (x *replicas) fiftyAtExpiry() {
	const lifetime = 2 * time.Second
	x.set("lifetime", lifetime.Seconds())
	before := x.counts()
	p := x.known("carl")
	x.set("lifetime", 3, "delay", 8000) // of the tokens that the renewal brings, and how long it takes
	time.Sleep(lifetime)                // until they expire, with nobody asking
	if now := x.counts(); now.Refreshes != before.Refreshes {
		x.t.Fatalf("renewed without a request: %+v", now)
	}
	x.fifty(p)
	if now := x.counts(); now.Refreshes != before.Refreshes+1 || now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("E6 before %+v, after %+v, want one refresh", before, now)
	}

	// The refresh token that came is the next one to use, whoever got it.
	x.set()
	x.a.eventually("a second renewal", func() bool {
		x.isIn(p, x.b)
		return x.counts().Refreshes > before.Refreshes+1
	})
	x.fifty(p)
	if now := x.counts(); now.Refreshes != before.Refreshes+2 || now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want two refreshes", before, now)
	}
}

// fifty requests of one person, all at once, over both.
func (x *replicas) fifty(p *person) {
	x.t.Helper()
	var wait sync.WaitGroup
	for _, r := range []*rig{x.a, x.b} {
		for range 25 {
			one := x.asker(p, r)
			wait.Add(1)
			go func() {
				defer wait.Done()
				if wrong := one.ask(); wrong != "" {
					x.t.Errorf("E6 %s", wrong)
				}
			}()
		}
	}
	began := time.Now()
	wait.Wait()
	x.t.Logf("fifty requests took %v", time.Since(began))
}

func (x *replicas) signOutEverywhere() {
	const bound = 50 * time.Millisecond
	var took []time.Duration
	for range 15 {
		p := x.known("dora")
		stolen := x.asker(p, x.b)
		x.signOut(p, x.a)
		began := time.Now()
		for {
			status, _, err := stolen.get()
			if err == nil && status == http.StatusUnauthorized {
				break
			}
			if time.Since(began) > 10*time.Second {
				x.t.Fatalf("still %d, %v at B ten seconds after the sign-out at A", status, err)
			}
		}
		took = append(took, time.Since(began))
		stolen.client = x.a.client()
		if status, _, err := stolen.get(); status != http.StatusUnauthorized {
			x.t.Fatalf("%d, %v at A itself", status, err)
		}
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	x.t.Logf("a sign-out at A was known at B after %v (median), %v at most, of %d", took[len(took)/2], took[len(took)-1], len(took))
	if took[len(took)/2] > bound {
		x.t.Errorf("I6 median %v, want at most %v: %v", took[len(took)/2], bound, took)
	}
}

func (x *replicas) backchannel() {
	before := x.counts()
	emma := x.known("emma")
	elsewhere := x.known("emma") // with another browser, and so another session
	finn := x.known("finn")
	x.signOutAtProvider(emma)
	if now := x.counts(); now.Told != before.Told+1 || now.Untold != before.Untold {
		x.t.Fatalf("before %+v, after %+v, want one logout token, answered with 200; the provider says:\n%s", before, now, x.a.provider)
	}
	for _, r := range []*rig{x.a, x.b} {
		x.becomes(emma, r, http.StatusUnauthorized)
	}
	x.isIn(elsewhere, x.a, x.b)
	x.isIn(finn, x.a, x.b)
}

// signOutAtProvider ends the person's session there, as another site would.
func (x *replicas) signOutAtProvider(p *person) {
	x.t.Helper()
	b := p.on(x.a)
	page := b.Open(x.a.issuer + "/session/end")
	forms := page.Forms()
	if len(forms) == 0 {
		x.t.Fatalf("the provider does not ask: %d %.300s", page.Status, page.Body)
	}
	forms[0].Values.Set("logout", "yes")
	if end := b.Submit(page, forms[0]); end.Status != http.StatusOK {
		x.t.Fatalf("the provider: %d %.300s", end.Status, end.Body)
	}
}

func (x *replicas) failingProvider() {
	x.set("lifetime", 2)
	p := x.known("karl")
	before := x.counts()
	x.set("status", 503)
	w := x.watch(p, x.a, x.b)
	x.a.eventually("a renewal is tried", func() bool { return x.counts().Asked > before.Asked })
	time.Sleep(time.Second) // beyond the end of the tokens
	x.set()
	x.a.eventually("a renewal works", func() bool { return x.counts().Refreshes > before.Refreshes })
	w.end(x.t, "while the provider fails")
}

// chromiumAtBoth also shows that a cookie of a host goes to all of its ports,
// which the demo with two Traefiks relies on.
func (x *replicas) chromiumAtBoth() {
	const lifetime = 2
	x.set("lifetime", lifetime)
	defer x.set()
	before := x.counts()
	var v struct {
		Error                string
		First, Second, Again looked
		Redirected           bool
		Statuses             map[string]int
		Streams              []struct{ Events, Opened, Cut int }
		Cookies              []string
	}
	at := func(r *rig) string { return "https://" + appHost + ":" + r.entry }
	x.a.chromium("replicas.mjs", map[string]any{"a": at(x.a), "b": at(x.b), "person": "lena", "seconds": 3 * lifetime}, &v)
	if v.Error != "" {
		x.t.Fatal(v.Error)
	}
	for _, seen := range []looked{v.First, v.Second, v.Again} {
		if seen.User != "lena@example.com" || seen.Cookie != "" {
			x.t.Errorf("%+v, want lena", seen)
		}
	}
	if v.Redirected {
		x.t.Error("the browser was sent away from the other port")
	}
	if len(v.Statuses) != 1 || v.Statuses["200"] == 0 {
		x.t.Errorf("scripts at B got %v", v.Statuses)
	}
	for i, s := range v.Streams {
		if s.Opened != 1 || s.Cut != 0 {
			x.t.Errorf("K17 stream %d: %+v", i, s)
		}
	}
	if now := x.counts(); now.Refreshes < before.Refreshes+2 || now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want several refreshes", before, now)
	}
}

func (x *replicas) killedInRenewal() {
	mona := x.known("mona")
	x.set("lifetime", 2)
	nora := x.known("nora")
	x.set("hold", 3000)
	defer x.set()
	time.Sleep(2 * time.Second) // until the tokens expire, with nobody asking
	before := x.counts()
	w := x.watch(mona, x.b)

	lost := make(chan string, 1)
	atA := x.asker(nora, x.a)
	go func() { lost <- atA.ask() }()
	x.a.eventually("A has used the refresh token", func() bool { return x.counts().Refreshes == before.Refreshes+1 })
	x.a.traefik.Kill()
	if wrong := <-lost; wrong == "" {
		x.t.Error("the request at A was answered although A was killed")
	}

	atB := x.asker(nora, x.b)
	began := time.Now()
	if wrong := atB.ask(); wrong != "" {
		x.t.Errorf("E8 at B: %s", wrong)
	}
	took := time.Since(began)
	x.t.Logf("B served the session %v after A was killed in its renewal", took)
	if took > 15*time.Second {
		x.t.Errorf("E8 B waited %v for a replica that was dead", took)
	}
	x.a.start()
	for range 20 {
		x.isIn(nora, x.a, x.b)
		x.isIn(mona, x.a, x.b)
	}
	w.end(x.t, "somebody else at B")
	if now := x.counts(); now.Asked != before.Asked+1 || now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("E9 before %+v, after %+v, want that the refresh token is not sent again", before, now)
	}
}
