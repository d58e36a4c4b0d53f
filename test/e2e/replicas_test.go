package e2e

import (
	"net/http"
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
		{"I6 a sign-out at A is one at B", (*replicas).signOutEverywhere},
		{"BL16 BL22 the provider ends a session at both by the back channel", (*replicas).backchannel},
		{"K17 Chromium works on at B during a token refresh", (*replicas).chromiumAtBoth},
		{"E8 E9 a replica is killed during its token refresh: the other goes on", (*replicas).killedDuringRefresh},
	} {
		t.Run(row.name, func(t *testing.T) { row.run(x.in(t)) })
	}
}

func (x *replicas) sharedSession() {
	x.isIn(x.known("anna"), x.a, x.b)

	// A sign-in may begin at one and end at the other.
	ben := x.user("ben")
	x.b.sees(x.b.atProvider(ben.on(x.b), ben.on(x.a).Open(x.a.url+"/start"), "ben"))
	x.isIn(ben, x.a, x.b)
}

func (x *replicas) fiftyAtExpiry() {
	const delay = 8 * time.Second
	var p *user
	var before counts
	// If fifty responses take longer than the new tokens last, those of the next try
	// last longer.
	for lifetime := 4 * time.Second; lifetime < 5*time.Minute; lifetime *= 2 {
		p = x.expired("carl")
		before = x.counts()
		x.set("lifetime", lifetime.Seconds(), "delay", delay.Milliseconds())
		due := time.Now().Add(delay + lifetime - 2*time.Second)
		x.fifty(p)
		now := x.counts()
		if time.Now().After(due) {
			continue
		}
		if now.Refreshes != before.Refreshes+1 || now.Refused != before.Refused || now.Revoked != before.Revoked {
			x.t.Errorf("E6 before %+v, after %+v, want one refresh", before, now)
		}
		break
	}

	// Either replica uses the new refresh token next.
	x.set()
	x.a.eventually("a second refresh", func() bool {
		x.isIn(p, x.b)
		return x.counts().Refreshes > before.Refreshes+1
	})
	x.fifty(p)
	if now := x.counts(); now.Refreshes != before.Refreshes+2 || now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("before %+v, after %+v, want two refreshes", before, now)
	}
}

// fifty sends fifty requests of one user, all at once, over both.
func (x *replicas) fifty(p *user) {
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
	wait.Wait()
}

func (x *replicas) signOutEverywhere() {
	for range 5 {
		p := x.known("dora")
		stolen := x.copy(p)
		x.signOut(p, x.a)
		x.becomes(stolen, x.b, http.StatusUnauthorized)
		if page := stolen.fetch(x.a); page.Status != http.StatusUnauthorized {
			x.t.Fatalf("status %d at A itself", page.Status)
		}
	}
}

func (x *replicas) backchannel() {
	before := x.counts()
	emma := x.known("emma")
	elsewhere := x.known("emma") // with another browser, and so another session
	finn := x.known("finn")
	x.signOutAtProvider(emma)
	if now := x.counts(); now.Told != before.Told+1 || now.Untold != before.Untold {
		x.t.Fatalf("before %+v, after %+v, want one logout token with the response 200; the provider says:\n%s", before, now, x.a.provider)
	}
	for _, r := range []*rig{x.a, x.b} {
		x.becomes(emma, r, http.StatusUnauthorized)
	}
	x.isIn(elsewhere, x.a, x.b)
	x.isIn(finn, x.a, x.b)
}

// signOutAtProvider ends the user's session there, as another site would.
func (x *replicas) signOutAtProvider(p *user) {
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
	p := x.expired("karl")
	before := x.counts()
	x.set("status", 503)
	w := x.watch(p, x.a, x.b)
	x.a.eventually("a refresh is tried", func() bool { return x.counts().Asked > before.Asked })
	w.asks(x, 20)
	x.set()
	// An attempt that failed is repeated after a pause that doubles.
	x.a.within(3*time.Minute, "a refresh succeeds", func() bool { return x.counts().Refreshes > before.Refreshes })
	w.end(x.t, "while the provider fails")
}

// chromiumAtBoth also shows that a cookie of a host goes to all of its ports. The demo
// with two Traefiks relies on that.
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
	x.a.chromium("replicas.mjs", map[string]any{"a": at(x.a), "b": at(x.b), "user": "lena", "seconds": 3 * lifetime}, &v)
	if v.Error != "" {
		x.t.Fatal(v.Error)
	}
	for _, seen := range []looked{v.First, v.Second, v.Again} {
		if seen.User != "lena@example.com" || seen.Cookie != "" {
			x.t.Errorf("%+v, want lena", seen)
		}
	}
	if v.Redirected {
		x.t.Error("the browser was redirected by the other port")
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

func (x *replicas) killedDuringRefresh() {
	mona := x.known("mona")
	nora := x.expired("nora")
	x.set("hold", longest)
	defer x.set()
	before := x.counts()
	w := x.watch(mona, x.b)

	lost := make(chan string, 1)
	atA := x.asker(nora, x.a)
	go func() { lost <- atA.ask() }()
	x.a.eventually("A has used the refresh token", func() bool { return x.counts().Refreshes == before.Refreshes+1 })
	x.a.traefik.Kill()
	if wrong := <-lost; wrong == "" {
		x.t.Error("the request at A had a response although A was killed")
	}

	atB := x.asker(nora, x.b)
	if wrong := atB.ask(); wrong != "" { // B waits for A no longer than an API client does
		x.t.Errorf("E8 at B: %s", wrong)
	}
	x.a.start()
	for range 20 {
		x.isIn(nora, x.a, x.b)
		x.isIn(mona, x.a, x.b)
	}
	w.end(x.t, "another user at B")
	if now := x.counts(); now.Asked != before.Asked+1 || now.Refused != before.Refused || now.Revoked != before.Revoked {
		x.t.Errorf("E9 before %+v, after %+v, want that the refresh token is not sent again", before, now)
	}
}
