package auth

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

const (
	siteHost     = "app.example.com"
	callbackPath = "/oidc/callback"
	logoutPath   = "/oidc/callback/logout"
	cookieName   = "__Host-oidc"
)

// A site is a middleware before a backend that returns its request, with a provider, a
// store that can fail, and a clock that a test moves.
type site struct {
	*testing.T
	*Middleware
	handler  http.Handler
	provider *oidctest.Provider
	store    *fragile
	log      *lockedBuffer

	mu     sync.Mutex // guards the fields below
	offset time.Duration
	seen   []*http.Request
}

// newSite builds a site. Now is the real time plus the time by which the test moved the
// clock. The provider's tokens have the same time.
func newSite(t *testing.T, change func(o *Options)) *site {
	t.Helper()
	s := &site{T: t, store: &fragile{Memory: cache.NewMemory(cache.MemoryOptions{})}, log: &lockedBuffer{}}
	s.provider = oidctest.New(oidctest.Options{Now: s.now})
	t.Cleanup(s.provider.Close)
	s.Middleware = s.another(change)
	s.handler = s.Handler(http.HandlerFunc(s.backend))
	return s
}

// another returns a further middleware of the same store and provider, such as the one
// after a reload or that of another replica.
func (s *site) another(change func(o *Options)) *Middleware {
	s.Helper()
	keys, err := session.NewKeyring([][]byte{[]byte("0123456789abcdefghijklmnopqrstuv")})
	if err != nil {
		s.Fatal(err)
	}
	rules, err := policy.NewRules(policy.Rules{})
	if err != nil {
		s.Fatal(err)
	}
	o := Options{
		Provider: s.relyingParty(s.now),
		ClientID: "client", Backend: s.store, Keys: keys, Identity: "identity", CallbackURL: callbackPath, LogoutPath: logoutPath,
		ForceHTTPS: true, Cookies: session.Cookies{Name: cookieName, Secure: true}, MaxAge: time.Hour, StripCookies: true,
		Scopes: []string{"openid", "email"}, CheckReplays: true, Rules: rules, Cleaner: headers.NewCleaner(nil, nil),
		Log: slog.New(slog.NewTextHandler(s.log, nil)), Now: s.now,
	}
	if change != nil {
		change(&o)
	}
	m, err := New(o)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(m.Close)
	return m
}

// relyingParty is the client at the provider.
func (s *site) relyingParty(now func() time.Time) *oidc.Provider {
	return oidc.NewProvider(oidc.Options{
		Issuer: s.provider.URL(), ClientID: "client", ClientSecret: "secret",
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, AllowInsecureHTTP: true, Now: now,
	})
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.offset)
}

func (s *site) turn(d time.Duration) {
	s.mu.Lock()
	s.offset += d
	s.mu.Unlock()
}

func (s *site) backend(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen = append(s.seen, r)
	s.mu.Unlock()
	_, _ = io.WriteString(w, "backend "+r.URL.RequestURI()+" for "+r.Header.Get("X-Forwarded-User"))
}

func (s *site) hits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// fragile is a store that fails where a test wants it to.
type fragile struct {
	*cache.Memory
	mu   sync.Mutex
	fail map[string]bool // by method
	hook func(method string)
}

func (f *fragile) failing(methods ...string) {
	f.mu.Lock()
	f.fail = map[string]bool{}
	for _, m := range methods {
		f.fail[m] = true
	}
	f.mu.Unlock()
}

// hooked calls f before every call of the store.
func (f *fragile) hooked(hook func(method string)) {
	f.mu.Lock()
	f.hook = hook
	f.mu.Unlock()
}

func (f *fragile) step(ctx context.Context, method string) error {
	f.mu.Lock()
	fail, hook := f.fail[method], f.hook
	f.mu.Unlock()
	if hook != nil {
		hook(method)
	}
	if fail {
		return cache.ErrUnavailable
	}
	return ctx.Err()
}

func (f *fragile) Get(ctx context.Context, key string) ([]byte, error) {
	if err := f.step(ctx, "Get"); err != nil {
		return nil, err
	}
	return f.Memory.Get(ctx, key)
}

func (f *fragile) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := f.step(ctx, "Set"); err != nil {
		return err
	}
	return f.Memory.Set(ctx, key, value, ttl)
}

// Add fails as "Add", or as "Mark" for a record that is no session.
func (f *fragile) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	method := "Add"
	if strings.HasPrefix(key, "j:") {
		method = "Mark"
	}
	if err := f.step(ctx, method); err != nil {
		return err
	}
	return f.Memory.Add(ctx, key, value, ttl)
}

