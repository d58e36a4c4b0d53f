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
// and how many of them are of sign-ins that can still end: those come first. Of those of
// one second the browser sends the newest last (RFC 6265, section 5.4).
func (l *Logins) newest(cookies []string) ([]signInCookie, int) {
	prefix := l.Cookies.Name + loginInfix
	count := l.completedID()
	texts := cookiesAfter(joined(cookies), "; "+prefix, loginsSeen)
	now := l.Now()
	var all []signInCookie
	live := 0
	for i := len(texts) - 1; i >= 0; i-- {
		id, value, _ := strings.Cut(texts[i], "=")
		if id == count || isTargetID(id) {
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

// shares reports whether sign-ins share a cookie. It must be this host's own: somebody
// who has a sibling domain could give a browser their cookie, and would share the
// sign-ins of its user. In a cookieDomain all hosts have the sessions anyway.
func (l *Logins) shares() bool {
	return strings.HasPrefix(l.Cookies.Name, "__Host-") || l.Cookies.Domain != ""
}

// join has g share the newest sign-in cookie of a request, if the browser gets no more,
// and reports whether it does. It notes which of the others go when g begins.
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

// trim notes that all cookies but the newest go when g, which gets one more, begins, and
// those that mean nothing to anybody any more. A cookie of another middleware on the same
// host is left alone while it is few.
func (l *Logins) trim(g *Login, all []signInCookie, live int) {
	for i, c := range all {
		if i >= loginsKept-1 || i >= live && c.seed != nil {
			g.gone = append(g.gone, l.cookieName(c.id))
		}
	}
}

// Fail returns the cookies that end g, which failed, in the browser of r: that of the
// sign-in stays if others of the browser may share it.
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
