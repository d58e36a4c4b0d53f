package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

const (
	logoutPath      = "/oidc/callback/logout"
	backchannelPath = "/oidc/backchannel"
)

// replicas are two Traefiks behind one name, a Redis, and the certified provider. It
// sends logout tokens to the first Traefik.
type replicas struct {
	t     testing.TB
	a, b  *rig
	redis *redistest.Server
	data  string       // Redis's folder
	down  *atomic.Bool // A was killed, and has not served since
}

var pair struct {
	once sync.Once
	of   *replicas
}

// theReplicas are started once, and shared.
func theReplicas(t testing.TB) *replicas {
	t.Helper()
	pair.once.Do(func() { pair.of = newReplicas(t) })
	if pair.of == nil {
		t.Fatal("the replicas could not be started")
	}
	return pair.of.in(t)
}

// in returns the same replicas for the test t. Failures are then t's.
func (x *replicas) in(t testing.TB) *replicas {
	return &replicas{t: t, a: &rig{t, x.a.site}, b: &rig{t, x.b.site}, redis: x.redis, data: x.data, down: x.down}
}

func newReplicas(t testing.TB) *replicas {
	t.Helper()
	echo := &backend.Echo{Answer: answers}
	server := httptest.NewServer(echo)
	stops = append(stops, server.Close)
	x := &replicas{t: t, down: &atomic.Bool{}, a: newSite(t, true, echo, server.URL), b: newSite(t, true, echo, server.URL)}
	x.openRedis()
	var back []string
	for _, r := range []*rig{x.a, x.b} {
		back = append(back, r.url+"/oidc/callback")
		r.settings.options = map[string]any{
			"redis":                     map[string]any{"enabled": true, "address": x.redis.Address(), "operationTimeout": "3s"},
			"refreshGracePeriodSeconds": 1,
			"enableBackchannelLogout":   true,
			"backchannelLogoutURL":      backchannelPath,
			"rateLimit":                 1_000_000, // all of them come from one address
		}
	}
	x.a.issuer = x.a.startProvider(map[string]any{
		"redirect_uris": back, "post_logout_redirect_uris": []string{x.a.url + "/", x.b.url + "/"},
		"backchannel_logout_uri": "https://127.0.0.1:" + x.a.entry + backchannelPath, "backchannel_logout_session_required": true,
	})
	x.b.issuer = x.a.issuer
	x.a.start()
	x.b.start()
	// Both have one name, as behind a load balancer. The network chooses one of them.
	x.b.url, x.b.network = x.a.url, browser.Network{appHost + ":" + x.a.entry: "127.0.0.1:" + x.b.entry}
	return x
}

// openRedis starts a Redis that keeps every write that it has acknowledged.
func (x *replicas) openRedis() {
	x.t.Helper()
	dir, err := os.MkdirTemp("", "traefikoidc-redis-")
	if err != nil {
		x.t.Fatal(err)
	}
	x.data = dir
	stops = append(stops, func() { os.RemoveAll(dir) })
	if x.redis, err = redistest.New(redistest.Options{Dir: dir, Args: []string{"--appendonly", "yes", "--appendfsync", "always"}}); err != nil {
		x.t.Fatal(err)
	}
	stops = append(stops, x.redis.Kill)
	x.startRedis()
}

func (x *replicas) startRedis() {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := x.redis.Start(ctx); err != nil {
		x.t.Fatal(err)
	}
}

// loseData removes the data of a Redis that does not run.
func (x *replicas) loseData() {
	x.t.Helper()
	if err := os.RemoveAll(filepath.Join(x.data, "appendonlydir")); err != nil {
		x.t.Fatal(err)
	}
}

// counts are the events at the provider.
type counts struct {
	Asked     int // requests to the token endpoint
	Codes     int // codes that were redeemed
	Refreshes int // grants of refresh tokens
	Refused   int // grants that were refused
	Revoked   int // grants that were revoked
	Told      int // logout tokens with the response 200
	Untold    int // logout tokens with another response
}

