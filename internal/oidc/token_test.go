package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestTokenResponses(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(m map[string]any)
		sentinel error
		what     string
	}{
		{"E1 as it should be", func(map[string]any) {}, nil, ""},
		{"E1 no ID token", without("id_token"), ErrInvalidToken, "no ID token"},
		{"E1 the ID token is an object", set("id_token", map[string]any{}), ErrInvalidToken, "no ID token"},
		{"E1 no access token", without("access_token"), ErrInvalidToken, "no access token"},
		{"E1 no token_type", without("token_type"), nil, ""},
		{"E1 token_type in capitals", set("token_type", "BEARER"), nil, ""},
		{"E1 token_type in lower case", set("token_type", "bearer"), nil, ""},
		{"E1 token_type DPoP", set("token_type", "DPoP"), ErrInvalidToken, "Bearer"},
		{"E1 token_type is null", set("token_type", nil), nil, ""},
		{"E1 token_type is a number", set("token_type", 1), ErrInvalidToken, "Bearer"},
		{"E1 tokens that are too long", set("refresh_token", strings.Repeat("a", maxToken+1)), ErrInvalidToken, "too long"},
		{"E1 no expires_in", without("expires_in"), nil, ""},
		{"E1 unknown members", set("canary", 1), nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			b.op.Set(func(be *oidctest.Behaviour) { be.TokenResponse = c.change })
			if _, err := b.redeem(t); !failsWith(err, c.sentinel, c.what) {
				t.Fatal(err)
			}
		})
	}
}

func TestExpiresIn(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	for _, c := range []struct {
		name string
		v    any
		want time.Duration // zero: unknown
	}{
		{"E2 a number", json.Number("300"), 5 * time.Minute},
		{"E2 a string", "300", 5 * time.Minute},
		{"E2 a fraction", json.Number("1.5"), 1500 * time.Millisecond},
		{"E2 zero", json.Number("0"), 0},
		{"E2 negative", json.Number("-1"), 0},
		{"E2 huge", json.Number("1e30"), maxLifetime},
		{"E2 beyond any number", json.Number("1e999"), maxLifetime},
		{"E2 no number", "soon", 0},
		{"E2 NaN", "NaN", 0},
		{"E2 missing", nil, 0},
		{"E2 an object", map[string]any{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := b.rp.expiry(c.v)
			if c.want == 0 && !got.IsZero() || c.want != 0 && !got.Equal(b.clock.Now().Add(c.want)) {
				t.Fatal(got)
			}
		})
	}
}

