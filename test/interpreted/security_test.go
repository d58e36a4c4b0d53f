package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// secured has the value of securityHeaders, under its own name.
func secured(options map[string]any) map[string]any {
	return map[string]any{"securityHeaders": options, "excludedURLs": []any{"/public"}}
}

// responseHeaders are those that securityHeaders can set. A test fails if others come
// than it names.
var responseHeaders = []string{
	"Content-Security-Policy", "Strict-Transport-Security", "X-Frame-Options", "X-Content-Type-Options", "X-Xss-Protection",
	"Referrer-Policy", "Permissions-Policy", "Cross-Origin-Resource-Policy", "Cross-Origin-Opener-Policy",
	"Cross-Origin-Embedder-Policy", "X-Robots-Tag", "Access-Control-Allow-Origin", "Vary",
}

func TestSecurityHeaders(t *testing.T) {
	type set = map[string]string
	for _, row := range []struct {
		name    string
		options map[string]any
		want    set
	}{
		{"nothing is set, nothing is sent", nil, set{}},
		{"enabled off", map[string]any{"enabled": false, "frameOptions": "DENY", "corsEnabled": true, "corsAllowedOrigins": "https://a.test"}, set{}},
		{"contentSecurityPolicy", map[string]any{"contentSecurityPolicy": "default-src 'self'"}, set{"Content-Security-Policy": "default-src 'self'"}},
		{"strictTransportSecurity", map[string]any{"strictTransportSecurity": true}, set{"Strict-Transport-Security": "max-age=31536000"}},
		{"strictTransportSecurityMaxAge", map[string]any{"strictTransportSecurity": true, "strictTransportSecurityMaxAge": 60}, set{"Strict-Transport-Security": "max-age=60"}},
		{"strictTransportSecurityMaxAge 0", map[string]any{"strictTransportSecurity": true, "strictTransportSecurityMaxAge": 0}, set{"Strict-Transport-Security": "max-age=0"}},
		{"strictTransportSecuritySubdomains", map[string]any{"strictTransportSecurity": true, "strictTransportSecuritySubdomains": true},
			set{"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}},
		{"strictTransportSecurityPreload", map[string]any{"strictTransportSecurity": true, "strictTransportSecuritySubdomains": true, "strictTransportSecurityPreload": true},
			set{"Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload"}},
		{"frameOptions", map[string]any{"frameOptions": "SAMEORIGIN"}, set{"X-Frame-Options": "SAMEORIGIN"}},
		{"contentTypeOptions", map[string]any{"contentTypeOptions": "nosniff"}, set{"X-Content-Type-Options": "nosniff"}},
		{"xssProtection", map[string]any{"xssProtection": "0"}, set{"X-Xss-Protection": "0"}},
		{"referrerPolicy", map[string]any{"referrerPolicy": "same-origin"}, set{"Referrer-Policy": "same-origin"}},
		{"permissionsPolicy", map[string]any{"permissionsPolicy": "camera=()"}, set{"Permissions-Policy": "camera=()"}},
		{"crossOriginPolicies", map[string]any{"crossOriginResourcePolicy": "same-site", "crossOriginOpenerPolicy": "same-origin", "crossOriginEmbedderPolicy": "require-corp"},
			set{"Cross-Origin-Resource-Policy": "same-site", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}},
		{"customHeaders", map[string]any{"customHeaders": map[string]any{"x-robots-tag": "noindex"}}, set{"X-Robots-Tag": "noindex"}},
		{"profile default", map[string]any{"profile": "default"},
			set{"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}},
		{"profile and a field of it", map[string]any{"profile": "default", "frameOptions": "DENY"},
			set{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}},
		{"profile development", map[string]any{"profile": "development"}, set{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}},
		{"profile custom", map[string]any{"profile": "custom"}, set{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: secured(row.options)})
			b := s.signedIn("alice")
			for _, path := range []string{"/x", "/public/x"} { // from memory, and by the long way
				p := b.Fetch(s.url + path)
				s.sees(p)
				for _, name := range responseHeaders {
					if got := strings.Join(p.Header[name], "|"); got != row.want[name] {
						t.Errorf("%s: %s: %q, want %q", path, name, got, row.want[name])
					}
				}
			}
		})
	}
}

// An error for something that a plugin cannot do names the part of Traefik that can.
func TestSecurityHeadersThatAreRefused(t *testing.T) {
	s := newSite(t, setup{})
	for _, name := range []string{"disableServerHeader", "disablePoweredByHeader"} {
		options := optionsFor(s.provider)
		options["securityHeaders"] = map[string]any{name: true}
		if said, ok := s.plugin.Accepts(t.Name(), options); ok || !strings.Contains(said, "securityHeaders."+name) || !strings.Contains(said, "Traefik's own headers middleware") {
			t.Errorf("%s: accepted: %v: %s", name, ok, said)
		}
	}
}

// The backend's own header comes beside ours, as the document says, and streams
// keep the ResponseWriter that Traefik gave.
func TestSecurityHeadersBesideTheBackends(t *testing.T) {
	echo := &backend.Echo{Answer: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Add("Referrer-Policy", "origin")
		_, flushes := w.(http.Flusher)
		_, hijacks := w.(http.Hijacker)
		if !flushes || !hijacks {
			http.Error(w, "wrapped", http.StatusTeapot)
		}
		return !flushes || !hijacks
	}}
	s := newSite(t, setup{options: secured(map[string]any{"referrerPolicy": "no-referrer"}), echo: echo})
	p := s.signedIn("alice").Fetch(s.url + "/x")
	s.status(p, http.StatusOK)
	if got := strings.Join(p.Header["Referrer-Policy"], "|"); got != "no-referrer|origin" {
		t.Errorf("Referrer-Policy: %q", got)
	}
}

func TestOurAnswersAreStrict(t *testing.T) {
	loose := secured(map[string]any{
		"profile": "development", "frameOptions": "SAMEORIGIN", "contentSecurityPolicy": "default-src *", "referrerPolicy": "unsafe-url",
		"customHeaders": map[string]any{"Cache-Control": "public"}, "strictTransportSecurity": true,
	})
	for name, options := range map[string]map[string]any{"securityHeaders left out": nil, "securityHeaders loose": loose} {
		s := newSite(t, setup{options: options})
		b := s.browser()
		for _, answer := range []struct {
			name string
			page *browser.Page
		}{
			{"B25 a page", b.Hop(s.url + "/oidc/callback?state=forged&code=x")},
			{"B25 the question at logout", b.Do(browser.Request{URL: s.url + "/oidc/callback/logout", From: s.parse("https://evil.test/"), OneHop: true})},
			{"JSON", b.Fetch(s.url + "/x")},
		} {
			t.Run(answer.name+", "+name, func(t *testing.T) {
				h := answer.page.Header
				for header, want := range map[string]string{
					"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
					"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
				} {
					if got := strings.Join(h[header], "|"); got != want {
						t.Errorf("%s: %q, want %q", header, got, want)
					}
				}
				policy := strings.Join(h["Content-Security-Policy"], "|")
				if !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "*") {
					t.Errorf("Content-Security-Policy: %q", policy)
				}
				if got := h.Get("Strict-Transport-Security") != ""; got != (options != nil) {
					t.Errorf("Strict-Transport-Security: %v", got)
				}
			})
		}
	}
}

