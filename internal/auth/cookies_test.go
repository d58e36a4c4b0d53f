package auth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// TestCookiesOfASignedInRequest sends Cookie headers to a session that memory has. The
// backend must get the result of a Stripper for each, on every way of the request.
func TestCookiesOfASignedInRequest(t *testing.T) {
	s := newSite(t, nil)
	b := s.signedIn("alice")
	own := cookieName + "=" + b.jar[cookieName]
	strip := session.Cookies{Name: cookieName}.Stripper()
	signIn := cookieName + "-s-8Qm3x_1A=abc"
	for _, header := range []string{
		"S", "a=1; S; b=2", "S; b=2", "a=1; S", "a=1; S;b=2", "S;",
		"S; I", "I; S", "I; S; I", "a=1; I; S; I; b=2", "I; a=1; S; b=2; I", "S; a=1; I; b=2", "a=1; S; I; I; I; I; I",
		"S; I;b=2", "S;I", "a=1;I; S; b=2", "S; " + cookieName + "-s-; b=2", "S; " + cookieName + "-s-x; b=2", "S; " + cookieName + "-s-x =1; b=2",
		"S; S; b=2", "S; b=2; " + cookieName + "=other", "S; x" + cookieName + "-s-8Qm3x_1A=abc; b=2", "S; " + cookieName + "x=1", "S; a=" + cookieName + "-s-1=2",
		"S; I\t; b=2", "S; \tI; b=2",
	} {
		header = strings.NewReplacer("S", own, "I", signIn).Replace(header)
		r := b.request(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{header}
		before := s.hits()
		b.send(s.handler, r)
		if s.hits() != before+1 {
			t.Errorf("%q: the backend was not reached", header)
			continue
		}
		s.mu.Lock()
		got := strings.Join(s.seen[len(s.seen)-1].Header["Cookie"], "|")
		s.mu.Unlock()
		if want, _ := strip.Strip(header); got != want {
			t.Errorf("F23: of %q the backend gets %q, want %q", header, got, want)
		}
	}
}

func TestNamesThatRequestsTeach(t *testing.T) {
	s := newSite(t, func(o *Options) {
		o.Rules, _ = policy.NewRules(policy.Rules{Users: []string{"alice@example.com"}})
		o.Bypass, _ = policy.NewBypass([]string{"/public"})
	})
	known := func() int { return len(s.harmless.Load().(map[string]bool)) }
	taught := func(b *browser, path string, status int) int {
		t.Helper()
		before := known()
		for i := 0; i < 3*maxTaught; i++ {
			s.status(b.send(s.handler, b.request("GET", path, map[string]string{fmt.Sprintf("X-Junk-%d-%d", before, i): "1"})), status)
		}
		return known() - before
	}
	alice, bob := s.signedIn("alice"), s.signedIn("bob")
	for name, row := range map[string]struct {
		who    *browser
		path   string
		status int
		want   int
	}{
		"L37 without a session":                  {s.browser(), "/page", http.StatusFound, 0},
		"L37 without a session on a public path": {s.browser(), "/public/page", http.StatusOK, 0},
		"L37 of a user without access":           {bob, "/page", http.StatusForbidden, 0},
		"L37 of a user":                          {alice, "/page", http.StatusOK, maxTaught},
	} {
		t.Run(name, func(t *testing.T) {
			if n := taught(row.who, row.path, row.status); n != row.want {
				t.Errorf("%d names are learned, want %d", n, row.want)
			}
		})
	}
}
