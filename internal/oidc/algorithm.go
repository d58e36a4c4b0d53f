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

func findAlgorithm(name string) (algorithm, bool) {
	switch name {
	case "EdDSA":
		return algorithm{name, "Ed", crypto.SHA512, "OKP", "Ed25519", 0}, true
	case "ES256":
		return algorithm{name, "ES", crypto.SHA256, "EC", "P-256", 32}, true
	case "ES384":
		return algorithm{name, "ES", crypto.SHA384, "EC", "P-384", 48}, true
	case "ES512":
		return algorithm{name, "ES", crypto.SHA512, "EC", "P-521", 66}, true
	case "RS256", "PS256":
		return algorithm{name, name[:2], crypto.SHA256, "RSA", "", 0}, true
	case "RS384", "PS384":
		return algorithm{name, name[:2], crypto.SHA384, "RSA", "", 0}, true
	case "RS512", "PS512":
		return algorithm{name, name[:2], crypto.SHA512, "RSA", "", 0}, true
	case "HS256":
		return algorithm{name, "HS", crypto.SHA256, "oct", "", 0}, true
	case "HS384":
		return algorithm{name, "HS", crypto.SHA384, "oct", "", 0}, true
	case "HS512":
		return algorithm{name, "HS", crypto.SHA512, "oct", "", 0}, true
	}
	return algorithm{}, false
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