var crossOrigin = map[string]any{
	"corsEnabled": true, "corsAllowedOrigins": []any{"https://app.friend.test", "https://*.wild.test", "http://localhost:*"},
	"corsAllowedMethods": []any{"GET", "PUT"}, "corsAllowedHeaders": []any{"Content-Type"}, "corsAllowCredentials": true, "corsMaxAge": 600,
}

func TestPreflight(t *testing.T) {
	whole := newSite(t, setup{options: secured(crossOrigin)})
	session := cookie + "=" + whole.value(whole.signedIn("alice"))
	for _, row := range []struct {
		name, origin, method, headers string
		granted                       bool
	}{
		{"the origin", "https://app.friend.test", "PUT", "content-type", true},
		{"a wildcard", "https://a.wild.test", "PUT", "", true},
		{"any port", "http://localhost:3000", "GET", "", true},
		{"another origin", "https://evil.test", "PUT", "", false},
		{"a host that ends alike", "https://evilwild.test", "PUT", "", false},
		{"the origin null", "null", "PUT", "", false},
		{"another method", "https://app.friend.test", "DELETE", "", false},
		{"another header", "https://app.friend.test", "PUT", "x-forwarded-user", false},
	} {
		for where, path := range map[string]string{"protected": "/x", "open": "/public/x", "the callback": "/oidc/callback", "the logout": "/oidc/callback/logout"} {
			for who, carried := range map[string]string{"": "", ", with a session": session} {
				t.Run("H9 G2 "+row.name+", "+where+who, func(t *testing.T) {
					s := whole.in(t)
					lines := []string{"OPTIONS " + path + " HTTP/1.1", "Host: " + appHost, "Connection: close",
						"Origin: " + row.origin, "Access-Control-Request-Method: " + row.method}
					if row.headers != "" {
						lines = append(lines, "Access-Control-Request-Headers: "+row.headers)
					}
					if carried != "" {
						lines = append(lines, "Cookie: "+carried)
					}
					s.untouched(func() {
						s.preflight(s.raw(lines...), row.origin, row.granted)
					})
				})
			}
		}
	}
}

