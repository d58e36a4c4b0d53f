package interpreted

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// staysHome reports whether a browser that gets location at base stays at this origin.
// It reads the address as lenient browsers do (WHATWG URL). They remove control characters
// and spaces at the ends, and TAB, CR and LF anywhere. A backslash is a slash, and any
// number of slashes starts a host.
func staysHome(base *url.URL, location string) bool {
	l := strings.Trim(location, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
	l = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(l)
	if strings.HasPrefix(l, "//") {
		return false
	}
	u, err := base.Parse(l)
	if err != nil {
		return false
	}
	return u.Scheme == base.Scheme && u.Host == base.Host && u.User == nil
}

// rawSignIn starts a sign-in with the request target as it is, and ends it. It returns
// the target of the callback, or "" if the start was refused.
func (s *site) rawSignIn(target string, lines ...string) string {
	s.t.Helper()
	host := appHost
	if u, err := url.Parse(target); err == nil && u.IsAbs() {
		host = u.Host // by which a server takes the request (RFC 9112, section 3.2.2)
	}
	start := s.raw(append([]string{"GET " + target + " HTTP/1.1", "Host: " + appHost, "Accept: text/html", "Sec-Fetch-Mode: navigate", "Connection: close"}, lines...)...)
	if start.StatusCode >= 400 && start.StatusCode < 500 {
		return ""
	}
	to := start.Header.Get("Location")
	if start.StatusCode != http.StatusFound || !strings.HasPrefix(to, s.provider.URL()) {
		s.t.Errorf("start at %q: status %d to %q", target, start.StatusCode, to)
		return ""
	}
	s.redirectURI(to, "https://"+host+"/oidc/callback")
	callback, err := s.provider.Visit(to, "alice")
	if err != nil {
		s.t.Errorf("start at %q: %v", target, err)
		return ""
	}
	cookies := make([]string, 0, 1)
	for _, c := range start.Cookies() {
		if c.MaxAge >= 0 {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
	}
	end := s.raw("GET "+callback.RequestURI()+" HTTP/1.1", "Host: "+host, "Accept: text/html", "Cookie: "+strings.Join(cookies, "; "), "Connection: close")
	if end.StatusCode != http.StatusFound {
		s.t.Errorf("start at %q: the callback's status is %d", target, end.StatusCode)
		return ""
	}
	return end.Header.Get("Location")
}

// redirectURI fails the test if an authorization request names another one.
func (s *site) redirectURI(authURL, want string) {
	s.t.Helper()
	if got := s.parse(authURL).Query().Get("redirect_uri"); got != want {
		s.t.Errorf("redirect_uri %q, want %q", got, want)
	}
}

func TestRedirectTargets(t *testing.T) {
	whole := newSite(t, setup{})
	home := whole.home()

	// Each row's starts end at this site.
	for _, row := range []struct {
		name   string
		starts []string
	}{
		{"A1 leading slashes", []string{"//evil.test/x", "///evil.test", "////evil.test/%2e%2e"}},
		{"A2 backslashes", []string{`/\evil.test`, `/\/evil.test`, `//\evil.test`, "/%5Cevil.test", "/%5c%5cevil.test", "/%2Fevil.test", "/%2F%2Fevil.test"}},
		{"A3 control characters and spaces", []string{"/%09/evil.test", "/%0a/evil.test", "/%0d%0a/evil.test", "/%0b/evil.test", "/%20/evil.test", "/%00/evil.test", "/%09%5Cevil.test", "\t//evil.test", "/\t/evil.test"}},
		{"A4 dot segments", []string{`/./\evil.test`, `/.././\evil.test`, "/.//evil.test", "/..//evil.test", "/%2e//evil.test", "/a/..//evil.test", "/a/../%5cevil.test"}},
		{"A5 userinfo", []string{"/https://good@evil.test", "//good@evil.test", `//good\@evil.test`, "/@evil.test"}},
		{"A15 over-long", []string{"/" + strings.Repeat("a", 8<<10), "/" + strings.Repeat("/evil.test", 1000)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			for _, target := range row.starts {
				s.startsAtHome(home, target)
			}
		})
	}

	t.Run("A3 many strings", func(t *testing.T) {
		s := whole.in(t)
		between := []string{"", "%09", "%0d%0a", "%0b", "%0c", "%20", "%00", "%c2%a0", ".", "..", "%2e%2e"}
		slashes := []string{"/", `\`, "%2f", "%5c"}
		if testing.Short() {
			slashes = slashes[:3:3]
			between = between[:6]
		}
		for _, first := range slashes {
			for _, mid := range between {
				for _, last := range slashes[:3] {
					s.startsAtHome(home, "/"+first+mid+last+"evil.test")
				}
			}
		}
	})

	t.Run("A5 A6 A7 parameters that name a target", func(t *testing.T) {
		s := whole.in(t)
		for _, name := range []string{"redirect_uri", "rd", "return_to", "next", "post_logout_redirect_uri"} {
			for _, target := range []string{
				"https://good@evil.test", `https://good\@evil.test`, "https://" + appHost + ".evil.test/", "https://evil" + appHost + "/",
				"https://" + appHost + ":8443/", "http://" + appHost + "/", "javascript:alert(1)", "data:text/html,x",
			} {
				to := s.rawSignIn("/page?" + name + "=" + url.QueryEscape(target))
				if to == "" || !staysHome(home, to) {
					t.Errorf("%s=%s leads to %q", name, target, to)
				}
			}
		}
		out := s.browser().Hop(s.url + "/oidc/callback/logout?post_logout_redirect_uri=https%3A%2F%2Fevil.test%2F")
		if strings.Contains(out.Header.Get("Location"), "evil.test") {
			t.Errorf("logout leads to %q", out.Header.Get("Location"))
		}
	})

	t.Run("A8 absolute form, asterisk, authority", func(t *testing.T) {
		s := whole.in(t)
		for target, want := range map[string]string{
			"https://" + appHost + "/deep?x=1": "/deep?x=1", "http://evil.test/deep?x=1": "/deep?x=1",
		} {
			if to := s.rawSignIn(target); to != want {
				t.Errorf("%s leads to %q", target, to)
			}
		}
		s.startsAtHome(home, "https://"+appHost+"//evil.test/x")
		for _, line := range []string{"GET * HTTP/1.1", "CONNECT evil.test:443 HTTP/1.1", "GET evil.test HTTP/1.1"} {
			s.untouched(func() {
				res := s.raw(line, "Host: "+appHost, "Connection: close")
				if res.StatusCode < 300 || res.StatusCode >= 500 || strings.Contains(res.Header.Get("Location"), "//evil.test") {
					t.Errorf("%s: status %d to %q", line, res.StatusCode, res.Header.Get("Location"))
				}
			})
		}
	})

	t.Run("A9 X-Forwarded-Host does not name this site", func(t *testing.T) {
		s := whole.in(t)
		for _, lines := range [][]string{
			{"X-Forwarded-Host: evil.test"}, {"X-Forwarded-Server: evil.test"}, {"Forwarded: host=evil.test;proto=http"}, {"X-Original-Host: evil.test"},
		} {
			if to := s.rawSignIn("/page", lines...); to == "" || !staysHome(home, to) {
				t.Errorf("%v leads to %q", lines, to)
			}
		}
	})

	t.Run("A10 X-Forwarded-Proto", func(t *testing.T) {
		s := whole.in(t)
		for _, proto := range []string{"http", "javascript", "ws", "wss", "HTTPS", "https,http", ""} {
			b := s.browser()
			b.Header.Set("X-Forwarded-Proto", proto)
			p := b.Hop(s.url + "/page")
			if !s.toProvider(p) {
				t.Fatalf("%q: status %d", proto, p.Status)
			}
			s.redirectURI(p.Location().String(), s.url+"/oidc/callback")
			for _, c := range p.Header.Values("Set-Cookie") {
				if !strings.Contains(c, "; Secure") {
					t.Errorf("%q: cookie without Secure: %s", proto, c)
				}
			}
		}
	})

	t.Run("A11 headers that name another path", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}}})
		s.status(s.browser().Fetch(s.url+"/public"), http.StatusOK)
		for _, name := range []string{"X-Forwarded-Uri", "X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Forwarded-Prefix", "Forwarded", "X-Forwarded-Path", "X-Forwarded-Method"} {
			s.untouched(func() {
				b := s.browser()
				b.Header.Set(name, "/public")
				s.status(b.Fetch(s.url+"/admin"), http.StatusUnauthorized)
			})
		}
	})

	t.Run("A12 X-Forwarded-Host as a list", func(t *testing.T) {
		s := whole.in(t)
		for _, lines := range [][]string{
			{"X-Forwarded-Host: " + appHost + ", evil.test"}, {"X-Forwarded-Host: evil.test, " + appHost}, {"X-Forwarded-Host: " + appHost, "X-Forwarded-Host: evil.test"},
		} {
			if to := s.rawSignIn("/page", lines...); to == "" || !staysHome(home, to) {
				t.Errorf("%v leads to %q", lines, to)
			}
		}
	})

	t.Run("A13 only a GET is redirected", func(t *testing.T) {
		s := whole.in(t)
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
			s.untouched(func() {
				p := s.browser().Do(browser.Request{Method: method, URL: s.url + "/form", Body: "a=b", OneHop: true})
				s.status(p, http.StatusUnauthorized)
			})
		}
		if p := s.browser().Hop(s.url + "/form"); p.Status != http.StatusFound {
			t.Errorf("a GET is redirected by %d", p.Status)
		}
	})

	t.Run("A14 the callback leaves nothing behind", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		p := s.comeBack(b, s.callbackFor(b, "/page", "alice"))
		s.status(p, http.StatusFound)
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Location": "/page"} {
			if got := p.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})

	t.Run("A16 a target is escaped in pages", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		callback := s.callbackFor(b, `/a?x='"><script>alert(1)</script>`, "alice")
		q := callback.Query()
		q.Del("code")
		q.Set("error", `access_denied'"><script>alert(1)</script>`)
		q.Set("error_description", `'"><script>alert(1)</script>`)
		callback.RawQuery = q.Encode()
		p := s.comeBack(b, callback)
		if p.Status < 400 || p.Status > 499 {
			t.Errorf("status %d", p.Status)
		}
		if strings.Contains(string(p.Body), "<script") {
			t.Errorf("a script in the page: %s", p.Body)
		}
	})

	t.Run("A17 our own paths are no target", func(t *testing.T) {
		s := whole.in(t)
		for _, target := range []string{"//oidc/callback/logout", "/oidc/callback/../callback/logout", "/oidc/./callback/logout", "/x/../oidc/callback"} {
			to := s.rawSignIn(target)
			if p := home.ResolveReference(s.parse(to)).Path; p == "/oidc/callback/logout" || p == "/oidc/callback" {
				t.Errorf("the sign-in that started at %q leads to %q", target, to)
			}
		}
	})
}

// startsAtHome fails the test if a sign-in that starts at target ends elsewhere.
func (s *site) startsAtHome(home *url.URL, target string) {
	s.t.Helper()
	if to := s.rawSignIn(target); to != "" && !staysHome(home, to) {
		s.t.Errorf("the sign-in that started at %q leads to %q", target, to)
	}
}
