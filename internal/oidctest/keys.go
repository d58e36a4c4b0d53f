package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math/big"
)

// A Key signs tokens. Its fields may be changed before its first use.
type Key struct {
	ID     string // kid; empty: neither the JWK nor headers have one
	Alg    string
	Signer crypto.Signer // for RS, PS, ES and EdDSA
	Secret []byte        // for HS
}

// NewKey makes a key for an algorithm, such as RS256, PS384, ES512 or EdDSA. A key for
// none makes empty signatures.
func NewKey(alg string) *Key {
	if alg == "none" {
		return &Key{Alg: alg}
	}
	k := &Key{ID: randomText(8), Alg: alg}
	var err error
	switch alg {
	case "ES256":
		k.Signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		k.Signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		k.Signer, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, k.Signer, err = ed25519.GenerateKey(rand.Reader)
	case "HS256", "HS384", "HS512":
		k.Secret = []byte(randomText(64))
	default:
		k.Signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		panic(fmt.Sprintf("oidctest: key: %v", err))
	}
	return k
}

// JWK returns the public key as a JWK (RFC 7517); nil: the key is a secret.
func (k *Key) JWK() map[string]any {
	if k.Signer == nil {
		return nil
	}
	m := map[string]any{"use": "sig", "alg": k.Alg}
	if k.ID != "" {
		m["kid"] = k.ID
	}
	switch pub := k.Signer.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", encode(pub.N.Bytes()), encode(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		size := (pub.Curve.Params().BitSize + 7) / 8
		m["kty"], m["crv"] = "EC", pub.Curve.Params().Name
		m["x"], m["y"] = encode(pub.X.FillBytes(make([]byte, size))), encode(pub.Y.FillBytes(make([]byte, size)))
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", encode(pub)
	}
	return m
}

// Sign makes a compact JWS of a header and a payload, which need not be JSON.
func (k *Key) Sign(header, payload []byte) string {
	signed := encode(header) + "." + encode(payload)
	return signed + "." + encode(k.signature([]byte(signed)))
}

// SignClaims makes a JWT with alg, typ and kid in its header. edit may change the header;
// nil: it is not changed.
func (k *Key) SignClaims(claims map[string]any, edit func(header map[string]any)) string {
	header := map[string]any{"alg": k.Alg, "typ": "JWT"}
	if k.ID != "" {
		header["kid"] = k.ID
	}
	if edit != nil {
		edit(header)
	}
	return k.Sign(mustJSON(header), mustJSON(claims))
}

func (k *Key) signature(signed []byte) []byte {
	if k.Alg == "none" && k.Secret == nil {
		return nil
	}
	newHash, id := hashOf(k.Alg)
	if k.Signer == nil {
		mac := hmac.New(newHash, k.Secret)
		mac.Write(signed)
		return mac.Sum(nil)
	}
	h := newHash()
	h.Write(signed)
	digest := h.Sum(nil)
	var sig []byte
	var err error
	switch key := k.Signer.(type) {
	case *rsa.PrivateKey:
		if k.Alg[0] == 'P' {
			sig, err = rsa.SignPSS(rand.Reader, key, id, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, key, id, digest)
		}
	case *ecdsa.PrivateKey:
		sig, err = signEC(key, digest)
	case ed25519.PrivateKey:
		sig = ed25519.Sign(key, signed)
	}
	if err != nil {
		panic(fmt.Sprintf("oidctest: sign: %v", err))
	}
	return sig
}

// signEC makes a signature of r and s at full size (RFC 7518, section 3.4).
func signEC(key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	sig := make([]byte, 2*size)
	r.FillBytes(sig[:size])
	s.FillBytes(sig[size:])
	return sig, nil
}

func hashOf(alg string) (func() hash.Hash, crypto.Hash) {
	switch {
	case len(alg) == 5 && alg[2:] == "384":
		return sha512.New384, crypto.SHA384
	case len(alg) == 5 && alg[2:] == "512", alg == "EdDSA":
		return sha512.New, crypto.SHA512
	}
	return sha256.New, crypto.SHA256
}

// halfHash returns the at_hash, c_hash or s_hash of a value.
func halfHash(alg, value string) string {
	newHash, _ := hashOf(alg)
	h := newHash()
	h.Write([]byte(value))
	sum := h.Sum(nil)
	return encode(sum[:len(sum)/2])
}

// SigningKey returns the key that signs at present.
func (p *Provider) SigningKey() *Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1]
}

// Rotate makes a new key and signs with it from now on. The older keys stay published.
func (p *Provider) Rotate() *Key { return p.RotateTo(NewKey(p.options.SigningAlg)) }

// RotateTo signs with k from now on. The older keys stay published.
func (p *Provider) RotateTo(k *Key) *Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, k)
	return k
}

// Retire stops publishing all keys except the one that signs.
func (p *Provider) Retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = p.keys[len(p.keys)-1:]
}

// Publish publishes a key without signing with it.
func (p *Provider) Publish(k *Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append([]*Key{k}, p.keys...)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func randomText(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("oidctest: json: %v", err))
	}
	return b
}

// NewSecret makes a random string of 32 characters, for use as a session key or a client
// secret in one run of a test.
func NewSecret() string {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return hex.EncodeToString(b)
}
