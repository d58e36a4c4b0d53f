package config

import (
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"
)

const maxURL = 2048

// parseURL parses an absolute http or https URL with a host, without user information
// or a fragment. Otherwise it returns the problem in words that do not repeat the URL,
// which may hold a password.
func parseURL(raw string) (*url.URL, string) {
	if len(raw) > maxURL {
		return nil, "is longer than 2048 bytes"
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, "is not a URL"
	case u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" || u.Hostname() == "":
		return nil, "must be an absolute URL such as https://id.example.com"
	case u.User != nil:
		return nil, "must not hold a user name or a password"
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, "must not have a fragment"
	}
	if fault := hostFault(u); fault != "" {
		return nil, fault
	}
	return u, ""
}

// hostFault returns the reason that the host of u is no name or address of one host.
// Letters beyond ASCII are allowed here.
func hostFault(u *url.URL) string {
	host := u.Hostname()
	switch {
	case strings.Contains(host, "*"):
		return "must name one host: a wildcard is not known here"
	case strings.ContainsAny(host, "!\"$&'()+,;<=>"):
		return "has a character in its host that no host name has"
	case !strings.Contains(host, ":") && strings.Contains("."+strings.TrimSuffix(host, ".")+".", ".."):
		return "has an empty part in its host name"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "has a port that is none of 1 to 65535"
		}
	}
	return ""
}

// urlPathFault returns the reason that u, which is raw, does not end in a path that the
// plugin can serve.
func urlPathFault(u *url.URL, raw string) string {
	switch {
	case u.RawQuery != "" || strings.Contains(raw, "?"):
		return "must not have a query"
	case u.Path == "" || u.Path == "/":
		return "must have a path, such as /oauth2/callback"
	case u.EscapedPath() != u.Path:
		return pathFault("/%")
	}
	return pathFault(u.Path)
}

// sameOrigin reports whether two URLs have one scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"https": "443", "http": "80"}[u.Scheme]
}

// endpoint reads an optional URL at the provider.
func (r *reader) endpoint(option, raw string, allowHTTP bool) string {
	s := r.text(option, raw)
	if s == "" {
		return ""
	}
	u, fault := parseURL(s)
	if fault == "" && u.Scheme != "https" && !allowHTTP {
		fault = "must be https"
	}
	if fault != "" {
		r.problem(option, fault)
		return ""
	}
	return s
}

// pathFault returns the reason that p cannot be compared byte by byte. A path that
// clients can write in several ways cannot be.
func pathFault(p string) string {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "must begin with /"
	case len(p) > maxURL:
		return "is longer than 2048 bytes"
	case !only(p, pathChars):
		return "must be a plain path: no query, fragment, wildcard, escape or ; in it"
	case path.Clean(p) != p:
		return "must be a canonical path: no //, no dots as a segment, no / at its end"
	}
	return ""
}

// pathChars are those of RFC 3986, section 3.3, without the percent sign, the
// semicolon and the asterisk.
const pathChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()+,=:@/"

// relativeFault returns the problem of a text that is neither an absolute URL nor a
// path with a slash at its start. It is empty for a text with a scheme.
func relativeFault(s string) string {
	if strings.HasPrefix(s, "/") || strings.Contains(s, "://") {
		return ""
	}
	first, _, _ := strings.Cut(s, "/")
	if strings.ContainsAny(first, ".:") || first == "localhost" || !only(s, pathChars) || len(s) > 100 {
		return "must be an absolute URL such as https://app.example.com/oauth2/callback, or a path that begins with /"
	}
	return "must begin with /: /" + s
}

// sitePath reads a path that the plugin serves. If callbackURL is absolute, it may also
// be an absolute URL on the same host.
func (r *reader) sitePath(option, raw string, callback SignIn) string {
	s := r.text(option, raw)
	if !strings.Contains(s, "://") {
		return r.servedPath(option, s)
	}
	u, fault := parseURL(s)
	switch {
	case fault != "":
	case callback.CallbackPath == "":
		return "" // its own fault is reported elsewhere
	case callback.CallbackURL == "":
		fault = "must be a path such as /oauth2/logout: callbackURL is a path, so that every host of the router has it"
	default:
		at, err := url.Parse(callback.CallbackURL)
		if err != nil || !sameOrigin(u, at) {
			fault = "must have the scheme and the host of callbackURL, or be a path"
		} else {
			fault = urlPathFault(u, s)
		}
	}
	if fault != "" {
		r.problem(option, fault)
		return ""
	}
	return u.Path
}

// servedPath checks a path that the plugin serves.
func (r *reader) servedPath(option, s string) string {
	if s == "" {
		return ""
	}
	fault := pathFault(s)
	switch {
	case s == "/":
		fault = "must not be the root"
	case !strings.HasPrefix(s, "/") && only(s, pathChars) && len(s) <= 100:
		fault = "must begin with /: /" + s
	}
	if fault != "" {
		r.problem(option, fault)
		return ""
	}
	return s
}

func hasScheme(raw, scheme string) bool {
	return strings.HasPrefix(strings.ToLower(raw), scheme+"://")
}

// hostOf returns the host name of a URL that has been checked.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

func inDomain(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// isLoopback reports whether a host name can mean only this machine.
func isLoopback(host string) bool {
	host = strings.ToLower(host)
	if inDomain(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
