package interpreted

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// reference is the number in a page or a response that finds its line in the log.
var reference = regexp.MustCompile(`(?:Reference: <code>|"reference":")([A-Z2-7]{10})`)

func withoutReference(body string) string {
	if m := reference.FindStringSubmatch(body); m != nil {
		return strings.ReplaceAll(body, m[1], "")
	}
	return body
}

// ownName matches the name of the signed-in user in the page without access.
var ownName = regexp.MustCompile(`<p>You are signed in as <bdi>[^<]*</bdi>\.</p>\n`)

func withoutName(body string) string {
	return ownName.ReplaceAllString(body, "")
}

func TestProviderDown(t *testing.T) {
	t.Run("D9 the provider cannot be reached, then it can", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}}})
		s.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Discovery] = oidctest.Fault{Drop: true} })
		p := s.browser().Hop(s.url + "/page")
		s.status(p, http.StatusServiceUnavailable)
		if n, err := strconv.Atoi(p.Header.Get("Retry-After")); err != nil || n < 1 || n > 120 {
			t.Errorf("Retry-After: %q", p.Header.Get("Retry-After"))
		}
		if !strings.Contains(p.Header.Get("Content-Type"), "text/html") || len(p.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("%v", p.Header)
		}
		s.status(s.browser().Fetch(s.url+"/api"), http.StatusUnauthorized)
		s.status(s.browser().Fetch(s.url+"/public"), http.StatusOK)

		before := s.provider.Count(oidctest.Discovery)
		s.each(20, func(int) { s.status(s.browser().Hop(s.url+"/page"), http.StatusServiceUnavailable) })
		if n := s.provider.Count(oidctest.Discovery) - before; n > 3 {
			t.Errorf("%d more fetches of the discovery document for 20 requests", n)
		}
		s.provider.Reset()
		eventually.True(t, "a sign-in", func() bool { return s.toProvider(s.browser().Hop(s.url + "/page")) })
		s.sees(s.signIn(s.browser(), "/page", "alice"))
	})

	for _, row := range []struct {
		name  string
		fault oidctest.Fault
		want  []int
	}{
		{"K3 the token endpoint is down", oidctest.Fault{Status: 503}, []int{502, 503}},
		{"K3 the token endpoint drops the connection", oidctest.Fault{Drop: true}, []int{502, 503}},
		{"E9 E16 the answer is lost", oidctest.Fault{DropDone: true}, []int{502, 503}},
		{"E17 the token endpoint refuses", oidctest.Fault{Status: 400, Type: "application/json", Body: `{"error":"invalid_grant","error_description":"canary-description"}`}, []int{400, 401, 403}},
		{"D7 the token endpoint redirects", oidctest.Fault{Redirect: "http://127.0.0.1:1/steal"}, []int{400, 502, 503}},
		{"E17 the token endpoint answers HTML", oidctest.Fault{Status: 200, Type: "text/html", Body: "<html>canary-description"}, []int{502}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{})
			b := s.browser()
			callback := s.callbackFor(b, "/page", "alice")
			s.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Token] = row.fault })
			p := s.comeBack(b, callback)
			found := false
			for _, want := range row.want {
				found = found || p.Status == want
			}
			if !found {
				t.Errorf("status %d, want one of %v", p.Status, row.want)
			}
			if strings.Contains(string(p.Body), "canary") {
				t.Errorf("the provider's text is in the page: %s", p.Body)
			}
			if n := s.provider.Count(oidctest.Token); n != 1 {
				t.Errorf("%d calls to the token endpoint", n)
			}
			s.noSession(b)
		})
	}

	t.Run("K3 failures that one client provokes stop no other client", func(t *testing.T) {
		s := newSite(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.TokenError = "invalid_grant" })
		for range 12 {
			b := s.browser()
			s.comeBack(b, s.callbackFor(b, "/page", "alice"))
		}
		s.provider.Reset()
		s.sees(s.signIn(s.browser(), "/page", "alice"))
	})

	t.Run("K4 a provider that hangs holds nobody else", func(t *testing.T) {
		s := newSite(t, setup{})
		b := s.signedIn("alice")
		waiting := s.browser()
		callback := s.callbackFor(waiting, "/page", "bob")
		hold := make(chan struct{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Token] = oidctest.Fault{Hold: hold} })
		done := make(chan *browser.Page)
		go func() { done <- s.comeBack(waiting, callback) }()
		eventually.True(t, "the held request", func() bool { return s.provider.Count(oidctest.Token) == 2 })
		s.status(b.Fetch(s.url+"/x"), http.StatusOK)
		if !s.toProvider(s.browser().Hop(s.url + "/y")) {
			t.Error("no sign-in can start")
		}
		close(hold)
		if p := <-done; p.Status != http.StatusFound {
			t.Errorf("the held callback: status %d", p.Status)
		}
	})
}