func (f *fragile) Revoke(ctx context.Context, rs []cache.Revocation) error {
	if err := f.step(ctx, "Revoke"); err != nil {
		return err
	}
	return f.Memory.Revoke(ctx, rs)
}

func (f *fragile) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	if err := f.step(ctx, "Trim"); err != nil {
		return 0, err
	}
	return f.Memory.Trim(ctx, link, most, newest)
}

func (f *fragile) Exists(ctx context.Context, key string) (bool, error) {
	if err := f.step(ctx, "Exists"); err != nil {
		return false, err
	}
	return f.Memory.Exists(ctx, key)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A browser keeps cookies and follows redirects.
type browser struct {
	*site
	mu  sync.Mutex
	jar map[string]string
}

func (s *site) browser() *browser { return &browser{site: s, jar: map[string]string{}} }

// request sends a navigation of this browser, unless head overrides it. "-" as a value
// leaves a header out.
func (b *browser) request(method, target string, head map[string]string) *http.Request {
	r := httptest.NewRequest(method, "http://"+siteHost+target, nil)
	r.Header.Set("Accept", "text/html,*/*")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "none")
	r.RemoteAddr = "192.0.2.1:1234"
	b.mu.Lock()
	var pairs []string
	for n, v := range b.jar {
		pairs = append(pairs, n+"="+v)
	}
	b.mu.Unlock()
	if pairs != nil {
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	for k, v := range head {
		r.Header.Set(k, v)
		if v == "-" {
			r.Header.Del(k)
		}
	}
	return r
}

// send passes the request to h and keeps the cookies of the response.
func (b *browser) send(h http.Handler, r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	resp := rec.Result()
	b.mu.Lock()
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.jar, c.Name)
		} else {
			b.jar[c.Name] = c.Value
		}
	}
	b.mu.Unlock()
	return resp
}

func (b *browser) open(target string) *http.Response {
	return b.send(b.handler, b.request(http.MethodGet, target, nil))
}

// script sends a request of a page's script.
func (b *browser) script(target string) *http.Response {
	return b.send(b.handler, b.request(http.MethodGet, target, map[string]string{
		"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin",
	}))
}

// provided returns the provider's redirect to the request in resp.
func (b *browser) provided(resp *http.Response, user string) string {
	b.Helper()
	if !b.toProvider(resp) {
		b.Fatalf("status %d to %q, want the provider", resp.StatusCode, resp.Header.Get("Location"))
	}
	u, err := b.provider.Visit(resp.Header.Get("Location"), user)
	if err != nil {
		b.Fatal(err)
	}
	return u.RequestURI()
}

func (b *browser) toProvider(resp *http.Response) bool {
	return resp.StatusCode == http.StatusFound && strings.HasPrefix(resp.Header.Get("Location"), b.provider.Endpoint(oidctest.Authorize)+"?")
}

// callbackFor begins a sign-in at target and returns the callback that ends it.
func (b *browser) callbackFor(target, user string) string {
	b.Helper()
	return b.provided(b.open(target), user)
}

func (s *site) signedIn(user string) *browser {
	s.Helper()
	b := s.browser()
	s.leads(b.open(b.callbackFor("/", user)), "/")
	return b
}

func (s *site) status(resp *http.Response, want int) string {
	s.Helper()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != want {
		s.Errorf("status %d to %q, want %d: %s", resp.StatusCode, resp.Header.Get("Location"), want, body)
	}
	return string(body)
}

func (s *site) leads(resp *http.Response, want string) {
	s.Helper()
	s.status(resp, http.StatusFound)
	if got := resp.Header.Get("Location"); got != want {
		s.Errorf("leads to %q, want %q", got, want)
	}
}

// says checks the status and the code of a failure, which the log's last line must have
// too.
func (s *site) says(resp *http.Response, status int, code string) string {
	s.Helper()
	body := s.status(resp, status)
	lines := strings.SplitAfter(s.log.String(), "\n")
	last := strings.Join(lines[len(lines)-2:], "")
	if !strings.Contains(last, "code="+code+" ") {
		s.Errorf("no code %q in the log's last line: %s", code, last)
	}
	return body
}

func edited(target string, change func(q url.Values)) string {
	path, query, _ := strings.Cut(target, "?")
	q, _ := url.ParseQuery(query)
	change(q)
	return path + "?" + q.Encode()
}
