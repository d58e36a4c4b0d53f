package oidc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestMetadataElsewhere(t *testing.T) {
	issuer := newBed(t, oidctest.Options{}, Options{})
	document, err := http.Get(issuer.op.Endpoint(oidctest.Discovery))
	if err != nil {
		t.Fatal(err)
	}
	defer document.Body.Close()
	elsewhere := httptest.NewServer(httputil.NewSingleHostReverseProxy(mustParse(t, issuer.op.URL())))
	defer elsewhere.Close()
	asked := issuer.op.Count(oidctest.Discovery)
	p := issuer.relyingParty(Options{DiscoveryURL: elsewhere.URL + "/.well-known/openid-configuration"})
	m, err := p.Metadata(context.Background())
	if err != nil || m.Issuer != issuer.op.URL() || issuer.op.Count(oidctest.Discovery) != asked+1 {
		t.Fatalf("%v, %v", m, err)
	}

	other := newBed(t, oidctest.Options{}, Options{})
	p = issuer.relyingParty(Options{DiscoveryURL: other.op.Endpoint(oidctest.Discovery)})
	if _, err := p.Metadata(context.Background()); !failsWith(err, ErrUnavailable, "another issuer") {
		t.Errorf("D1 the metadata of another issuer at discoveryURL: %v", err)
	}
}

func TestOwnEndpointsReplaceDiscovery(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	all := Options{
		AuthorizationURL: "https://a.example/auth", TokenURL: "https://a.example/token",
		UserinfoURL: "https://a.example/userinfo", JWKSURL: b.op.Endpoint(oidctest.JWKS),
	}
	p := b.relyingParty(all)
	m, err := p.Metadata(context.Background())
	if err != nil || b.op.Count(oidctest.Discovery) != 0 {
		t.Fatalf("discovery was fetched: %v", err)
	}
	if m.AuthorizationEndpoint != all.AuthorizationURL || m.TokenEndpoint != all.TokenURL || m.UserinfoEndpoint != all.UserinfoURL || m.JWKSURI != all.JWKSURL {
		t.Errorf("%+v", m)
	}
	b.rp = p
	checkRefusal(t, b.verifyGood(), "")

	// With one of these options, discovery gives the other endpoints, and its document
	// need not have that one.
	b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = without("token_endpoint") })
	m, err = b.relyingParty(Options{TokenURL: "https://a.example/token"}).Metadata(context.Background())
	if err != nil || m.TokenEndpoint != "https://a.example/token" || m.JWKSURI != b.op.Endpoint(oidctest.JWKS) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestMissingNonce(t *testing.T) {
	for _, c := range []struct {
		name    string
		allowed bool
		change  func(map[string]any)
		fails   string
	}{
		{"B21 missing", false, without("nonce"), "nonce"},
		{"B21 missing and allowed", true, without("nonce"), ""},
		{"B21 null and allowed", true, set("nonce", nil), ""},
		{"B22 empty, where a missing one is allowed", true, set("nonce", ""), "nonce"},
		{"B22 another, where a missing one is allowed", true, set("nonce", "other"), "nonce"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{AllowMissingNonce: c.allowed})
			_, err := b.rp.VerifyIDToken(context.Background(), b.op.IDToken("client", "alice", testNonce, c.change), Expect{Nonce: testNonce})
			checkRefusal(t, err, c.fails)
		})
	}
}

// The proxy may have a private address. A host that it does not serve may not.
func TestProxy(t *testing.T) {
	var through []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through = append(through, r.URL.Host)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer proxy.Close()
	where := mustParse(t, proxy.URL)
	choose := func(r *http.Request) (*url.URL, error) {
		if strings.HasPrefix(r.URL.Host, "127.") {
			return nil, nil
		}
		return where, nil
	}
	client := newCallClient(&http.Client{Transport: NewTransport(TransportOptions{Trusted: []string{"https://idp.example"}, Proxy: choose})})
	e := newEndpoint("keys", client, Options{Timeout: defaultTimeout, Now: (&clock{}).Now})
	a, err := e.do(context.Background(), "", call{method: http.MethodGet, url: "http://keys.example/jwks"})
	if err != nil || a.status != http.StatusTeapot || strings.Join(through, " ") != "keys.example" {
		t.Errorf("%v, through %q", err, through)
	}
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("D6 a private address was reached") }))
	defer inside.Close()
	to := strings.Replace(inside.URL, "127.0.0.1", "127.0.0.2", 1)
	if _, err := e.do(context.Background(), "", call{method: http.MethodGet, url: to}); !failsWith(err, ErrUnavailable, "an address that is not allowed") {
		t.Errorf("D6 past the proxy: %v", err)
	}
}

func TestLongSignOutURLs(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	for _, c := range []struct {
		name       string
		token      int
		hint, full bool
	}{
		{"a token that fits", 1000, false, true},
		{"190 groups", 10900, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			to, err := b.rp.EndSessionURL(context.Background(), EndSession{
				IDTokenHint: strings.Repeat("t", c.token), LogoutHint: "alice", PostLogoutRedirectURI: "https://app.example/", State: "s",
			})
			if err != nil || len(to) > maxLocation {
				t.Fatalf("%d bytes, %v", len(to), err)
			}
			q := mustParse(t, to).Query()
			if q.Has("id_token_hint") != c.full || q.Has("logout_hint") != c.hint || q.Get("client_id") != "client" || q.Get("state") != "s" {
				t.Errorf("%q", to)
			}
		})
	}
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