func TestFlood(t *testing.T) {
	t.Run("K1 sign-ins that are started cost no memory", func(t *testing.T) {
		s := newSite(t, setup{})
		h := s.plugin.New(t, s.echo, t.Name(), optionsFor(s.provider))
		s.asked.open()
		start := func(n int64) {
			for i := range n {
				r := httptest.NewRequest("GET", fmt.Sprintf("https://%s/page/%d", appHost, i), nil)
				r.Header.Set("Accept", "text/html")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusFound {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
			}
		}
		start(200)
		before := heap()
		n := int64(1500)
		if testing.Short() {
			n = 300
		}
		start(n)
		if grown := heap() - before; grown > n*200 {
			t.Errorf("%d bytes a sign-in", grown/n)
		}
	})

	t.Run("K1 K2 rateLimit is a client's, not everybody's", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"rateLimit": 10}})
		b := s.signedIn("alice")
		limited := 0
		for range 60 {
			p := s.browser().Hop(s.url + "/page")
			if p.Status != http.StatusTooManyRequests {
				continue
			}
			limited++
			if p.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		if limited == 0 {
			t.Error("60 sign-ins at once and no 429")
		}
		for range 40 {
			s.status(b.Fetch(s.url+"/x"), http.StatusOK)
		}
	})
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestNothingPanics(t *testing.T) {
	t.Run("K5 odd requests get a 4xx or the requested page", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}}})
		good := s.value(s.signedIn("alice"))
		b := s.browser()
		callback := s.callbackFor(b, "/page", "alice")
		state := callback.Query().Get("state")
		pieces := []string{
			"", "x", "%", "%zz", "=", "&", ";", "\x00", "\xff\xfe", "\"", "'", "<script>", strings.Repeat("A", 5000), "-1", "1e309", "[]", "{}", "null", "..", "//", `\`,
			state, good, state[:7], good[:7], "__Host-oidc", "true", "\u202e", "%00", "%0d%0a", "code", "state", "iss",
		}
		rnd := rand.New(rand.NewSource(1))
		pick := func() string { return pieces[rnd.Intn(len(pieces))] }
		paths := []string{"/oidc/callback", "/oidc/callback/logout", "/page", "/public", "/"}
		methods := []string{"GET", "GET", "GET", "POST", "HEAD", "OPTIONS"}
		for range 400 {
			q := url.Values{}
			for range rnd.Intn(4) {
				q.Add([]string{"code", "state", "iss", "error", "error_description", pick()}[rnd.Intn(6)], pick())
			}
			query := q.Encode()
			if rnd.Intn(4) == 0 {
				query = strings.NewReplacer(" ", "", "\r", "", "\n", "").Replace("state=" + pick() + "&code=" + pick())
			}
			header := http.Header{
				"Cookie": {cookie + "=" + pick() + "; " + cookie + "-s-" + pick() + "=" + pick()}, "Accept": {[]string{"text/html", "*/*", pick()}[rnd.Intn(3)]},
				"Authorization": {pick()}, "X-Forwarded-Proto": {pick()}, "Origin": {pick()}, "Referer": {pick()}, "Sec-Fetch-Site": {pick()}, "Sec-Fetch-Mode": {pick()}, "Upgrade": {pick()},
			}
			s.survives(methods[rnd.Intn(len(methods))], paths[rnd.Intn(len(paths))], query, header)
		}
		s.status(s.withCookies(cookie+"="+good), http.StatusOK)
	})
}

// survives hands the request to the site without a network, which would refuse the oddest.
func (s *site) survives(method, path, query string, header http.Header) {
	s.t.Helper()
	r := httptest.NewRequest(method, "https://"+appHost+path, nil)
	r.URL.RawQuery = query
	r.RequestURI = path + "?" + query
	r.Header = header
	w := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			s.t.Errorf("%s %s?%s %v panicked", method, path, query, header)
		}
	}()
	s.server.Config.Handler.ServeHTTP(w, r)
	if w.Code >= 500 {
		s.t.Errorf("%s %s?%q %q: status %d: %s", method, path, query, header, w.Code, w.Body)
	}
	if l := w.Header().Get("Location"); strings.ContainsAny(l, "\r\n\x00") {
		s.t.Errorf("Location %q", l)
	}
}

// canaries are values that must not be shown. Each is part of a secret or of a user's data.
type canaries map[string]string

func (c canaries) absent(t *testing.T, where, text string) {
	t.Helper()
	for name, value := range c {
		if value == "" {
			t.Errorf("no %s to look for", name)
			continue
		}
		if i := strings.Index(text, value); i >= 0 {
			t.Errorf("%s: %s is shown: …%s…", where, name, text[max(0, i-80):min(len(text), i+len(value)+40)])
		}
		if escaped := url.QueryEscape(value); escaped != value && strings.Contains(text, escaped) {
			t.Errorf("%s: %s is shown, escaped", where, name)
		}
	}
}

func TestNoSecretIsShown(t *testing.T) {
	const secret = "cAnArYcLiEnTsEcReT"
	plugin := loader.Load(t)
	before := plugin.Log.Len()
	c := canaries{"the client secret": secret, "the session key": key}
	s := newSite(t, setup{
		options: map[string]any{
			"clientSecret": secret, "logLevel": "debug", "allowedUsers": []any{"canaryalice@example.com"},
			"headers": []any{map[string]any{"name": "X-Tokens", "value": "{{.IDToken}} {{.AccessToken}} {{.RefreshToken}}"}},
		},
		provider: oidctest.Options{ClientSecret: secret, Users: []oidctest.User{
			{Sub: "canarysubject", Email: "canaryalice@example.com", EmailVerified: true, Name: "Canary Name"},
			{Sub: "canaryother", Email: "canarybob@example.com", EmailVerified: true},
		}},
	})
	var pages []*browser.Page
	failedPage := func(p *browser.Page) {
		t.Helper()
		if p.Status < 400 {
			t.Errorf("%s: status %d", p.URL, p.Status)
		}
		pages = append(pages, p)
	}

	b := s.browser()
	callback := s.callbackFor(b, "/page?canaryquery=1", "canarysubject")
	c["the code"], c["the state"] = callback.Query().Get("code"), callback.Query().Get("state")
	c["the sign-in cookie"], _ = b.Jar.Get(s.home(), b.Jar.Names(s.home())[0])
	s.status(s.comeBack(b, callback), http.StatusFound)
	c["the verifier"] = s.provider.Last(oidctest.Token).Form.Get("code_verifier")
	c["the session cookie"] = s.value(b)
	tokens := strings.Fields(s.sees(b.Fetch(s.url + "/x")).Header.Get("X-Tokens"))
	if len(tokens) != 3 {
		t.Fatalf("tokens: %v", tokens)
	}
	c["the ID token"], c["the access token"], c["the refresh token"] = tokens[0], tokens[1], tokens[2]
	c["the name"], c["an address"], c["another address"], c["a subject"] = "Canary Name", "canaryalice@", "canarybob@", "canarysubject"
	c["a query"] = "canaryquery"

	failedPage(s.signIn(s.browser(), "/forbidden", "canaryother"))
	failedPage(s.browser().Hop(s.url + "/oidc/callback?state=canarystate&code=canarycode"))
	failedPage(s.browser().Fetch(s.url + "/api?canaryquery=1"))
	failedPage(s.withCookies(cookie + "=canarycookie"))
	for _, change := range []func(b *oidctest.Behaviour){
		func(b *oidctest.Behaviour) { b.TokenBody = []byte(`{"error":"canarybody"}`) },
		func(b *oidctest.Behaviour) { b.TokenError = "canaryerror" },
		func(b *oidctest.Behaviour) {
			b.IDToken = func(string) string { return "canarytoken.canarytoken.canarytoken" }
		},
		func(b *oidctest.Behaviour) {
			b.IDTokenClaims = func(claims map[string]any) { claims["iss"] = "https://canaryissuer.test" }
		},
		func(b *oidctest.Behaviour) { b.AuthorizeError = "canaryrefusal" },
		func(b *oidctest.Behaviour) {
			b.Faults[oidctest.Token] = oidctest.Fault{Status: 500, Body: "canaryfault"}
		},
	} {
		s.provider.Set(change)
		failedPage(s.signIn(s.browser(), "/page?canaryquery=1", "canarysubject"))
		s.provider.Reset()
	}
	for _, name := range []string{"canarystate", "canarycode", "canarycookie", "canarybody", "canarytoken", "canaryissuer", "canaryerror", "canaryrefusal", "canaryfault"} {
		c["what came from outside, "+name] = name
	}
	b.Hop(s.url + logoutPath)
	s.comeBack(b, callback)
	logged := plugin.Log.Since(before)

	t.Run("K6 K7 pages show only a reference", func(t *testing.T) {
		shown := canaries{}
		for name, value := range c {
			if name != "a query" { // the user's own way back
				shown[name] = value
			}
		}
		for _, p := range pages {
			body := string(p.Body)
			if p.URL.Path == "/forbidden" { // it shows the user their own name
				body = withoutName(body)
			}
			shown.absent(t, fmt.Sprintf("%s (%d)", p.URL.Path, p.Status), body)
			m := reference.FindSubmatch(p.Body)
			if m == nil {
				t.Errorf("%s (%d) has no reference: %s", p.URL.Path, p.Status, p.Body)
				continue
			}
			if p.Status != http.StatusUnauthorized && !strings.Contains(logged, string(m[1])) {
				t.Errorf("%s (%d): the log does not know the reference", p.URL.Path, p.Status)
			}
			for _, word := range []string{"goroutine", ".go:", "panic", "oidc:", "session:", "cache:"} {
				if strings.Contains(string(p.Body), word) {
					t.Errorf("%s (%d) discloses %q: %s", p.URL.Path, p.Status, word, p.Body)
				}
			}
			if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") && strings.Contains(string(p.Body), "<script") {
				t.Errorf("%s has a script", p.URL.Path)
			}
			if p.Header.Get("Content-Type") == "application/json" && !json.Valid(p.Body) {
				t.Errorf("%s: not JSON: %s", p.URL.Path, p.Body)
			}
			if p.Header.Get("Cache-Control") != "no-store" || p.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s (%d): %v", p.URL.Path, p.Status, p.Header)
			}
		}
	})

	t.Run("K8 the log holds no secret, at any level", func(t *testing.T) {
		// At the level debug a refusal has the values that the rules used.
		c.absent(t, "the log", regexp.MustCompile(`claims="(?:[^"\\]|\\.)*"`).ReplaceAllString(logged, ""))
		if !strings.Contains(logged, "signed in") || !strings.Contains(logged, "signed out") {
			t.Errorf("the log has not seen the sign-in: %s", logged)
		}
	})
}
