package policy

import (
	"fmt"
	"net/url"
	"strings"
)

// Redirects holds the sites to which people may be sent away, by absolute URLs.
// It is safe for concurrent use; nil allows none.
type Redirects struct {
	origins map[string]bool // scheme://host:port
	parents []parent
}

// parent allows every host below suffix, which begins with a dot.
type parent struct {
	scheme, suffix, port string
}

// NewRedirects returns a list of sites: https://app.example.com or
// https://app.example.com:8443 allow that scheme, host and port alone;
// https://.example.com, or .example.com for short, every host below example.com
// but not itself. All problems come in one error.
func NewRedirects(sites []string) (*Redirects, error) {
	l := &Redirects{origins: map[string]bool{}}
	var problems []string
	for _, s := range sites {
		site := s
		if strings.HasPrefix(s, ".") {
			site = "https://" + s
		}
		u, ok := parseAbsolute(site)
		if !ok || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Hostname(), ".") == "" {
			problems = append(problems, fmt.Sprintf("%.100q", s))
			continue
		}
		host := strings.ToLower(u.Hostname())
		if strings.HasPrefix(host, ".") {
			l.parents = append(l.parents, parent{scheme: u.Scheme, suffix: host, port: portOf(u)})
			continue
		}
		l.origins[u.Scheme+"://"+host+":"+portOf(u)] = true
	}
	if problems != nil {
		return nil, fmt.Errorf("policy: not sites such as https://app.example.com or .example.com: %s", strings.Join(problems, ", "))
	}
	return l, nil
}

// Allows reports whether raw is an absolute URL of one of the sites. Scheme, host
// and port are compared exactly, hosts without regard to case.
func (l *Redirects) Allows(raw string) bool {
	u, ok := parseAbsolute(raw)
	if l == nil || !ok {
		return false
	}
	host := strings.ToLower(u.Hostname())
	port := portOf(u)
	if l.origins[u.Scheme+"://"+host+":"+port] {
		return true
	}
	for _, p := range l.parents {
		if u.Scheme == p.scheme && port == p.port && len(host) > len(p.suffix) && strings.HasSuffix(host, p.suffix) {
			return true
		}
	}
	return false
}

// parseAbsolute reads an http or https URL that every browser reads alike: ASCII
// without spaces, control characters and backslashes, with a host and without
// userinfo.
func parseAbsolute(raw string) (*url.URL, bool) {
	if len(raw) > MaxTarget || !isASCII(raw) || strings.ContainsAny(raw, unprintable+`\`) {
		return nil, false
	}
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Opaque != "" || u.User != nil {
		return nil, false
	}
	host := u.Hostname()
	if host == "" || strings.ContainsAny(u.Host, "%@,;*") || strings.HasPrefix(host, "..") || strings.HasSuffix(u.Host, ":") {
		return nil, false
	}
	return u, true
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}
