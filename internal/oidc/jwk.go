package oidc

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
)

const (
	maxKeys    = 100
	maxKeyID   = 1024
	minRSABits = 2048
	maxRSABits = 8192
)

// A key verifies signatures. Exactly one of rsa, ec and ed is set, by kty.
type key struct {
	id     string // kid; empty: none
	alg    string // empty: any that fits
	issuer string // of the tokens it signs, in a set with the keys of many tenants
	kty    string
	curve  string
	rsa    *rsa.PublicKey
	ec     *ecdsa.PublicKey
	ed     ed25519.PublicKey
}

// fits reports whether the key's type, curve and alg agree with an algorithm
// (RFC 8725, section 3.1).
func (k *key) fits(a algorithm) bool {
	return k.kty == a.kty && k.curve == a.curve && (k.alg == "" || k.alg == a.name)
}

// parseKeys reads a JWK Set (RFC 7517, section 5). It omits keys that are not for
// signatures, of unknown kinds, weak or malformed. A set with no key left is an error.
func parseKeys(b []byte) ([]*key, error) {
	m, err := decodeObject(b, maxBody)
	if err != nil {
		return nil, err
	}
	list, _ := m["keys"].([]any)
	if len(list) > maxKeys {
		list = list[:maxKeys]
	}
	var keys []*key
	for _, one := range list {
		jwk, _ := one.(map[string]any)
		if k, ok := parseKey(jwk); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errMalformed
	}
	return keys, nil
}

func parseKey(jwk Claims) (*key, bool) {
	if !forSignatures(jwk) {
		return nil, false
	}
	id, okID := optionalText(jwk, "kid")
	alg, okAlg := optionalText(jwk, "alg")
	kty, okType := jwk.text("kty")
	if !okID || !okAlg || !okType || len(id) > maxKeyID {
		return nil, false
	}
	k := &key{id: id, alg: alg, kty: kty}
	k.issuer, _ = jwk.text("issuer")
	switch kty {
	case "RSA":
		k.rsa = parseRSA(jwk)
		return k, k.rsa != nil
	case "EC":
		k.curve, _ = jwk.text("crv")
		k.ec = parseEC(jwk, k.curve)
		return k, k.ec != nil
	case "OKP":
		k.curve, _ = jwk.text("crv")
		k.ed = parseEd(jwk, k.curve)
		return k, k.ed != nil
	}
	return nil, false
}

// forSignatures reads use and key_ops (RFC 7517, sections 4.2 and 4.3).
func forSignatures(jwk Claims) bool {
	use, ok := optionalText(jwk, "use")
	if !ok || (use != "" && use != "sig") {
		return false
	}
	if !jwk.has("key_ops") {
		return true
	}
	ops, _ := texts(jwk["key_ops"])
	return contains(ops, "verify")
}

// optionalText returns a member that is a string, or empty and true if the member is
// absent or null. It returns false for a member of another type.
func optionalText(m Claims, name string) (string, bool) {
	s, ok := m.text(name)
	return s, ok || !m.has(name)
}

// number reads a Base64urlUInt of at most size bytes; nil: the member is not one.
func number(jwk Claims, name string, size int) *big.Int {
	s, _ := jwk.text(name)
	if s == "" || len(s) > size*4/3+4 {
		return nil
	}
	b, err := decodeBase64(s)
	if err != nil {
		return nil
	}
	return new(big.Int).SetBytes(b)
}

func parseRSA(jwk Claims) *rsa.PublicKey {
	n := number(jwk, "n", maxRSABits/8+1)
	e := number(jwk, "e", 5)
	if n == nil || e == nil || n.BitLen() < minRSABits || n.BitLen() > maxRSABits || n.Bit(0) == 0 {
		return nil
	}
	if e.BitLen() > 31 || e.BitLen() < 2 || e.Bit(0) == 0 {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}
}

// parseEC requires coordinates of the curve's full size (RFC 7518, section
// 6.2.1.2) that are a point on the curve; nil: they are not.
func parseEC(jwk Claims, curve string) *ecdsa.PublicKey {
	pub := &ecdsa.PublicKey{}
	var group ecdh.Curve
	switch curve {
	case "P-256":
		pub.Curve, group = elliptic.P256(), ecdh.P256()
	case "P-384":
		pub.Curve, group = elliptic.P384(), ecdh.P384()
	case "P-521":
		pub.Curve, group = elliptic.P521(), ecdh.P521()
	default:
		return nil
	}
	x, y := coordinate(jwk, "x"), coordinate(jwk, "y")
	point := append(append([]byte{4}, x...), y...)
	if _, err := group.NewPublicKey(point); err != nil || len(x) != len(y) {
		return nil
	}
	pub.X, pub.Y = new(big.Int).SetBytes(x), new(big.Int).SetBytes(y)
	return pub
}

func parseEd(jwk Claims, curve string) ed25519.PublicKey {
	x := coordinate(jwk, "x")
	if curve != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil
	}
	return ed25519.PublicKey(x)
}

func coordinate(jwk Claims, name string) []byte {
	s, _ := jwk.text(name)
	if len(s) > 100 {
		return nil
	}
	b, _ := decodeBase64(s)
	return b
}

func contains(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}
