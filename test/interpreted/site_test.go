package interpreted

import (
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

const (
	appHost = "app.example.test"
	cookie  = "__Host-oidc"
)

// key is made for each run, because a key in these sources would be a published one.
var key = oidctest.NewSecret()

// A site is a provider, the interpreted plugin with one middleware, and a backend behind
// it. A browser finds it at https://app.example.test.
type site struct {
	t        testing.TB
	provider *oidctest.Provider
	plugin   *loader.Plugin
	echo     *backend.Echo
	server   *httptest.Server
	url      string
	probe    string // a path that is protected
	network  browser.Network
	asked    *gate // opens with the first request
}

// A gate is closed until it is opened. A nil gate is open.
type gate struct {
	once sync.Once
	c    chan struct{}
}

func newGate() *gate { return &gate{c: make(chan struct{})} }

func (g *gate) open() {
	if g != nil {
		g.once.Do(func() { close(g.c) })
	}
}

// setup has the differences of a site from the usual one.
type setup struct {
	options  map[string]any   // on top of those that every site needs
	without  []string         // options that are left out
	provider oidctest.Options // signs with ES256 if no algorithm is named
	plain    bool             // http, and forceHTTPS false
	plugin   *loader.Plugin   // nil: that of the process
	echo     *backend.Echo    // nil: a new one
}

func newSite(t testing.TB, s setup) *site {
	t.Helper()
	if s.provider.SigningAlg == "" {
		s.provider.SigningAlg = "ES256" // its keys are made in no time
	}
	w := &site{t: t, plugin: s.plugin, echo: s.echo, asked: newGate()}
	// Discovery would begin in the background before the test has changed the provider's
	// behaviour. So it waits for the first request.
	s.provider.HoldDiscovery = w.asked.c
	s.provider.Deliver = browser.Transport(func(address string) string { return w.network[address] })
	w.provider = oidctest.New(s.provider)
	t.Cleanup(w.provider.Close)
	if w.plugin == nil {
		w.plugin = loader.Load(t)
	}
	if w.echo == nil {
		w.echo = &backend.Echo{}
	}
	options := optionsFor(w.provider)
	if s.plain {
		options["forceHTTPS"] = false
	}
	maps.Copy(options, s.options)
	for _, name := range s.without {
		delete(options, name)
	}
	w.serve(w.plugin.New(t, w.echo, t.Name(), options), s.plain)
	return w
}

// optionsFor returns the smallest complete configuration for a provider. The rate limit
// is high, because all requests come from one address.
func optionsFor(p *oidctest.Provider) map[string]any {
	return map[string]any{
		"providerURL": p.URL(), "clientID": "client", "clientSecret": "secret",
		"callbackURL": "/oidc/callback", "sessionEncryptionKey": key,
		"allowPrivateIPAddresses": true, "rateLimit": 1000000,
	}
}

func (s *site) serve(h http.Handler, plain bool) {
	s.probe = "/probe"
	s.server = httptest.NewUnstartedServer(s.entry(s.t, h))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up in a handshake
	s.url = "https://" + appHost
	s.network = browser.Network{}
	if plain {
		s.url = "http://" + appHost
		s.server.Start()
	} else {
		s.server.StartTLS()
	}
	s.network[appHost+":443"] = s.server.Listener.Addr().String()
	s.network[appHost+":80"] = s.server.Listener.Addr().String()
	s.t.Cleanup(s.server.Close)
}

// entry returns an entry point that opens the way to discovery with the first request.
func (s *site) entry(t testing.TB, h http.Handler) http.Handler {
	entry := entryPoint(t, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.open()
		entry.ServeHTTP(w, r)
	})
}