func (x *replicas) counts() counts { return x.provider("counts") }

// set changes the provider by pairs of a name and a value. Without pairs it is as it
// was at first.
func (x *replicas) set(pairs ...any) {
	x.t.Helper()
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i].(string), fmt.Sprint(pairs[i+1]))
	}
	x.provider("set?" + q.Encode())
}

func (x *replicas) provider(path string) (c counts) {
	x.t.Helper()
	res, err := http.Get(x.a.issuer + "/test/" + path)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&c); err != nil {
		x.t.Fatal(err)
	}
	return c
}

// A user has one browser. A load balancer sends it to either replica.
type user struct {
	name string
	jar  *browser.Jar
	at   map[*site]*browser.Browser
}

func (x *replicas) user(name string) *user {
	p := &user{name: name, jar: &browser.Jar{}, at: map[*site]*browser.Browser{}}
	for _, r := range []*rig{x.a, x.b} {
		b := r.browser()
		b.Jar = p.jar
		p.at[r.site] = b
	}
	return p
}

func (p *user) on(r *rig) *browser.Browser { return p.at[r.site] }

// expired returns a user with a session at both and expired tokens, without a request
// since. If the sign-in takes so long that they are refreshed before, those of the next
// try last longer.
func (x *replicas) expired(name string) *user {
	x.t.Helper()
	for lifetime := 2 * time.Second; lifetime < 5*time.Minute; lifetime *= 2 {
		before := x.counts()
		x.set("lifetime", lifetime.Seconds())
		p := x.known(name)
		end := time.Now().Add(lifetime)
		x.set()
		x.past(end)
		if now := x.counts(); now.Asked == before.Asked+1 {
			return p
		}
	}
	x.t.Fatal("the tokens of a sign-in are refreshed before they expire, however long they last")
	return nil
}

// past waits for a time of the clock. Tokens expire by it.
func (x *replicas) past(end time.Time) {
	x.t.Helper()
	x.a.within(5*time.Minute, "the clock", func() bool { return time.Now().After(end) })
}

// signedIn returns a user after a sign-in at only A.
func (x *replicas) signedIn(name string) *user {
	x.t.Helper()
	p := x.user(name)
	seen := x.a.sees(x.a.signIn(p.on(x.a), "/", name))
	if got := seen.Header.Get("X-Subject"); got != name {
		x.t.Fatalf("%s is taken for %q", name, got)
	}
	return p
}

// known returns a user after a sign-in at A and a request to B.
func (x *replicas) known(name string) *user {
	x.t.Helper()
	p := x.signedIn(name)
	x.isIn(p, x.b)
	return p
}

// fetch returns the response to a script.
func (p *user) fetch(r *rig) *browser.Page { return p.on(r).Fetch(r.home().String() + "x") }

// isIn fails the test unless the user is served there. A request for which Redis was
// too late, as on a busy machine, is repeated.
func (x *replicas) isIn(p *user, rs ...*rig) {
	x.t.Helper()
	for _, r := range rs {
		var page *browser.Page
		r.within(time.Minute, "a response", func() bool {
			page = p.fetch(r)
			return page.Status != http.StatusServiceUnavailable
		})
		x.isServed(p, page)
	}
}

// isInAtOnce is isIn without repetitions, because the replicas have the session.
func (x *replicas) isInAtOnce(p *user, rs ...*rig) {
	x.t.Helper()
	for _, r := range rs {
		x.isServed(p, p.fetch(r))
	}
}

func (x *replicas) isServed(p *user, page *browser.Page) {
	x.t.Helper()
	if got := x.a.sees(page).Header.Get("X-Subject"); got != p.name {
		x.t.Fatalf("%s is taken for %q", p.name, got)
	}
}

// becomes waits until scripts of the user get the status there.
func (x *replicas) becomes(p *user, r *rig, status int) {
	x.t.Helper()
	r.eventually(fmt.Sprintf("%s gets %d", p.name, status), func() bool { return p.fetch(r).Status == status })
}