// preflight fails the test unless the response is that of the configuration crossOrigin.
func (s *site) preflight(res *http.Response, origin string, granted bool) {
	s.t.Helper()
	if res.StatusCode != http.StatusNoContent || len(res.Header["Set-Cookie"]) != 0 {
		s.t.Errorf("status %d, cookies %q", res.StatusCode, res.Header["Set-Cookie"])
	}
	if !strings.HasPrefix(res.Header.Get("Vary"), "Origin, ") {
		s.t.Errorf("Vary: %q", res.Header.Get("Vary"))
	}
	want := map[string]string{}
	if granted {
		want = map[string]string{
			"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Access-Control-Allow-Methods": "GET, PUT",
			"Access-Control-Allow-Headers": "Content-Type", "Access-Control-Max-Age": "600",
		}
	}
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age"} {
		if got := strings.Join(res.Header[name], "|"); got != want[name] {
			s.t.Errorf("%s: %q, want %q", name, got, want[name])
		}
	}
}

func TestPreflightWithoutCORS(t *testing.T) {
	whole := newSite(t, setup{options: secured(nil)})
	ask := []string{"Host: " + appHost, "Connection: close", "Origin: https://app.friend.test", "Access-Control-Request-Method: PUT"}
	t.Run("H9 is a request without a session", func(t *testing.T) {
		s := whole.in(t)
		s.untouched(func() {
			res := s.raw(append([]string{"OPTIONS /x HTTP/1.1"}, ask...)...)
			if res.StatusCode != http.StatusUnauthorized || res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("status %d, %v", res.StatusCode, res.Header)
			}
		})
	})
	t.Run("H9 a bare OPTIONS is no preflight", func(t *testing.T) {
		s := newSite(t, setup{options: secured(crossOrigin)})
		s.untouched(func() {
			for _, line := range []string{"Origin: https://app.friend.test", "Access-Control-Request-Method: PUT", "X-A: b"} {
				res := s.raw("OPTIONS /x HTTP/1.1", "Host: "+appHost, "Connection: close", line)
				if res.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s: status %d", line, res.StatusCode)
				}
			}
		})
	})
}

