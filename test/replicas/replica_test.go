package replicas

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

const (
	appHost    = "app.example.test"
	appURL     = "https://" + appHost
	cookie     = "__Host-oidc"
	callback   = "/oidc/callback"
	logoutPath = "/oidc/callback/logout"
)

// sessionKey is made for each run, because a key in these sources would be a published one.
var sessionKey = oidctest.NewSecret()

// The interpreters of the process, one for each Traefik in the tests. They are loaded
// before any runs, because the loader is not safe beside running code.
var plugins = struct {
	once     sync.Once
	a, b     *loader.Plugin
	ahead    *loader.Plugin // its clock is a minute ahead
	pass1    *loader.Plugin // a test sets the time here and in the next
	pass2    *loader.Plugin
	complete bool
}{}

func loadAll(t testing.TB) {
	t.Helper()
	plugins.once.Do(func() {
		plugins.a, plugins.b = loader.LoadAlone(t), loader.LoadAlone(t)
		plugins.ahead = loader.LoadAlone(t)
		plugins.ahead.Clock.Pass(time.Minute)
		plugins.pass1, plugins.pass2 = loader.LoadAlone(t), loader.LoadAlone(t)
		plugins.complete = true
	})
	if !plugins.complete {
		t.Fatal("the plugin does not load")
	}
}

func load(t testing.TB) (a, b *loader.Plugin) {
	t.Helper()
	loadAll(t)
	return plugins.a, plugins.b
}

func ahead(t testing.TB) *loader.Plugin {
	t.Helper()
	loadAll(t)
	return plugins.ahead
}

var middlewares atomic.Int64

// A middleware is one middleware of the dynamic configuration of all replicas.
type middleware struct {
	t        testing.TB
	name     string
	provider *oidctest.Provider
}

func newMiddleware(t testing.TB, o oidctest.Options) *middleware {
	t.Helper()
	if o.SigningAlg == "" {
		o.SigningAlg = "ES256" // its keys are made at once
	}
	if o.AccessLifetime == 0 && o.Now == nil {
		o.AccessLifetime = time.Hour // no test takes so long that tokens are refreshed
	}
	m := &middleware{t: t, name: fmt.Sprintf("m%d", middlewares.Add(1)), provider: oidctest.New(o)}
	t.Cleanup(m.provider.Close)
	return m
}

// in returns the same middleware for the test t. Failures are then t's.
func (m *middleware) in(t testing.TB) *middleware {
	c := *m
	c.t = t
	return &c
}

type section = map[string]any

// options returns the smallest complete configuration with the sections redis and more.
// The rate limit is high, because all requests come from one address.
func (m *middleware) options(redis section, more ...section) section {
	o := section{
		"providerURL": m.provider.URL(), "clientID": "client", "clientSecret": "secret",
		"callbackURL": callback, "sessionEncryptionKey": sessionKey,
		"allowPrivateIPAddresses": true, "rateLimit": 1000000,
	}
	if redis != nil {
		o["redis"] = redis
	}
	for _, s := range more {
		for k, v := range s {
			o[k] = v
		}
	}
	return o
}

// unhurried has long timeouts, so that a delay on a busy machine is not taken for an
// outage.
var unhurried = section{
	"operationTimeout": "20s", "readTimeout": "20s", "writeTimeout": "20s", "poolTimeout": "20s", "dialTimeout": "20s",
}

// hybrid returns the usual section redis for a server.
func hybrid(address string, more ...any) section {
	s := maps.Clone(unhurried)
	s["enabled"], s["address"] = "true", address
	for i := 0; i < len(more); i += 2 {
		s[more[i].(string)] = more[i+1]
	}
	return s
}

// A replica is one Traefik: the middleware in an interpreter, and an entry point.
type replica struct {
	*middleware
	t       testing.TB
	plugin  *loader.Plugin
	echo    *backend.Echo
	since   int // length of the log before
	network browser.Network

	dial     sync.Once
	programs http.RoundTripper // of API clients

	mu      sync.Mutex // guards the fields below
	handler http.Handler
	cancel  context.CancelFunc
}

