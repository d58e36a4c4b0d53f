package interpreted

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// TestClientAuthentication has the plugin authenticate at the token endpoint by the
// method of clientAuthMethod.
func TestClientAuthentication(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	rows := []struct {
		name     string
		options  map[string]any
		without  []string
		provider oidctest.Options
		header   bool // the Authorization header is used
		secret   bool // the secret is in the form
		asserts  bool // an assertion is in the form
	}{
		{name: "client_secret_basic", header: true, options: map[string]any{"clientAuthMethod": "client_secret_basic"}},
		{name: "client_secret_post", secret: true, options: map[string]any{"clientAuthMethod": "client_secret_post"}},
		{name: "E15 client_secret_jwt", asserts: true, options: map[string]any{"clientAuthMethod": "client_secret_jwt"}},
		{name: "E15 private_key_jwt", asserts: true, provider: oidctest.Options{ClientKey: &private.PublicKey}, without: []string{"clientSecret"},
			options: map[string]any{"clientAuthMethod": "private_key_jwt", "clientAssertionPrivateKey": text, "clientAssertionKeyID": "k"}},
		{name: "none", provider: oidctest.Options{Public: true}, without: []string{"clientSecret"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{provider: row.provider, options: row.options, without: row.without})
			s.status(s.signedIn("alice").Fetch(s.url+"/"), http.StatusOK)
			last := s.provider.Last(oidctest.Token)
			got := []bool{last.Header.Get("Authorization") != "", last.Form.Get("client_secret") != "", last.Form.Get("client_assertion") != ""}
			want := []bool{row.header, row.secret, row.asserts}
			if row.asserts {
				s.signedIn("bob")
				if s.provider.Last(oidctest.Token).Form.Get("client_assertion") == last.Form.Get("client_assertion") {
					t.Error("the same assertion twice")
				}
			}
			for i, what := range []string{"an Authorization header", "the secret in the form", "an assertion"} {
				if got[i] != want[i] {
					t.Errorf("%s: %v, want %v", what, got[i], want[i])
				}
			}
		})
	}

	t.Run("a key that is none", func(t *testing.T) {
		s := newSite(t, setup{})
		options := optionsFor(s.provider)
		options["clientAuthMethod"] = "private_key_jwt"
		options["clientAssertionPrivateKey"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		if problem, ok := s.plugin.Accepts(t.Name(), options); ok || !strings.Contains(problem, "clientAssertionPrivateKey") {
			t.Errorf("accepted: %v, %s", ok, problem)
		}
	})
}
