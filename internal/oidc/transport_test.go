package oidc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestInternalAddressesAreNotDialled(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a private address was reached") }))
	defer inside.Close()
	port := inside.URL[strings.LastIndexByte(inside.URL, ':'):]
	for _, c := range []struct{ name, where string }{
		{"D6 loopback", "http://127.0.0.1" + port},
		{"D6 loopback in another spelling", "http://[::ffff:127.0.0.1]" + port},
		// The address is checked after the name is resolved.
		{"D8 a name that leads inside", "http://localhost" + port},
		{"D6 link-local", "http://169.254.169.254/latest/meta-data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &http.Client{Transport: NewTransport(TransportOptions{Trusted: []string{"https://idp.example"}})}
			e := newEndpoint("keys", newCallClient(client), Options{Timeout: defaultTimeout, Now: (&clock{}).Now})
			_, err := e.do(context.Background(), "", call{method: http.MethodGet, url: c.where})
			if !failsWith(err, ErrUnavailable, "an address that is not allowed") {
				t.Fatal(err)
			}
		})
	}
}

func TestTheIssuersOwnHostMayBeInside(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	guarded := &http.Client{Transport: NewTransport(TransportOptions{Trusted: []string{b.op.URL()}})}
	b.rp = b.relyingParty(Options{HTTPClient: guarded})
	checkRefusal(t, b.verifyGood(), "")

	other := newBed(t, oidctest.Options{}, Options{})
	elsewhere := strings.Replace(other.op.Endpoint(oidctest.JWKS), "127.0.0.1", "localhost", 1)
	b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = set("jwks_uri", elsewhere) })
	b.rp = b.relyingParty(Options{HTTPClient: guarded})
	if err := b.verifyGood(); !failsWith(err, ErrUnavailable, "") || other.op.Count(oidctest.JWKS) != 0 {
		t.Fatalf("D6 a host that only discovery names: %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	hits := 0
	attacker := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer attacker.Close()
	ctx := context.Background()
	for name, ask := range map[string]func(p *Provider) error{
		oidctest.Token:      func(p *Provider) error { _, err := p.Refresh(ctx, "token"); return err },
		oidctest.UserInfo:   func(p *Provider) error { _, err := p.UserInfo(ctx, "token", "alice"); return err },
		oidctest.Revocation: func(p *Provider) error { return p.Revoke(ctx, "token", "") },
	} {
		t.Run("D7 "+name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			b.op.Set(func(be *oidctest.Behaviour) { be.Faults[name] = oidctest.Fault{Redirect: attacker.URL} })
			if err := ask(b.rp); !failsWith(err, ErrRejected, "status 307") {
				t.Fatal(err)
			}
		})
	}
	if hits != 0 {
		t.Errorf("D7: %d requests followed", hits)
	}
}

func TestTheClientsJarAndRedirectsAreNotUsed(t *testing.T) {
	c := newCallClient(&http.Client{Jar: jarThatFails{t}, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }})
	if c.Jar != nil || c.CheckRedirect(nil, nil) != http.ErrUseLastResponse {
		t.Fatal("taken over")
	}
}

type jarThatFails struct{ t *testing.T }

func (j jarThatFails) SetCookies(_ *url.URL, _ []*http.Cookie) { j.t.Error("used") }
func (j jarThatFails) Cookies(_ *url.URL) []*http.Cookie       { j.t.Error("used"); return nil }
