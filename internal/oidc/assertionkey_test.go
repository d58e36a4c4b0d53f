package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestClientAssertionsAreFreshAndSigned(t *testing.T) {
	for _, alg := range []string{"RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"} {
		t.Run("E15 "+alg, func(t *testing.T) {
			signer := oidctest.NewKey(alg)
			key, err := ParseAssertionKey(pemOf(t, signer.Signer), "kid", alg)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Unix(1800000000, 0)
			p := NewProvider(Options{Issuer: "https://idp.example", ClientID: "client", AssertionKey: key, Now: (&clock{now: now}).Now})
			keys, err := parseKeys(toJSON(map[string]any{"keys": []any{signer.JWK()}}))
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]bool{}
			for i := 0; i < 2; i++ {
				form := url.Values{}
				if _, err := p.authenticated(&Metadata{TokenEndpoint: "https://idp.example/t"}, "https://idp.example/r", form); err != nil {
					t.Fatal(err)
				}
				a, _ := findAlgorithm(alg)
				tok, err := parseJWT(form.Get("client_assertion"))
				if err != nil || tok.alg != alg || tok.kid != "kid" || !a.verifies(keys[0], tok.signed, tok.signature) {
					t.Fatalf("%v", err)
				}
				exp, _ := tok.claims.instant("exp")
				id, _ := tok.claims.text("jti")
				ids[id] = true
				if tok.claims["aud"] != "https://idp.example/t" || tok.claims["iss"] != "client" || tok.claims["sub"] != "client" ||
					exp.Sub(now) != assertionLife {
					t.Fatalf("%v", tok.claims)
				}
			}
			if len(ids) != 2 {
				t.Fatal("an id was used twice")
			}
		})
	}
}

func TestAssertionKeys(t *testing.T) {
	rs, es := oidctest.NewKey("RS256").Signer.(*rsa.PrivateKey), oidctest.NewKey("ES256").Signer.(*ecdsa.PrivateKey)
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	sec1, _ := x509.MarshalECPrivateKey(es)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for _, c := range []struct {
		name, text, alg string
		ok              bool
	}{
		{"PKCS 1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)), "", true},
		{"SEC 1", block("EC PRIVATE KEY", sec1), "", true},
		{"PKCS 8 with an algorithm", pemOf(t, rs), "PS256", true},
		{"an algorithm of another key", pemOf(t, rs), "ES256", false},
		{"a curve of another algorithm", pemOf(t, es), "ES384", false},
		{"a shared secret's algorithm", pemOf(t, rs), "HS256", false},
		{"a weak key", pemOf(t, small), "", false},
		{"no PEM", "canary", "", false},
		{"a PEM of something else", block("PRIVATE KEY", []byte("canary")), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseAssertionKey(c.text, "", c.alg); (err == nil) != c.ok {
				t.Fatal(err)
			}
		})
	}
	b := newBed(t, oidctest.Options{}, Options{ClientAuthMethod: "private_key_jwt"})
	if _, err := b.rp.Refresh(context.Background(), "x"); err == nil || b.op.Count(oidctest.Token) != 0 {
		t.Fatalf("without a key: %v", err)
	}
}
