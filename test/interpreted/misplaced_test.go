package interpreted

import (
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// follows opens the address in a browser of a user with a session at the provider. It
// returns the last page, and gives up when browsers do.
func (s *site) follows(b *browser.Browser, address string) *browser.Page {
	s.t.Helper()
	for range 20 {
		p := b.Hop(address)
		if p.Status != http.StatusFound {
			return p
		}
		address = p.Location().String()
		if strings.HasPrefix(address, s.provider.Endpoint(oidctest.Authorize)) {
			address = s.atProvider(p, "alice")
		}
	}
	s.t.Fatalf("20 redirects, the last to %s", address)
	return nil
}

// endsWith fails the test unless the page has the status and the log, from that length
// on, one line with the code and all of the texts.
func (s *site) endsWith(p *browser.Page, before, status int, code string, texts ...string) {
	s.t.Helper()
	s.status(p, status)
	found := 0
	for _, line := range strings.Split(s.plugin.Log.Since(before), "\n") {
		if strings.Contains(line, code) {
			found++
			for _, text := range texts {
				if !strings.Contains(line, text) {
					s.t.Errorf("the line lacks %q: %s", text, line)
				}
			}
		}
	}
	if found != 1 {
		s.t.Errorf("%d lines with %s: %s", found, code, s.plugin.Log.Since(before))
	}
}

// warnings returns the number of lines of the log, from that length on, with all of the
// texts.
func (s *site) warnings(before int, texts ...string) int {
	n := 0
	for _, line := range strings.Split(s.plugin.Log.Since(before), "\n") {
		has := strings.Contains(line, "level=WARN")
		for _, text := range texts {
			has = has && strings.Contains(line, text)
		}
		if has {
			n++
		}
	}
	return n
}

func TestSignInsThatCannotEnd(t *testing.T) {
	t.Run("L24 a callback that StripPrefix moved", func(t *testing.T) {
		s := newLinked(t, link{strip: "/oidc"}, link{name: "m"})
		before := s.plugin.Log.Len()
		s.endsWith(s.follows(s.browser(), s.url+"/x"), before, http.StatusBadRequest, "misplaced_callback", `\"/callback\"`, `\"/oidc/callback\"`, "StripPrefix")
	})

	t.Run("L24 a callback that AddPrefix moved", func(t *testing.T) {
		s := newLinked(t, link{add: "/site"}, link{name: "m"})
		before := s.plugin.Log.Len()
		s.endsWith(s.follows(s.browser(), s.url+"/x"), before, http.StatusBadRequest, "misplaced_callback", `\"/site/oidc/callback\"`, `\"/oidc/callback\"`)
	})

	t.Run("L24 two clients of one cookie in a chain", func(t *testing.T) {
		s := newLinked(t, link{name: "A"}, link{name: "B", options: map[string]any{"clientID": "other", "callbackURL": "/other/callback"}})
		before := s.plugin.Log.Len()
		b := s.browser()
		s.endsWith(s.follows(b, s.url+"/x"), before, http.StatusBadGateway, "sign_in_repeats", "cookiePrefix")
		if n := s.warnings(before, "a session cookie is ignored", "sessionGroup", "cookiePrefix", "sessionEncryptionKey", "_chain-A\" host", "-B cookie="); n != 1 {
			t.Errorf("%d warnings of A: %s", n, s.plugin.Log.Since(before))
		}
	})

	t.Run("L24 a sign-out ends the count", func(t *testing.T) {
		s := newSite(t, setup{})
		b := s.browser()
		for range 6 {
			s.sees(s.follows(b, s.url+"/x"))
			s.status(b.Hop(s.url+"/oidc/callback/logout"), http.StatusFound)
		}
	})

	t.Run("L25 a callback that another middleware serves", func(t *testing.T) {
		s := newTwo(t, nil, map[string]any{"callbackURL": "/a/callback", "clientID": "other"})
		before := s.plugin.Log.Len()
		s.endsWith(s.follows(s.browser(), s.url+"/b/x"), before, http.StatusBadRequest, "callback_foreign_state", t.Name()+`-a\"`, t.Name()+`-b\"`, `\"/a/callback\"`, "sessionGroup")
	})

	t.Run("L25 a state that nobody made", func(t *testing.T) {
		s := newTwo(t, nil, map[string]any{"callbackURL": "/a/callback"})
		before := s.plugin.Log.Len()
		s.endsWith(s.browser().Hop(s.url+"/a/callback?code=x&state=x"), before, http.StatusBadRequest, "callback_foreign_state", "no middleware of this Traefik", "sessionEncryptionKey", t.Name()+`-b\"`)
	})

	t.Run("L26 replicas with different keys", func(t *testing.T) {
		s := newSite(t, setup{})
		b := s.signedIn("alice")
		other := newSite(t, setup{options: map[string]any{"sessionEncryptionKey": oidctest.NewSecret()}})
		before := s.plugin.Log.Len()
		for range 3 {
			other.status(other.withCookies(s.cookieNamed(b, cookie)), http.StatusUnauthorized)
		}
		if n := s.warnings(before, "a session cookie is ignored", "sessionGroup", "cookiePrefix", "sessionEncryptionKey"); n != 1 {
			t.Errorf("%d warnings: %s", n, s.plugin.Log.Since(before))
		}
		before = s.plugin.Log.Len()
		s.status(s.withCookies(cookie+"=x"), http.StatusUnauthorized)
		if n := s.warnings(before, "a session cookie is ignored"); n != 0 {
			t.Error("there is a warning of a cookie of no session")
		}
	})

	t.Run("L27 a cookieDomain without the host", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"cookieDomain": "example.org"}})
		before := s.plugin.Log.Len()
		s.endsWith(s.browser().Hop(s.url+"/x"), before, http.StatusMisdirectedRequest, "wrong_cookie_domain", "cookieDomain", `\"example.org\"`, appHost)
		s.status(s.browser().Fetch(s.url+"/x"), http.StatusUnauthorized)
	})

	t.Run("L27 a callback host that shares no cookies with the site", func(t *testing.T) {
		for _, more := range []map[string]any{{}, {"cookieDomain": "login.example.test"}} {
			more["callbackURL"] = "https://login.example.test/oidc/callback"
			s := newSite(t, setup{options: more})
			before := s.plugin.Log.Len()
			p := s.browser().Hop(s.url + "/x")
			s.status(p, http.StatusMisdirectedRequest)
			if n := s.warnings(before, "request refused", "cookieDomain"); n != 1 {
				t.Errorf("the log: %s", s.plugin.Log.Since(before))
			}
		}
	})

	t.Run("L27 a cookieDomain that browsers refuse", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"cookieDomain": "example.test"}})
		b := s.browser()
		before := s.plugin.Log.Len()
		p := b.Hop(s.url + "/x")
		for range 3 {
			p = b.Do(browser.Request{URL: s.provided(b, p, "alice").String(), NoCookie: true, OneHop: true})
			if p.Status != http.StatusFound {
				break
			}
		}
		s.endsWith(p, before, http.StatusBadRequest, "cookie_domain_refused", "cookieDomain", `\"example.test\"`, "public suffix")
		if strings.Contains(string(p.Body), "Your browser sends no cookies") {
			t.Error("the browser is blamed")
		}
	})

	t.Run("L28 requests by http while forceHTTPS is on", func(t *testing.T) {
		s := newSite(t, setup{})
		before := s.plugin.Log.Len()
		for range 3 {
			s.raw("GET /x HTTP/1.1", "Host: "+appHost, "Accept: text/html", "Connection: close")
		}
		if n := s.warnings(before, "forceHTTPS"); n != 0 {
			t.Errorf("requests by https: %s", s.plugin.Log.Since(before))
		}
		h := s.plugin.New(t, s.echo, t.Name()+"-http", optionsFor(s.provider))
		for range 3 {
			if _, status := work(t, h, request("GET /x", "Accept: text/html", "X-Forwarded-Proto: http")); status != http.StatusFound {
				t.Errorf("status %d", status)
			}
		}
		if n := s.warnings(before, "by http", "forceHTTPS", "X-Forwarded-Proto", "https://"+appHost+"/oidc/callback"); n != 1 {
			t.Errorf("%d warnings: %s", n, s.plugin.Log.Since(before))
		}
	})

	t.Run("L29 spellings of the host", func(t *testing.T) {
		s := newSite(t, setup{})
		for _, host := range []string{appHost + ":443", strings.ToUpper(appHost), appHost + ".", appHost + ".:443", appHost + ":"} {
			p := s.raw("GET /x HTTP/1.1", "Host: "+host, "Accept: text/html", "Connection: close")
			if got := s.parse(p.Header.Get("Location")).Query().Get("redirect_uri"); got != "https://"+appHost+"/oidc/callback" {
				t.Errorf("%s: the redirect URI is %q", host, got)
			}
		}
	})

	t.Run("L29 A11 a prefix that was taken off the path", func(t *testing.T) {
		s := newLinked(t, link{strip: "/app"}, link{name: "m", options: map[string]any{"excludedURLs": []any{"/public"}}})
		b := s.browser()
		p := b.Hop(s.url + "/app/deep?a=1")
		if got := p.Location().Query().Get("redirect_uri"); got != s.url+"/app/oidc/callback" {
			t.Errorf("the redirect URI is %q", got)
		}
		end := s.comeBack(b, s.provided(b, p, "alice"))
		if got := end.Header.Get("Location"); got != "/app/deep?a=1" {
			t.Errorf("the sign-in leads to %q", got)
		}
		if seen := s.sees(b.Open(s.url + "/app/deep")); seen.Path != "/deep" {
			t.Errorf("the backend saw %s", seen.Path)
		}
		s.untouched(func() {
			for _, prefix := range []string{"/public", "/public/", "//public"} {
				p := s.raw("GET /admin HTTP/1.1", "Host: "+appHost, "X-Forwarded-Prefix: "+prefix, "Connection: close")
				if p.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s: status %d", prefix, p.StatusCode)
				}
			}
		})
	})

	t.Run("L29 A11 a prefix that is no plain path", func(t *testing.T) {
		s := newSite(t, setup{})
		for _, prefix := range []string{"//evil.test", "https://evil.test", "/../x", "/a/./b", "/%2e%2e", `/\evil.test`, "/a?b", "/a#b", "/a, /b", "a", "/" + strings.Repeat("a", 300)} {
			p := s.raw("GET /x HTTP/1.1", "Host: "+appHost, "Accept: text/html", "X-Forwarded-Prefix: "+prefix, "Connection: close")
			u := s.parse(s.parse(p.Header.Get("Location")).Query().Get("redirect_uri"))
			if u.Host != appHost || strings.Contains(u.Path, "..") || u.Path != "/oidc/callback" && prefix != "//evil.test" {
				t.Errorf("%q: the redirect URI is %s", prefix, u)
			}
		}
	})
}
