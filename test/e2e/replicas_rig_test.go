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

// replicas are two Traefiks behind one name, a Redis, and the certified provider,
// which tells logouts to the first.
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

// in are the same replicas in the test t, whose failures are then t's.
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
	// One name, as before a load balancer: which of them answers is the network's choice.
	x.b.url, x.b.network = x.a.url, browser.Network{appHost + ":" + x.a.entry: "127.0.0.1:" + x.b.entry}
	return x
}

// openRedis starts a Redis that keeps what it has acknowledged.
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

// loseData removes what a Redis that does not run has kept.
func (x *replicas) loseData() {
	x.t.Helper()
	if err := os.RemoveAll(filepath.Join(x.data, "appendonlydir")); err != nil {
		x.t.Fatal(err)
	}
}

// counts are what the provider has seen.
type counts struct {
	Asked     int // requests to the token endpoint
	Codes     int // that were redeemed
	Refreshes int // grants of refresh tokens
	Refused   int // grants
	Revoked   int // grants
	Told      int // logout tokens that the site has answered with 200
	Untold    int // and otherwise
}

func (x *replicas) counts() counts { return x.provider("counts") }

// set changes the provider: pairs of a name and a value; none is as it was.
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

// A person has one browser, which a load balancer sends to either replica.
type person struct {
	name string
	jar  *browser.Jar
	at   map[*site]*browser.Browser
}

func (x *replicas) person(name string) *person {
	p := &person{name: name, jar: &browser.Jar{}, at: map[*site]*browser.Browser{}}
	for _, r := range []*rig{x.a, x.b} {
		b := r.browser()
		b.Jar = p.jar
		p.at[r.site] = b
	}
	return p
}

func (p *person) on(r *rig) *browser.Browser { return p.at[r.site] }

// expired is somebody known at both whose tokens have expired, with nobody asking. Where
// the sign-in takes so long that they are renewed before, those of the next try last
// longer.
func (x *replicas) expired(name string) *person {
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
	x.t.Fatal("the tokens of a sign-in are renewed before they expire, however long they last")
	return nil
}

// past waits for a time of the clock, by which tokens expire.
func (x *replicas) past(end time.Time) {
	x.t.Helper()
	x.a.within(5*time.Minute, "the clock", func() bool { return time.Now().After(end) })
}

// signedIn is somebody who has signed in at A alone.
func (x *replicas) signedIn(name string) *person {
	x.t.Helper()
	p := x.person(name)
	seen := x.a.sees(x.a.signIn(p.on(x.a), "/", name))
	if got := seen.Header.Get("X-Subject"); got != name {
		x.t.Fatalf("%s is taken for %q", name, got)
	}
	return p
}

// known is somebody who has signed in at A, and is known at B.
func (x *replicas) known(name string) *person {
	x.t.Helper()
	p := x.signedIn(name)
	x.isIn(p, x.b)
	return p
}

// fetch is the answer to a script.
func (p *person) fetch(r *rig) *browser.Page { return p.on(r).Fetch(r.home().String() + "x") }

// isIn fails the test unless the person is served there. A request to which Redis came
// too late, as on a busy machine, is asked again.
func (x *replicas) isIn(p *person, rs ...*rig) {
	x.t.Helper()
	for _, r := range rs {
		var page *browser.Page
		r.within(time.Minute, "an answer", func() bool {
			page = p.fetch(r)
			return page.Status != http.StatusServiceUnavailable
		})
		x.isServed(p, page)
	}
}

// isInAtOnce is isIn where an outage is no excuse: the replicas have the session.
func (x *replicas) isInAtOnce(p *person, rs ...*rig) {
	x.t.Helper()
	for _, r := range rs {
		x.isServed(p, p.fetch(r))
	}
}

func (x *replicas) isServed(p *person, page *browser.Page) {
	x.t.Helper()
	if got := x.a.sees(page).Header.Get("X-Subject"); got != p.name {
		x.t.Fatalf("%s is taken for %q", p.name, got)
	}
}

// becomes waits until scripts of the person get the status there.
func (x *replicas) becomes(p *person, r *rig, status int) {
	x.t.Helper()
	r.eventually(fmt.Sprintf("%s gets %d", p.name, status), func() bool { return p.fetch(r).Status == status })
}

// copy is somebody with a copy of the session cookie.
func (x *replicas) copy(p *person) *person {
	x.t.Helper()
	c := x.person(p.name)
	value, ok := p.jar.Get(x.a.home(), x.a.cookie)
	if !ok {
		x.t.Fatalf("%s has no cookie", p.name)
	}
	c.jar.Set(x.a.home(), x.a.cookie, value)
	return c
}

// signOut signs the person out at r. It returns before the provider is asked.
func (x *replicas) signOut(p *person, r *rig) {
	x.t.Helper()
	page := p.on(r).Do(browser.Request{URL: r.url + logoutPath, From: r.home(), OneHop: true})
	if page.Status != http.StatusFound || !strings.HasPrefix(page.Location().String(), r.issuer) {
		x.t.Fatalf("sign-out of %s: status %d, to %s: %.300s", p.name, page.Status, page.Location(), page.Body)
	}
}

// waits fails the test unless the answer says: come again, and keep your cookie.
func (x *replicas) waits(what string, page *browser.Page) {
	x.t.Helper()
	if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || len(page.Header.Values("Set-Cookie")) != 0 {
		x.t.Errorf("%s: status %d, %v, want 503 with Retry-After and without Set-Cookie", what, page.Status, page.Header)
	}
}

// An asker is a script that asks as somebody, without a test to end.
type asker struct {
	name, cookie, url string
	client            *http.Client
}

func (x *replicas) asker(p *person, r *rig) *asker {
	x.t.Helper()
	value, ok := p.jar.Get(r.home(), r.cookie)
	if !ok {
		x.t.Fatalf("%s has no cookie", p.name)
	}
	return &asker{name: p.name, cookie: r.cookie + "=" + value, url: r.home().String() + "x", client: r.client()}
}

// ask returns what is wrong with the answer; empty: it is the person's.
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

// A watch asks as one person at some replicas, again and again.
type watch struct {
	stop  atomic.Bool
	wait  sync.WaitGroup
	asked atomic.Int64

	mu    sync.Mutex // guards wrong
	wrong []string
}

// watch starts to ask. Its end fails the test if an answer was not the person's.
func (x *replicas) watch(p *person, rs ...*rig) *watch {
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

// asks waits until it has asked so many times more.
func (w *watch) asks(x *replicas, n int64) {
	x.t.Helper()
	before := w.asked.Load()
	x.a.eventually("somebody asks", func() bool { return w.asked.Load() >= before+n })
}

func (w *watch) end(t testing.TB, what string) {
	t.Helper()
	w.stop.Store(true)
	w.wait.Wait()
	if len(w.wrong) > 0 {
		t.Errorf("%s: %d of %d answers are wrong, the first: %s", what, len(w.wrong), w.asked.Load(), w.wrong[0])
	}
}