// entryPoint acts like Traefik before a middleware. It fills in the X-Forwarded headers.
// It keeps those of the client, so that hostile ones get through. A panic of the handler
// fails the test.
func entryPoint(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, port := "http", "80"
		if r.TLS != nil {
			scheme, port = "https", "443"
		}
		if r.Header.Get("Upgrade") != "" {
			scheme = strings.Replace(scheme, "http", "ws", 1)
		}
		ip, _, _ := strings.Cut(r.RemoteAddr, ":")
		for name, value := range map[string]string{
			"X-Forwarded-Proto": scheme, "X-Forwarded-Port": port, "X-Forwarded-Host": r.Host, "X-Real-Ip": ip, "X-Forwarded-For": ip,
		} {
			if r.Header.Get(name) == "" && value != "" {
				r.Header.Set(name, value)
			}
		}
		defer func() {
			if v := recover(); v != nil {
				if v != http.ErrAbortHandler {
					t.Errorf("%s %s: the handler panicked: %v", r.Method, r.URL, v)
				}
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (s *site) parse(raw string) *url.URL {
	s.t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func (s *site) home() *url.URL { return s.parse(s.url + "/") }

// in returns the same site for the test t. Failures are then t's.
func (s *site) in(t testing.TB) *site {
	c := *s
	c.t = t
	return &c
}

func (s *site) browser() *browser.Browser { return browser.New(s.t, s.network) }

// atProvider returns the authorization request to which the page p leads, with the name
// that a user picks there.
func (s *site) atProvider(p *browser.Page, user string) string {
	s.t.Helper()
	to := p.Location()
	if to == nil || !strings.HasPrefix(to.String(), s.provider.URL()) {
		s.t.Fatalf("%s: status %d, not sent to the provider but to %v: %s", p.URL, p.Status, to, p.Body)
	}
	q := to.Query()
	q.Set("user", user)
	to.RawQuery = q.Encode()
	return to.String()
}

// callbackFor starts a sign-in at path in b and ends it at the provider. It returns the
// callback of the redirect then.
func (s *site) callbackFor(b *browser.Browser, path, user string) *url.URL {
	s.t.Helper()
	return s.provided(b, b.Hop(s.url+path), user)
}

// provided ends the sign-in of the page p at the provider, and returns the callback.
func (s *site) provided(b *browser.Browser, p *browser.Page, user string) *url.URL {
	s.t.Helper()
	to := b.Do(browser.Request{URL: s.atProvider(p, user), OneHop: true}).Location()
	if to == nil {
		s.t.Fatal("the provider did not send the browser back")
	}
	return to
}

// comeBack sends the one request of the callback, as a redirect from the provider.
func (s *site) comeBack(b *browser.Browser, callback *url.URL) *browser.Page {
	s.t.Helper()
	return b.Do(browser.Request{URL: callback.String(), From: s.parse(s.provider.URL() + "/op/"), OneHop: true})
}

// signIn opens path and signs the user in at the provider. It returns the last page.
func (s *site) signIn(b *browser.Browser, path, user string) *browser.Page {
	s.t.Helper()
	p := b.Hop(s.url + path)
	return b.Do(browser.Request{URL: s.atProvider(p, user), From: s.parse(s.provider.URL() + "/op/")})
}

// signedIn returns a browser with a session.
func (s *site) signedIn(user string) *browser.Browser {
	s.t.Helper()
	b := s.browser()
	if p := s.signIn(b, "/", user); p.Status != http.StatusOK {
		s.t.Fatalf("sign-in of %s: status %d: %s", user, p.Status, p.Body)
	}
	return b
}

// sees returns the request at the backend. It fails the test if there was none.
func (s *site) sees(p *browser.Page) backend.Seen {
	s.t.Helper()
	if p.Status != http.StatusOK {
		s.t.Fatalf("%s: status %d: %s", p.URL, p.Status, p.Body)
	}
	seen, err := backend.Read(p.Body)
	if err != nil {
		s.t.Fatalf("%s: not from the backend: %s", p.URL, p.Body)
	}
	return seen
}

// raw sends the lines to the site as they are.
func (s *site) raw(lines ...string) *http.Response {
	s.t.Helper()
	return browser.Raw(s.t, s.server.Listener.Addr().String(), strings.HasPrefix(s.url, "https"), lines...)
}

// misbehaves has change make the provider differ. change may read its keys.
func (s *site) misbehaves(change func(p *oidctest.Provider, b *oidctest.Behaviour)) {
	b := oidctest.Behaviour{Faults: map[string]oidctest.Fault{}}
	change(s.provider, &b)
	s.provider.Set(func(now *oidctest.Behaviour) { *now = b })
}

// untouched fails the test if a request of f gets to the backend.
func (s *site) untouched(f func()) {
	s.t.Helper()
	before := s.echo.Count()
	f()
	if n := s.echo.Count() - before; n != 0 {
		s.t.Errorf("%d requests reached the backend, the last: %+v", n, s.echo.Last())
	}
}

// status fails the test if the page has another status.
func (s *site) status(p *browser.Page, want int) {
	s.t.Helper()
	if p.Status != want {
		s.t.Fatalf("%s: status %d, want %d: %s", p.URL, p.Status, want, p.Body)
	}
}

// toProvider reports whether the response starts a sign-in.
func (s *site) toProvider(p *browser.Page) bool {
	to := p.Location()
	return p.Status == http.StatusFound && to != nil && strings.HasPrefix(to.String(), s.provider.Endpoint(oidctest.Authorize)+"?")
}
