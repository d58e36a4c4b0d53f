package session

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"time"
)

const (
	idBytes     = 16
	secretBytes = 32
	macBytes    = 16
	headBytes   = 1 + 8 // key id, and time with attempt
	ticketBytes = headBytes + idBytes + secretBytes + macBytes

	// cookiesTried bounds the cookies of one name that are checked. A sibling domain may
	// inject some, and the browser's own is among the first.
	cookiesTried = 8

	// ownStripped bounds the cookies of ours that are removed from a header. A browser
	// has one of a session and a few of sign-ins.
	ownStripped = 64
)

// SameSite selects the requests, caused by other sites, to which browsers add the session
// cookie (RFC 6265bis, section 5.6.7).
type SameSite int

const (
	// Lax is for navigations.
	Lax SameSite = iota
	// Strict is for none.
	Strict
	// None is for all.
	None
	// Partitioned is for all, with a cookie for each embedding site (CHIPS).
	Partitioned
)

// Cookies has the names and the scope of the cookies of this relying party.
type Cookies struct {
	Name     string   // of the session cookie; the sign-in cookies are named Name + "-s-" + 8 characters
	Domain   string   // empty: the cookie belongs to the one host
	Secure   bool     // sent over https only; None and Partitioned need it
	SameSite SameSite // of the session cookie
}

// Set returns the cookie name=value, which the browser keeps for maxAge. Path is always
// "/", as the prefix __Host- demands. [Cookies.Send] sends it.
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

// sameSite is the attribute of the cookie with that name. The cookies of sign-ins are
// Lax, because the provider sends the browser back to them in a navigation. With
// Partitioned they are not, because a sign-in may then happen in a frame.
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

// Send adds k, which Set or Delete returned, to the response of w. Partitioned is not
// taken from a field of http.Cookie, because older versions of Go lack it.
func (c Cookies) Send(w http.ResponseWriter, k *http.Cookie) {
	if c.SameSite != Partitioned {
		http.SetCookie(w, k)
		return
	}
	if text := k.String(); text != "" {
		w.Header().Add("Set-Cookie", text+"; Partitioned")
	}
}

// Delete returns the cookie that removes name from the browser. It repeats the attributes
// with which the cookie was set, because the browser would keep it otherwise.
func (c Cookies) Delete(name string) *http.Cookie {
	k := c.Set(name, "", 0)
	k.MaxAge = -1
	return k
}

// A Stripper removes the cookies of a relying party from Cookie headers.
type Stripper struct {
	name  string
	texts []string // of marked headers that have one of the cookies, each with the name at its second byte
}

// Stripper returns a stripper of the cookies that c names.
func (c Cookies) Stripper() *Stripper {
	begin := ";" + c.Name
	return &Stripper{name: c.Name, texts: []string{begin + "=", begin + ";", begin + loginInfix}}
}

// SignIns returns an expression for the cookies of sign-ins in a Cookie header that
// begins with "; ", each with the "; " before it. It finds them in the form that browsers
// write. A Stripper finds other forms too.
func (c Cookies) SignIns() *regexp.Regexp {
	return regexp.MustCompile("; " + regexp.QuoteMeta(c.Name) + loginInfix + "[^=;]*=[^;]*")
}

// Strip returns the Cookie header value without the cookies of this relying party. Every
// other byte stays as the browser sent it. It reports false for a header with more of
// these cookies than a browser has, because each costs time. The returned value must not
// be passed on then.
func (s *Stripper) Strip(header string) (string, bool) {
	if !strings.Contains(header, s.name) {
		return header, true
	}
	found, ok := places(marked(header), s.texts, nil, ownStripped)
	if !ok {
		return "", false
	}
	sort.Ints(found)
	var cuts []cut
	for _, at := range found {
		cookie, _, _ := strings.Cut(header[at:], ";")
		if ownCookie(cookie[len(s.name):]) {
			cuts = append(cuts, cut{at, at + len(cookie)})
		}
	}
	return without(header, cuts), true
}

// ownCookie reports whether a cookie is of a session or a sign-in, or has lost its value.
// Rest is the cookie from the end of the session cookie's name on.
func ownCookie(rest string) bool {
	if strings.HasPrefix(rest, loginInfix) {
		return true
	}
	rest = strings.TrimLeft(rest, " \t")
	return rest == "" || rest[0] == '='
}

// blanks replaces the characters that may be around a cookie by semicolons.
var blanks = strings.NewReplacer(" ", ";", "\t", ";")

