// Package e2e tests the plugin in a real Traefik, with a certified provider and
// a real browser. TRAEFIK names the Traefik to run. "make test" sets it, and
// installs the packages of npm.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/freeport"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/traefiktest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// Names below .localhost are this machine for every browser.
const (
	appHost = "app.localhost"
	secret  = "a-secret-of-the-client"
)

// key is made for each run, because a key in these sources would be a published one.
var key = oidctest.NewSecret()

// A rig is a test's view of a site.
type rig struct {
	t testing.TB
	*site
}

// A site is a Traefik with the plugin from source, with a provider and a backend. With
// several replicas there is a Redis.
type site struct {
	issuer   string
	provider *output // of the provider
	url      string  // of the protected site
	api      string  // Traefik's own
	echo     *backend.Echo
	traefik  *traefiktest.Traefik
	network  browser.Network
	cookie   string
	dir      string // the folder of Traefik
	entry    string // the port that it listens on
	settings settings
}

// settings are the parts of the dynamic configuration that tests change.
type settings struct {
	backend    string
	tls        bool
	generation int
	options    map[string]any // of the plugin, beside the usual ones
}

// stops end the rigs of this process, newest first.
var stops []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(stops) - 1; i >= 0; i-- {
		stops[i]()
	}
	os.Exit(code)
}

// sites are started once, and shared.
var sites struct {
	once sync.Once
	one  *site // with TLS on Traefik's entry point
}

func theRig(t testing.TB) *rig {
	t.Helper()
	sites.once.Do(func() { sites.one = newRig(t, true).site })
	if sites.one == nil {
		t.Fatal("the rig could not be started")
	}
	return &rig{t, sites.one}
}

// newRig starts a site with a provider: https as in production, or http as in a
// demo.
func newRig(t testing.TB, tls bool) *rig {
	t.Helper()
	echo := &backend.Echo{Answer: answers}
	server := httptest.NewServer(echo)
	stops = append(stops, server.Close)
	r := newSite(t, tls, echo, server.URL)
	r.issuer = r.startProvider(map[string]any{
		"redirect_uris": []string{r.url + "/oidc/callback"}, "post_logout_redirect_uris": []string{r.url + "/"},
	})
	r.start()
	return r
}

// newSite makes a site without starting its Traefik.
func newSite(t testing.TB, tls bool, echo *backend.Echo, server string) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "traefikoidc-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	stops = append(stops, func() { os.RemoveAll(dir) })
	for _, sub := range []string{"dynamic", "tls"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	certificate(t, filepath.Join(dir, "tls"), appHost)
	r := &rig{t, &site{
		echo: echo, cookie: "oidc", dir: dir, entry: freePort(t), api: "http://127.0.0.1:" + freePort(t),
		settings: settings{tls: tls, backend: server},
	}}
	scheme := "http"
	if tls {
		scheme, r.cookie = "https", "__Host-oidc"
	}
	r.url = fmt.Sprintf("%s://%s:%s", scheme, appHost, r.entry)
	r.network = browser.Network{appHost + ":" + r.entry: "127.0.0.1:" + r.entry}
	return r
}

