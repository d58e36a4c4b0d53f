package oidc

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestDiscoveryDocuments(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(doc map[string]any)
		fails  string
	}{
		{"D1 as it should be", func(map[string]any) {}, ""},
		{"D1 another issuer", set("issuer", "https://evil.example"), "and the document says https://evil.example"},
		{"D1 a trailing slash", func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "/" }, "trailing slash"},
		{"D1 another case", func(d map[string]any) { d["issuer"] = strings.ToUpper(d["issuer"].(string)) }, "another issuer"},
		{"D1 an issuer that is no address", set("issuer", "evil\nexample"), "the document says an address that cannot be displayed"},
		{"D1 no issuer", without("issuer"), "another issuer"},
		{"D1 the issuer is an array", func(d map[string]any) { d["issuer"] = []any{d["issuer"]} }, "another issuer"},
		{"D6 jwks_uri is a file", set("jwks_uri", "file:///etc/passwd"), "unusable jwks_uri"},
		{"D6 jwks_uri is relative", set("jwks_uri", "/jwks"), "unusable jwks_uri"},
		{"D6 jwks_uri has credentials", set("jwks_uri", "https://user:pass@idp.example/jwks"), "unusable jwks_uri"},
		{"D6 token endpoint is gopher", set("token_endpoint", "gopher://127.0.0.1:6379/x"), "unusable token_endpoint"},
		{"D6 token endpoint has no host", set("token_endpoint", "https:///token"), "unusable token_endpoint"},
		{"D6 token endpoint has a fragment", set("token_endpoint", "https://idp.example/token#x"), "unusable token_endpoint"},
		{"D6 authorization endpoint is a script", set("authorization_endpoint", "javascript:alert(1)"), "unusable authorization_endpoint"},
		{"D6 jwks_uri is null", set("jwks_uri", nil), "no jwks_uri"},
		{"D6 no token endpoint", without("token_endpoint"), "no token_endpoint"},
		{"D6 token endpoint is a number", set("token_endpoint", 1), "no token_endpoint"},
		{"D6 no userinfo endpoint", without("userinfo_endpoint"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = c.change })
			_, err := b.rp.Metadata(context.Background())
			if c.fails == "" && err != nil || c.fails != "" && !failsWith(err, ErrUnavailable, c.fails) {
				t.Fatal(err)
			}
		})
	}
}

// A provider that writes an optional endpoint wrongly can still sign users in.
func TestUnusableOptionalEndpointsAreLeftOut(t *testing.T) {
	for _, c := range []struct {
		name     string
		value    any
		unusable string
	}{
		{"data", "data:text/html,x", "end_session_endpoint"},
		{"relative", "/logout", "end_session_endpoint"},
		{"a number", 1, "end_session_endpoint"},
		{"null", nil, ""},
		{"empty", "", ""},
	} {
		t.Run("D6 "+c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = set("end_session_endpoint", c.value) })
			m, err := b.rp.Metadata(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if m.EndSessionEndpoint != "" || strings.Join(m.Unusable, " ") != c.unusable {
				t.Errorf("%q, unusable %q", m.EndSessionEndpoint, m.Unusable)
			}
		})
	}
}

func TestPlainHTTPIsRefusedUnlessAllowed(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	b.rp.discovery.options.AllowInsecureHTTP = false
	if _, err := b.rp.Metadata(context.Background()); !failsWith(err, ErrUnavailable, "providerURL is not an https URL") || b.op.Count(oidctest.Discovery) != 0 {
		t.Fatalf("D6 issuer: %v", err)
	}
	doc := toJSON(map[string]any{
		"issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/a",
		"token_endpoint": "http://idp.example/t", "jwks_uri": "https://idp.example/j",
	})
	if _, err := parseMetadata(doc, Options{Issuer: "https://idp.example"}); err == nil || err.Error() != "has an unusable token_endpoint" {
		t.Fatalf("D6 endpoint: %v", err)
	}
}

