package interpreted

import (
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

func TestSameSite(t *testing.T) {
	for option, want := range map[string][2]string{ // the session cookie, and those of sign-ins
		"lax": {"; SameSite=Lax", "; SameSite=Lax"}, "strict": {"; SameSite=Strict", "; SameSite=Lax"},
		"none": {"; SameSite=None", "; SameSite=Lax"}, "partitioned": {"; SameSite=None; Partitioned", "; SameSite=None; Partitioned"},
	} {
		t.Run("F19 "+option, func(t *testing.T) {
			s := newSite(t, setup{options: map[string]any{"cookieSameSite": option}})
			b := s.browser()
			start := b.Hop(s.url + "/x")
			end := s.comeBack(b, s.provided(b, start, "alice"))
			out := b.Do(browser.Request{URL: s.url + logoutPath, From: s.home(), OneHop: true})
			for _, p := range []*browser.Page{start, end, out} {
				lines := p.Header.Values("Set-Cookie")
				if len(lines) == 0 {
					t.Errorf("%s sets no cookie", p.URL.Path)
				}
				for _, line := range lines {
					suffix := want[1]
					if strings.HasPrefix(line, cookie+"=") {
						suffix = want[0]
					}
					if !strings.HasSuffix(line, suffix) {
						t.Errorf("%q does not end in %q", line, suffix)
					}
				}
			}
			if option == "strict" {
				s.status(end, http.StatusOK)
				if to := end.Header.Get("Refresh"); to != "0; url=/x" {
					t.Errorf("Refresh: %q", to)
				}
			} else if to := end.Header.Get("Location"); to != "/x" {
				t.Errorf("leads to %q", to)
			}
		})
	}

	t.Run("L36 a frame of another site", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"cookieSameSite": "none"}})
		p := s.browser().Do(browser.Request{URL: s.url + "/x", From: s.parse("https://other.test/"), Frame: true, OneHop: true})
		s.status(p, http.StatusUnauthorized)
		if policy := p.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors *") || !strings.Contains(string(p.Body), `target="_blank"`) {
			t.Errorf("%s: %s", policy, p.Body)
		}
	})

	t.Run("L35 I1 a sign-out that does not say which site asked for it", func(t *testing.T) {
		for option, status := range map[string]int{"lax": http.StatusFound, "none": http.StatusOK, "partitioned": http.StatusOK} {
			s := newSite(t, setup{options: map[string]any{"cookieSameSite": option}})
			p := s.raw("GET "+logoutPath+" HTTP/1.1", "Host: "+appHost, "Accept: text/html", "Connection: close")
			if p.StatusCode != status {
				t.Errorf("%s: status %d, want %d", option, p.StatusCode, status)
			}
		}
	})
}
