// Package crypto has the constructs of cryptography and TLS that the plugin uses.
package crypto

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"math/big"
)

// Table has all constructs by the names of their functions.
var Table = map[string]func(g int) string{
	"Seal": Seal, "ECDSA": ECDSA, "Ed25519": Ed25519, "RSA": RSA, "PSS": PSS, "PublicKeys": PublicKeys, "MAC": MAC, "HKDF": HKDF,
	"HashByName": HashByName, "TLSConfig": TLSConfig, "Digest": Digest,
}

var (
	aead  = newAEAD()
	ecKey = newECKey()
	edKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	rsKey = newRSAKey()
)

func newAEAD() cipher.AEAD {
	block, err := aes.NewCipher(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		panic(err.Error())
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err.Error())
	}
	return a
}

func newECKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err.Error())
	}
	return k
}

func newRSAKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err.Error())
	}
	return k
}

// Seal uses a shared AEAD to seal, and refuses to open a text that was changed.
func Seal(g int) string {
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return err.Error()
	}
	plain := []byte(fmt.Sprint("session ", g))
	sealed := aead.Seal(nonce, nonce, plain, []byte("key"))
	got, err := aead.Open(nil, sealed[:len(nonce)], sealed[len(nonce):], []byte("key"))
	if err != nil || !bytes.Equal(got, plain) {
		return "not what was sealed"
	}
	if _, err := aead.Open(nil, sealed[:len(nonce)], sealed[len(nonce):], []byte("other")); err == nil {
		return "opened under another key"
	}
	return ""
}

func digest(g int) []byte {
	sum := sha256.Sum256([]byte(fmt.Sprint("signed ", g)))
	return sum[:]
}

