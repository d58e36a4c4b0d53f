package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// errSealed is returned when bytes do not open. They were sealed under another key, for
// another purpose, or were altered. There is one error for all of these, so that an
// attacker learns nothing from it.
var errSealed = errors.New("session: the sealed value does not open")

// A Keyring holds the operator's session encryption keys. The first one seals, and every
// one opens. So a key can be rotated in roll-outs without signing any user out.
type Keyring struct {
	keys []*masterKey
}

// masterKey is one of the operator's keys. Its own bytes seal nothing, because each use
// derives a key of its own.
type masterKey struct {
	id     byte // names the key in cookies and records, so that most keys need not be tried
	secret []byte
	mac    []byte
	seal   cipher.AEAD
}

// NewKeyring returns the keyring of secrets, in their order. An empty list is an error.
func NewKeyring(secrets [][]byte) (*Keyring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("session: no encryption key")
	}
	k := &Keyring{}
	for _, s := range secrets {
		m, err := newMasterKey(s)
		if err != nil {
			return nil, err
		}
		k.keys = append(k.keys, m)
	}
	return k, nil
}

func newMasterKey(secret []byte) (*masterKey, error) {
	seal, err := newAEAD(derive(secret, nil, "sign-in"))
	if err != nil {
		return nil, err
	}
	return &masterKey{
		id:     derive(secret, nil, "key id")[0],
		secret: secret,
		mac:    derive(secret, nil, "cookie mac"),
		seal:   seal,
	}, nil
}

// digests returns a keyed digest of parts under each key in turn. It may be stored
// outside, because it does not reveal the parts. Parts are length-prefixed, so that no
// two lists of parts give the same digest.
func (k *Keyring) digests(parts ...string) []string {
	var digests []string
	for _, m := range k.keys {
		digests = append(digests, base64.RawURLEncoding.EncodeToString(m.digest(parts)))
	}
	return digests
}

// digest returns an HMAC over the length-prefixed parts.
func (m *masterKey) digest(parts []string) []byte {
	h := hmac.New(sha256.New, m.mac)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return h.Sum(nil)
}

// Seal encrypts plain for purpose and context. Open returns it for the same two only. The
// result is base64url without padding.
func (k *Keyring) Seal(purpose, context string, plain []byte) (string, error) {
	m := k.keys[0]
	sealed, err := sealWith(m.seal, []byte{m.id}, plain, bind(purpose, context))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open is the inverse of Seal. It returns errSealed for anything else.
func (k *Keyring) Open(purpose, context, text string) ([]byte, error) {
	sealed, err := fromText(text)
	if err != nil || len(sealed) < 2 {
		return nil, errSealed
	}
	for _, m := range k.keys {
		if m.id != sealed[0] {
			continue
		}
		if plain, err := openWith(m.seal, sealed[1:], bind(purpose, context)); err == nil {
			return plain, nil
		}
	}
	return nil, errSealed
}

// fromText decodes base64url and accepts one spelling only. It checks line ends itself,
// because the library's decoder ignores them even when it is strict.
func fromText(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errSealed
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}

// bind returns the additional data of a sealed value. Neither part can run into the
// other.
func bind(purpose, context string) []byte {
	return []byte(fmt.Sprintf("%d:%s%s", len(purpose), purpose, context))
}

// sealWith appends a random nonce and the sealed plain to prefix.
func sealWith(a cipher.AEAD, prefix, plain, additional []byte) ([]byte, error) {
	nonce, err := random(a.NonceSize())
	if err != nil {
		return nil, err
	}
	return a.Seal(append(prefix, nonce...), nonce, plain, additional), nil
}

func openWith(a cipher.AEAD, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < a.NonceSize() {
		return nil, errSealed
	}
	plain, err := a.Open(nil, sealed[:a.NonceSize()], sealed[a.NonceSize():], additional)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("session: cipher: %w", err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("session: cipher: %w", err)
	}
	return a, nil
}

// derive is HKDF-SHA256 (RFC 5869) for one block of 32 bytes.
func derive(secret, salt []byte, info string) []byte {
	extract := hmac.New(sha256.New, salt)
	extract.Write(secret)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write([]byte("traefikoidc " + info))
	expand.Write([]byte{1})
	return expand.Sum(nil)
}

func random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("session: random bytes: %w", err)
	}
	return b, nil
}
