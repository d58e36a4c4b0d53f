package session

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"regexp"
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

	// ownStripped bounds how many cookies of ours are taken out of a header: a
	// browser has one of a session and a few of sign-ins. namesSearched bounds how
	// often their name may stand there.
	ownStripped   = 64
	namesSearched = 500
)

// SameSite says to which requests that other sites cause browsers add the session
// cookie (RFC 6265bis, section 5.6.7).
type SameSite int

const (
	// Lax is for navigations.
	Lax SameSite = iota
	// Strict is for none.
	Strict
	// None is for all.
	None
	// Partitioned is for all, with a cookie for each site in whose pages it is set (CHIPS).
	Partitioned
)

// Cookies is how this relying party names and scopes its cookies.
type Cookies struct {
	Name     string   // of the session cookie; the sign-in cookies are named Name + "-s-" + 8 characters
	Domain   string   // empty: the cookie belongs to the one host
	Secure   bool     // sent over https only; None and Partitioned need it
	SameSite SameSite // of the session cookie
}

// Set returns the cookie name=value, held by the browser for maxAge. Path is
// always "/", as the prefix __Host- demands. [Cookies.Send] sends it.
func (c Cookies) Set(name, value string, maxAge time.Duration) *http.Cookie {
	sameSite := http.SameSiteLaxMode
	if c.SameSite != Lax {
		sameSite = c.sameSite(name)
	}
	return &http.Cookie{
		Name: name, Value: value, Path: "/", Domain: c.Domain,
		MaxAge: int(maxAge / time.Second), Secure: c.Secure, HttpOnly: true, SameSite: sameSite,
	}
}

// sameSite is the attribute of the cookie of the name. The cookies of sign-ins are Lax,
// as the provider sends the browser back to them in a navigation. Where each site has
// its own, a sign-in may happen in a frame.
func (c Cookies) sameSite(name string) http.SameSite {
	switch {
	case c.SameSite == Partitioned:
		return http.SameSiteNoneMode
	case name != c.Name:
		return http.SameSiteLaxMode
	case c.SameSite == Strict:
		return http.SameSiteStrictMode
	}
	return http.SameSiteNoneMode
}

// Send adds k, which Set or Delete made, to the response of w. It is not a field of
// http.Cookie that says Partitioned, as not every Go has it.
func (c Cookies) Send(w http.ResponseWriter, k *http.Cookie) {
	if c.SameSite != Partitioned {
		http.SetCookie(w, k)
		return
	}
	if text := k.String(); text != "" {
		w.Header().Add("Set-Cookie", text+"; Partitioned")
	}
}

// Delete returns the cookie that removes name from the browser: the attributes
// repeat those it was set with, or the browser would keep it.
func (c Cookies) Delete(name string) *http.Cookie {
	k := c.Set(name, "", 0)
	k.MaxAge = -1
	return k
}

// A Stripper takes the cookies of a relying party out of Cookie headers.
type Stripper struct {
	name string
	own  *regexp.Regexp // a cookie of ours, from its name on, or the end of another one
}

// Stripper returns a stripper of the cookies that c names.
func (c Cookies) Stripper() *Stripper {
	own := regexp.QuoteMeta(c.Name) + "(?:" + loginInfix + "[^=;]*)?[ \t]*(?:=[^;]*)?(?:;|$)"
	return &Stripper{name: c.Name, own: regexp.MustCompile(own)}
}

// SignIns returns an expression for the cookies of sign-ins in a Cookie header that
// begins with "; ", each with the "; " before it. It finds those that browsers write;
// a Stripper finds the others, too.
func (c Cookies) SignIns() *regexp.Regexp {
	return regexp.MustCompile("; " + regexp.QuoteMeta(c.Name) + loginInfix + "[^=;]*=[^;]*")
}

// Strip returns the Cookie header value without the cookies of this relying
// party; every other byte stays as the browser sent it. It reports false, and what it
// returns must not be passed on, for a header with more names like ours than a
// browser has: each costs time.
func (s *Stripper) Strip(header string) (string, bool) {
	found := strings.Count(header, s.name)
	if found == 0 {
		return header, true
	}
	if found > namesSearched {
		return "", false
	}
	matches := s.own.FindAllStringIndex(header, ownStripped+1)
	if len(matches) > ownStripped {
		return "", false
	}
	var kept []string
	from := 0
	last := false // what was removed ended the header
	for _, at := range matches {
		blank := strings.TrimRight(header[from:at[0]], " \t")
		if blank != "" && !strings.HasSuffix(blank, ";") {
			continue // within another cookie
		}
		kept = append(kept, blank)
		from = at[1]
		last = header[from-1] != ';'
	}
	kept = append(kept, header[from:])
	left := strings.TrimLeft(strings.Join(kept, ""), " \t")
	if last {
		left = strings.TrimSuffix(left, ";")
	}
	return left, true
}

// cookiesAfter returns the texts that follow mark in a Cookie header, each to the end
// of its cookie, at most limit. Marks begin with a semicolon.
func cookiesAfter(header, mark string, limit int) []string {
	var found []string
	for len(found) < limit {
		_, after, ok := strings.Cut(header, mark)
		if !ok {
			break
		}
		value, _, _ := strings.Cut(after, ";")
		found = append(found, strings.TrimRight(value, " \t"))
		header = after
	}
	return found
}

// joined makes the Cookie headers of a request one, in which every cookie has a
// semicolon before it (RFC 9113, section 8.2.3).
func joined(headers []string) string {
	return "; " + strings.Join(headers, "; ")
}

// values returns what the Cookie headers give for name, at most cookiesTried. Cookies
// are found among any number of others as browsers write them: after a semicolon and
// a space, or a semicolon.
func values(headers []string, name string) []string {
	if len(headers) == 0 {
		return nil
	}
	header := joined(headers)
	if !strings.Contains(header, name) {
		return nil
	}
	found := cookiesAfter(header, "; "+name+"=", cookiesTried)
	return append(found, cookiesAfter(header, ";"+name+"=", cookiesTried-len(found))...)
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
