package auth

import (
	"net/http"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// A CONNECT request reaches no backend, because no one here reads the bytes after its
// header.
func TestTunnels(t *testing.T) {
	bypass, err := policy.NewBypass([]string{"/public"})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(o *Options) { o.Bypass = bypass })
	alice := s.signedIn("alice")
	s.status(alice.open("/x"), http.StatusOK)
	s.status(alice.open("/public/x"), http.StatusOK)
	before := s.hits()
	for _, row := range []struct {
		name, path string
		by         *browser
	}{
		{"L1 H15 CONNECT on a public path", "/public/x", s.browser()},
		{"L1 H15 CONNECT on a public path with a session", "/public/x", alice},
		{"L1 H15 CONNECT with a session", "/x", alice},
		{"L1 H15 CONNECT without a session", "/x", s.browser()},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp := row.by.send(s.handler, row.by.request(http.MethodConnect, row.path, map[string]string{"Content-Length": "100"}))
			if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" || s.hits() != before {
				t.Errorf("status %d, Allow %q, %d requests at the backend", resp.StatusCode, resp.Header.Get("Allow"), s.hits()-before)
			}
		})
	}
}
