package replicas

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

const backPath = "/oidc/backchannel"

// channels let the provider end sessions, and send the backend values that tests read.
var channels = section{
	"enableBackchannelLogout": true, "backchannelLogoutURL": backPath, "refreshGracePeriodSeconds": 0,
	"headers": []any{
		map[string]any{"name": "X-Sid", "value": "${claims.sid}"}, map[string]any{"name": "X-Sub", "value": "${claims.sub}"},
		map[string]any{"name": "X-Access", "value": "${accessToken}"},
	},
}

// A scene is one middleware on two replicas, each with a way of its own to the server.
type scene struct {
	*middleware
	server       *server
	a, b         *replica
	linkA, linkB *link
}

// newScene starts a scene on a server.
func newScene(t testing.TB, s *server, more ...any) *scene {
	t.Helper()
	first, second := load(t)
	return newSceneIn(t, s, first, second, nil, more...)
}

// newSceneIn is newScene with the interpreters of A and B, and the provider's clock:
// nil is the real one.
func newSceneIn(t testing.TB, s *server, first, second *loader.Plugin, now func() time.Time, more ...any) *scene {
	t.Helper()
	x := &scene{middleware: newMiddleware(t, oidctest.Options{Now: now}), server: s, linkA: newLink(t, s.Address()), linkB: newLink(t, s.Address())}
	x.a = x.start(first, x.options(hybrid(x.linkA.address, more...), channels))
	x.b = x.start(second, x.options(hybrid(x.linkB.address, more...), channels))
	x.a.ready()
	x.b.ready()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of A:\n%s\nof B:\n%s", x.a.log(), x.b.log())
		}
	})
	return x
}

func (x *scene) both() []*replica { return []*replica{x.a, x.b} }

// An answer is the response to an API client with a session's cookie.
type answer struct {
	status int
	header http.Header
	body   string
	seen   backend.Seen // if it was the backend's
}

func (n answer) access() string { return n.seen.Header.Get("X-Access") }

// ask sends a request of an API client. It is safe for concurrent use.
func (r *replica) ask(method, path, value, body string) answer {
	r.t.Helper()
	q, err := http.NewRequest(method, appURL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if value != "" {
		q.Header.Set("Cookie", cookie+"="+value)
	}
	if body != "" {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.dial.Do(func() {
		programs := browser.Transport(func(address string) string { return r.network[address] })
		r.t.Cleanup(programs.CloseIdleConnections)
		r.programs = programs
	})
	response, err := r.programs.RoundTrip(q)
	if err != nil {
		r.t.Errorf("%s %s: %v", method, path, err)
		return answer{}
	}
	defer response.Body.Close()
	got, _ := io.ReadAll(response.Body)
	n := answer{status: response.StatusCode, header: response.Header, body: string(got)}
	if n.status == http.StatusOK {
		n.seen, _ = backend.Read(got)
	}
	return n
}

// uses sends a request of an API client with the user's cookie to r.
func (p *user) uses(r *replica) answer {
	p.t.Helper()
	return r.ask(http.MethodGet, "/api", p.value(), "")
}

// answered returns the first response of r that is not the one of an outage. On a busy
// machine Redis may need longer than an operation may take.
func (p *user) answered(r *replica) answer {
	p.t.Helper()
	var n answer
	eventually.Within(patience, func() bool { n = p.uses(r); return n.status != http.StatusServiceUnavailable })
	return n
}

// lives fails the test unless r serves the user's session.
func (p *user) lives(r *replica) answer {
	p.t.Helper()
	return p.isServed(p.answered(r))
}

// livesAtOnce is lives without repetitions, because the replica has the session.
func (p *user) livesAtOnce(r *replica) answer {
	p.t.Helper()
	return p.isServed(p.uses(r))
}

func (p *user) isServed(n answer) answer {
	p.t.Helper()
	if n.status != http.StatusOK {
		p.t.Errorf("%s: status %d, want a session: %s", p.name, n.status, n.body)
	} else if got := n.seen.Header.Get("X-Sub"); got != strings.TrimSuffix(p.name, ofACopy) {
		p.t.Errorf("%s: the session is one of %q", p.name, got)
	}
	return n
}

// ended fails the test unless r knows of the end of the user's session.
func (p *user) ended(r *replica) {
	p.t.Helper()
	p.isRefused(p.answered(r))
}

// endedAtOnce is ended without repetitions, because the replica knows of the end.
func (p *user) endedAtOnce(r *replica) {
	p.t.Helper()
	p.isRefused(p.uses(r))
}

func (p *user) isRefused(n answer) {
	p.t.Helper()
	if n.status != http.StatusUnauthorized {
		p.t.Errorf("%s: status %d, want a session that ended", p.name, n.status)
	}
}

// ends waits until it does.
func (p *user) ends(r *replica) {
	p.t.Helper()
	if !eventually.Within(patience, func() bool { return p.uses(r).status == http.StatusUnauthorized }) {
		p.t.Errorf("%s: the session still serves after %s", p.name, patience)
	}
}

// crowd sends n requests at once with one session's cookie, to the replicas in turn.
func crowd(n int, p *user, replicas ...*replica) []answer {
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			answers[i] = p.uses(replicas[i%len(replicas)])
		}()
	}
	wg.Wait()
	return answers
}

