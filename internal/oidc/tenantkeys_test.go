package oidc

import (
	"context"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

const (
	ourTenant   = "11111111-2222-3333-4444-555555555555"
	otherTenant = "99999999-2222-3333-4444-555555555555"
)

// manyTenants makes the provider one for many tenants and sets the issuer of its keys.
// In a string, {base} is replaced by the provider's origin. With nil, keys have no
// issuer. It returns the origin.
func manyTenants(b *bed, keyIssuer any) string {
	base := strings.TrimSuffix(b.op.URL(), "/common/v2.0")
	if text, ok := keyIssuer.(string); ok {
		keyIssuer = strings.Replace(text, "{base}", base, 1)
	}
	b.op.Set(func(be *oidctest.Behaviour) {
		be.Discovery = set("issuer", base+"/{tenantid}/v2.0")
		be.JWKS = func(keys []map[string]any) []map[string]any {
			for _, k := range keys {
				delete(k, "issuer")
				if keyIssuer != nil {
					k["issuer"] = keyIssuer
				}
			}
			return keys
		}
	})
	return base
}

func ofTenant(base, tenant string) func(claims map[string]any) {
	return func(claims map[string]any) {
		claims["iss"] = base + "/" + tenant + "/v2.0"
		claims["tid"] = tenant
	}
}

// One set has the keys of all tenants. A key is valid only for the tenants that its
// issuer names.
func TestKeysOfManyTenants(t *testing.T) {
	const foreign = "not published for the token's tenant"
	for _, c := range []struct {
		name   string
		issuer any // of the key
		fails  string
	}{
		{"L6 C18 a key of all tenants", "{base}/{tenantid}/v2.0", ""},
		{"L6 C18 a key of the token's tenant", "{base}/" + ourTenant + "/v2.0", ""},
		{"L6 C18 a key of another tenant", "{base}/" + otherTenant + "/v2.0", foreign},
		{"L6 C18 a key of the consumers' tenant", "{base}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", foreign},
		{"L6 C18 a key of another host", "https://evil.example/{tenantid}/v2.0", foreign},
		{"L6 C18 a key of another version", "{base}/{tenantid}/", foreign},
		{"L6 C18 a template of another spelling", "{base}/{TenantID}/v2.0", foreign},
		{"L6 C18 a key without an issuer", nil, foreign},
		{"L6 C18 an empty issuer", "", foreign},
		{"L6 C18 an issuer that is a number", 1, foreign},
		{"L6 C18 an issuer in a list", []string{"{base}/{tenantid}/v2.0"}, foreign},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTenantBed(t, []string{"*"})
			base := manyTenants(b, c.issuer)
			checkRefusal(t, b.verify(b.op.IDToken("client", "alice", testNonce, ofTenant(base, ourTenant))), c.fails)
			fetched := b.op.Count(oidctest.JWKS)
			checkRefusal(t, b.verify(b.op.IDToken("client", "alice", testNonce, ofTenant(base, ourTenant))), c.fails)
			if b.op.Count(oidctest.JWKS) != fetched {
				t.Error("a token of the wrong tenant caused a fetch of the keys")
			}
			logout := b.op.LogoutToken("client", "alice", "sid", func(_, claims map[string]any) { ofTenant(base, ourTenant)(claims) })
			_, err := b.rp.VerifyLogoutToken(context.Background(), logout)
			checkRefusal(t, err, c.fails)
			info := map[string]any{"sub": "alice"}
			ofTenant(base, ourTenant)(info)
			body := []byte(b.op.SigningKey().SignClaims(info, nil))
			b.op.Set(func(be *oidctest.Behaviour) {
				be.UserInfoBody, be.UserInfoType = body, "application/jwt"
			})
			_, err = b.rp.UserInfo(context.Background(), b.tokens(t).AccessToken, "alice")
			checkRefusal(t, err, c.fails)
		})
	}

	t.Run("L6 C18 the key of another tenant beside the right one", func(t *testing.T) {
		b := newTenantBed(t, []string{"*"})
		base := manyTenants(b, "{base}/{tenantid}/v2.0")
		b.op.Set(func(be *oidctest.Behaviour) {
			all := be.JWKS
			be.JWKS = func(keys []map[string]any) []map[string]any {
				keys = all(keys)
				other := map[string]any{}
				for name, v := range keys[0] {
					other[name] = v
				}
				other["issuer"] = base + "/" + otherTenant + "/v2.0"
				return []map[string]any{other, keys[0]}
			}
		})
		checkRefusal(t, b.verify(b.op.IDToken("client", "alice", testNonce, ofTenant(base, ourTenant))), "")
	})

	t.Run("C18 with one issuer the keys' own does not matter", func(t *testing.T) {
		b := newTenantBed(t, nil)
		manyTenants(b, "{base}/"+otherTenant+"/v2.0")
		b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = nil })
		checkRefusal(t, b.verify(b.op.IDToken("client", "alice", testNonce, nil)), "")
	})
}