func TestCrossOriginResponses(t *testing.T) {
	whole := newSite(t, setup{options: secured(crossOrigin)})
	b := whole.signedIn("alice")
	for _, row := range []struct {
		name, path, origin string
		session            bool
		status             int
		allowed            bool
	}{
		{"a script of the origin", "/x", "https://app.friend.test", true, http.StatusOK, true},
		{"a script of another origin", "/x", "https://evil.test", true, http.StatusOK, false},
		{"no other origin", "/x", "", true, http.StatusOK, false},
		{"an open path", "/public/x", "https://app.friend.test", false, http.StatusOK, true},
		{"nobody signed in", "/x", "https://app.friend.test", false, http.StatusUnauthorized, true},
		{"nobody signed in, another origin", "/x", "https://evil.test", false, http.StatusUnauthorized, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			r := browser.Request{URL: s.url + row.path, From: s.home(), Fetch: true, OneHop: true, NoCookie: !row.session, Header: http.Header{}}
			if row.origin != "" {
				r.Header.Set("Origin", row.origin)
			}
			p := b.Do(r)
			s.status(p, row.status)
			want, credentials := "", ""
			if row.allowed {
				want, credentials = row.origin, "true"
			}
			if got := strings.Join(p.Header["Access-Control-Allow-Origin"], "|"); got != want {
				t.Errorf("Access-Control-Allow-Origin: %q, want %q", got, want)
			}
			if got := strings.Join(p.Header["Access-Control-Allow-Credentials"], "|"); got != credentials {
				t.Errorf("Access-Control-Allow-Credentials: %q, want %q", got, credentials)
			}
			if !strings.Contains(strings.Join(p.Header["Vary"], ","), "Origin") {
				t.Errorf("Vary: %q", p.Header["Vary"])
			}
		})
	}
}

// One middleware name has several configurations, as during the roll-out of a new one.
// They share the provider, the store and the sessions, and not their options.
func TestConfigurationsBesideEachOther(t *testing.T) {
	t.Run("K19 each has its own options", func(t *testing.T) {
		s := &site{t: t, plugin: loader.Load(t), echo: &backend.Echo{}, provider: oidctest.New(oidctest.Options{})}
		t.Cleanup(s.provider.Close)
		values := []string{"DENY", "", "SAMEORIGIN"}
		mux := http.NewServeMux()
		for i, value := range values {
			options := optionsFor(s.provider)
			options["securityHeaders"] = map[string]any{"frameOptions": value}
			h := s.plugin.New(t, s.echo, t.Name(), options)
			mux.Handle(fmt.Sprintf("/%d", i), h)
			if i == 0 {
				mux.Handle("/oidc/callback", h)
			}
		}
		s.serve(mux, false)
		b := s.browser()
		s.sees(s.signIn(b, "/0", "alice"))
		for range 2 {
			for i, want := range values {
				p := b.Fetch(fmt.Sprintf("%s/%d", s.url, i))
				s.sees(p)
				if got := p.Header.Get("X-Frame-Options"); got != want {
					t.Errorf("configuration %d: X-Frame-Options %q, want %q", i, got, want)
				}
			}
		}
	})
}

// Many origins at once each get their own response.
func TestManyOriginsAtOnce(t *testing.T) {
	s := newSite(t, setup{options: secured(crossOrigin)})
	b := s.signedIn("alice")
	var wait sync.WaitGroup
	for _, sub := range strings.Split("abcdefghijklmnop", "") {
		wait.Add(1)
		go func() {
			defer wait.Done()
			origin := "https://" + sub + ".wild.test"
			for range 40 {
				for _, r := range []browser.Request{
					{URL: s.url + "/x", Header: http.Header{"Origin": {origin}}},
					{URL: s.url + "/x", Header: http.Header{"Origin": {origin}}, NoCookie: true},
					{URL: s.url + "/x", Method: http.MethodOptions, Header: http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"PUT"}}},
				} {
					r.From, r.Fetch, r.OneHop = s.home(), true, true
					p := b.Do(r)
					if got := p.Header["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != origin {
						t.Errorf("%s %s: Access-Control-Allow-Origin: %q", origin, r.Method, got)
					}
				}
			}
		}()
	}
	wait.Wait()
}
