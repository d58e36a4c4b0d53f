package oidc

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestEndSessionURLs(t *testing.T) {
	full := EndSession{IDTokenHint: "token", PostLogoutRedirectURI: "https://app.example/?a=b", State: "s"}
	for _, c := range []struct {
		name    string
		request EndSession
		options Options
		doc     func(map[string]any)
		want    string
	}{
		{"all", full, Options{}, set("end_session_endpoint", "https://idp.example/out?x=1"),
			"https://idp.example/out?client_id=client&id_token_hint=token&post_logout_redirect_uri=https%3A%2F%2Fapp.example%2F%3Fa%3Db&state=s&x=1"},
		{"nothing known of the session", EndSession{}, Options{}, set("end_session_endpoint", "https://idp.example/out"),
			"https://idp.example/out?client_id=client"},
		{"the provider has none", full, Options{}, without("end_session_endpoint"), ""},
		{"set by option", EndSession{State: "s"}, Options{EndSessionURL: "https://other.example/out"}, nil,
			"https://other.example/out?client_id=client&state=s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, c.options)
			b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = c.doc })
			got, err := b.rp.EndSessionURL(context.Background(), c.request)
			if err != nil || got != c.want {
				t.Fatalf("%s %v", got, err)
			}
		})
	}
}

func TestSignOutWhileTheProviderIsDown(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	b.op.Close()
	if _, err := b.rp.EndSessionURL(context.Background(), EndSession{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("I4 discovered: %v", err)
	}
	b.rp = b.relyingParty(Options{EndSessionURL: "https://idp.example/out"})
	if got, err := b.rp.EndSessionURL(context.Background(), EndSession{}); err != nil || got == "" {
		t.Errorf("I4 set: %v", err)
	}
}

func TestCognitoHasAnotherLogoutParameter(t *testing.T) {
	p := NewProvider(Options{
		Issuer: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x", ClientID: "client", EndSessionURL: "https://x.auth.eu-west-1.amazoncognito.com/logout",
	})
	raw, err := p.EndSessionURL(context.Background(), EndSession{PostLogoutRedirectURI: "https://app.example/"})
	u, _ := url.Parse(raw)
	if err != nil || u.Query().Get("logout_uri") != "https://app.example/" || u.Query().Has("post_logout_redirect_uri") {
		t.Fatalf("%s %v", raw, err)
	}
}

func TestRevocation(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	tokens := b.tokens(t)
	if err := b.rp.Revoke(context.Background(), tokens.RefreshToken, "refresh_token"); err != nil {
		t.Fatal(err)
	}
	last := b.op.Last(oidctest.Revocation)
	if last.Form.Get("token") != tokens.RefreshToken || last.Form.Get("token_type_hint") != "refresh_token" {
		t.Errorf("%+v", last.Form)
	}
	if _, err := b.rp.Refresh(context.Background(), tokens.RefreshToken); !errors.Is(err, ErrInvalidGrant) {
		t.Errorf("the token lives: %v", err)
	}
	for _, c := range []struct {
		name     string
		change   func(*oidctest.Behaviour)
		sentinel error
	}{
		{"not offered", func(be *oidctest.Behaviour) { be.Discovery = without("revocation_endpoint") }, nil},
		{"503", func(be *oidctest.Behaviour) { be.Faults[oidctest.Revocation] = oidctest.Fault{Status: 503} }, ErrUnavailable},
		{"400", func(be *oidctest.Behaviour) {
			be.Faults[oidctest.Revocation] = oidctest.Fault{Status: 400, Body: `{"error":"unsupported_token_type"}`}
		}, ErrRejected},
		{"dropped", func(be *oidctest.Behaviour) { be.Faults[oidctest.Revocation] = oidctest.Fault{Drop: true} }, ErrLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			b.op.Set(c.change)
			if err := b.rp.Revoke(context.Background(), "token", ""); !failsWith(err, c.sentinel, "") {
				t.Fatal(err)
			}
		})
	}
	elsewhere := newBed(t, oidctest.Options{}, Options{})
	b.rp = b.relyingParty(Options{RevocationURL: elsewhere.op.Endpoint(oidctest.Revocation)})
	if err := b.rp.Revoke(context.Background(), "token", ""); err != nil || elsewhere.op.Count(oidctest.Revocation) != 1 {
		t.Errorf("set by option: %v", err)
	}
}
