package interpreted

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// TestTrustedAudiences: an ID token that is for others too counts only where the
// operator lists all of them, and names this client as the authorized party.
func TestTrustedAudiences(t *testing.T) {
	for _, row := range []struct {
		name    string
		trusted []any
		azp     any
		want    int
	}{
		{"C13 another audience", nil, "client", http.StatusBadGateway},
		{"C13 another audience that is trusted", []any{"project"}, "client", http.StatusOK},
		{"C13 one of two is trusted", []any{"other"}, "client", http.StatusBadGateway},
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
					claims["azp"] = row.azp
				}
			})
			s.status(s.signIn(s.browser(), "/", "alice"), row.want)
		})
	}
}

// TestTenants: at an issuer for many tenants, those that the operator lists may
// sign in.
func TestTenants(t *testing.T) {
	const ours, other = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
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
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			origin := "http://" + l.Addr().String()
			options := map[string]any{}
			if row.allowed != nil {
				options["allowedTenants"] = row.allowed
			}
			s := newSite(t, setup{provider: oidctest.Options{Listener: l, Issuer: origin + "/common/v2.0"}, options: options})
			s.misbehaves(func(_ *oidctest.Provider, b *oidctest.Behaviour) {
				b.Discovery = func(doc map[string]any) {
					doc["issuer"] = origin + "/{tenantid}/v2.0"
					delete(doc, "authorization_response_iss_parameter_supported")
				}
				b.JWKS = func(keys []map[string]any) []map[string]any {
					for _, k := range keys {
						if row.key != "" {
							k["issuer"] = origin + "/" + row.key + "/v2.0"
						}
					}
					return keys
				}
				b.AuthorizeResponse = func(answer url.Values) { answer.Del("iss") }
				b.IDTokenClaims = func(claims map[string]any) {
					claims["iss"] = strings.Replace(origin+"/{tenantid}/v2.0", "{tenantid}", row.tenant, 1)
					claims["tid"] = row.tenant
				}
			})
			if row.want == http.StatusServiceUnavailable {
				s.status(s.browser().Hop(s.url+"/"), row.want)
				return
			}
			s.status(s.signIn(s.browser(), "/", "alice"), row.want)
		})
	}
}
