package interpreted

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// TestRedirectsOfTheProvider fails if the plugin follows a redirect of the provider. Its
// calls carry secrets or bring data that it trusts, and go only to the URLs of the
// operator and of discovery.
func TestRedirectsOfTheProvider(t *testing.T) {
	var mu sync.Mutex
	var stolen []string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		mu.Lock()
		stolen = append(stolen, r.Method+" "+r.URL.Path+" "+r.Form.Encode()+" "+r.Header.Get("Authorization"))
		mu.Unlock()
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(thief.Close)
	for _, row := range []struct {
		name, endpoint string
		options        map[string]any
		calls          func(s *site) // makes the plugin call the endpoint
	}{
		{"D7 the token endpoint", oidctest.Token, nil, func(s *site) {
			b := s.browser()
			s.failed(b, s.comeBack(b, s.callbackFor(b, "/", "alice")))
		}},
		{"D7 the userinfo endpoint", oidctest.UserInfo, map[string]any{"userinfo": "always"}, func(s *site) {
			b := s.browser()
			s.failed(b, s.comeBack(b, s.callbackFor(b, "/", "alice")))
		}},
		{"D7 the keys", oidctest.JWKS, nil, func(s *site) {
			b := s.browser()
			s.status(s.comeBack(b, s.callbackFor(b, "/", "alice")), http.StatusServiceUnavailable)
			s.noSession(b)
		}},
		{"D7 discovery", oidctest.Discovery, nil, func(s *site) {
			s.status(s.browser().Hop(s.url+"/"), http.StatusServiceUnavailable)
		}},
		{"D7 the revocation endpoint", oidctest.Revocation, nil, func(s *site) {
			logged := s.plugin.Log.Len()
			s.signedIn("alice").Hop(s.url + logoutPath)
			eventually.True(s.t, "the end of the revocation", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(stolen) > 0 || strings.Contains(s.plugin.Log.Since(logged), "could not be revoked")
			})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: row.options})
			s.provider.Set(func(b *oidctest.Behaviour) {
				b.Faults[row.endpoint] = oidctest.Fault{Redirect: thief.URL + "/" + row.endpoint}
			})
			row.calls(s)
			if s.provider.Count(row.endpoint) == 0 {
				t.Error("the endpoint was not called")
			}
			mu.Lock()
			defer mu.Unlock()
			for _, request := range stolen {
				t.Errorf("the redirect was followed: %s", request)
			}
			stolen = nil
		})
	}
}
