package interpreted

import (
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// Discovery is requested in the background, once, so that a mistake shows in the log
// before a user meets it.
func TestProviderReady(t *testing.T) {
	start := func(t *testing.T, change func(b *oidctest.Behaviour)) (*site, func(texts ...string)) {
		s := newSite(t, setup{})
		if change != nil {
			s.provider.Set(change)
		}
		before := s.plugin.Log.Len()
		s.asked.open()
		return s, func(texts ...string) {
			t.Helper()
			eventually.True(t, "a line with "+strings.Join(texts, ", "), func() bool {
				for _, line := range strings.Split(s.plugin.Log.Since(before), "\n") {
					if containsAll(line, append(texts, "middleware="+t.Name())) {
						return true
					}
				}
				return false
			})
		}
	}
	t.Run("ready", func(t *testing.T) {
		s, logs := start(t, nil)
		logs("level=INFO", `msg="provider ready"`, "issuer="+s.provider.URL(), "discovery="+s.provider.URL()+"/.well-known/openid-configuration")
		for i := 0; i < 20; i++ {
			s.plugin.New(t, s.echo, t.Name(), optionsFor(s.provider))
		}
		s.sees(s.signIn(s.browser(), "/", "alice"))
		if n := s.provider.Count(oidctest.Discovery); n != 1 {
			t.Errorf("%d requests for discovery, want 1", n)
		}
	})
	t.Run("another issuer", func(t *testing.T) {
		s, logs := start(t, func(b *oidctest.Behaviour) {
			b.Discovery = func(doc map[string]any) { doc["issuer"] = "https://other.test" }
		})
		logs("level=WARN", "the provider cannot be used", s.provider.URL(), "https://other.test", "check providerURL")
	})
	t.Run("an endpoint that is not used", func(t *testing.T) {
		_, logs := start(t, func(b *oidctest.Behaviour) {
			b.Discovery = func(doc map[string]any) { doc["end_session_endpoint"] = "/relative" }
		})
		logs("level=WARN", "endpoints=end_session_endpoint", "oidcEndSessionURL")
	})
	t.Run("a failure does not delay the first user", func(t *testing.T) {
		s, logs := start(t, func(b *oidctest.Behaviour) {
			b.Faults[oidctest.Discovery] = oidctest.Fault{Times: 1, Status: http.StatusInternalServerError}
		})
		logs("level=WARN", "the provider cannot be used", "answered with status 500")
		s.status(s.browser().Hop(s.url+"/"), http.StatusFound)
	})
	t.Run("endpoints of the configuration", func(t *testing.T) {
		s := newSite(t, setup{})
		options := optionsFor(s.provider)
		options["authorizationURL"] = s.provider.Endpoint(oidctest.Authorize)
		options["tokenURL"] = s.provider.Endpoint(oidctest.Token)
		options["jwksURL"] = s.provider.Endpoint(oidctest.JWKS)
		before := s.plugin.Log.Len()
		s.plugin.New(t, s.echo, t.Name()+"/static", options)
		eventually.True(t, "a line without a URL", func() bool {
			return strings.Contains(s.plugin.Log.Since(before), `discovery="none: authorizationURL, tokenURL and jwksURL are set`)
		})
	})
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