func TestTokenEndpointFailures(t *testing.T) {
	oauth := func(status int, code string) oidctest.Fault {
		return oidctest.Fault{Status: status, Type: "application/json", Body: `{"error":"` + code + `","error_description":"canary"}`}
	}
	for _, c := range []struct {
		name     string
		fault    oidctest.Fault
		sentinel error
		what     string
	}{
		{"E10 invalid_grant", oauth(400, "invalid_grant"), ErrInvalidGrant, "invalid_grant: the code or refresh token is too old"},
		{"E10 invalid_client", oauth(401, "invalid_client"), ErrRejected, "invalid_client"},
		{"E10 invalid_client is the operator's to mend", oauth(401, "invalid_client"), ErrClientRefused, "check clientID, clientSecret and clientAuthMethod"},
		{"E10 unauthorized_client is the operator's to mend", oauth(400, "unauthorized_client"), ErrClientRefused, "check which grants"},
		{"E10 an unknown error", oauth(400, "canary"), ErrRejected, "status 400"},
		{"E10 an error without a code", oidctest.Fault{Status: 403, Body: "canary"}, ErrRejected, "status 403"},
		{"E10 a wrong tokenURL", oidctest.Fault{Status: 404, Body: "canary"}, ErrRejected, "/token answered with status 404: check the path"},
		{"E10 temporarily_unavailable", oauth(400, "temporarily_unavailable"), ErrUnavailable, "temporarily_unavailable"},
		{"E10 invalid_grant under 500", oauth(500, "invalid_grant"), ErrUnavailable, "status 500"},
		{"E10 500", oidctest.Fault{Status: 500, Body: "canary"}, ErrUnavailable, "status 500"},
		{"E10 503", oidctest.Fault{Status: 503}, ErrUnavailable, "status 503"},
		{"E10 429", oidctest.Fault{Status: 429}, ErrUnavailable, "status 429"},
		{"E9 504", oidctest.Fault{Status: 504}, ErrLost, "gateway"},
		{"E9 dropped before it was handled", oidctest.Fault{Drop: true}, ErrLost, "broke the connection"},
		{"E9 dropped after it was handled", oidctest.Fault{DropDone: true}, ErrLost, "broke the connection"},
		{"E9 slow", oidctest.Fault{Status: 200, Body: strings.Repeat(" ", 10000), Slow: time.Millisecond}, ErrLost, "timed out"},
		{"E9 never", oidctest.Fault{Hold: make(chan struct{})}, ErrLost, "timed out"},
		{"E9 garbage", oidctest.Fault{Status: 200, Body: "<html>canary"}, ErrLost, "/token sent a response that could not be read: it is not one JSON object"},
		{"E9 members twice", oidctest.Fault{Status: 200, Body: `{"access_token":"canary","access_token":"b"}`}, ErrLost, "could not be read"},
		{"E9 10 MB", oidctest.Fault{Status: 200, Body: strings.Repeat("a", 10<<20)}, ErrLost, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			code := b.code(t)
			b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Token] = c.fault })
			err1 := b.sent(t, c.fault, func() error {
				_, err := b.rp.Redeem(context.Background(), Exchange{Code: code, Verifier: "verifier", RedirectURI: testCallback})
				return err
			})
			err2 := b.sent(t, c.fault, func() error {
				_, err := b.rp.Refresh(context.Background(), "refresh")
				return err
			})
			for _, err := range []error{err1, err2} {
				if !failsWith(err, c.sentinel, c.what) || strings.Contains(err.Error(), "canary") {
					t.Errorf("E17: %v", err)
				}
			}
		})
	}
}

func TestErrorsOfUnsentAndSentCodes(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	code := b.code(t)
	b.op.Close()
	_, err := b.rp.Redeem(context.Background(), Exchange{Code: code, Verifier: "verifier", RedirectURI: testCallback})
	if !failsWith(err, ErrUnavailable, "refused the connection") {
		t.Fatal(err)
	}
	lost := newBed(t, oidctest.Options{}, Options{})
	code = lost.code(t)
	hold := make(chan struct{})
	lost.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Token] = oidctest.Fault{Hold: hold} })
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		eventually.True(t, "the code is sent", func() bool { return lost.op.Count(oidctest.Token) == 1 })
		cancel()
	}()
	_, err = lost.rp.Redeem(ctx, Exchange{Code: code, Verifier: "verifier", RedirectURI: testCallback})
	if !failsWith(err, ErrLost, "before the request was canceled") {
		t.Fatalf("E16 the user left: %v", err)
	}
	close(hold)
}

