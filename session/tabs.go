package session

import (
	"net/http"
	"sort"
	"strings"
	"time"
)

// A signInCookie is a sign-in cookie of a request. One that is not ours has no seed.
type signInCookie struct {
	id     string // the last part of its name
	seed   []byte
	expiry time.Time
}

// newest returns the sign-in cookies among those that a request sends, the newest first,
// and the number of those that are still valid. Those come first. The browser sends the
// newest of one second last (RFC 6265, section 5.4).
func (l *Logins) newest(cookies []string) ([]signInCookie, int) {
	prefix := l.Cookies.Name + loginInfix
	count := l.completedID()
	texts := cookiesAfter(joined(cookies), "; "+prefix, loginsSeen)
	now := l.Now()
	var all []signInCookie
	live := 0
	for i := len(texts) - 1; i >= 0; i-- {
		id, value, _ := strings.Cut(texts[i], "=")
		if id == count || id == chosenID || isTargetID(id) {
			continue
		}
		c := signInCookie{id: id}
		seed, expiry, err := l.openCookie(prefix+id, value)
		if err == nil {
			c.seed = seed
			c.expiry = expiry
		}
		if now.Before(c.expiry) {
			live++
		}
		all = append(all, c)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].expiry.After(all[j].expiry) })
	return all, live
}

// shares reports whether sign-ins share a cookie. It must be this host's own: an attacker
// with a sibling domain could give a browser their cookie, and would share the sign-ins
// of its user. With a cookieDomain all hosts have the sessions anyway.
func (l *Logins) shares() bool {
	return strings.HasPrefix(l.Cookies.Name, "__Host-") || l.Cookies.Domain != ""
}

// join lets g share the newest sign-in cookie of a request, if the browser is given no
// more, and reports whether it does. It lists the others that are deleted when g begins.
func (l *Logins) join(g *Login, cookies []string) bool {
	all, live := l.newest(cookies)
	if live < loginsKept || !l.shares() {
		l.trim(g, all, live)
		return false
	}
	g.id = all[0].id
	g.seed = all[0].seed
	for i, c := range all {
		if i >= live || i >= loginsLeft {
			g.gone = append(g.gone, l.cookieName(c.id))
		}
	}
	return true
}

// trim lists the cookies that are deleted when g, which gets one more, begins: all but
// the newest, and those that are no longer valid. A cookie of another middleware on the
// same host stays while there are few.
func (l *Logins) trim(g *Login, all []signInCookie, live int) {
	for i, c := range all {
		if i >= loginsKept-1 || i >= live && c.seed != nil {
			g.gone = append(g.gone, l.cookieName(c.id))
		}
	}
}

// Fail returns the cookies that end g, which failed, in the browser of r. The cookie of
// the sign-in stays if others of the browser may share it.
func (l *Logins) Fail(g *Login, r *http.Request) []*http.Cookie {
	ended := l.Delete(g)
	cookies := r.Header["Cookie"]
	if len(cookies) > 0 && l.shares() {
		if _, live := l.newest(cookies); live >= loginsKept {
			return ended[1:]
		}
	}
	return ended
}
