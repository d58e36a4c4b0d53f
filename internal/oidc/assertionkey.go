package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

var (
	errAssertionKey   = errors.New("is no private key in PEM that can be used: RSA with 2048 bits or more, EC on P-256, P-384 or P-521, or Ed25519")
	errNoAssertionKey = errors.New("oidc: client assertion: there is no key; set clientAssertionPrivateKey")
	errAssertionAlg   = errors.New("is a key that does not fit clientAssertionAlg")
)

// An AssertionKey signs client assertions (private_key_jwt). It is safe for
// concurrent use.
type AssertionKey struct {
	id  string
	alg algorithm
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}

// ParseAssertionKey reads a private key in PEM: PKCS #8, PKCS #1 or SEC 1. Assertions have
// the kid id, or none if it is empty. Their algorithm is alg. If that is empty, the type
// of the key decides: RS256, ES256, ES384, ES512 or EdDSA. It fails if text is no private
// key, or if the key does not fit alg. RSA keys need 2048 bits or more. The text of an
// error follows the name of an option.
func ParseAssertionKey(text, id, alg string) (*AssertionKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errAssertionKey
	}
	k := &AssertionKey{id: id}
	fits := k.read(block.Bytes)
	if len(fits) == 0 {
		return nil, errAssertionKey
	}
	if alg == "" {
		alg = fits[0]
	}
	if !contains(fits, alg) {
		return nil, errAssertionAlg
	}
	k.alg, _ = findAlgorithm(alg)
	return k, nil
}

// read parses the key and returns the algorithms that it fits, the default first; nil:
// it is no usable key.
func (k *AssertionKey) read(der []byte) []string {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		parsed, err = x509.ParsePKCS1PrivateKey(der)
	}
	if err != nil {
		parsed, err = x509.ParseECPrivateKey(der)
	}
	if err != nil {
		return nil
	}
	if key, ok := parsed.(*rsa.PrivateKey); ok && key.N.BitLen() >= minRSABits {
		k.rsa = key
		return fitting("RSA", "")
	}
	if key, ok := parsed.(*ecdsa.PrivateKey); ok {
		k.ec = key
		return fitting("EC", key.Curve.Params().Name)
	}
	if key, ok := parsed.(ed25519.PrivateKey); ok {
		k.ed = key
		return fitting("OKP", "Ed25519")
	}
	return nil
}

// sign makes a compact JWS of a payload.
func (k *AssertionKey) sign(payload []byte) (string, error) {
	if k == nil {
		return "", errNoAssertionKey
	}
	fields := map[string]any{"alg": k.alg.name, "typ": "JWT"}
	if k.id != "" {
		fields["kid"] = k.id
	}
	header, err := json.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("oidc: client assertion: %w", err)
	}
	signed := encodeBase64(header) + "." + encodeBase64(payload)
	sig, err := k.signature(signed)
	if err != nil {
		return "", fmt.Errorf("oidc: client assertion: signing failed: %w", err)
	}
	return signed + "." + encodeBase64(sig), nil
}

func (k *AssertionKey) signature(signed string) ([]byte, error) {
	switch k.alg.family {
	case "RS":
		return rsa.SignPKCS1v15(rand.Reader, k.rsa, k.alg.hash, k.alg.digest(signed))
	case "PS":
		o := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.SignPSS(rand.Reader, k.rsa, k.alg.hash, k.alg.digest(signed), o)
	case "Ed":
		return k.ed.Sign(rand.Reader, []byte(signed), crypto.Hash(0))
	}
	r, s, err := ecdsa.Sign(rand.Reader, k.ec, k.alg.digest(signed))
	if err != nil {
		return nil, err
	}
	sig := make([]byte, 2*k.alg.size)
	r.FillBytes(sig[:k.alg.size])
	s.FillBytes(sig[k.alg.size:])
	return sig, nil
}
