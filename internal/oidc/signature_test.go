package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

const longSecret = "a secret of more than sixty-four bytes, so that it is enough for HS512 too"

// everyAlgorithm has the names that an operator may write.
var everyAlgorithm = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512",
}

func TestAlgorithms(t *testing.T) {
	if got := Algorithms(); !reflect.DeepEqual(got, everyAlgorithm) {
		t.Errorf("%q", got)
	}
	if got := AssertionAlgorithms(); !reflect.DeepEqual(got, everyAlgorithm[:11]) {
		t.Errorf("of assertions: %q", got)
	}
	for i, name := range everyAlgorithm {
		if NeedsSecret(name) != (i >= 10) {
			t.Errorf("%s: a secret is needed: %t", name, NeedsSecret(name))
		}
	}
	if NeedsSecret("none") {
		t.Error("none needs a secret")
	}
}

func TestEveryAlgorithmVerifies(t *testing.T) {
	for _, alg := range everyAlgorithm {
		t.Run("C4 "+alg, func(t *testing.T) {
			key := oidctest.NewKey(alg)
			if key.Signer == nil {
				key.Secret = []byte(longSecret)
			}
			b := newBed(t, oidctest.Options{ClientSecret: longSecret}, Options{SigningAlgs: []string{alg}, ClientSecret: longSecret})
			b.op.RotateTo(key)
			raw := key.SignClaims(b.claims(), nil)
			checkRefusal(t, b.verify(raw), "")
			checkRefusal(t, b.verify(flipped(raw)), "signature")
			other := "RS256"
			if alg == other {
				other = "ES256"
			}
			b.rp = b.relyingParty(Options{SigningAlgs: []string{other}, ClientSecret: longSecret})
			checkRefusal(t, b.verify(raw), "alg is not allowed: check idTokenSigningAlgs")
		})
	}
}

// flipped changes a bit in the middle of a token's signature.
func flipped(raw string) string {
	cut := strings.LastIndexByte(raw, '.') + 1
	sig, _ := base64.RawURLEncoding.DecodeString(raw[cut:])
	sig[len(sig)/2] ^= 1
	return raw[:cut] + base64.RawURLEncoding.EncodeToString(sig)
}

func TestAPublicKeyIsNoSecret(t *testing.T) {
	rs := oidctest.NewKey("RS256")
	der, _ := x509.MarshalPKIXPublicKey(rs.Signer.Public())
	for name, secret := range map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"DER": der,
		"JWK": toJSON(rs.JWK()),
	} {
		t.Run("C2 "+name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{ClientSecret: longSecret})
			b.op.RotateTo(rs)
			forged := &oidctest.Key{ID: rs.ID, Alg: "HS256", Secret: secret}
			checkRefusal(t, b.verify(forged.SignClaims(b.claims(), nil)), "alg is not allowed: check idTokenSigningAlgs")
			b.rp = b.relyingParty(Options{ClientSecret: longSecret, SigningAlgs: []string{"RS256", "HS256"}})
			checkRefusal(t, b.verify(forged.SignClaims(b.claims(), nil)), "signature")
			checkRefusal(t, b.verify(rs.SignClaims(b.claims(), nil)), "")
		})
	}
}

func TestShortSecretsVerifyNothing(t *testing.T) {
	for _, c := range []struct {
		name, alg, secret, fails string
	}{
		{"C3 short", "HS256", "secret", "signature"},
		{"C3 31 bytes", "HS256", longSecret[:31], "signature"},
		{"C3 32 bytes", "HS256", longSecret[:32], ""},
		{"C3 32 bytes for HS512", "HS512", longSecret[:32], "signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{ClientSecret: c.secret, SigningAlgs: []string{c.alg}})
			key := &oidctest.Key{Alg: c.alg, Secret: []byte(c.secret)}
			checkRefusal(t, b.verify(key.SignClaims(b.claims(), nil)), c.fails)
		})
	}
	t.Run("C3 empty", func(t *testing.T) {
		b := newBed(t, oidctest.Options{}, Options{SigningAlgs: []string{"HS256"}})
		b.rp.options.ClientSecret = ""
		checkRefusal(t, b.verify((&oidctest.Key{Alg: "HS256"}).SignClaims(b.claims(), nil)), "signature")
	})
}

