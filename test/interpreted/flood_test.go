package interpreted

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// TestAFloodOfCallbacks has sign-ins that end with a made-up code. Anybody can send
// those. The entries that they leave must not drive out the sessions of others.
func TestAFloodOfCallbacks(t *testing.T) {
	t.Run("K1 made-up codes do not change the sessions", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"redis": map[string]any{"hybridL1Size": "20"}}})
		alice := s.signedIn("alice")
		for range 60 {
			stranger := s.browser()
			callback := s.callbackFor(stranger, "/", "bob")
			q := callback.Query()
			q.Set("code", "made-up")
			callback.RawQuery = q.Encode()
			s.comeBack(stranger, callback)
		}
		s.status(alice.Fetch(s.url+"/"), http.StatusOK)
	})
}

// TestRefusedSignIns has users whom the rules refuse. They get a page and can sign out.
// It costs the other users nothing.
func TestRefusedSignIns(t *testing.T) {
	rules := map[string]any{"allowedUsers": []any{"alice@example.com"}}
	t.Run("L10 F24 they do not change the sessions of others", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"allowedUsers": []any{"alice@example.com"}, "redis": map[string]any{"hybridL1Size": "20"}}})
		alice := s.signedIn("alice")
		for range 60 {
			s.status(s.signIn(s.browser(), "/", "bob"), http.StatusForbidden)
		}
		s.status(alice.Fetch(s.url+"/"), http.StatusOK)
	})
	t.Run("L10 F24 they are kept for five minutes, used or not", func(t *testing.T) {
		s := newMovable(t, setup{options: maps.Clone(rules)})
		b := s.browser()
		s.status(s.signIn(b, "/", "bob"), http.StatusForbidden)
		s.pass(4 * time.Minute)
		s.status(b.Fetch(s.url+"/"), http.StatusForbidden)
		s.pass(61 * time.Second)
		s.status(b.Fetch(s.url+"/"), http.StatusUnauthorized)
		if p := b.Hop(s.url + "/"); !s.toProvider(p) {
			t.Errorf("a navigation then: status %d", p.Status)
		}
	})
	t.Run("L10 I1 sign-out works", func(t *testing.T) {
		s := newSite(t, setup{options: rules})
		b := s.browser()
		s.status(s.signIn(b, "/", "bob"), http.StatusForbidden)
		value := s.value(b)
		if to := b.Hop(s.url + "/oidc/callback/logout").Location(); to == nil || to.Query().Get("id_token_hint") == "" {
			t.Errorf("the sign-out leads to %v", to)
		}
		s.status(s.withCookies(cookie+"="+value), http.StatusUnauthorized)
	})
	t.Run("L10 H17 a middleware of the group that allows the user makes it a session", func(t *testing.T) {
		s := newTwoOn(t, movable(t), map[string]any{"sessionGroup": "L10"}, map[string]any{"sessionGroup": "L10", "allowedRolesAndGroups": []any{"nobody"}})
		b := s.browser()
		s.status(s.signIn(b, "/b/x", "alice"), http.StatusForbidden)
		s.status(b.Fetch(s.url+"/a/x"), http.StatusOK)
		s.pass(10 * time.Minute)
		s.status(b.Fetch(s.url+"/a/x"), http.StatusOK)
		s.status(b.Fetch(s.url+"/b/x"), http.StatusForbidden)
	})
}

// TestNoUserInfoEndpoint has a provider without userinfo. Users sign in with the claims
// of the ID token.
func TestNoUserInfoEndpoint(t *testing.T) {
	none := func(_ *oidctest.Provider, b *oidctest.Behaviour) {
		b.Discovery = func(doc map[string]any) { delete(doc, "userinfo_endpoint") }
	}
	for _, row := range []struct {
		name, userinfo string
		want           int
	}{
		{"auto", "auto", http.StatusOK},
		{"never", "never", http.StatusOK},
		{"always", "always", http.StatusBadGateway},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: map[string]any{"userIdentifierClaim": "nickname", "userinfo": row.userinfo}})
			s.misbehaves(none)
			s.status(s.signIn(s.browser(), "/", "alice"), row.want)
		})
	}
}