func TestRefreshing(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	first := b.tokens(t)
	second, err := b.rp.Refresh(context.Background(), first.RefreshToken)
	if err != nil || second.RefreshToken == "" || second.RefreshToken == first.RefreshToken {
		t.Fatalf("%+v %v", second, err)
	}
	if _, err := b.rp.VerifyIDToken(context.Background(), second.IDToken, Expect{
		Refreshed: true, Subject: "alice", Nonce: testNonce, AccessToken: second.AccessToken,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.rp.Refresh(context.Background(), first.RefreshToken); !errors.Is(err, ErrInvalidGrant) {
		t.Fatalf("used twice: %v", err)
	}
	t.Run("E12 neither a refresh token nor an ID token", func(t *testing.T) {
		third := b.tokens(t)
		b.op.Set(func(be *oidctest.Behaviour) {
			be.TokenResponse = func(m map[string]any) { delete(m, "refresh_token"); delete(m, "id_token") }
		})
		again, err := b.rp.Refresh(context.Background(), third.RefreshToken)
		if err != nil || again.RefreshToken != "" || again.IDToken != "" || again.AccessToken == "" {
			t.Fatalf("%+v %v", again, err)
		}
	})
}

func TestClientAuthentication(t *testing.T) {
	const id, secret = "cl:i/ent é", "s:e%c+r é~t&="
	for _, c := range []struct {
		name    string
		method  string
		offered any
		public  bool
		basic   bool
		params  string // names of the client's parameters in the form
	}{
		{"E14 basic", "", []string{"client_secret_basic", "client_secret_post"}, false, true, ""},
		{"E14 basic where discovery names no method", "", nil, false, true, ""},
		{"E14 post where only that is offered", "", []string{"private_key_jwt", "client_secret_post"}, false, false, "client_id client_secret"},
		{"E14 post where it is set", "client_secret_post", []string{"client_secret_basic"}, false, false, "client_id client_secret"},
		{"E14 basic where it is set", "client_secret_basic", []string{"client_secret_post"}, false, true, ""},
		{"E14 none for a public client", "none", nil, true, false, "client_id"},
		{"E15 a signed secret", "client_secret_jwt", nil, false, false, "client_assertion client_assertion_type client_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{ClientID: id, ClientSecret: secret, Public: c.public},
				Options{ClientID: id, ClientSecret: secret, ClientAuthMethod: c.method})
			b.op.Set(func(be *oidctest.Behaviour) {
				be.Discovery = func(doc map[string]any) {
					if c.offered == nil {
						delete(doc, "token_endpoint_auth_methods_supported")
						return
					}
					doc["token_endpoint_auth_methods_supported"] = c.offered
				}
			})
			tokens := b.tokens(t)
			last := b.op.Last(oidctest.Token)
			if got := strings.HasPrefix(last.Header.Get("Authorization"), "Basic "); got != c.basic {
				t.Errorf("basic: %v", got)
			}
			got := ""
			for _, name := range []string{"client_assertion", "client_assertion_type", "client_id", "client_secret"} {
				if last.Form.Has(name) {
					got += " " + name
				}
			}
			if strings.TrimSpace(got) != c.params {
				t.Errorf("form: %q", got)
			}
			if err := b.rp.Revoke(context.Background(), tokens.RefreshToken, "refresh_token"); err != nil {
				t.Errorf("revocation: %v", err)
			}
		})
	}
}

func TestBasicIsFormEncoded(t *testing.T) {
	got, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(basicAuth("a:b", "c d+%"), "Basic "))
	if string(got) != "a%3Ab:c+d%2B%25" {
		t.Errorf("E14: %s", got)
	}
}

func TestAPublicClientSendsNoSecret(t *testing.T) {
	p := NewProvider(Options{Issuer: "https://idp.example", ClientID: "client"})
	c, err := p.authenticated(&Metadata{AuthMethods: []string{"client_secret_basic"}}, "https://idp.example/t", url.Values{})
	if err != nil || c.auth != "" || c.body != "client_id=client" {
		t.Errorf("E14: %+v %v", c, err)
	}
	p = NewProvider(Options{Issuer: "https://idp.example", ClientID: "client", ClientAuthMethod: "canary"})
	if _, err := p.authenticated(&Metadata{}, "", url.Values{}); !failsWith(err, ErrRejected, "clientAuthMethod") || strings.Contains(err.Error(), "canary") {
		t.Errorf("E14: %v", err)
	}
}

func TestErrorsThatAnInteractionResolves(t *testing.T) {
	for code, want := range map[string]bool{
		"login_required": true, "interaction_required": true, "consent_required": true, "account_selection_required": true,
		"access_denied": false, "invalid_grant": false, "quota_exceeded": false, "": false,
	} {
		if NeedsInteraction(code) != want {
			t.Errorf("%q: %t", code, !want)
		}
	}
}

func TestKnownErrors(t *testing.T) {
	for code, want := range map[string]string{
		"login_required": "login_required", "access_denied": "access_denied", "<script>": "", "": "", "INVALID_GRANT": "",
		"invalid_target": "invalid_target", "unmet_authentication_requirements": "unmet_authentication_requirements", "invalid_client": "invalid_client",
	} {
		if got := KnownError(code); got != want {
			t.Errorf("E17 %q: %q", code, got)
		}
	}
}