// marked returns a text in which a semicolon is before each cookie of a Cookie header and
// after each name without a value. The byte i of the header is at i+1. One native search
// for a semicolon and a name finds a cookie in it, beside any other content. A regular
// expression would cost more for each byte.
func marked(header string) string {
	return ";" + blanks.Replace(header) + ";"
}

// places adds to found where the texts are in a marked header, as places in the header
// of the byte after the semicolon. It reports false if there are more than most.
func places(text string, texts []string, found []int, most int) ([]int, bool) {
	for _, t := range texts {
		from := 0
		for {
			i := strings.Index(text[from:], t)
			if i < 0 {
				break
			}
			if len(found) == most {
				return nil, false
			}
			found = append(found, from+i)
			from += i + 1
		}
	}
	return found, true
}

// A cut is a cookie in a header, from its name to the semicolon after it.
type cut struct {
	from, to int
}

// without returns a header without the cookies of cuts, which are in order. It leaves a
// cut out that is no cookie, because it is behind something else than a semicolon.
func without(header string, cuts []cut) string {
	var kept []string
	from := 0
	last := false // the last removed cookie ended the header
	for _, c := range cuts {
		if c.from < from {
			continue
		}
		before := strings.TrimRight(header[from:c.from], " \t")
		if before != "" && !strings.HasSuffix(before, ";") {
			continue
		}
		kept = append(kept, before)
		last = c.to == len(header)
		from = c.to
		if !last {
			from++
		}
	}
	if from == 0 {
		return header
	}
	left := strings.TrimLeft(strings.Join(append(kept, header[from:]), ""), " \t")
	if last {
		left = strings.TrimSuffix(left, ";")
	}
	return left
}

// cookiesAfter returns the texts that follow begin in a Cookie header, each to the end of
// its cookie, at most limit. The text begin starts with a semicolon.
func cookiesAfter(header, begin string, limit int) []string {
	var found []string
	for len(found) < limit {
		_, after, ok := strings.Cut(header, begin)
		if !ok {
			break
		}
		value, _, _ := strings.Cut(after, ";")
		found = append(found, strings.TrimRight(value, " \t"))
		header = after
	}
	return found
}

// joined returns the Cookie headers of a request as one, in which every cookie has a
// semicolon before it (RFC 9113, section 8.2.3).
func joined(headers []string) string {
	return "; " + strings.Join(headers, "; ")
}

// values returns the values of name in the Cookie headers, at most cookiesTried. It finds
// cookies among any number of others in the form that browsers write: after a semicolon
// and a space, or a semicolon.
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

// A ticket is the content of the session cookie: the session's id, and the secret without
// which its record cannot be opened.
type ticket struct {
	key     *masterKey
	created time.Time // in milliseconds
	attempt byte      // Login.Attempt of the sign-in that it was given for
	id      []byte
	secret  []byte
}

// value is the cookie's text: key id, time and attempt, id, secret and a MAC over them.
// Time and attempt are mixed with the id, so that no two cookies look alike. The MAC
// binds the cookie's name and the middleware's identity, so that the cookie is valid only
// for the middleware that gave it.
func (t ticket) value(name, identity string) string {
	b := make([]byte, 0, ticketBytes)
	b = append(b, t.key.id)
	b = binary.BigEndian.AppendUint64(b, binary.BigEndian.Uint64(t.id)^(uint64(t.created.UnixMilli())<<8|uint64(t.attempt)))
	b = append(b, t.id...)
	b = append(b, t.secret...)
	b = append(b, t.key.cookieMAC(name, identity, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ticket parses a cookie's text. It returns errSealed unless the MAC is valid, so that a
// made-up cookie never reaches the store.
func (k *Keyring) ticket(text, name, identity string) (ticket, error) {
	b, err := fromText(text)
	if err != nil || len(b) != ticketBytes {
		return ticket{}, errSealed
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
	return ticket{}, errSealed
}

func (m *masterKey) cookieMAC(name, identity string, body []byte) []byte {
	return m.digest([]string{"session cookie", name, identity, string(body)})[:macBytes]
}

// recordKey is the session's key in the store: 128 bits of a digest of the id, so that a
// dump of the store names no session. Its first characters are the hash tag that keeps
// the keys of one session together in a cluster.
func (t ticket) recordKey() string {
	sum := sha256.Sum256(t.id)
	h := base64.RawURLEncoding.EncodeToString(sum[:idBytes])
	return "s:{" + h[:4] + "}" + h
}

// aead returns the cipher of this session's record.
func (t ticket) aead() (cipher.AEAD, error) {
	return newAEAD(derive(t.key.secret, t.secret, "session record"))
}