// ECDSA verifies a signature in the format of JWS.
func ECDSA(g int) string {
	r, s, err := ecdsa.Sign(rand.Reader, ecKey, digest(g))
	if err != nil {
		return err.Error()
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	r2 := new(big.Int).SetBytes(sig[:32])
	s2 := new(big.Int).SetBytes(sig[32:])
	if !ecdsa.Verify(&ecKey.PublicKey, digest(g), r2, s2) || ecdsa.Verify(&ecKey.PublicKey, digest(g+1), r2, s2) {
		return "a wrong verdict"
	}
	return ""
}

// Ed25519 verifies a signature.
func Ed25519(g int) string {
	sig := ed25519.Sign(edKey, digest(g))
	public, ok := edKey.Public().(ed25519.PublicKey)
	if !ok || !ed25519.Verify(public, digest(g), sig) || ed25519.Verify(public, digest(g+1), sig) {
		return "a wrong verdict"
	}
	return ""
}

// RSA verifies a PKCS #1 v1.5 signature.
func RSA(g int) string {
	if g%8 != 0 { // signing is slow
		return ""
	}
	sig, err := rsa.SignPKCS1v15(rand.Reader, rsKey, crypto.SHA256, digest(g))
	if err != nil {
		return err.Error()
	}
	if rsa.VerifyPKCS1v15(&rsKey.PublicKey, crypto.SHA256, digest(g), sig) != nil ||
		rsa.VerifyPKCS1v15(&rsKey.PublicKey, crypto.SHA256, digest(g+1), sig) == nil {
		return "a wrong verdict"
	}
	return ""
}

// PSS verifies a PSS signature with the salt length of JWS.
func PSS(g int) string {
	if g%8 != 0 { // signing is slow
		return ""
	}
	o := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	sig, err := rsa.SignPSS(rand.Reader, rsKey, crypto.SHA256, digest(g), o)
	if err != nil {
		return err.Error()
	}
	if rsa.VerifyPSS(&rsKey.PublicKey, crypto.SHA256, digest(g), sig, o) != nil || rsa.VerifyPSS(&rsKey.PublicKey, crypto.SHA256, digest(g+1), sig, o) == nil {
		return "a wrong verdict"
	}
	return ""
}

func kind(k crypto.PublicKey) string {
	switch x := k.(type) {
	case *rsa.PublicKey:
		return fmt.Sprint("rsa", x.N.BitLen())
	case *ecdsa.PublicKey:
		return "ec" + x.Curve.Params().Name
	case ed25519.PublicKey:
		return fmt.Sprint("ed", len(x))
	}
	return "?"
}

// unknown executes every case once while the sources load. The interpreter computes the
// type of a case at its first execution, which is a data race between two goroutines.
var unknown = kind(nil)

// PublicKeys distinguishes keys of the standard library by their types.
func PublicKeys(_ int) string {
	public := edKey.Public()
	kinds := kind(&rsKey.PublicKey) + " " + kind(&ecKey.PublicKey) + " " + kind(public) + " " + unknown
	if kinds != "rsa2048 ecP-256 ed32 ?" {
		return kinds
	}
	return ""
}

// MAC compares in constant time.
func MAC(g int) string {
	m := hmac.New(sha256.New, []byte("key"))
	m.Write([]byte(fmt.Sprint(g)))
	sum := m.Sum(nil)
	m.Reset()
	m.Write([]byte(fmt.Sprint(g)))
	if !hmac.Equal(sum, m.Sum(nil)) || subtle.ConstantTimeCompare(sum, m.Sum([]byte{1})[:32]) == 1 {
		return "a wrong verdict"
	}
	return ""
}

// expand is HKDF with SHA-256 (RFC 5869) for up to 32 bytes.
func expand(secret, salt, info []byte) []byte {
	m := hmac.New(sha256.New, salt)
	m.Write(secret)
	m = hmac.New(sha256.New, m.Sum(nil))
	m.Write(info)
	m.Write([]byte{1})
	return m.Sum(nil)
}

// HKDF checks expand with the vector A.1 of RFC 5869.
func HKDF(_ int) string {
	salt, _ := hex.DecodeString("000102030405060708090a0b0c")
	info, _ := hex.DecodeString("f0f1f2f3f4f5f6f7f8f9")
	got := hex.EncodeToString(expand(bytes.Repeat([]byte{0x0b}, 22), salt, info))
	if got != "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf" {
		return "a wrong key: " + got
	}
	return ""
}

var hashes = map[string]crypto.Hash{"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512}

// HashByName makes a hash from the standard library's table of hashes.
func HashByName(g int) string {
	for name, size := range map[string]int{"RS256": 32, "RS384": 48, "RS512": 64} {
		var h hash.Hash = hashes[name].New()
		fmt.Fprint(h, g)
		if len(h.Sum(nil)) != size {
			return name + " has another size"
		}
	}
	return ""
}

// Digest takes a part of an array that a function returned.
func Digest(g int) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(g)))
	again := sha256.Sum256([]byte(fmt.Sprint(g)))
	text := base64.RawURLEncoding.EncodeToString(sum[:16])
	if sum != again || len(text) != 22 {
		return "another digest"
	}
	return ""
}

type verifier struct {
	roots *x509.CertPool
	host  string
	seen  int
}

func (v *verifier) verify(s tls.ConnectionState) error {
	v.seen++
	if s.ServerName != v.host {
		return fmt.Errorf("crypto: a connection to %q", s.ServerName)
	}
	return nil
}

func (v *verifier) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: v.host, RootCAs: v.roots, VerifyConnection: v.verify,
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
}

// TLSConfig passes a method of ours to a configuration and clones the configuration.
func TLSConfig(g int) string {
	v := &verifier{roots: x509.NewCertPool(), host: fmt.Sprint("h", g)}
	c := v.config().Clone()
	err := c.VerifyConnection(tls.ConnectionState{ServerName: v.host})
	wrong := c.VerifyConnection(tls.ConnectionState{ServerName: "other"})
	if err != nil || wrong == nil || v.seen != 2 || c.MinVersion != tls.VersionTLS12 {
		return fmt.Sprint("seen ", v.seen, err, wrong)
	}
	return ""
}
