package config

import (
	"net"
	"strings"
	"time"
)

// maxSeconds is 400 days, the longest that browsers keep a cookie.
const maxSeconds = 400 * 24 * 60 * 60

// tokenChars are those of a token of RFC 9110, section 5.6.2.
const tokenChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"

// session reads the lifetime of sessions and the properties of their cookie.
func (r *reader) session(c *Config) Session {
	s := Session{
		Keys:         r.keys(c.SessionEncryptionKey),
		MaxAge:       r.lifetime(c.SessionMaxAge),
		IdleTimeout:  r.duration("idleTimeout", c.IdleTimeout, maxSeconds*time.Second),
		RefreshGrace: r.seconds("refreshGracePeriodSeconds", c.RefreshGracePeriodSeconds, 0, maxSeconds),
		Group:        r.text("sessionGroup", c.SessionGroup),
		Secure:       c.ForceHTTPS,
		StripCookies: c.StripAuthCookies,
	}
	if len(s.Group) > 200 {
		r.problem("sessionGroup", "is longer than 200 bytes")
	}
	s.Store = r.choice("sessionStore", c.SessionStore, "server", []string{"server", "cookie"})
	s.CookieDomain = r.cookieDomain(c)
	s.CookieName = r.cookieName(c, s.CookieDomain)
	s.SameSite = r.sameSite(c)
	return s
}

// shortestName is the least length of cookiePrefix, in bytes. Requests with other cookies
// in which the name occurs take a slower path.
const shortestName = 3

// cookieName reads cookiePrefix. Its default has the strongest of the prefixes
// that browsers enforce (RFC 6265bis, section 4.1.3) that is still possible.
func (r *reader) cookieName(c *Config, domain string) string {
	const option = "cookiePrefix"
	name := r.text(option, c.CookiePrefix)
	if name == "" {
		if !c.ForceHTTPS {
			return "oidc"
		}
		return strongest(domain) + "oidc"
	}
	lower := strings.ToLower(name)
	host := strings.HasPrefix(lower, "__host-")
	secure := strings.HasPrefix(lower, "__secure-")
	fault := ""
	switch {
	case !only(name, tokenChars):
		fault = "has a character that no cookie's name may have"
	case len(name) > 64:
		fault = "is longer than 64 bytes"
	case lower == "__host-" || lower == "__secure-":
		fault = "needs a name after the prefix"
	case len(name) < shortestName:
		fault = "must have at least 3 characters: cookies of others would begin alike, and each is looked at"
	case host && !strings.HasPrefix(name, "__Host-") || secure && !strings.HasPrefix(name, "__Secure-"):
		fault = "must spell the prefix __Host- or __Secure- exactly"
	case (host || secure) && !c.ForceHTTPS:
		fault = "browsers keep __Host- and __Secure- cookies over https alone, and forceHTTPS is false"
	case host && domain != "":
		fault = "browsers refuse a __Host- cookie with a domain, and cookieDomain is set; use __Secure-"
	}
	switch {
	case fault != "":
		r.problem(option, fault)
	case !c.ForceHTTPS:
	case !host && !secure:
		r.warn(option, "the name has no prefix that browsers enforce, so that another host of the domain, or anyone over plain http, can plant a cookie of this name; begin it with "+strongest(domain))
	case secure && domain == "":
		r.warn(option, "another host of the domain can plant a cookie of this name; begin it with "+strongest(domain))
	}
	return name
}

// strongest returns the strongest prefix that a cookie over https can have.
func strongest(domain string) string {
	if domain != "" {
		return "__Secure-"
	}
	return "__Host-"
}

// sameSite reads cookieSameSite.
func (r *reader) sameSite(c *Config) string {
	const option = "cookieSameSite"
	s := r.choice(option, c.CookieSameSite, "lax", []string{"lax", "strict", "none", "partitioned"})
	if (s == "none" || s == "partitioned") && !c.ForceHTTPS {
		r.problem(option, "browsers keep such a cookie over https only, and forceHTTPS is false; set forceHTTPS: true, or use lax")
	}
	return s
}

const domainChars = "abcdefghijklmnopqrstuvwxyz0123456789-."

// cookieDomain reads the domain of the hosts that share the cookies.
func (r *reader) cookieDomain(c *Config) string {
	const option = "cookieDomain"
	s := strings.ToLower(strings.TrimPrefix(r.text(option, c.CookieDomain), "."))
	switch {
	case s == "" && c.CookieDomain == "":
		return ""
	case s == "":
		r.problem(option, "is empty; leave it out if cookies are for one host")
	case net.ParseIP(s) != nil || strings.ContainsAny(s, ":/"):
		r.problem(option, "must be a domain name, without a scheme or a port")
	case !only(s, domainChars) || len(s) > 253 || strings.Contains(s, "..") || strings.Trim(s, ".-") != s:
		r.problem(option, "is not a domain name")
	case !strings.Contains(s, "."):
		r.problem(option, "must have a dot in it: browsers refuse cookies for a top-level domain")
	}
	return s
}