// start runs the middleware in an interpreter until the test ends.
func (m *middleware) start(p *loader.Plugin, options section) *replica {
	m.t.Helper()
	r := &replica{middleware: m, t: m.t, plugin: p, echo: &backend.Echo{}, since: p.Log.Len()}
	r.reload(options)
	front := httptest.NewUnstartedServer(r)
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up in a handshake
	front.StartTLS()
	r.network = browser.Network{appHost + ":443": front.Listener.Addr().String()}
	m.t.Cleanup(func() {
		front.Close()
		r.cancel()
	})
	return r
}

// pair starts the middleware with one configuration in two interpreters.
func (m *middleware) pair(options section) (a, b *replica) {
	m.t.Helper()
	first, second := load(m.t)
	return m.start(first, options), m.start(second, options)
}

// building is held while a handler is built, because Traefik builds them one at a time.
var building sync.Mutex

// reload acts like Traefik at a change of its dynamic configuration. It cancels the
// context of the handlers, then builds new ones.
func (r *replica) reload(options section) {
	r.t.Helper()
	building.Lock()
	defer building.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		r.cancel()
	}
	r.cancel = cancel
	m, err := r.plugin.Middleware(r.name, options)
	if err != nil {
		r.t.Fatal(err)
	}
	h, err := m.Handler(ctx, r.echo)
	if err != nil {
		r.t.Fatal(err)
	}
	r.handler = h
}

// ServeHTTP sets the headers that Traefik sets before a middleware.
func (r *replica) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	ip, _, _ := strings.Cut(q.RemoteAddr, ":")
	chain := ip
	if before := q.Header.Get("X-Forwarded-For"); before != "" {
		chain = before + ", " + ip
	}
	for name, value := range map[string]string{
		"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Forwarded-Host": q.Host, "X-Real-Ip": ip, "X-Forwarded-For": chain,
	} {
		q.Header.Set(name, value)
	}
	r.mu.Lock()
	h := r.handler
	r.mu.Unlock()
	h.ServeHTTP(w, q)
}

// log returns the log lines of the middleware so far.
func (r *replica) log() string {
	var own []string
	for _, line := range strings.Split(r.plugin.Log.Since(r.since), "\n") {
		if strings.Contains(line, "middleware="+r.name+" ") || strings.HasSuffix(line, "middleware="+r.name) {
			own = append(own, line)
		}
	}
	return strings.Join(own, "\n")
}

// says waits until the log has the text so often.
func (r *replica) says(text string, times int) {
	r.t.Helper()
	if !eventually.Within(patience, func() bool { return strings.Count(r.log(), text) >= times }) {
		r.t.Fatalf("the log does not say %q %d times:\n%s", text, times, r.log())
	}
}

// ready waits until the replica is connected to its server.
func (r *replica) ready() {
	r.t.Helper()
	r.says("Redis cache initialized", 1)
	r.says("Redis invalidation link up", 1)
}

// Each user has one browser. A load balancer sends it to any replica.
type user struct {
	t    testing.TB
	name string
	jar  *browser.Jar
	at   map[*replica]*browser.Browser
}

func newUser(t testing.TB, name string) *user {
	return &user{t: t, name: name, jar: &browser.Jar{}, at: map[*replica]*browser.Browser{}}
}

func (p *user) on(r *replica) *browser.Browser {
	b := p.at[r]
	if b == nil {
		b = browser.New(p.t, r.network)
		b.Jar = p.jar
		p.at[r] = b
	}
	return b
}

// get returns the first response to a navigation on r.
func (p *user) get(r *replica, path string) *browser.Page {
	p.t.Helper()
	return p.on(r).Hop(appURL + path)
}

// sees returns the outcome of a navigation on r: "in" at the backend, "provider" for a
// sign-in, or the status.
func (p *user) sees(r *replica) string {
	p.t.Helper()
	return r.outcome(p.get(r, "/page"))
}

func (r *replica) outcome(page *browser.Page) string {
	to := page.Location()
	switch {
	case page.Status == http.StatusOK:
		if _, err := backend.Read(page.Body); err == nil {
			return "in"
		}
	case page.Status == http.StatusFound && to != nil && strings.HasPrefix(to.String(), r.provider.Endpoint(oidctest.Authorize)+"?"):
		return "provider"
	}
	return strconv.Itoa(page.Status)
}

// arrives returns the first response to a navigation on r that is not the one of an
// outage. On a busy machine Redis may need longer than an operation may take.
func (p *user) arrives(r *replica, path string) *browser.Page {
	p.t.Helper()
	var page *browser.Page
	eventually.Within(patience, func() bool { page = p.get(r, path); return page.Status != http.StatusServiceUnavailable })
	return page
}

