package oidc

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestCraftedKeys(t *testing.T) {
	rs, es, ed := oidctest.NewKey("RS256").JWK(), oidctest.NewKey("ES256").JWK(), oidctest.NewKey("EdDSA").JWK()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	enc := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	p256 := elliptic.P256().Params()
	even := new(big.Int).Lsh(big.NewInt(1), 2047)
	for _, c := range []struct {
		name   string
		jwk    map[string]any
		change func(m map[string]any)
		ok     bool
	}{
		{"C26 RSA as it should be", rs, set("x", 1), true},
		{"C26 EC as it should be", es, set("x5c", []string{"MIIB"}), true},
		{"C26 Ed25519 as it should be", ed, set("ext", true), true},
		{"C26 a point that is not on the curve", es, set("y", es["x"]), false},
		{"C26 the point at infinity", es, func(m map[string]any) { m["x"], m["y"] = zeros(32), zeros(32) }, false},
		{"C26 a coordinate beyond the field", es, set("x", enc(p256.P)), false},
		{"C26 a short coordinate", es, set("x", zeros(31)), false},
		{"C26 a coordinate with a leading zero", es, set("x", zeros(33)), false},
		{"C26 no coordinate", es, without("y"), false},
		{"C26 one coordinate for both", es, func(m map[string]any) { m["x"], m["y"] = zeros(64), "" }, false},
		{"C26 a curve of another name", es, set("crv", "P-384"), false},
		{"C26 an unknown curve", es, set("crv", "secp256k1"), false},
		{"C26 e is 1", rs, set("e", "AQ"), false},
		{"C26 e is 3", rs, set("e", "Aw"), true},
		{"C26 e is even", rs, set("e", "AQAA"), false},
		{"C26 e is 0", rs, set("e", "AA"), false},
		{"C26 e is empty", rs, set("e", ""), false},
		{"C26 e of 33 bits", rs, set("e", "AQAAAAE"), false},
		{"C26 e of 64 KB", rs, set("e", zeros(64<<10)), false},
		{"C26 e is a number", rs, set("e", 65537), false},
		{"C26 n of 1024 bits", rs, set("n", enc(small.N)), false},
		{"C26 n is even", rs, set("n", enc(even)), false},
		{"C26 n of 8193 bits", rs, set("n", enc(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 8192), big.NewInt(1)))), false},
		{"C26 n of 64 KB", rs, set("n", base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 64<<10)))), false},
		{"C26 n with padding", rs, set("n", rs["n"].(string)+"=="), false},
		{"C26 n with a newline", rs, set("n", rs["n"].(string)[:9]+"\n"+rs["n"].(string)[9:]), false},
		{"C26 an Ed25519 key of 31 bytes", ed, set("x", zeros(31)), false},
		{"C26 an X25519 key", ed, set("crv", "X25519"), false},
		{"C26 a secret", map[string]any{"kty": "oct", "k": "c2VjcmV0"}, set("alg", "HS256"), false},
		{"C26 kty is missing", rs, without("kty"), false},
		{"C26 alg is an array", rs, set("alg", []string{"RS256"}), false},
		{"C26 a kid of 2 KB", rs, set("kid", strings.Repeat("k", 2<<10)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := map[string]any{}
			for k, v := range c.jwk {
				m[k] = v
			}
			c.change(m)
			keys, err := parseKeys(toJSON(map[string]any{"keys": []any{m}}))
			if (err == nil) != c.ok || (len(keys) == 1) != c.ok {
				t.Fatalf("%v, %d keys", err, len(keys))
			}
			mixed, err := parseKeys(toJSON(map[string]any{"keys": []any{m, "x", nil, rs}}))
			if err != nil || mixed[len(mixed)-1].kty != "RSA" {
				t.Fatalf("a good key beside it was lost: %v", err)
			}
		})
	}
}

func zeros(n int) string { return base64.RawURLEncoding.EncodeToString(make([]byte, n)) }

func TestKeySetsAreBounded(t *testing.T) {
	jwk := oidctest.NewKey("ES256").JWK()
	list := make([]any, 300)
	for i := range list {
		list[i] = jwk
	}
	keys, err := parseKeys(toJSON(map[string]any{"keys": list}))
	if err != nil || len(keys) != maxKeys {
		t.Fatalf("D4: %d keys, %v", len(keys), err)
	}
}

// FuzzParseJWKS checks that accepted keys can be used and that none is weak.
func FuzzParseJWKS(f *testing.F) {
	for _, alg := range []string{"RS256", "ES256", "ES512", "EdDSA"} {
		f.Add(toJSON(map[string]any{"keys": []any{oidctest.NewKey(alg).JWK()}}))
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQ"}]}`))
	f.Add([]byte(`{"keys":{}}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseKeys(b)
		if err != nil && keys != nil {
			t.Fatal("keys and an error")
		}
		for _, k := range keys {
			for _, name := range []string{"RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256"} {
				a, _ := findAlgorithm(name)
				if k.fits(a) && a.verifies(k, "signed", make([]byte, 64)) {
					t.Fatalf("%s verifies zeros", name)
				}
			}
			if k.rsa != nil && (k.rsa.N.BitLen() < 2048 || k.rsa.E < 3 || k.rsa.E%2 == 0) {
				t.Fatal("a weak RSA key")
			}
		}
	})
}
