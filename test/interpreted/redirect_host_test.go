package interpreted

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// With one callback for the hosts of a domain, a sign-in may lead to another host. That
// is the host of its first request, if it is in the domain of the cookies. A host that
// the client sends leads nowhere else.
func TestRedirectHosts(t *testing.T) {
	const login, page = "login.example.test", "/page?x=1"
	whole := newSite(t, setup{options: map[string]any{"callbackURL": "https://" + login + "/oidc/callback", "cookieDomain": "example.test"}})

	// leads returns the end of a sign-in that began so, or "" if it is refused.
	leads := func(s *site, target, host string, lines ...string) string {
		start := s.raw(append([]string{"GET " + target + " HTTP/1.1", "Host: " + host, "Accept: text/html", "Sec-Fetch-Mode: navigate", "Connection: close"}, lines...)...)
		if start.StatusCode == http.StatusBadRequest || start.StatusCode == http.StatusMisdirectedRequest && len(start.Cookies()) == 0 {
			return "" // the server or the middleware refuses the host
		}
		callback, err := s.provider.Visit(start.Header.Get("Location"), "alice")
		if err != nil {
			s.t.Fatalf("%q: status %d to %q: %v", host, start.StatusCode, start.Header.Get("Location"), err)
		}
		if callback.Host != login {
			s.t.Errorf("%q: the callback is at %s", host, callback)
		}
		var cookies []string
		for _, c := range start.Cookies() {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
		end := s.raw("GET "+callback.RequestURI()+" HTTP/1.1", "Host: "+login, "Accept: text/html", "Cookie: "+strings.Join(cookies, "; "), "Connection: close")
		if end.StatusCode != http.StatusFound {
			s.t.Fatalf("%q: the callback's status is %d", host, end.StatusCode)
		}
		return end.Header.Get("Location")
	}

	t.Run("the host of the request", func(t *testing.T) {
		s := whole.in(t)
		for host, want := range map[string]string{
			appHost: "https://" + appHost + "/page?x=1", "a.b.example.test:8443": "https://a.b.example.test:8443/page?x=1", "example.test": "https://example.test/page?x=1", login: "/page?x=1",
		} {
			if to := leads(s, page, host); to != want {
				t.Errorf("%q leads to %q, want %q", host, to, want)
			}
		}
	})

	for _, row := range []struct {
		name  string
		hosts []string
	}{
		{"A5 userinfo", []string{"evil.test@app.example.test", "app.example.test@evil.test", "evil.test:x@app.example.test", "evil.test%40.example.test", "evil.test%2f@.example.test"}},
		{"A6 another domain", []string{"evil.test", "evilexample.test", "example.test.evil.test", "app.example.test.evil.test", ".example.test", "app.example.test.", "evil.test%2f.example.test", "evil.test;.example.test", "evil.test,app.example.test"}},
		{"A7 another port", []string{"app.example.test:8443.evil.test", "app.example.test:x", "app.example.test:", "app.example.test:443:443", "app.example.test:999999"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			for _, host := range row.hosts {
				to := leads(s, page, host)
				if to != "" && to != "/page?x=1" && to != "https://"+appHost+"/page?x=1" {
					t.Errorf("%q leads to %q", host, to)
				}
			}
		})
	}

	t.Run("A7 another scheme", func(t *testing.T) {
		s := whole.in(t)
		for _, proto := range []string{"http", "javascript", "data", "ftp", "ws"} {
			to := leads(s, page, appHost, "X-Forwarded-Proto: "+proto)
			if u, err := url.Parse(to); err != nil || u.Scheme != "https" || u.Host != appHost {
				t.Errorf("%s leads to %q", proto, to)
			}
		}
		for _, target := range []string{"javascript:alert(1)", "data:text/html,x", "https:evil.test", "evil.test:443/x"} {
			if to := leads(s, target, appHost); to != "" && to != "https://"+appHost+"/" {
				t.Errorf("%s leads to %q", target, to)
			}
		}
	})
}
