package interpreted

import (
	"net/http"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// TestAFloodOfCallbacks: anybody can start a sign-in and answer it with a made-up
// code. What that leaves behind must not drive out the sessions of others.
func TestAFloodOfCallbacks(t *testing.T) {
	t.Run("K1 made-up codes leave the sessions alone", func(t *testing.T) {
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

// TestNoUserInfoEndpoint: a provider without one cannot be asked for what an ID
// token lacks, and people come in with what it has.
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
