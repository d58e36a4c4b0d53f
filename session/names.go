package session

import (
	"encoding/base64"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// CookieNames are the names of the session cookies of all middlewares of the process.
// Browsers send them to all middlewares of a host, and no backend gets them. It is safe
// for concurrent use. Make it with [NewCookieNames].
type CookieNames struct {
	known atomic.Value // []string: each name once; replaced, never changed

	mu    sync.Mutex // guards the field below
	users map[string]int
}

// NewCookieNames returns a set of no names.
func NewCookieNames() *CookieNames {
	n := &CookieNames{users: map[string]int{}}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.storeLocked()
	return n
}

// Add adds the name of one middleware's session cookie. Each middleware with that name
// adds it once.
func (n *CookieNames) Add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.users[name]++
	if n.users[name] == 1 {
		n.storeLocked()
	}
}

// Remove takes back one Add.
func (n *CookieNames) Remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.users[name]--
	if n.users[name] == 0 {
		delete(n.users, name)
		n.storeLocked()
	}
}

func (n *CookieNames) storeLocked() {
	names := []string{}
	for name := range n.users {
		names = append(names, name)
	}
	sort.Strings(names)
	n.known.Store(names)
}

// Known returns the place of the names, in a []string that is replaced and never changed.
func (n *CookieNames) Known() *atomic.Value {
	return &n.known
}

// othersStripped bounds the cookies of a header with the names of others, because each is
// checked. Ten middlewares with five sign-ins each are within it.
const othersStripped = 60

// base64URL has the characters of sealed values.
const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

var (
	// sessionText is the length of a session cookie's value. loginText is the shortest of
	// a sign-in's, which may have more.
	sessionText = base64.RawURLEncoding.EncodedLen(ticketBytes)
	loginText   = base64.RawURLEncoding.EncodedLen(1 + 12 + 8 + seedBytes + 16)
)

// Others reports whether a Cookie header may have cookies of a name other than own.
func (n *CookieNames) Others(header, own string) bool {
	for _, name := range n.known.Load().([]string) {
		if name != own && strings.Contains(header, name) {
			return true
		}
	}
	return false
}

// StripOthers returns the Cookie header value without the cookies of all names but own.
// It removes cookies of exactly such a name and with a value in the form of ours, because
// a backend may have a cookie of the same name. Every other byte stays as the browser
// sent it.
//
// It reports false for a header with more of the names than a browser has, because each
// costs time. The returned value must not be passed on then.
func (n *CookieNames) StripOthers(header, own string) (string, bool) {
	var found []int // places in header, each with the length of the name there
	text := ""
	for _, name := range n.known.Load().([]string) {
		if name == own || !strings.Contains(header, name) {
			continue
		}
		if text == "" {
			text = marked(header)
		}
		at, ok := places(text, []string{";" + name + "=", ";" + name + loginInfix}, nil, othersStripped-len(found))
		if !ok {
			return "", false
		}
		for _, i := range at {
			found = append(found, i<<nameBits+len(name))
		}
	}
	if found == nil {
		return header, true
	}
	sort.Ints(found)
	var cuts []cut
	for _, f := range found {
		at := f >> nameBits
		cookie, _, _ := strings.Cut(header[at:], ";")
		if sealedForm(cookie[f&(1<<nameBits-1):]) {
			cuts = append(cuts, cut{at, at + len(cookie)})
		}
	}
	return without(header, cuts), true
}

// nameBits are enough for the length of a cookie's name.
const nameBits = 16

// IsSessionCookie reports whether Cookie headers have a cookie of that name in the form
// of a session's.
func IsSessionCookie(headers []string, name string) bool {
	for _, v := range values(headers, name) {
		if sealedForm("=" + v) {
			return true
		}
	}
	return false
}

// sealedForm reports whether a cookie, from the end of the session cookie's name on, has
// the form of a session's or a sign-in's.
func sealedForm(cookie string) bool {
	infix, value, _ := strings.Cut(strings.TrimRight(cookie, " \t"), "=")
	if infix == "" {
		return len(value) == sessionText && strings.Trim(value, base64URL) == ""
	}
	return len(infix) == len(loginInfix)+8 && strings.HasPrefix(infix, loginInfix) &&
		len(value) >= loginText && strings.Trim(infix+value, base64URL) == ""
}
