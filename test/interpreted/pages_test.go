package interpreted

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// leadsTo returns the address of the link of a page with this text.
func (s *site) leadsTo(p *browser.Page, text string) string {
	s.t.Helper()
	m := regexp.MustCompile(`href="([^"]*)">` + text + `<`).FindStringSubmatch(string(p.Body))
	if m == nil {
		s.t.Fatalf("no link %q in %s", text, p.Body)
	}
	return s.url + html.UnescapeString(m[1])
}

func (s *site) tells(p *browser.Page, status int, texts ...string) {
	s.t.Helper()
	s.status(p, status)
	for _, text := range texts {
		if !strings.Contains(string(p.Body), text) {
			s.t.Errorf("%s: no %q in %s", p.URL, text, p.Body)
		}
	}
}

func TestThePageAfterASignOut(t *testing.T) {
	s := newSite(t, setup{})
	b := s.signedIn("alice")
	q := b.Hop(s.url + logoutPath).Location().Query()
	back := q.Get("post_logout_redirect_uri") + "?state=" + url.QueryEscape(q.Get("state"))

	t.Run("I1 it says so, and leads to a sign-in", func(t *testing.T) {
		s := s.in(t)
		p := b.Do(browser.Request{URL: back, From: s.parse(s.provider.URL() + "/"), OneHop: true})
		s.tells(p, http.StatusOK, "You are signed out", "Sign in again")
		if !strings.Contains(p.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("headers %v", p.Header)
		}
		if p := b.Hop(s.leadsTo(p, "Sign in again")); !s.toProvider(p) {
			t.Errorf("status %d", p.Status)
		}
	})
	t.Run("I3 a state that is altered or of a sign-in", func(t *testing.T) {
		s := s.in(t)
		other := b.Hop(s.url + "/").Location().Query().Get("state")
		for _, state := range []string{"x", "", q.Get("state")[1:], url.QueryEscape(other)} {
			if p := b.Hop(s.url + "/?state=" + state); !s.toProvider(p) {
				t.Errorf("state %q: status %d", state, p.Status)
			}
		}
	})
	t.Run("I3 with a session it is the backend's", func(t *testing.T) {
		s := s.in(t)
		s.sees(s.signedIn("bob").Open(back))
	})
}

func TestThePageOfARefusedUser(t *testing.T) {
	s := newSite(t, setup{options: map[string]any{"allowedUsers": []any{"alice@example.com"}}})
	s.misbehaves(func(_ *oidctest.Provider, b *oidctest.Behaviour) {
		b.Discovery = func(doc map[string]any) { delete(doc, "end_session_endpoint") }
		b.IDTokenClaims = func(c map[string]any) {
			if c["sub"] == "bob" {
				c["email"] = `bob"<b>@example.com`
			}
		}
	})
	b := s.browser()
	p := s.signIn(b, "/page", "bob")

	t.Run("K7 A16 it names the user", func(t *testing.T) {
		s := s.in(t)
		s.tells(p, http.StatusForbidden, "<bdi>bob&#34;&lt;b&gt;@example.com</bdi>")
		if !strings.Contains(p.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("headers %v", p.Header)
		}
		if d := b.Fetch(s.url + "/page"); d.Status != http.StatusForbidden || strings.Contains(string(d.Body), "bob") {
			t.Errorf("an API client gets status %d: %s", d.Status, d.Body)
		}
	})
	t.Run("I1 another account is requested, and a sign-in where that is refused", func(t *testing.T) {
		s := s.in(t)
		start := b.Do(browser.Request{URL: s.leadsTo(p, "Sign out and use another account"), From: s.home(), OneHop: true})
		if got := start.Location().Query().Get("prompt"); got != "select_account" {
			t.Fatalf("prompt %q", got)
		}
		refusal := edited(s.provided(b, start, "alice"), func(q url.Values) { q.Del("code"); q.Set("error", "invalid_request") })
		again := s.comeBack(b, refusal)
		if got := again.Location().Query().Get("prompt"); got != "login" {
			t.Fatalf("prompt %q", got)
		}
		refusal = edited(s.provided(b, again, "alice"), func(q url.Values) { q.Del("code"); q.Set("error", "invalid_request") })
		s.status(s.comeBack(b, refusal), http.StatusBadRequest)

		end := s.signIn(b, "/page", "alice")
		s.sees(end)
	})
}

func TestLanguagesOfPages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "texts.json")
	if err := os.WriteFile(file, []byte(`{"language": "it", "callback.title": "Questo accesso non si completa"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, setup{options: map[string]any{"pageTexts": file}})
	ask := func(s *site, accept string) *browser.Page {
		return s.browser().Do(browser.Request{URL: s.url + "/oidc/callback", OneHop: true, Header: http.Header{"Accept-Language": {accept}}})
	}
	for accept, text := range map[string]string{
		"de-CH,fr;q=0.5": `<html lang="de">`, "fr": "Cette connexion ne peut pas être terminée", "es-MX, en;q=0.1": "Intentar de nuevo", "it": "Questo accesso non si completa",
		"pl": "This sign-in cannot be completed",
	} {
		p := ask(s, accept)
		s.tells(p, http.StatusBadRequest, text)
		if !strings.Contains(strings.Join(p.Header.Values("Vary"), ","), "Accept-Language") || p.Header.Get("Content-Language") == "" {
			t.Errorf("%s: headers %v", accept, p.Header)
		}
	}
	for name, accept := range map[string]string{
		"K7 A16 a script as a language": `"><script>alert(1)</script>`, "K7 a long list of languages": strings.Repeat("de;q=0,", 4000) + "de",
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			p := ask(s, accept)
			s.tells(p, http.StatusBadRequest, `<html lang="en">`)
			if strings.Contains(string(p.Body), "alert(1)") {
				t.Errorf("%s", p.Body)
			}
		})
	}
	fixed := newSite(t, setup{options: map[string]any{"pageLanguage": "es"}})
	fixed.tells(ask(fixed, "de"), http.StatusBadRequest, `<html lang="es">`)
}
