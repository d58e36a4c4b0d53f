package interpreted

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

const logoutPath = "/oidc/callback/logout"

func TestLogout(t *testing.T) {
	whole := newSite(t, setup{})

	t.Run("RP-initiated logout, there and back", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		p := b.Hop(s.url + logoutPath)
		to := p.Location()
		if p.Status != http.StatusFound || to == nil || !strings.HasPrefix(to.String(), s.provider.Endpoint(oidctest.EndSession)+"?") {
			t.Fatalf("status %d to %v, want the provider's end_session endpoint", p.Status, to)
		}
		q := to.Query()
		if strings.Count(q.Get("id_token_hint"), ".") != 2 || q.Get("client_id") != "client" || q.Get("post_logout_redirect_uri") != s.url+"/" {
			t.Errorf("parameters %v", q)
		}
		s.noSession(b)
		end := b.Do(browser.Request{URL: to.String(), From: s.home()})
		if end.Hops[1].URL.Path != "/" || end.Hops[1].URL.Host != appHost {
			t.Errorf("the provider sent the browser to %s", end.Hops[1].URL)
		}
		if last := b.Hop(s.url + "/"); !s.toProvider(last) {
			t.Errorf("afterwards: status %d", last.Status)
		}
	})

	t.Run("I1 another site cannot sign anyone out", func(t *testing.T) {
		s := whole.in(t)
		evil := s.parse("https://evil.test/")
		for _, row := range []struct {
			name    string
			request browser.Request
			out     bool
		}{
			{"a link on another site", browser.Request{From: evil}, false},
			{"an image on another site", browser.Request{From: evil, Fetch: true}, false},
			{"a form on another site", browser.Request{From: evil, Method: "POST", Body: "x=1"}, false},
			{"another host of the same domain", browser.Request{From: s.parse("https://other.example.test/")}, false},
			{"an older browser, by Referer", browser.Request{Header: http.Header{"Sec-Fetch-Site": nil, "Referer": {"https://evil.test/x"}}}, false},
			{"an older browser, by Origin", browser.Request{Method: "POST", Body: "x=1", Header: http.Header{"Sec-Fetch-Site": nil, "Origin": {"https://evil.test"}}}, false},
			{"an older browser, Origin null", browser.Request{Method: "POST", Body: "x=1", Header: http.Header{"Sec-Fetch-Site": nil, "Origin": {"null"}}}, false},
			{"a link on our own site", browser.Request{From: s.home()}, true},
			{"a form on our own site", browser.Request{From: s.home(), Method: "POST", Body: "x=1"}, true},
			{"the address bar", browser.Request{}, true},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.in(t)
				b := s.signedIn("alice")
				r := row.request
				r.URL, r.OneHop = s.url+logoutPath, true
				p := b.Do(r)
				if row.out {
					s.status(p, http.StatusFound)
					s.noSession(b)
					return
				}
				if p.Status >= 300 && p.Status < 400 || p.Status >= 500 {
					t.Errorf("status %d to %q", p.Status, p.Header.Get("Location"))
				}
				s.status(b.Fetch(s.url+"/still"), http.StatusOK)
			})
		}
	})

	t.Run("I1 the confirmation works", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		page := b.Do(browser.Request{URL: s.url + logoutPath, From: s.parse("https://evil.test/"), OneHop: true})
		s.status(page, http.StatusOK)
		forms := page.Forms()
		if len(forms) != 1 || forms[0].Method != http.MethodPost {
			t.Fatalf("forms %v in %s", forms, page.Body)
		}
		b.Submit(page, forms[0])
		s.noSession(b)
	})

	t.Run("I2 nobody chooses where a logout leads", func(t *testing.T) {
		s := whole.in(t)
		for _, name := range []string{"post_logout_redirect_uri", "redirect_uri", "rd", "returnTo", "next", "logout_hint", "client_id", "state"} {
			b := s.signedIn("alice")
			p := b.Hop(s.url + logoutPath + "?" + name + "=" + url.QueryEscape("https://evil.test/"))
			if strings.Contains(p.Header.Get("Location"), "evil.test") {
				t.Errorf("%s leads to %s", name, p.Header.Get("Location"))
			}
		}
	})

	t.Run("I2 the address of the configuration", func(t *testing.T) {
		for given, want := range map[string]string{
			"/bye": "https://" + appHost + "/bye", "https://www.example.test/bye?x=1": "https://www.example.test/bye?x=1",
		} {
			s := newSite(t, setup{options: map[string]any{"postLogoutRedirectURI": given, "logoutURL": "/quit"}})
			b := s.signedIn("alice")
			p := b.Hop(s.url + "/quit")
			if got := p.Location().Query().Get("post_logout_redirect_uri"); got != want {
				t.Errorf("%s: %q", given, got)
			}
		}
	})

	t.Run("I3 a state on the way back is harmless", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"postLogoutRedirectURI": "/bye", "excludedURLs": []any{"/bye"}}})
		for _, edit := range []func(q url.Values){
			func(q url.Values) {}, func(q url.Values) { q.Set("state", "other") }, func(q url.Values) { q.Del("state") },
		} {
			b := s.signedIn("alice")
			back := b.Do(browser.Request{URL: b.Hop(s.url + logoutPath).Location().String(), From: s.home(), OneHop: true}).Location()
			p := b.Open(edited(back, edit).String())
			s.status(p, http.StatusOK)
			s.noSession(b)
		}
	})

	t.Run("I4 without a session", func(t *testing.T) {
		s := whole.in(t)
		var first string
		for range 3 {
			b := s.browser()
			p := b.Hop(s.url + logoutPath)
			if p.Status != http.StatusFound && p.Status != http.StatusOK {
				t.Fatalf("status %d", p.Status)
			}
			got := p.Location()
			if got != nil {
				got = edited(got, func(q url.Values) { q.Del("state") })
			}
			if first == "" {
				first = fmt.Sprint(got)
			}
			if got := fmt.Sprint(got); got != first {
				t.Errorf("once to %q, once to %q", first, got)
			}
		}
	})

	t.Run("I4 while the provider is down", func(t *testing.T) {
		s := newSite(t, setup{})
		b := s.signedIn("alice")
		copied := s.value(b)
		s.provider.Close()
		p := b.Hop(s.url + logoutPath)
		if p.Status != http.StatusFound && p.Status != http.StatusOK {
			t.Errorf("status %d: %s", p.Status, p.Body)
		}
		s.status(s.withCookies(cookie+"="+copied), http.StatusUnauthorized)

		never := newSite(t, setup{})
		never.provider.Close()
		if p := never.browser().Hop(never.url + logoutPath); p.Status != http.StatusFound && p.Status != http.StatusOK {
			t.Errorf("a provider that never answered: status %d: %s", p.Status, p.Body)
		}
	})

	t.Run("I4 a provider without an end_session endpoint", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"postLogoutRedirectURI": "/bye"}})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.Discovery = func(doc map[string]any) { delete(doc, "end_session_endpoint") }
		})
		b := s.signedIn("alice")
		p := b.Hop(s.url + logoutPath)
		if to := p.Location(); p.Status != http.StatusFound || to == nil || to.Path != "/bye" || to.Host != appHost {
			t.Errorf("status %d to %v", p.Status, to)
		}
		s.noSession(b)
	})

	t.Run("I5 nothing of a logout is kept", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		cross := b.Do(browser.Request{URL: s.url + logoutPath, From: s.parse("https://evil.test/"), OneHop: true})
		for _, p := range []*browser.Page{cross, b.Hop(s.url + logoutPath), b.Hop(s.url + logoutPath)} {
			if !strings.Contains(p.Header.Get("Cache-Control"), "no-store") {
				t.Errorf("status %d with Cache-Control %q", p.Status, p.Header.Get("Cache-Control"))
			}
		}
	})

	t.Run("I methods", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		for _, method := range []string{"PUT", "DELETE", "OPTIONS", "HEAD"} {
			s.status(b.Do(browser.Request{Method: method, URL: s.url + logoutPath, From: s.home(), OneHop: true}), http.StatusMethodNotAllowed)
		}
		s.status(b.Fetch(s.url+"/still"), http.StatusOK)
	})
}