// served fails the test unless all of them were.
func served(t testing.TB, answers []answer) {
	t.Helper()
	for i, n := range answers {
		if n.status != http.StatusOK {
			t.Errorf("request %d of %d: status %d: %s", i, len(answers), n.status, n.body)
		}
	}
}

// tokensLast sets the lifetime of the tokens of sign-ins, and of refreshed tokens.
func (x *scene) tokensLast(signIn, refresh time.Duration) {
	x.provider.Set(func(b *oidctest.Behaviour) {
		b.TokenResponse = func(r map[string]any) { r["expires_in"] = int(signIn / time.Second) }
		b.RefreshResponse = func(r map[string]any) { r["expires_in"] = int(refresh / time.Second) }
	})
}

// disturb has f disturb the next uses of a refresh token.
func (x *scene) disturb(f oidctest.Fault) {
	x.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Refresh] = f })
}

// calm ends disturb.
func (x *scene) calm() {
	x.provider.Set(func(b *oidctest.Behaviour) { delete(b.Faults, oidctest.Refresh) })
}

// refreshes fails the test unless so many refresh tokens were sent, none of them twice.
func (x *scene) refreshes(want int) {
	x.t.Helper()
	if n := x.provider.Count(oidctest.Refresh); n != want {
		x.t.Errorf("%d calls with a refresh token, want %d", n, want)
	}
	if n := x.provider.Count("refresh_reuse"); n != 0 {
		x.t.Errorf("%d refresh tokens were sent twice", n)
	}
}

// member signs a user in at A, and opens the session at B.
func (x *scene) member(name string) *user {
	x.t.Helper()
	p := newUser(x.t, name).signIn(x.a)
	p.lives(x.b)
	p.lives(x.a)
	return p
}

// sid returns the provider's name of the user's session.
func (p *user) sid(r *replica) string {
	p.t.Helper()
	return p.lives(r).seen.Header.Get("X-Sid")
}

// delivers returns the response of r to a logout token.
func (r *replica) delivers(token string) answer {
	r.t.Helper()
	return r.ask(http.MethodPost, backPath, "", url.Values{"logout_token": {token}}.Encode())
}

const (
	comeAgain = "temporarily_unavailable" // Redis did not reply
	usedUp    = `"error":"invalid_request"`
)

// settles returns the first response of r to a logout token that is not the one of an
// outage, and the number of deliveries.
func (r *replica) settles(token string) (n answer, times int) {
	r.t.Helper()
	eventually.Within(patience, func() bool {
		n = r.delivers(token)
		times++
		return n.status != http.StatusServiceUnavailable && !strings.Contains(n.body, comeAgain)
	})
	return n, times
}

// taken fails the test unless r accepted the logout. A delivery for which Redis was too
// late may have been carried out all the same. The one after it is then a replay.
func (r *replica) taken(token string) {
	r.t.Helper()
	n, times := r.settles(token)
	if times > 1 && n.status == http.StatusBadRequest && strings.Contains(n.body, usedUp) {
		return
	}
	if n.status != http.StatusOK || n.body != "" || n.header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("a logout token: status %d, %v: %s", n.status, n.header, n.body)
	}
}

// refused fails the test unless r refuses the token with code.
func (r *replica) refused(token, code string) {
	r.t.Helper()
	n := r.delivers(token)
	if code != comeAgain {
		n, _ = r.settles(token)
	}
	if n.status != http.StatusBadRequest || n.header.Get("Cache-Control") != "no-store" || !strings.Contains(n.body, fmt.Sprintf("%q:%q", "error", code)) {
		r.t.Errorf("a logout token: status %d, %v: %s, want 400 with %s", n.status, n.header, n.body, code)
	}
}
