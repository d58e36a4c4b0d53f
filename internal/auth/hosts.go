package auth

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/chain"
)

// hostForm is the host of a URL in lower case: a name or an address, and a port.
var hostForm = regexp.MustCompile(`^([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])\.?(?::([0-9]{0,5}))?$`)

// usualHost matches a host that is in its canonical form already.
var usualHost = regexp.MustCompile(`^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$`)

// canonicalHost returns the canonical form of the host of a URL with the scheme (RFC
// 3986, sections 6.2.2.1 and 6.2.3). It is in lower case, without the dot at the end of
// a name and without the scheme's default port. Other texts are returned as they are.
func canonicalHost(host, scheme string) string {
	if len(host) > maxHost || usualHost.MatchString(host) {
		return host
	}
	parts := hostForm.FindStringSubmatch(strings.ToLower(host))
	if parts == nil {
		return host
	}
	name := parts[1]
	port := parts[2]
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return name
	}
	return name + ":" + port
}

// scheme returns the scheme of this site's own URLs.
func (m *Middleware) scheme(r *http.Request) string {
	if m.secure(r) {
		return "https"
	}
	return "http"
}

// host returns the host of r, with a port that is not the scheme's default.
func (m *Middleware) host(r *http.Request) string {
	return canonicalHost(r.Host, m.scheme(r))
}

const (
	// maxPrefix and maxPrefixes bound X-Forwarded-Prefix, in bytes and headers.
	maxPrefix   = 200
	maxPrefixes = 8
)

// prefixForm is a path of segments without special meaning.
var prefixForm = regexp.MustCompile(`^(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// removedPrefix returns the part of the path that earlier middlewares removed. Traefik
// adds it to X-Forwarded-Prefix, once for each. It is empty if there is none, or none
// in a plain form. It affects only where a browser is sent, never what a request may
// do.
func removedPrefix(r *http.Request) string {
	return plainPrefix(r.Header["X-Forwarded-Prefix"])
}

func plainPrefix(values []string) string {
	if len(values) == 0 || len(values) > maxPrefixes {
		return ""
	}
	prefix := strings.Join(values, "")
	if len(prefix) > maxPrefix {
		return ""
	}
	prefix = strings.TrimSuffix(strings.ReplaceAll(prefix, "//", "/"), "/")
	if !prefixForm.MatchString(prefix) {
		return ""
	}
	return prefix
}

// callbackAddress returns the address of the provider's redirect. An earlier middleware
// of the chain gets that request first, and would begin another sign-in. If it can
// complete this sign-in, the address is its own callback.
func (m *Middleware) callbackAddress(r *http.Request) string {
	callback := m.o.CallbackURL
	removed := r.Header["X-Forwarded-Prefix"]
	if earlier := chain.Callback(r.Context(), m.owner); earlier != nil {
		callback = earlier.Callback
		removed = earlier.Removed
	}
	if strings.HasPrefix(callback, "/") {
		return m.origin(r) + plainPrefix(removed) + callback
	}
	return callback
}

// callbackOwner is equal for middlewares that can complete each other's sign-ins,
// because their sessions and cookies are the same.
func (m *Middleware) callbackOwner() string {
	return strings.Join([]string{m.o.Identity, m.o.Cookies.Name, m.o.Cookies.Domain, m.callbackHost}, "\n")
}

var (
	wrongCookieDomain   = failure{http.StatusMisdirectedRequest, "wrong_cookie_domain", false}
	wrongCallbackHost   = failure{http.StatusMisdirectedRequest, "wrong_callback_host", false}
	cookieDomainRefused = failure{http.StatusBadRequest, "cookie_domain_refused", true}
)

// unusableHost returns the reason that no sign-in from r's host can be completed there.
// The error is nil if one can.
func (m *Middleware) unusableHost(r *http.Request) (failure, error) {
	var usable failure
	if m.callbackHost == "" && m.o.Cookies.Domain == "" {
		return usable, nil
	}
	host := m.host(r)
	domain := m.o.Cookies.Domain
	if domain != "" && !m.sharesCookies(host) {
		return wrongCookieDomain, fmt.Errorf("auth: browsers refuse the cookies: cookieDomain is %q, which does not hold the host %q; change cookieDomain, or leave it out", domain, brief(host))
	}
	if m.callbackHost == "" || host == m.callbackHost || domain != "" && m.sharesCookies(m.callbackHost) {
		return usable, nil
	}
	if canonicalHost(r.Header.Get("X-Forwarded-Host"), m.scheme(r)) == m.callbackHost {
		return usable, nil // a proxy before Traefik changed the Host
	}
	return wrongCallbackHost, fmt.Errorf("auth: the sign-in would end at the host of callbackURL, %q, whose cookies do not reach the host %q: "+
		"write callbackURL as a path, or set cookieDomain to a domain that holds both", m.callbackHost, brief(host))
}

// insecureRequest warns once that users come by http while the plugin's own URLs are
// https.
func (m *Middleware) insecureRequest(r *http.Request) {
	if !m.o.ForceHTTPS || r.TLS != nil || !strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "http") || m.insecureTold.Swap(true) {
		return
	}
	m.log(r, slogWarn, "a user came by http, but forceHTTPS is on: the redirect URI and the cookies are for https; "+
		"send users to https, or have the entry point trust the X-Forwarded-Proto of the proxy that ends TLS (forwardedHeaders.trustedIPs), or set forceHTTPS: false for a site that has no https",
		"redirectURI", brief(m.callbackAddress(r)))
}
