package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// Providers differ from the specification. None of these differences costs a user
// the sign-in.
func TestOddProviders(t *testing.T) {
	for _, row := range []struct {
		name    string
		options map[string]any
		change  func(b *oidctest.Behaviour)
	}{
		{"E12 claims that are null", nil, func(b *oidctest.Behaviour) {
			b.IDTokenClaims = func(c map[string]any) {
				for _, name := range []string{"nbf", "auth_time", "at_hash", "groups"} {
					c[name] = nil
				}
				c["azp"] = ""
			}
		}},
		{"D6 optional endpoints that are null or relative", nil, func(b *oidctest.Behaviour) {
			b.Discovery = func(d map[string]any) {
				d["revocation_endpoint"] = nil
				d["end_session_endpoint"] = "/logout"
				d["scopes_supported"] = nil
			}
		}},
		{"B21 no nonce, which is allowed", map[string]any{"allowMissingNonce": true}, func(b *oidctest.Behaviour) {
			b.IDTokenClaims = func(c map[string]any) { delete(c, "nonce") }
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: row.options})
			s.provider.Set(row.change)
			s.status(s.signIn(s.browser(), "/page", "alice"), http.StatusOK)
		})
	}
	t.Run("B21 no nonce", func(t *testing.T) {
		s := newSite(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.IDTokenClaims = func(c map[string]any) { delete(c, "nonce") }
		})
		b := s.browser()
		s.status(s.signIn(b, "/page", "alice"), http.StatusBadGateway)
		s.noSession(b)
	})
}

// The operator must mend a client that the provider refuses. The page says so, and the
// log names the options.
func TestRefusedClient(t *testing.T) {
	s := newSite(t, setup{options: map[string]any{"clientSecret": oidctest.NewSecret()}})
	before := s.plugin.Log.Len()
	p := s.signIn(s.browser(), "/page", "alice")
	s.status(p, http.StatusBadGateway)
	if !strings.Contains(string(p.Body), "not set up correctly") || strings.Contains(string(p.Body), "Try again in a moment") {
		t.Errorf("the page says %s", p.Body)
	}
	if log := s.plugin.Log.Since(before); !strings.Contains(log, "check clientID, clientSecret and clientAuthMethod") || !strings.Contains(log, "site_misconfigured") {
		t.Errorf("the log says %s", log)
	}
}

func TestMetadataOfTheOperator(t *testing.T) {
	other := newSite(t, setup{}).provider
	t.Run("D1 discoveryURL leads to the metadata of another issuer", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"discoveryURL": other.Endpoint(oidctest.Discovery)}})
		s.status(s.browser().Hop(s.url+"/page"), http.StatusServiceUnavailable)
		if other.Count(oidctest.Discovery) == 0 {
			t.Error("discoveryURL was not requested")
		}
	})
	t.Run("endpoints instead of discovery", func(t *testing.T) {
		before := other.Count(oidctest.Discovery)
		s := newSite(t, setup{options: map[string]any{
			"providerURL": other.URL(), "authorizationURL": other.Endpoint(oidctest.Authorize),
			"tokenURL": other.Endpoint(oidctest.Token), "jwksURL": other.Endpoint(oidctest.JWKS), "userinfoURL": other.Endpoint(oidctest.UserInfo),
		}})
		start := s.browser().Hop(s.url + "/page")
		s.status(start, http.StatusFound)
		if got := start.Location(); got.Host != s.parse(other.URL()).Host || other.Count(oidctest.Discovery) != before {
			t.Errorf("led to %s; discovery was requested %d times", got.Host, other.Count(oidctest.Discovery)-before)
		}
	})
}

func TestSignOutOfAUserWithManyGroups(t *testing.T) {
	s := newSite(t, setup{})
	s.provider.Set(func(b *oidctest.Behaviour) {
		b.IDTokenClaims = func(c map[string]any) {
			var groups []any
			for i := 0; i < 190; i++ {
				groups = append(groups, fmt.Sprintf("a-group-with-a-name-of-its-own-%03d", i))
			}
			c["groups"] = groups
		}
	})
	b := s.signedIn("alice")
	p := b.Hop(s.url + "/oidc/callback/logout")
	s.status(p, http.StatusFound)
	to := p.Location()
	if len(to.String()) > 2048 || to.Query().Has("id_token_hint") || to.Query().Get("logout_hint") == "" || to.Query().Get("client_id") == "" {
		t.Errorf("the sign-out leads to %d bytes: %v", len(to.String()), to.Query())
	}
	s.noSession(b)
}

func TestOldLogoutTokens(t *testing.T) {
	for _, row := range []struct {
		name   string
		maxAge string
		age    time.Duration
		taken  bool
	}{
		{"BL5 no exp", "", 0, false},
		{"BL5 no exp, young enough", "2m", time.Minute, true},
		{"BL5 no exp, too old", "2m", 5 * time.Minute, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			options := map[string]any{}
			if row.maxAge != "" {
				options["backchannelMaxAge"] = row.maxAge
			}
			s := newMovable(t, setup{options: options})
			m := s.member("alice")
			token := s.token(m, without("exp"))
			s.plugin.Clock.Pass(row.age)
			if row.taken {
				s.taken(s.tell(token))
				s.gone(m)
				return
			}
			s.turnedDown(s.tell(token), http.StatusBadRequest)
			s.alive(m)
		})
	}
}
