package interpreted

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// TestTrustedAudiences has ID tokens for several audiences. One is valid only if the
// operator lists all of them, and it names this client as the authorized party.
func TestTrustedAudiences(t *testing.T) {
	for _, row := range []struct {
		name    string
		trusted []any
		azp     any
		want    int
	}{
		{"C12 a trusted audience, and not this client", []any{"project"}, "client", http.StatusBadGateway},
		{"C13 another audience", nil, "client", http.StatusBadGateway},
		{"C13 another audience that is trusted", []any{"project"}, "client", http.StatusOK},
		{"C13 one of two is trusted", []any{"other"}, "client", http.StatusBadGateway},
		{"C13 trusted, and the token names no authorized party", []any{"project"}, nil, http.StatusBadGateway},
		{"C14 trusted, and the token was for another client", []any{"project"}, "project", http.StatusBadGateway},
	} {
		t.Run(row.name, func(t *testing.T) {
			options := map[string]any{}
			if row.trusted != nil {
				options["trustedAudiences"] = row.trusted
			}
			s := newSite(t, setup{options: options})
			s.misbehaves(func(_ *oidctest.Provider, b *oidctest.Behaviour) {
				b.IDTokenClaims = func(claims map[string]any) {
					claims["aud"] = []any{"client", "project"}
					if strings.HasPrefix(row.name, "C12") {
						claims["aud"] = "project"
					}
					claims["azp"] = row.azp
					if row.azp == nil {
						delete(claims, "azp")
					}
				}
			})
			s.status(s.signIn(s.browser(), "/", "alice"), row.want)
		})
	}
}

const ourTenant, otherTenant = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"

// listen returns a listener for a provider, and its origin.
func listen(t testing.TB) (net.Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, "http://" + l.Addr().String()
}

// ofTenant makes the provider at origin one for many tenants. ID tokens are of one of
// them. The keys are published for key: "{tenantid}" for all, empty for none.
func (s *site) ofTenant(origin, tenant, key string) {
	s.misbehaves(func(_ *oidctest.Provider, b *oidctest.Behaviour) {
		b.Discovery = func(doc map[string]any) {
			doc["issuer"] = origin + "/{tenantid}/v2.0"
			delete(doc, "authorization_response_iss_parameter_supported")
		}
		b.JWKS = func(keys []map[string]any) []map[string]any {
			for _, k := range keys {
				if key != "" {
					k["issuer"] = origin + "/" + key + "/v2.0"
				}
			}
			return keys
		}
		b.AuthorizeResponse = func(answer url.Values) { answer.Del("iss") }
		b.IDTokenClaims = func(claims map[string]any) {
			claims["iss"] = origin + "/" + tenant + "/v2.0"
			claims["tid"] = tenant
		}
	})
}

// TestTakenOff has an operator remove an entry of a list. That applies to signed-in
// users too, from the next request on.
func TestTakenOff(t *testing.T) {
	check := func(t *testing.T, s *live, with, without map[string]any) {
		b := s.signedIn("alice")
		s.reload(without)
		s.untouched(func() {
			s.status(b.Fetch(s.url+"/x"), http.StatusForbidden)
			s.status(b.Hop(s.url+"/x"), http.StatusForbidden)
		})
		s.reload(with)
		s.status(b.Fetch(s.url+"/x"), http.StatusOK)
	}
	t.Run("L8 C18 a tenant", func(t *testing.T) {
		l, origin := listen(t)
		with, without := map[string]any{"allowedTenants": []any{ourTenant, otherTenant}}, map[string]any{"allowedTenants": []any{otherTenant}}
		s := newLiveAt(t, loader.Load(t), oidctest.Options{Listener: l, Issuer: origin + "/common/v2.0"}, with)
		s.ofTenant(origin, ourTenant, "{tenantid}")
		check(t, s, with, without)
	})
	t.Run("L8 C13 an audience", func(t *testing.T) {
		with, without := map[string]any{"trustedAudiences": []any{"project"}}, map[string]any{"trustedAudiences": []any{"another"}}
		s := newLive(t, loader.Load(t), with)
		s.misbehaves(func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.IDTokenClaims = func(claims map[string]any) { claims["aud"], claims["azp"] = []any{"client", "project"}, "client" }
		})
		check(t, s, with, without)
	})
	t.Run("L8 H18 a user", func(t *testing.T) {
		with, without := map[string]any{"allowedUsers": []any{"alice@example.com"}}, map[string]any{"allowedUsers": []any{"bob@example.com"}}
		check(t, newLive(t, loader.Load(t), with), with, without)
	})
}

// TestTenants has an issuer for many tenants. Users of those that the operator lists
// may sign in.
func TestTenants(t *testing.T) {
	const ours, other = ourTenant, otherTenant
	for _, row := range []struct {
		name    string
		allowed []any
		tenant  string
		key     string // the tenant that the key is published for
		want    int
	}{
		{"C18 a listed tenant", []any{ours}, ours, "{tenantid}", http.StatusOK},
		{"C18 another tenant", []any{ours}, other, "{tenantid}", http.StatusBadGateway},
		{"C18 any tenant", []any{"*"}, other, "{tenantid}", http.StatusOK},
		{"C18 no tenant is listed", nil, ours, "{tenantid}", http.StatusServiceUnavailable},
		{"L6 C18 a key of the token's tenant", []any{ours}, ours, ours, http.StatusOK},
		{"L6 C18 a key of another tenant", []any{ours}, ours, other, http.StatusBadGateway},
		{"L6 C18 a key of the consumers' tenant, any tenant", []any{"*"}, ours, "9188040d-6c67-4c5b-b112-36a304b66dad", http.StatusBadGateway},
		{"L6 C18 a key of no tenant", []any{ours}, ours, "", http.StatusBadGateway},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, origin := listen(t)
			options := map[string]any{}
			if row.allowed != nil {
				options["allowedTenants"] = row.allowed
			}
			s := newSite(t, setup{provider: oidctest.Options{Listener: l, Issuer: origin + "/common/v2.0"}, options: options})
			s.ofTenant(origin, row.tenant, row.key)
			if row.want == http.StatusServiceUnavailable {
				s.status(s.browser().Hop(s.url+"/"), row.want)
				return
			}
			s.status(s.signIn(s.browser(), "/", "alice"), row.want)
		})
	}
}
