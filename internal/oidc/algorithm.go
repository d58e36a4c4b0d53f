package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"math/big"
	"strings"
)

// An algorithm is a signature algorithm of RFC 7518, section 3.1, or RFC 8037. There
// is no algorithm "none".
type algorithm struct {
	name   string
	family string      // RS, PS, ES, Ed, HS
	hash   crypto.Hash // also used for at_hash, c_hash and s_hash
	kty    string      // of the keys that fit
	curve  string      // of EC and OKP keys
	size   int         // bytes of r and of s in an EC signature
}

// algorithms has every signature algorithm that is known, and is the only list of them.
var algorithms = []algorithm{
	{"RS256", "RS", crypto.SHA256, "RSA", "", 0},
	{"RS384", "RS", crypto.SHA384, "RSA", "", 0},
	{"RS512", "RS", crypto.SHA512, "RSA", "", 0},
	{"PS256", "PS", crypto.SHA256, "RSA", "", 0},
	{"PS384", "PS", crypto.SHA384, "RSA", "", 0},
	{"PS512", "PS", crypto.SHA512, "RSA", "", 0},
	{"ES256", "ES", crypto.SHA256, "EC", "P-256", 32},
	{"ES384", "ES", crypto.SHA384, "EC", "P-384", 48},
	{"ES512", "ES", crypto.SHA512, "EC", "P-521", 66},
	{"EdDSA", "Ed", crypto.SHA512, "OKP", "Ed25519", 0},
	{"HS256", "HS", crypto.SHA256, "oct", "", 0},
	{"HS384", "HS", crypto.SHA384, "oct", "", 0},
	{"HS512", "HS", crypto.SHA512, "oct", "", 0},
}

var algorithmsByName = byName(algorithms)

func byName(list []algorithm) map[string]algorithm {
	m := map[string]algorithm{}
	for _, a := range list {
		m[a.name] = a
	}
	return m
}

func findAlgorithm(name string) (algorithm, bool) {
	a, known := algorithmsByName[name]
	return a, known
}

// Algorithms returns the names of the signature algorithms that an ID token may have.
// NeedsSecret is true for the last ones.
func Algorithms() []string {
	var names []string
	for _, a := range algorithms {
		names = append(names, a.name)
	}
	return names
}

// AssertionAlgorithms returns the names of the signature algorithms that an assertion
// of the client may have: by its private key, or HS256 by its secret.
func AssertionAlgorithms() []string {
	return append(asymmetric(Algorithms()), assertionMAC)
}

// assertionMAC is the algorithm of client_secret_jwt.
const assertionMAC = "HS256"

// NeedsSecret reports whether an algorithm verifies by the client's secret.
func NeedsSecret(name string) bool {
	a, known := findAlgorithm(name)
	return known && a.family == "HS"
}

// fitting returns the names of the algorithms of a type of key, on a curve.
func fitting(kty, curve string) []string {
	var names []string
	for _, a := range algorithms {
		if a.kty == kty && a.curve == curve {
			names = append(names, a.name)
		}
	}
	return names
}

// asymmetric returns the names of known algorithms that need no shared secret.
func asymmetric(names []string) []string {
	var kept []string
	for _, name := range names {
		if a, ok := findAlgorithm(name); ok && a.family != "HS" {
			kept = append(kept, name)
		}
	}
	return kept
}

func (a algorithm) newHash() hash.Hash {
	switch a.hash {
	case crypto.SHA384:
		return sha512.New384()
	case crypto.SHA512:
		return sha512.New()
	}
	return sha256.New()
}

func (a algorithm) digest(b string) []byte {
	h := a.newHash()
	h.Write([]byte(b))
	return h.Sum(nil)
}

// verifies reports whether k made the signature. k must fit the algorithm.
func (a algorithm) verifies(k *key, signed string, sig []byte) bool {
	switch a.family {
	case "RS":
		return rsa.VerifyPKCS1v15(k.rsa, a.hash, a.digest(signed), sig) == nil
	case "PS":
		o := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(k.rsa, a.hash, a.digest(signed), sig, o) == nil
	case "ES":
		return a.verifiesEC(k.ec, signed, sig)
	case "Ed":
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(k.ed, []byte(signed), sig)
	}
	return false
}

// verifiesEC requires r and s of exactly the curve's size, between 1 and n-1
// (RFC 7518, section 3.4).
func (a algorithm) verifiesEC(pub *ecdsa.PublicKey, signed string, sig []byte) bool {
	if len(sig) != 2*a.size {
		return false
	}
	r := new(big.Int).SetBytes(sig[:a.size])
	s := new(big.Int).SetBytes(sig[a.size:])
	n := pub.Curve.Params().N
	if r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(n) >= 0 || s.Cmp(n) >= 0 {
		return false
	}
	return ecdsa.Verify(pub, a.digest(signed), r, s)
}

func (a algorithm) mac(secret, signed string) []byte {
	var h hash.Hash
	switch a.hash {
	case crypto.SHA384:
		h = hmac.New(sha512.New384, []byte(secret))
	case crypto.SHA512:
		h = hmac.New(sha512.New, []byte(secret))
	default:
		h = hmac.New(sha256.New, []byte(secret))
	}
	h.Write([]byte(signed))
	return h.Sum(nil)
}

// verifiesMAC refuses secrets that are shorter than the hash (RFC 7518,
// section 3.2).
func (a algorithm) verifiesMAC(secret, signed string, sig []byte) bool {
	return len(secret) >= a.hash.Size() && hmac.Equal(sig, a.mac(secret, signed))
}

// isHalfHash reports whether claim is the at_hash, c_hash or s_hash of value
// (OpenID Connect Core 1.0, section 3.1.3.6).
func (a algorithm) isHalfHash(claim, value string) bool {
	sum := a.digest(value)
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	return subtle.ConstantTimeCompare([]byte(claim), []byte(want)) == 1
}

// decodeBase64 reads unpadded base64url strictly. Line breaks, other alphabets and
// trailing bits are refused, so that each value has one spelling.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errMalformed
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errMalformed
	}
	return b, nil
}
