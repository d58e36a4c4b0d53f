package session

import (
	"encoding/base64"
	"regexp"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// CookieNames are the names of the session cookies of all middlewares of the
// process: what browsers send to all of them, as they may share a host, and what no
// backend is to see. It is safe for concurrent use. Make it with [NewCookieNames].
type CookieNames struct {
	known  atomic.Value // []string: each name once; replaced, never changed
	begins atomic.Value // *regexp.Regexp: how cookies of these names begin

	mu    sync.Mutex // guards the field below
	users map[string]int
}

// NewCookieNames returns a set of no names.
func NewCookieNames() *CookieNames {
	n := &CookieNames{users: map[string]int{}}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tellLocked()
	return n
}

// Add adds the name of one middleware's session cookie, as often as there are
// middlewares that have it.
func (n *CookieNames) Add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.users[name]++
	if n.users[name] == 1 {
		n.tellLocked()
	}
}

// Remove takes back one Add.
func (n *CookieNames) Remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.users[name]--
	if n.users[name] == 0 {
		delete(n.users, name)
		n.tellLocked()
	}
}

func (n *CookieNames) tellLocked() {
	names := []string{}
	quoted := []string{}
	for name := range n.users {
		names = append(names, name)
		quoted = append(quoted, regexp.QuoteMeta(name))
	}
	sort.Strings(names)
	n.known.Store(names)
	// A name that begins with another one is before it, as the first that fits counts.
	sort.Sort(sort.Reverse(sort.StringSlice(quoted)))
	n.begins.Store(regexp.MustCompile("(?:^|[; \t])(" + strings.Join(quoted, "|") + ")(?:=|" + loginInfix + ")"))
}

// Known holds the names, in a []string that is replaced and never changed.
func (n *CookieNames) Known() *atomic.Value {
	return &n.known
}

// othersStripped bounds how many cookies of a header may have the names of others: each
// is looked at. Ten middlewares with five sign-ins each are within it.
const othersStripped = 60

// base64URL are the characters of what we seal.
const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

var (
	// sessionText is the length of a session cookie's value, loginText the least of a
	// sign-in's: there may be more in one.
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

// StripOthers returns the Cookie header value without the cookies of all names but
// own: those of exactly such a name whose value has the form that ours have, as a
// backend may have a cookie of the same name. Every other byte stays as the browser
// sent it. It reports false, and what it returns must not be passed on, for a header
// with more of the names than a browser has: each costs time.
func (n *CookieNames) StripOthers(header, own string) (string, bool) {
	if !n.Others(header, own) {
		return header, true
	}
	begins := n.begins.Load().(*regexp.Regexp)
	found := begins.FindAllStringSubmatchIndex(header, othersStripped+1)
	if len(found) > othersStripped {
		return "", false
	}
	return withoutCookies(header, own, found), true
}

// withoutCookies returns header without the cookies, of other names than own, that have
// the form of ours. Found are the places of names in it, each as the first group of a
// match.
func withoutCookies(header, own string, found [][]int) string {
	var kept []string
	from := 0     // what of header is kept or removed already
	last := false // what was removed ended the header
	for _, match := range found {
		at := match[2]
		behind := match[3]
		if at < from || header[at:behind] == own {
			continue
		}
		cookie, _, more := strings.Cut(header[behind:], ";")
		before := strings.TrimRight(header[from:at], " \t")
		if (before == "" || strings.HasSuffix(before, ";")) && sealedForm(cookie) {
			kept = append(kept, before)
			last = !more
			from = behind + len(cookie)
			if more {
				from++
			}
		}
	}
	if from == 0 {
		return header
	}
	rest := strings.TrimLeft(strings.Join(append(kept, header[from:]), ""), " \t")
	if last {
		rest = strings.TrimSuffix(rest, ";")
	}
	return rest
}

// IsSessionCookie reports whether Cookie headers have a cookie of the name that has the
// form of a session's.
func IsSessionCookie(headers []string, name string) bool {
	for _, v := range values(headers, name) {
		if sealedForm("=" + v) {
			return true
		}
	}
	return false
}

// sealedForm reports whether a cookie, from the end of the session cookie's name on,
// is one of a session or of a sign-in by its form.
func sealedForm(cookie string) bool {
	infix, value, _ := strings.Cut(strings.TrimRight(cookie, " \t"), "=")
	if infix == "" {
		return len(value) == sessionText && strings.Trim(value, base64URL) == ""
	}
	return len(infix) == len(loginInfix)+8 && strings.HasPrefix(infix, loginInfix) &&
		len(value) >= loginText && strings.Trim(infix+value, base64URL) == ""
}