func TestDiscoveryAnswers(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault oidctest.Fault
		fails string
	}{
		{"D4 HTML", oidctest.Fault{Status: 200, Body: "<html>canary</html>"}, "malformed: it is not one JSON object"},
		{"D4 nothing", oidctest.Fault{Status: 200}, "malformed"},
		{"D4 10 MB", oidctest.Fault{Status: 200, Body: strings.Repeat("[", 10<<20)}, "sent no complete response: it sent a response that is too large"},
		{"D4 slow", oidctest.Fault{Status: 200, Body: strings.Repeat(" ", 10000), Slow: time.Millisecond}, "sent no complete response: it timed out"},
		{"D7 a redirect", oidctest.Fault{Redirect: "http://127.0.0.1:1/"}, "status 307"},
		{"D9 503", oidctest.Fault{Status: 503}, "status 503"},
		{"D9 404", oidctest.Fault{Status: 404}, "status 404: check the path"},
		{"D9 400 of an https port", oidctest.Fault{Status: 400}, "the port may expect https"},
		{"D9 dropped", oidctest.Fault{Drop: true}, "sent no complete response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Discovery] = c.fault })
			if isSlow(c.fault) {
				b.setTimeout(500 * time.Millisecond)
			}
			_, err := b.rp.Metadata(context.Background())
			b.setTimeout(time.Minute)
			if !failsWith(err, ErrUnavailable, c.fails) || strings.Contains(err.Error(), "canary") {
				t.Fatal(err)
			}
			b.op.Reset()
			if _, err := b.rp.Metadata(context.Background()); err == nil {
				t.Fatal("fetched again at once")
			}
			b.clock.add(b.rp.RetryAfter())
			if _, err := b.rp.Metadata(context.Background()); err != nil {
				t.Fatalf("after the pause: %v", err)
			}
		})
	}
}

func TestDiscoveryBacksOff(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Discovery] = oidctest.Fault{Status: 404} })
	var pauses []time.Duration
	for i := 0; i < 8; i++ {
		for n := 0; n < 20; n++ {
			if _, err := b.rp.Metadata(context.Background()); !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if got := b.op.Count(oidctest.Discovery); got != i+1 {
			t.Fatalf("D9: %d fetches in %d rounds", got, i+1)
		}
		pauses = append(pauses, b.rp.RetryAfter())
		b.clock.add(b.rp.RetryAfter())
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		if pauses[i] != want*time.Second {
			t.Errorf("D9 pause %d: %v", i, pauses[i])
		}
	}
}

func TestDiscoveryIsFetchedOnceForAll(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	hold := make(chan struct{})
	b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Discovery] = oidctest.Fault{Hold: hold} })
	var wg sync.WaitGroup
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := b.rp.Metadata(context.Background()); err != nil {
				t.Errorf("D9: %v", err)
			}
		}()
	}
	f := b.rp.discovery.flight
	eventually.True(t, "all wait", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.waiting) == 50 })
	close(hold)
	wg.Wait()
	if got := b.op.Count(oidctest.Discovery); got != 1 {
		t.Errorf("D9: fetched %d times", got)
	}
}

func TestWaitingIsBounded(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	hold := make(chan struct{})
	b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Discovery] = oidctest.Fault{Hold: hold} })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, maxWaiting)
	for i := 0; i < maxWaiting; i++ {
		go func() { _, err := b.rp.Metadata(ctx); ended <- err }()
	}
	f := b.rp.discovery.flight
	waiting := func() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.waiting) }
	eventually.True(t, "all wait", func() bool { return waiting() == maxWaiting })
	if _, err := b.rp.Metadata(context.Background()); !failsWith(err, ErrUnavailable, "too many") {
		t.Errorf("K4 one more: %v", err)
	}
	cancel()
	for i := 0; i < maxWaiting; i++ {
		if err := <-ended; !failsWith(err, ErrUnavailable, "the request ended") {
			t.Errorf("K4 a request that ended: %v", err)
		}
	}
	if waiting() != 0 {
		t.Errorf("K4 %d still wait", waiting())
	}
	close(hold)
	eventually.True(t, "the fetch served nobody, and is kept", func() bool { _, err := b.rp.Metadata(context.Background()); return err == nil })
	if got := b.op.Count(oidctest.Discovery); got != 1 {
		t.Errorf("K4 fetched %d times", got)
	}
}

func TestMetadataThatTurnsBadIsKept(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	first, err := b.rp.Metadata(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = set("issuer", "https://evil.example") })
	b.clock.add(metadataLife)
	again, err := b.rp.Metadata(context.Background())
	if err != nil || again != first {
		t.Fatalf("D1: %v", err)
	}
	eventually.True(t, "fetched again", func() bool { return b.op.Count(oidctest.Discovery) == 2 && !b.rp.discovery.flight.inProgress() })
	if again, err = b.rp.Metadata(context.Background()); err != nil || again != first {
		t.Fatalf("D1: %v", err)
	}
	b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = set("token_endpoint", "https://idp.example/new") })
	b.clock.add(time.Minute)
	eventually.True(t, "new metadata", func() bool {
		m, err := b.rp.Metadata(context.Background())
		return err == nil && m.TokenEndpoint == "https://idp.example/new"
	})
}