// is fails the test unless a navigation on r comes to want.
func (p *user) is(r *replica, want string) {
	p.t.Helper()
	p.cameTo(r, r.outcome(p.arrives(r, "/page")), want)
}

// isAtOnce is is without repetitions, because the replica needs no Redis for it.
func (p *user) isAtOnce(r *replica, want string) {
	p.t.Helper()
	p.cameTo(r, p.sees(r), want)
}

func (p *user) cameTo(r *replica, got, want string) {
	p.t.Helper()
	if got != want {
		p.t.Fatalf("%s: a navigation came to %q, want %q; the log:\n%s", p.name, got, want, r.log())
	}
}

// becomes waits until it does.
func (p *user) becomes(r *replica, want string) {
	p.t.Helper()
	got := ""
	if !eventually.Within(patience, func() bool { got = p.sees(r); return got == want }) {
		p.t.Fatalf("%s: navigations came to %q, want %q; the log:\n%s", p.name, got, want, r.log())
	}
}

// waits fails the test unless the response on r is the one of an outage: 503 with
// Retry-After, and the cookie stays.
func (p *user) waits(r *replica) {
	p.t.Helper()
	page := p.get(r, "/page")
	if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || len(page.Header.Values("Set-Cookie")) != 0 {
		p.t.Fatalf("%s: status %d, %v, want 503 with Retry-After and without Set-Cookie", p.name, page.Status, page.Header)
	}
}

// callback starts a sign-in on r and ends it at the provider. It returns the target of
// the redirect then.
func (p *user) callback(r *replica) *url.URL {
	p.t.Helper()
	return p.provided(r, p.arrives(r, "/page"))
}

// provided ends a sign-in at the provider that page began.
func (p *user) provided(r *replica, page *browser.Page) *url.URL {
	p.t.Helper()
	if r.outcome(page) != "provider" {
		p.t.Fatalf("%s: status %d, want a sign-in: %s", p.name, page.Status, page.Body)
	}
	to := page.Location()
	q := to.Query()
	q.Set("user", p.name)
	to.RawQuery = q.Encode()
	back := p.on(r).Hop(to.String()).Location()
	if back == nil {
		p.t.Fatal("the provider did not send the browser back")
	}
	return back
}

// comesBack returns the response of r to the callback, reached as a redirect.
func (p *user) comesBack(r *replica, to *url.URL) *browser.Page {
	p.t.Helper()
	from, _ := url.Parse(r.provider.URL() + "/")
	return p.on(r).Do(browser.Request{URL: to.String(), From: from, OneHop: true})
}

// signIn signs the user in on r.
func (p *user) signIn(r *replica) *user {
	p.t.Helper()
	var page *browser.Page
	eventually.Within(patience, func() bool {
		page = p.comesBack(r, p.callback(r))
		return page.Status != http.StatusServiceUnavailable
	})
	if page.Status != http.StatusFound || p.value() == "" {
		p.t.Fatalf("sign-in of %s: status %d: %s\n%s", p.name, page.Status, page.Body, r.log())
	}
	return p
}

// signOut signs the user out on r.
func (p *user) signOut(r *replica) {
	p.t.Helper()
	if page := p.arrives(r, logoutPath); page.Status >= 400 {
		p.t.Fatalf("sign-out of %s: status %d: %s", p.name, page.Status, page.Body)
	}
	if p.value() != "" {
		p.t.Fatalf("%s still has the cookie after a sign-out", p.name)
	}
}

var home = &url.URL{Scheme: "https", Host: appHost, Path: "/"}

// value returns the value of the session cookie.
func (p *user) value() string {
	v, _ := p.jar.Get(home, cookie)
	return v
}

// ofACopy ends the name of a user with a copy.
const ofACopy = "'s cookie"

// copy returns a user with a copy of the session cookie.
func (p *user) copy() *user {
	c := newUser(p.t, p.name+ofACopy)
	c.jar.Set(home, cookie, p.value())
	return c
}

// twin returns a user with a copy of all cookies.
func (p *user) twin() *user {
	c := newUser(p.t, p.name)
	for _, name := range p.jar.Names(home) {
		v, _ := p.jar.Get(home, name)
		c.jar.Set(home, name, v)
	}
	return c
}
