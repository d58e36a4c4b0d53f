// Package interpreted tests the plugin as Traefik runs it: from source, in the
// interpreter, here under the race detector.
package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestSignIn(t *testing.T) {
	s := newSite(t, setup{})
	b := s.browser()

	first := b.Hop(s.url + "/reports?year=2024&q=a%20b")
	if !s.toProvider(first) {
		t.Fatalf("status %d to %v, want a redirect to the provider", first.Status, first.Location())
	}
	p := s.signIn(b, "/reports?year=2024&q=a%20b", "alice")
	seen := s.sees(p)
	if got := seen.Header.Get("X-Forwarded-User"); got != "alice@example.com" {
		t.Errorf("X-Forwarded-User: %q", got)
	}
	if seen.URI != "/reports?year=2024&q=a%20b" {
		t.Errorf("the user ended at %q", seen.URI)
	}
	for name, want := range map[string]string{
		"X-User-Groups": "admins,staff", "X-Auth-Request-User": "alice@example.com",
		"X-Auth-Request-Redirect": "/reports?year=2024&q=a%20b", "X-Auth-Request-Token": "", "Authorization": "", "Cookie": "",
	} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := b.Jar.Names(s.home()); len(got) != 3 || got[0] != cookie {
		t.Errorf("cookies after the sign-in: %v, want the session, the sign-in of the other tab and the count of completed ones", got)
	}

	if got := s.sees(b.Fetch(s.url + "/api")).Header.Get("X-Forwarded-User"); got != "alice@example.com" {
		t.Errorf("a script's request: X-Forwarded-User: %q", got)
	}
}

func TestSignInPlainHTTP(t *testing.T) {
	s := newSite(t, setup{plain: true})
	b := s.browser()
	if got := s.sees(s.signIn(b, "/a", "bob")).Header.Get("X-Forwarded-User"); got != "bob@example.com" {
		t.Errorf("X-Forwarded-User: %q", got)
	}
	// Beside the session's cookie there is the one that counts completed sign-ins.
	if got := b.Jar.Names(s.home()); len(got) != 2 || got[0] != "oidc" || !strings.HasPrefix(got[1], "oidc-s-") {
		t.Errorf("cookies: %v, want oidc and one that begins with oidc-s-", got)
	}
}

// Each user gets their own responses. An interpreter that mixes up two requests fails
// here.
func TestManyUsersAtOnce(t *testing.T) {
	users, requests := 64, 40
	if testing.Short() {
		requests = 10
	}
	var known []oidctest.User
	for i := range users {
		name := fmt.Sprintf("user%02d", i)
		known = append(known, oidctest.User{
			Sub: name, Name: name, Email: name + "@example.com", EmailVerified: true, Groups: []string{"of-" + name},
		})
	}
	s := newSite(t, setup{
		provider: oidctest.Options{Users: known},
		options: map[string]any{"headers": []any{
			map[string]any{"name": "X-Subject", "value": "{{.Claims.sub}}"},
			map[string]any{"name": "X-Token", "value": "Bearer {{.IDToken}}"},
		}},
	})
	var wait sync.WaitGroup
	for _, one := range known {
		wait.Add(1)
		go func() {
			defer wait.Done()
			s.actsAlone(one, requests)
		}()
	}
	wait.Wait()
	if n := s.provider.Count(oidctest.JWKS); n > 2 {
		t.Errorf("the provider's keys were fetched %d times for sign-ins at once, want one flight", n)
	}
}

// actsAlone signs one user in, makes requests of each kind, and checks that each
// response is that user's.
func (s *site) actsAlone(p oidctest.User, requests int) {
	b := s.browser()
	path := "/" + p.Sub + "/start"
	check := func(kind string, header http.Header, uri, want string) {
		for name, value := range map[string]string{
			"X-Forwarded-User": p.Email, "X-Auth-Request-User": p.Email, "X-User-Groups": "of-" + p.Sub,
			"X-Subject": p.Sub, "X-Auth-Request-Redirect": want,
		} {
			if got := header.Get(name); got != value {
				s.t.Errorf("%s of %s: %s is %q, want %q", kind, p.Sub, name, got, value)
			}
		}
		if uri != want {
			s.t.Errorf("%s of %s ended at %q", kind, p.Sub, uri)
		}
	}
	seen := s.sees(s.signIn(b, path, p.Sub))
	check("sign-in", seen.Header, seen.URI, path)
	token := seen.Header.Get("X-Token")
	for i := range requests {
		uri := fmt.Sprintf("/%s/%d", p.Sub, i)
		page := b.Fetch(s.url + uri)
		seen := s.sees(page)
		check("request", seen.Header, seen.URI, uri)
		if seen.Header.Get("X-Token") != token {
			s.t.Errorf("%s got another ID token", p.Sub)
		}
		if strings.Contains(string(page.Body), cookie) {
			s.t.Errorf("the backend saw the session cookie of %s", p.Sub)
		}
	}
	out := b.Hop(s.url + "/oidc/callback/logout")
	if out.Status != http.StatusFound {
		s.t.Errorf("logout of %s: status %d: %s", p.Sub, out.Status, out.Body)
	}
	if after := b.Fetch(s.url + path); after.Status != http.StatusUnauthorized {
		s.t.Errorf("%s after the logout: status %d", p.Sub, after.Status)
	}
}
