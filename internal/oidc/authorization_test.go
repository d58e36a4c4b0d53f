package oidc

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestAuthorizationRequests(t *testing.T) {
	for _, c := range []struct {
		name    string
		request AuthRequest
		options Options
		doc     func(map[string]any)
		want    map[string]string // "-": absent
	}{
		{
			name:    "B9 S256, always",
			request: AuthRequest{Verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
			// RFC 7636, appendix B.
			want: map[string]string{
				"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256",
				"response_type": "code", "client_id": "client",
			},
		},
		{
			name:    "B10 no PKCE is no plain either",
			request: AuthRequest{State: "s", Nonce: "n", RedirectURI: testCallback},
			want:    map[string]string{"code_challenge": "-", "code_challenge_method": "-", "state": "s", "nonce": "n", "redirect_uri": testCallback},
		},
		{
			name: "B20 ours cannot be replaced",
			request: AuthRequest{State: "s", Nonce: "n", RedirectURI: testCallback, Verifier: "v", Extra: map[string]string{
				"response_type": "token", "response_mode": "fragment", "client_id": "evil", "redirect_uri": "https://evil.example", "scope": "admin",
				"state": "evil", "nonce": "evil", "code_challenge": "evil", "code_challenge_method": "plain", "request": "evil",
				"request_uri": "https://evil.example", "registration": "evil", "client_secret": "x",
				"id_token_hint": "evil", "STATE": "evil", "Request": "evil",
			}},
			want: map[string]string{
				"response_type": "code", "response_mode": "-", "client_id": "client", "redirect_uri": testCallback, "scope": "openid",
				"state": "s", "nonce": "n", "code_challenge_method": "S256", "request": "-", "request_uri": "-", "registration": "-", "client_secret": "-",
				"id_token_hint": "-", "STATE": "-", "Request": "-",
			},
		},
		{
			name:    "further parameters",
			request: AuthRequest{Extra: map[string]string{"prompt": "consent", "access_type": "offline", "login_hint": "a@b c&d"}},
			want:    map[string]string{"prompt": "consent", "access_type": "offline", "login_hint": "a@b c&d", "max_age": "-"},
		},
		{
			name:    "B23 max_age",
			options: Options{MaxAge: time.Hour},
			request: AuthRequest{Extra: map[string]string{"max_age": "1000000"}},
			want:    map[string]string{"max_age": "3600"},
		},
		{
			name:    "an endpoint with a query of its own",
			request: AuthRequest{State: "s"},
			doc: func(d map[string]any) {
				d["authorization_endpoint"] = "https://idp.example/authorize?p=B2C_1_in&state=evil&client_id=evil"
			},
			want: map[string]string{"p": "B2C_1_in", "state": "s", "client_id": "client"},
		},
		{
			name:    "scopes that are not offered",
			request: AuthRequest{Scopes: []string{"openid", "email", "email", "canary", "", "api://x/read"}},
			want:    map[string]string{"scope": "openid email api://x/read"},
		},
		{
			name:    "a provider that does not tell its scopes",
			request: AuthRequest{Scopes: []string{"email", "canary"}},
			doc:     without("scopes_supported"),
			want:    map[string]string{"scope": "openid email canary"},
		},
		{
			name:    "openid is kept though it is not listed",
			request: AuthRequest{Scopes: []string{"openid", "email"}},
			doc:     set("scopes_supported", []string{"email"}),
			want:    map[string]string{"scope": "openid email"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, c.options)
			b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = c.doc })
			raw, err := b.rp.AuthURL(context.Background(), c.request)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			for name, values := range q {
				if len(values) != 1 {
					t.Errorf("B20 %s stands %d times", name, len(values))
				}
			}
			for name, want := range c.want {
				if want == "-" && q.Has(name) || want != "-" && q.Get(name) != want {
					t.Errorf("%s: %q", name, q[name])
				}
			}
		})
	}
}

func TestResponseIssuers(t *testing.T) {
	for _, c := range []struct {
		name    string
		iss     func(url string) string
		present bool
		sends   bool
		fails   string
	}{
		{"B11 the provider", func(u string) string { return u }, true, true, ""},
		{"B11 another", func(string) string { return "https://evil.example" }, true, true, "iss is not"},
		{"B11 another, from a provider that does not promise iss", func(string) string { return "https://evil.example" }, true, false, "iss is not"},
		{"B12 missing though promised", func(string) string { return "" }, false, true, "iss is missing"},
		{"B12 missing and not promised", func(string) string { return "" }, false, false, ""},
		{"B13 a trailing slash", func(u string) string { return u + "/" }, true, true, "iss is not"},
		{"B13 another case", strings.ToUpper, true, true, "iss is not"},
		{"B13 empty", func(string) string { return "" }, true, true, "iss is not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			b.op.Set(func(be *oidctest.Behaviour) {
				be.Discovery = set("authorization_response_iss_parameter_supported", c.sends)
			})
			checkRefusal(t, b.rp.CheckResponseIssuer(context.Background(), c.iss(b.op.URL()), c.present), c.fails)
		})
	}
	t.Run("B11 tenants", func(t *testing.T) {
		m := &Metadata{Issuer: "https://idp.example/{tenantid}/v2.0", issuerHasTenant: true, tenantsAllowed: []string{"11111111-2222-3333-4444-555555555555"}}
		for tenant, want := range map[string]bool{
			"11111111-2222-3333-4444-555555555555": true, "99999999-2222-3333-4444-555555555555": false, "{tenantid}": false, "": false,
		} {
			if m.isResponseIssuer("https://idp.example/"+tenant+"/v2.0") != want {
				t.Errorf("%q: %v", tenant, !want)
			}
		}
	})
}

func TestPKCEIsCheckedByTheProvider(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	_, err := b.rp.Redeem(context.Background(), Exchange{Code: b.code(t), Verifier: "other", RedirectURI: testCallback})
	if !failsWith(err, ErrInvalidGrant, "invalid_grant") {
		t.Fatalf("B8: %v", err)
	}
}