// A token that was verified under other options is checked by the present ones.
func TestRecheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		tenants []string // allowed now
		trusted []string
		change  func(base string, claims map[string]any)
		fails   string
	}{
		{"L8 as it should be", []string{ourTenant}, nil, func(string, map[string]any) {}, ""},
		{"L8 a tenant in capitals", []string{strings.ToUpper(ourTenant)}, nil, func(string, map[string]any) {}, ""},
		{"L8 any tenant", []string{"*"}, nil, func(string, map[string]any) {}, ""},
		{"L8 C18 a tenant that was taken off", []string{otherTenant}, nil, func(string, map[string]any) {}, "allowedTenants"},
		{"L8 C18 tid of an allowed tenant", []string{otherTenant}, nil, func(_ string, c map[string]any) { c["tid"] = otherTenant }, "allowedTenants"},
		{"L8 C18 no tid", []string{"*"}, nil, func(_ string, c map[string]any) { delete(c, "tid") }, "allowedTenants"},
		{"L8 C17 another issuer", []string{"*"}, nil, func(_ string, c map[string]any) { c["iss"] = "https://evil.example/" + ourTenant + "/v2.0" }, "allowedTenants"},
		{"L8 C13 an audience that is trusted", []string{"*"}, []string{"friend"}, func(_ string, c map[string]any) { c["aud"], c["azp"] = []any{"client", "friend"}, "client" }, ""},
		{"L8 C13 an audience that was taken off", []string{"*"}, nil, func(_ string, c map[string]any) { c["aud"], c["azp"] = []any{"client", "friend"}, "client" }, "trustedAudiences"},
		{"L8 C12 another client", []string{"*"}, nil, func(_ string, c map[string]any) { c["aud"] = "friend" }, "trustedAudiences"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTenantBed(t, nil)
			base := manyTenants(b, "{base}/{tenantid}/v2.0")
			rp := b.relyingParty(Options{Issuer: b.op.URL(), AllowedTenants: c.tenants, TrustedAudiences: c.trusted})
			claims := Claims{"aud": "client", "sub": "alice"}
			ofTenant(base, ourTenant)(claims)
			c.change(base, claims)
			checkRefusal(t, rp.Recheck(claims), c.fails)
			if n := b.op.Count(oidctest.Discovery); n != 0 {
				t.Errorf("%d requests to the provider", n)
			}
			if _, err := rp.Metadata(context.Background()); err != nil {
				t.Fatal(err)
			}
			checkRefusal(t, rp.Recheck(claims), c.fails)
		})
	}
	for iss, fails := range map[string]string{"https://accounts.google.com": "", "accounts.google.com": "", "https://google.com": "allowedTenants", "": "allowedTenants"} {
		p := NewProvider(Options{Issuer: "https://accounts.google.com", ClientID: "client", AllowedTenants: []string{"*"}})
		checkRefusal(t, p.Recheck(Claims{"iss": iss, "aud": "client"}), fails)
	}
}