// copy returns a user with a copy of the session cookie.
func (x *replicas) copy(p *user) *user {
	x.t.Helper()
	c := x.user(p.name)
	value, ok := p.jar.Get(x.a.home(), x.a.cookie)
	if !ok {
		x.t.Fatalf("%s has no cookie", p.name)
	}
	c.jar.Set(x.a.home(), x.a.cookie, value)
	return c
}

// signOut signs the user out at r. It does not follow the redirect to the provider.
func (x *replicas) signOut(p *user, r *rig) {
	x.t.Helper()
	page := p.on(r).Do(browser.Request{URL: r.url + logoutPath, From: r.home(), OneHop: true})
	if page.Status != http.StatusFound || !strings.HasPrefix(page.Location().String(), r.issuer) {
		x.t.Fatalf("sign-out of %s: status %d, to %s: %.300s", p.name, page.Status, page.Location(), page.Body)
	}
}

// waits fails the test unless the response asks the user to come again and leaves the
// cookie.
func (x *replicas) waits(request string, page *browser.Page) {
	x.t.Helper()
	if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || len(page.Header.Values("Set-Cookie")) != 0 {
		x.t.Errorf("%s: status %d, %v, want 503 with Retry-After and without Set-Cookie", request, page.Status, page.Header)
	}
}

// An asker sends requests like a script of a user. It fails no test itself.
type asker struct {
	name, cookie, url string
	client            *http.Client
}

func (x *replicas) asker(p *user, r *rig) *asker {
	x.t.Helper()
	value, ok := p.jar.Get(r.home(), r.cookie)
	if !ok {
		x.t.Fatalf("%s has no cookie", p.name)
	}
	return &asker{name: p.name, cookie: r.cookie + "=" + value, url: r.home().String() + "x", client: r.client()}
}

// ask sends a request. It returns the fault of the response, or nothing if the
// response is for the user.
func (a *asker) ask() string {
	status, body, err := a.get()
	if err != nil {
		return err.Error()
	}
	seen, err := backend.Read(body)
	if status != http.StatusOK || err != nil {
		return strconv.Itoa(status) + ": " + string(body[:min(len(body), 200)])
	}
	if got := seen.Header.Get("X-Subject"); got != a.name {
		return a.name + " is taken for " + got
	}
	return ""
}

func (a *asker) get() (int, []byte, error) {
	req, err := http.NewRequest("GET", a.url, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Cookie", a.cookie)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	res, err := a.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, body, err
}

// A watch sends requests of one user to some replicas, again and again.
type watch struct {
	stop  atomic.Bool
	wait  sync.WaitGroup
	asked atomic.Int64

	mu    sync.Mutex // guards wrong
	wrong []string
}

// watch starts a watch. Its end fails the test if a response was not for the user.
func (x *replicas) watch(p *user, rs ...*rig) *watch {
	x.t.Helper()
	w := &watch{}
	for i, r := range rs {
		a := x.asker(p, r)
		w.wait.Add(1)
		go func() {
			defer w.wait.Done()
			for !w.stop.Load() {
				w.asked.Add(1)
				if wrong := a.ask(); wrong != "" {
					w.mu.Lock()
					w.wrong = append(w.wrong, fmt.Sprintf("replica %d: %s", i+1, wrong))
					w.mu.Unlock()
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
	}
	return w
}

// asks waits until so many more requests were sent.
func (w *watch) asks(x *replicas, n int64) {
	x.t.Helper()
	before := w.asked.Load()
	x.a.eventually("more requests are sent", func() bool { return w.asked.Load() >= before+n })
}

func (w *watch) end(t testing.TB, name string) {
	t.Helper()
	w.stop.Store(true)
	w.wait.Wait()
	if len(w.wrong) > 0 {
		t.Errorf("%s: %d of %d responses are wrong, the first: %s", name, len(w.wrong), w.asked.Load(), w.wrong[0])
	}
}