// The checks of type, curve and signature size overlap: a curve implies a type, and a
// size of signature mostly implies a curve. Each row passes one check and fails
// another. TestAKeyOfAShorterCurve has a token that only the check of the curve refuses.
func TestKeysMustFitTheAlgorithm(t *testing.T) {
	all := []string{"RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rs, es, ed := oidctest.NewKey("RS256"), oidctest.NewKey("ES256"), oidctest.NewKey("EdDSA")
	for _, c := range []struct {
		name  string
		key   *oidctest.Key // signs the token; its kid is that of the published key
		jwk   func(m map[string]any)
		fails string
	}{
		{"C5 RS256 header with an EC key", &oidctest.Key{ID: es.ID, Alg: "RS256", Signer: rs.Signer}, replace(es.JWK()), "signature"},
		{"C5 ES256 header with an RSA key", &oidctest.Key{ID: rs.ID, Alg: "ES256", Signer: es.Signer}, replace(rs.JWK()), "signature"},
		{"C5 EdDSA header with an EC key", &oidctest.Key{ID: es.ID, Alg: "EdDSA", Signer: ed.Signer}, replace(es.JWK()), "signature"},
		{"C5 PS256 header with an RS256 key", &oidctest.Key{ID: "k", Alg: "PS256", Signer: rs.Signer}, set("alg", "RS256"), "signature"},
		{"C5 RS512 header with an RS256 key", &oidctest.Key{ID: "k", Alg: "RS512", Signer: rs.Signer}, set("alg", "RS256"), "signature"},
		{"C5 PS256 header with a key for any alg", &oidctest.Key{ID: "k", Alg: "PS256", Signer: rs.Signer}, without("alg"), ""},
		{"C5 ES256 with a P-384 key", &oidctest.Key{ID: "k", Alg: "ES256", Signer: p384}, set("alg", "ES256"), "signature"},
		{"C5 ES256 with a P-384 key said to be P-256", &oidctest.Key{ID: "k", Alg: "ES256", Signer: p384}, set("crv", "P-256"), "keys could not"},
		{"C5 kty in lower case", &oidctest.Key{ID: "k", Alg: "RS256", Signer: rs.Signer}, set("kty", "rsa"), "keys could not"},
		{"C6 use enc", &oidctest.Key{ID: "k", Alg: "RS256", Signer: rs.Signer}, set("use", "enc"), "keys could not"},
		{"C6 use of another kind", &oidctest.Key{ID: "k", Alg: "RS256", Signer: rs.Signer}, set("use", []string{"sig"}), "keys could not"},
		{"C6 no use", &oidctest.Key{ID: "k", Alg: "RS256", Signer: rs.Signer}, without("use"), ""},
		{"C6 key_ops without verify", &oidctest.Key{ID: "k", Alg: "RS256", Signer: rs.Signer}, set("key_ops", []string{"sign", "encrypt"}), "keys could not"},
		{"C6 key_ops empty", &oidctest.Key{ID: "k", Alg: "RS256", Signer: rs.Signer}, set("key_ops", []string{}), "keys could not"},
		{"C6 key_ops with verify", &oidctest.Key{ID: "k", Alg: "RS256", Signer: rs.Signer}, set("key_ops", []string{"verify"}), ""},
		{"C7 kid of the key is a number", &oidctest.Key{ID: "k", Alg: "RS256", Signer: rs.Signer}, set("kid", 1), "keys could not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{SigningAlgs: all})
			b.op.Set(func(be *oidctest.Behaviour) {
				be.JWKS = func([]map[string]any) []map[string]any {
					jwk := c.key.JWK()
					c.jwk(jwk)
					return []map[string]any{jwk}
				}
			})
			err := b.verify(c.key.SignClaims(b.claims(), nil))
			if c.fails == "keys could not" {
				if !failsWith(err, ErrUnavailable, c.fails) {
					t.Fatal(err)
				}
				return
			}
			checkRefusal(t, err, c.fails)
		})
	}
}

func TestAKeyOfAShorterCurve(t *testing.T) {
	b := newBed(t, oidctest.Options{SigningAlg: "ES256"}, Options{SigningAlgs: []string{"ES256", "ES384"}})
	k := &oidctest.Key{ID: "k", Alg: "ES384", Signer: b.op.SigningKey().Signer}
	b.op.Publish(k)
	raw := k.SignClaims(b.claims(), nil)
	t.Run("C5 ES384 with a P-256 key, r and s at the size of P-384", func(t *testing.T) {
		i := strings.LastIndexByte(raw, '.')
		sig, err := base64.RawURLEncoding.DecodeString(raw[i+1:])
		if err != nil || len(sig) != 64 {
			t.Fatalf("a signature of %d bytes, %v", len(sig), err)
		}
		padded := make([]byte, 96)
		copy(padded[16:], sig[:32])
		copy(padded[64:], sig[32:])
		checkRefusal(t, b.verify(raw[:i+1]+base64.RawURLEncoding.EncodeToString(padded)), "signature")
	})
}

func replace(with map[string]any) func(map[string]any) {
	return func(m map[string]any) {
		for k := range m {
			delete(m, k)
		}
		for k, v := range with {
			m[k] = v
		}
	}
}

