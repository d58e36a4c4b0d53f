package session

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

const (
	idBytes     = 16
	secretBytes = 32
	macBytes    = 16
	headBytes   = 1 + 8 // key id, and time with attempt
	ticketBytes = headBytes + idBytes + secretBytes + macBytes

	// cookiesTried bounds how many cookies of one name are looked at: a sibling
	// domain may inject some, the browser's own is among the first.
	cookiesTried = 8
)

// Cookies is how this relying party names and scopes its cookies.
type Cookies struct {
	Name   string // of the session cookie; the sign-in cookies are named Name + "-s-" + 8 characters
	Domain string // empty: the cookie belongs to the one host
	Secure bool   // sent over https alone
}

// Set returns the cookie name=value, held by the browser for maxAge. Path is
// always "/", as the prefix __Host- demands.
func (c Cookies) Set(name, value string, maxAge time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", Domain: c.Domain,
		MaxAge: int(maxAge / time.Second), Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// Delete returns the cookie that removes name from the browser: the attributes
// repeat those it was set with, or the browser would keep it.
func (c Cookies) Delete(name string) *http.Cookie {
	k := c.Set(name, "", 0)
	k.MaxAge = -1
	return k
}

// Own reports whether name is a cookie of this relying party.
func (c Cookies) Own(name string) bool {
	if !strings.HasPrefix(name, c.Name) {
		return false
	}
	return len(name) == len(c.Name) || strings.HasPrefix(name[len(c.Name):], loginInfix)
}

// Strip returns the Cookie header value without the cookies of this relying
// party; every other byte stays as the browser sent it.
func (c Cookies) Strip(header string) string {
	if !strings.Contains(header, c.Name) {
		return header
	}
	pairs := strings.Split(header, ";")
	kept := pairs[:0]
	for _, p := range pairs {
		name, _, _ := strings.Cut(strings.TrimLeft(p, " \t"), "=")
		if !c.Own(strings.TrimRight(name, " \t")) {
			kept = append(kept, p)
		}
	}
	if len(kept) == len(pairs) {
		return header
	}
	return strings.TrimLeft(strings.Join(kept, ";"), " \t")
}

// values returns what the Cookie headers give for name, at most cookiesTried.
func values(headers []string, name string) []string {
	var found []string
	for _, h := range headers {
		for _, p := range strings.Split(h, ";") {
			n, v, ok := strings.Cut(strings.Trim(p, " \t"), "=")
			if ok && n == name && len(found) < cookiesTried {
				found = append(found, v)
			}
		}
	}
	return found
}

// A ticket is what the session cookie carries: which session, and the secret
// without which its payload cannot be opened.
type ticket struct {
	key     *masterKey
	created time.Time // in milliseconds
	attempt byte      // Login.Attempt of the sign-in that it was given for
	id      []byte
	secret  []byte
}

// value is the cookie's text: key id, time and attempt (mixed with the id, so that no
// two cookies look alike), id, secret and a MAC over them that binds the cookie's name and the middleware's identity, so that a cookie
// counts only where it was given.
func (t ticket) value(name, identity string) string {
	b := make([]byte, 0, ticketBytes)
	b = append(b, t.key.id)
	b = binary.BigEndian.AppendUint64(b, binary.BigEndian.Uint64(t.id)^(uint64(t.created.UnixMilli())<<8|uint64(t.attempt)))
	b = append(b, t.id...)
	b = append(b, t.secret...)
	b = append(b, t.key.cookieMAC(name, identity, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ticket reads a cookie's text. It returns ErrSealed unless the MAC holds, so
// that a made-up cookie never reaches the store.
func (k *Keyring) ticket(text, name, identity string) (ticket, error) {
	b, err := fromText(text)
	if err != nil || len(b) != ticketBytes {
		return ticket{}, ErrSealed
	}
	body := b[:ticketBytes-macBytes]
	for _, m := range k.keys {
		if m.id == b[0] && hmac.Equal(b[len(body):], m.cookieMAC(name, identity, body)) {
			id := body[headBytes : headBytes+idBytes]
			given := binary.BigEndian.Uint64(body[1:]) ^ binary.BigEndian.Uint64(id)
			return ticket{
				key: m, created: time.UnixMilli(int64(given >> 8)), attempt: byte(given),
				id: id, secret: body[headBytes+idBytes:],
			}, nil
		}
	}
	return ticket{}, ErrSealed
}

func (m *masterKey) cookieMAC(name, identity string, body []byte) []byte {
	return m.digest([]string{"session cookie", name, identity, string(body)})[:macBytes]
}

// recordKey is the session's key in the store: 128 bits of a digest of the id, so
// that a dump of the store names no session; its first characters are the hash tag
// that keeps the keys of one session together in a cluster.
func (t ticket) recordKey() string {
	sum := sha256.Sum256(t.id)
	h := base64.RawURLEncoding.EncodeToString(sum[:idBytes])
	return "s:{" + h[:4] + "}" + h
}

// aead is the cipher of this one session's record.
func (t ticket) aead() (cipher.AEAD, error) {
	return newAEAD(derive(t.key.secret, t.secret, "session record"))
}