// start writes the configuration, runs Traefik and waits until it serves.
func (r *rig) start() {
	r.t.Helper()
	static := fmt.Sprintf(`
global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: INFO, noColor: true}
api: {insecure: true}
entryPoints:
  site: {address: "127.0.0.1:%s"}
  traefik: {address: %q}
providers:
  providersThrottleDuration: 20ms
  file: {directory: %q, watch: true}
experimental:
  localPlugins:
    oidc: {moduleName: %q}
`, r.entry, strings.TrimPrefix(r.api, "http://"), filepath.Join(r.dir, "dynamic"), traefiktest.Module)
	write(r.t, filepath.Join(r.dir, "traefik.yml"), static)
	r.configure()

	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		r.t.Fatal(err)
	}
	traefik, err := traefiktest.Start(traefiktest.Options{
		Binary: binary(r.t), Dir: r.dir, Static: "traefik.yml", Plugins: map[string]string{traefiktest.Module: root},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.traefik = traefik
	stops = append(stops, traefik.Stop)
	r.eventually("the site is served", func() bool {
		res, err := r.client().Get(r.url + "/open")
		if log := r.traefik.LastLines(); strings.Contains(log, "Plugins are disabled") || strings.Contains(log, "invalid middleware") {
			r.t.Fatal(log)
		}
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// binary is the Traefik to run: $TRAEFIK, the one on PATH, or the one that
// scripts/traefik.sh has built.
func binary(t testing.TB) string {
	t.Helper()
	if named := os.Getenv("TRAEFIK"); named != "" {
		return named
	}
	if found := lookPath("traefik"); found != "" {
		return found
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	built, err := filepath.Glob(filepath.Join(cache, "traefikoidc", "traefik-v3*"))
	if err != nil || len(built) == 0 {
		t.Fatal("no Traefik: none on PATH and none built yet; run make traefik")
	}
	return built[len(built)-1]
}

// configure writes the dynamic configuration; two routers name one middleware.
func (r *rig) configure() {
	r.t.Helper()
	router := func(rule string, middlewares ...string) map[string]any {
		m := map[string]any{"rule": rule, "service": "echo", "entryPoints": []string{"site"}, "middlewares": middlewares}
		if r.settings.tls {
			m["tls"] = map[string]any{}
		}
		return m
	}
	host := fmt.Sprintf("Host(`%s`)", appHost)
	dynamic := map[string]any{
		"http": map[string]any{
			"routers": map[string]any{
				"site": router(host, "generation", "sign-in"),
				"api":  router(host+" && PathPrefix(`/api`)", "sign-in"),
				// The provider has no name for this machine.
				"provider": router("Host(`127.0.0.1`)", "sign-in"),
			},
			"middlewares": map[string]any{
				"generation": map[string]any{"headers": map[string]any{"customResponseHeaders": map[string]any{"X-Generation": fmt.Sprint(r.settings.generation)}}},
				"sign-in":    map[string]any{"plugin": map[string]any{"oidc": r.options()}},
			},
			"services": map[string]any{"echo": map[string]any{"loadBalancer": map[string]any{
				"servers": []any{map[string]any{"url": r.settings.backend}}, "responseForwarding": map[string]any{"flushInterval": "10ms"},
			}}},
		},
	}
	if r.settings.tls {
		folder := filepath.Join(r.dir, "tls")
		dynamic["tls"] = map[string]any{"stores": map[string]any{"default": map[string]any{"defaultCertificate": map[string]any{
			"certFile": filepath.Join(folder, "cert.pem"), "keyFile": filepath.Join(folder, "key.pem"),
		}}}}
	}
	text, err := json.MarshalIndent(dynamic, "", " ")
	if err != nil {
		r.t.Fatal(err)
	}
	// YAML reads JSON. The file is replaced at once: a half-written one must not be read.
	file := filepath.Join(r.dir, "dynamic", "site.yml")
	write(r.t, file+".new", string(text))
	if err := os.Rename(file+".new", file); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) options() map[string]any {
	o := map[string]any{
		"providerURL": r.issuer, "clientID": "client", "clientSecret": secret, "sessionEncryptionKey": key,
		"callbackURL": "/oidc/callback", "scopes": []string{"groups"}, "excludedURLs": []string{"/open"},
		"accessRules": []any{
			map[string]any{"paths": "/rules/open", "unauthenticated": "pass"},
			map[string]any{
				"paths": []string{"/rules/alice"}, "methods": "GET", "hosts": appHost, "require": "User(`alice@example.com`) && !Group(`nobody`) || User(`alice@example.com`)",
				"headers": []any{map[string]any{"name": "X-Rule", "value": "${claims.email}"}},
			},
		},
		"forceHTTPS": r.settings.tls, "allowPrivateIPAddresses": true,
		// Traefik executes files as templates of its own, so that ours are quoted.
		"headers": []any{
			map[string]any{"name": "X-Subject", "value": "${claims.sub}"}, map[string]any{"name": "X-Name", "value": "name {{`{{.Claims.name}}`}}"},
		},
	}
	for name, value := range r.settings.options {
		o[name] = value
	}
	return o
}

// client trusts the certificate of the rig.
func (r *rig) client() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: transport(r.network), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (r *rig) eventually(what string, f func() bool) {
	r.t.Helper()
	r.within(30*time.Second, what, f)
}

func (r *rig) within(limit time.Duration, what string, f func() bool) {
	r.t.Helper()
	if !eventually.Within(limit, f) {
		r.t.Fatalf("not within %v: %s\n%s", limit, what, r.traefik.LastLines())
	}
}

func (r *rig) browser() *browser.Browser { return browser.New(r.t, r.network) }

func (r *rig) home() *url.URL {
	u, _ := url.Parse(r.url + "/")
	return u
}

// sees returns the request that the backend got. It fails the test if there was none.
func (r *rig) sees(p *browser.Page) backend.Seen {
	r.t.Helper()
	seen, err := backend.Read(p.Body)
	if p.Status != http.StatusOK || err != nil {
		r.t.Fatalf("%s: status %d, not from the backend: %.600s", p.URL, p.Status, p.Body)
	}
	return seen
}

// address returns the address of Traefik.
func (r *rig) address() string { return r.network[r.home().Host] }

func freePort(t testing.TB) string {
	t.Helper()
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func transport(n browser.Network) *http.Transport {
	return &http.Transport{
		TLSClientConfig: insecure(), ForceAttemptHTTP2: false,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if to, ok := n[addr]; ok {
				addr = to
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
}