func TestKeysAreFoundWithAndWithoutKid(t *testing.T) {
	for _, c := range []struct {
		name  string
		setUp func(b *bed) *oidctest.Key
	}{
		{"no kid, one key", func(b *bed) *oidctest.Key { k := b.op.SigningKey(); k.ID = ""; return k }},
		{"no kid, several keys", func(b *bed) *oidctest.Key {
			b.op.Publish(oidctest.NewKey("ES256"))
			b.op.Publish(oidctest.NewKey("RS256"))
			k := b.op.SigningKey()
			k.ID = ""
			return k
		}},
		{"a kid, and a key without", func(b *bed) *oidctest.Key {
			k := *b.op.SigningKey()
			b.op.SigningKey().ID = ""
			return &k
		}},
		{"D5 several keys with the same kid", func(b *bed) *oidctest.Key {
			k := oidctest.NewKey("ES256")
			k.ID = b.op.SigningKey().ID
			return b.op.RotateTo(k)
		}},
		{"D5 a kid that got a new key", func(b *bed) *oidctest.Key {
			if b.verify(b.op.SigningKey().SignClaims(b.claims(), nil)) != nil {
				return nil
			}
			k := oidctest.NewKey("ES256")
			k.ID = b.op.SigningKey().ID
			b.op.RotateTo(k)
			b.op.Retire()
			return k
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			checkRefusal(t, b.verify(c.setUp(b).SignClaims(b.claims(), nil)), "")
		})
	}
}

func TestBrokenSignatures(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	key := b.op.SigningKey()
	good := key.SignClaims(b.claims(), nil)
	cut := strings.LastIndexByte(good, '.') + 1
	sig, _ := base64.RawURLEncoding.DecodeString(good[cut:])
	with := func(sig []byte) string { return good[:cut] + base64.RawURLEncoding.EncodeToString(sig) }
	sum := sha256.Sum256([]byte(good[:cut-1]))
	der, _ := ecdsa.SignASN1(rand.Reader, key.Signer.(*ecdsa.PrivateKey), sum[:])
	n := elliptic.P256().Params().N.Bytes()
	zero := make([]byte, 32)
	for _, c := range []struct{ name, raw, fails string }{
		{"C24 as it should be", good, ""},
		{"C24 a flipped bit", flipped(good), "signature"},
		{"C24 truncated", with(sig[:63]), "signature"},
		{"C24 all zero", with(make([]byte, 64)), "signature"},
		{"C24 empty", good[:cut], "not a signed JWT"},
		{"C24 no signature part", good[:cut-1], "not a signed JWT"},
		{"C24 four parts", good + ".x", "not a signed JWT"},
		{"C24 a leading dot", "." + good, "not a signed JWT"},
		{"C24 five parts: a JWE", good + ".a.b", "encrypted"},
		{"C24 only dots", "..", "not a signed JWT"},
		{"C24 nothing", "", "not a signed JWT"},
		{"C25 r zero", with(append(append([]byte{}, zero...), sig[32:]...)), "signature"},
		{"C25 s zero", with(append(append([]byte{}, sig[:32]...), zero...)), "signature"},
		{"C25 r is n", with(append(append([]byte{}, n...), sig[32:]...)), "signature"},
		{"C25 s is n", with(append(append([]byte{}, sig[:32]...), n...)), "signature"},
		{"C25 all ones", with([]byte(strings.Repeat("\xff", 64))), "signature"},
		{"C25 DER", with(der), "signature"},
		{"C25 each half padded", with(append(append([]byte{0}, sig[:32]...), append([]byte{0}, sig[32:]...)...)), "signature"},
		{"C25 a byte more", with(append(append([]byte{}, sig...), 0)), "signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.clock.add(refetchInterval)
			checkRefusal(t, b.verify(c.raw), c.fails)
		})
	}
}

func TestOnlyTheRightKeyCounts(t *testing.T) {
	b := newBed(t, oidctest.Options{SigningAlg: "RS256"}, Options{})
	attacker, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := &oidctest.Key{ID: b.op.SigningKey().ID, Alg: "RS256", Signer: attacker}
	t.Run("C24 a foreign key under the right kid", func(t *testing.T) {
		checkRefusal(t, b.verify(forged.SignClaims(b.claims(), nil)), "signature")
	})
	t.Run("C24 the payload of one token, the signature of another", func(t *testing.T) {
		one := strings.Split(b.op.IDToken("client", "alice", testNonce, nil), ".")
		two := strings.Split(b.op.IDToken("client", "bob", testNonce, nil), ".")
		checkRefusal(t, b.verify(one[0]+"."+two[1]+"."+one[2]), "signature")
	})
}

func TestErrorsContainNothingOfTheToken(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	for i, change := range []func(map[string]any){
		set("iss", "canary"), set("aud", "canary"), set("azp", "canary"), set("exp", "canary"), set("nonce", "canary"),
		set("sub", "canary\n"), set("nbf", "canary"), set("typ", "Bearer"),
	} {
		claims := b.claims()
		change(claims)
		raw := b.op.SigningKey().SignClaims(claims, set("x", "canary"))
		err := b.verify(raw)
		if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), raw) {
			t.Errorf("E17 %d: %v", i, err)
		}
	}
	_, err := b.rp.VerifyIDToken(context.Background(), "canary", Expect{Nonce: testNonce})
	if err == nil || strings.Contains(fmt.Sprint(err), "canary") {
		t.Errorf("E17: %v", err)
	}
}