func TestAnIssuerMayEndInASlash(t *testing.T) {
	l := listen(t)
	issuer := "http://" + l.Addr().String() + "/realm/"
	b := newBed(t, oidctest.Options{Listener: l, Issuer: issuer}, Options{Issuer: issuer})
	tokens := b.tokens(t)
	checkRefusal(t, b.verify(tokens.IDToken), "")
}

func TestMetadataAlgorithmsAreNotTrusted(t *testing.T) {
	for _, c := range []struct {
		name    string
		offered any
		alg     string
		fails   string
	}{
		{"D11 none and HS256 are offered", []string{"none", "HS256"}, "HS256", "alg"},
		{"D11 none is offered", []string{"none", "ES256"}, "none", "alg"},
		{"D11 nothing is offered", nil, "RS256", ""},
		{"D11 something unknown is offered", []string{"XX256"}, "RS256", ""},
		{"D11 an offered algorithm is accepted", []string{"ES256", "HS256"}, "ES256", ""},
		{"D11 an algorithm that is not offered is refused", []string{"RS256"}, "ES256", "alg"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{ClientSecret: longSecret})
			b.op.Set(func(be *oidctest.Behaviour) {
				be.Discovery = set("id_token_signing_alg_values_supported", c.offered)
			})
			key := &oidctest.Key{Alg: c.alg, Secret: []byte(longSecret)}
			if c.alg == "RS256" || c.alg == "ES256" {
				key = b.op.RotateTo(oidctest.NewKey(c.alg))
			}
			checkRefusal(t, b.verify(key.SignClaims(b.claims(), nil)), c.fails)
		})
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	b := newBed(t, oidctest.Options{TLS: true}, Options{})
	if _, err := b.rp.Metadata(context.Background()); !failsWith(err, ErrUnavailable, "certificate that is not trusted: its issuer is not a known one; set caCertPath") {
		t.Errorf("D10 self-signed: %v", err)
	}
	roots := b.op.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	trusting := &http.Client{Transport: NewTransport(TransportOptions{AllowPrivate: true, RootCAs: roots})}
	if _, err := b.relyingParty(Options{HTTPClient: trusting}).Metadata(context.Background()); err != nil {
		t.Errorf("D10 trusted: %v", err)
	}
	expired := NewTransport(TransportOptions{AllowPrivate: true, RootCAs: roots})
	expired.TLSClientConfig.Time = func() time.Time { return time.Now().AddDate(200, 0, 0) }
	if _, err := b.relyingParty(Options{HTTPClient: &http.Client{Transport: expired}}).Metadata(context.Background()); !failsWith(err, ErrUnavailable, "certificate that is not trusted: it has expired") {
		t.Errorf("D10 expired: %v", err)
	}
	wrongHost := strings.Replace(b.op.URL(), "127.0.0.1", "localhost", 1)
	if _, err := b.relyingParty(Options{HTTPClient: trusting, Issuer: wrongHost}).Metadata(context.Background()); !failsWith(err, ErrUnavailable, "certificate that is not trusted: it is for another host name") {
		t.Errorf("D10 wrong host: %v", err)
	}
}

// FuzzDiscovery checks that accepted documents name the issuer and https endpoints
// only.
func FuzzDiscovery(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/a?x=1","token_endpoint":"https://idp.example/t","jwks_uri":"https://idp.example/j"}`))
	f.Add([]byte(`{"issuer":"https://idp.example","Issuer":"https://evil.example"}`))
	f.Add([]byte(`{"issuer":"https://{tenantid}/","issuer":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMetadata(b, Options{Issuer: "https://idp.example"})
		if err != nil {
			return
		}
		if m.Issuer != "https://idp.example" {
			t.Fatalf("issuer %q", m.Issuer)
		}
		for _, u := range []string{m.AuthorizationEndpoint, m.TokenEndpoint, m.JWKSURI} {
			if !strings.HasPrefix(strings.ToLower(u), "https://") {
				t.Fatalf("endpoint %q", u)
			}
		}
	})
}
