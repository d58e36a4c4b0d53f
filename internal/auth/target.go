package auth

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// targetOf returns the return target in the URI of r. A URI with more bytes than most
// is none, and is not assembled: its decoded parts are no longer than it.
func targetOf(r *http.Request, most int) (string, bool) {
	if len(r.URL.Path)+len(r.URL.RawQuery) > most {
		return "", false
	}
	return policy.ReturnTarget(r.URL.RequestURI(), most)
}

// wanted returns the page that r requests, as far as a link may lead there, and whether
// the URI of r is a return target. If it is none, the link leads to the start page, as
// it does for a callback.
func (m *Middleware) wanted(r *http.Request) (string, bool) {
	if r.Header["X-Forwarded-Prefix"] != nil {
		return m.wantedBehind(r, removedPrefix(r))
	}
	if r.URL.Path == m.o.LogoutPath {
		return m.o.LogoutPath, true
	}
	target, ok := targetOf(r, policy.MaxSignInTarget)
	if !ok || m.own(target) {
		return "/", ok
	}
	return target, true
}

// wantedBehind is wanted where prefix was removed from the path.
func (m *Middleware) wantedBehind(r *http.Request, prefix string) (string, bool) {
	if r.URL.Path == m.o.LogoutPath {
		return prefix + m.o.LogoutPath, true
	}
	target, ok := targetOf(r, policy.MaxSignInTarget)
	if !ok || m.own(target) {
		return prefix + "/", ok
	}
	target, ok = policy.ReturnTarget(prefix+policy.Compact(target), policy.MaxSignInTarget)
	if !ok {
		return prefix + "/", false
	}
	return target, true
}

// target returns the address to which g leads. A path was a return target when it was
// sealed. It must still be one, because the plugin's own paths may have changed since.
func (m *Middleware) target(r *http.Request, g *session.Login) string {
	if g.TargetLost {
		m.logStartPage(r, "the cookie with the page's address, which is too long for the state parameter, is gone or altered; "+
			"a browser keeps two such cookies for ten minutes each")
		return removedPrefix(r) + "/"
	}
	origin, path := m.splitTarget(g.Target)
	target, ok := policy.ReturnTarget(path, policy.MaxSignInTarget)
	if !ok {
		m.logStartPage(r, "what the sign-in kept is not a page of this site")
		return removedPrefix(r) + "/"
	}
	if m.own(target) {
		return "/"
	}
	return origin + target
}

// splitTarget splits a result of withOrigin into an origin and a path. Both are empty
// if the origin does not share the plugin's cookies.
func (m *Middleware) splitTarget(target string) (string, string) {
	if strings.HasPrefix(target, "/") {
		return "", target
	}
	scheme, rest, _ := strings.Cut(target, "://")
	host, path, ok := strings.Cut(rest, "/")
	if !ok || scheme != "https" && scheme != "http" || !m.sharesCookies(host) {
		return "", ""
	}
	return scheme + "://" + host, "/" + path
}

// logStartPage logs why a sign-in leads to the start page.
func (m *Middleware) logStartPage(r *http.Request, reason string) {
	m.log(r, slogInfo, "the sign-in leads to the start page, not to the page that the user asked for", "reason", reason)
}

// logNoTarget is logStartPage for a sign-in that began at an address of a number of
// bytes that is no return target.
func (m *Middleware) logNoTarget(r *http.Request, bytes int) {
	reason := "its address is one that a browser could take for another site, or no path"
	if bytes > policy.MaxSignInTarget {
		reason = "its address has " + strconv.Itoa(bytes) + " bytes, and at most " + strconv.Itoa(policy.MaxSignInTarget) + " are kept during a sign-in; let the application use shorter links"
	}
	m.logStartPage(r, reason)
}
