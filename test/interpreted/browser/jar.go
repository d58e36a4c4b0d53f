package browser

import (
	"net"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"
)

// Jar keeps cookies by the rules of RFC 6265bis that matter to a sign-in. These are
// Secure, Path, Domain, the prefixes __Host- and __Secure-, and SameSite.
type Jar struct {
	Now     func() time.Time                      // nil: the real time
	Refuse  func(u *url.URL, c *http.Cookie) bool // reports if the browser blocks the cookie; nil: never
	Refused []string                              // names of cookies that a rule refused

	mu      sync.Mutex // guards the fields below
	cookies []*kept
	count   int
}

// kept is a cookie in the jar.
type kept struct {
	name, value, domain, path string
	hostOnly, secure          bool
	sameSite                  http.SameSite
	expires                   time.Time // zero: with the browser
	created                   int
}

// Context is the cause of a request. SameSite cookies depend on it.
type Context struct {
	Initiator *url.URL // the page that caused the request; nil: the user, by the address bar
	Method    string
	TopLevel  bool // a navigation, not a subresource
}

func (j *Jar) now() time.Time {
	if j.Now != nil {
		return j.Now()
	}
	return time.Now()
}

// Store keeps the cookies of a response from u.
func (j *Jar) Store(u *url.URL, h http.Header) {
	for _, line := range h.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			j.refuse(line)
			continue
		}
		if !admissible(u, c) || j.Refuse != nil && j.Refuse(u, c) {
			j.refuse(c.Name)
			continue
		}
		j.put(u, c)
	}
}

func (j *Jar) refuse(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Refused = append(j.Refused, name)
}

// admissible reports whether a browser would accept the cookie from u.
func admissible(u *url.URL, c *http.Cookie) bool {
	host := u.Hostname()
	secure := u.Scheme == "https"
	domain := strings.TrimPrefix(strings.ToLower(c.Domain), ".")
	switch {
	case c.Secure && !secure:
		return false
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return false
	case domain != "" && domain != host && (net.ParseIP(host) != nil || !strings.HasSuffix(host, "."+domain)):
		return false
	case domain != "" && !strings.Contains(domain, ".") && domain != host:
		return false
	case strings.HasPrefix(c.Name, "__Secure-") && !c.Secure:
		return false
	case strings.HasPrefix(c.Name, "__Host-") && (!c.Secure || c.Path != "/" || c.Domain != ""):
		return false
	}
	return len(c.Name)+len(c.Value) <= 4096
}

func (j *Jar) put(u *url.URL, c *http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count++
	k := &kept{
		name: c.Name, value: c.Value, path: c.Path, secure: c.Secure, sameSite: c.SameSite, created: j.count,
		domain: strings.TrimPrefix(strings.ToLower(c.Domain), "."), hostOnly: c.Domain == "",
	}
	if k.hostOnly {
		k.domain = u.Hostname()
	}
	if !strings.HasPrefix(k.path, "/") {
		k.path = u.Path[:strings.LastIndex(u.Path, "/")+1]
		if len(k.path) > 1 {
			k.path = strings.TrimSuffix(k.path, "/")
		}
	}
	gone := false
	switch {
	case c.MaxAge < 0:
		gone = true
	case c.MaxAge > 0:
		k.expires = j.now().Add(time.Duration(c.MaxAge) * time.Second)
	case !c.Expires.IsZero():
		k.expires = c.Expires
		gone = c.Expires.Before(j.now())
	}
	rest := j.cookies[:0]
	for _, o := range j.cookies {
		if o.name == k.name && o.domain == k.domain && o.path == k.path {
			k.created = o.created
			continue
		}
		rest = append(rest, o)
	}
	j.cookies = rest
	if !gone {
		j.cookies = append(j.cookies, k)
	}
}

// Header returns the Cookie header of a request to u. It is empty without cookies.
func (j *Jar) Header(u *url.URL, c Context) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var sent []*kept
	for _, k := range j.cookies {
		if j.matches(k, u) && sameSiteAllows(k.sameSite, u, c) {
			sent = append(sent, k)
		}
	}
	sort.SliceStable(sent, func(a, b int) bool {
		if len(sent[a].path) != len(sent[b].path) {
			return len(sent[a].path) > len(sent[b].path)
		}
		return sent[a].created < sent[b].created
	})
	pairs := make([]string, len(sent))
	for i, k := range sent {
		pairs[i] = k.name + "=" + k.value
	}
	return strings.Join(pairs, "; ")
}

func (j *Jar) matches(k *kept, u *url.URL) bool {
	host := u.Hostname()
	switch {
	case !k.expires.IsZero() && !j.now().Before(k.expires):
		return false
	case k.secure && u.Scheme != "https":
		return false
	case k.hostOnly && host != k.domain:
		return false
	case host != k.domain && !strings.HasSuffix(host, "."+k.domain):
		return false
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return path == k.path || strings.HasPrefix(path, k.path) &&
		(strings.HasSuffix(k.path, "/") || path[len(k.path)] == '/')
}

func sameSiteAllows(s http.SameSite, u *url.URL, c Context) bool {
	if c.Initiator == nil || site(c.Initiator) == site(u) || s == http.SameSiteNoneMode {
		return true
	}
	if s == http.SameSiteStrictMode {
		return false
	}
	return c.TopLevel && (c.Method == http.MethodGet || c.Method == http.MethodHead)
}

// site returns the scheme and the registrable domain, taken to be the last two labels.
func site(u *url.URL) string {
	host := u.Hostname()
	if net.ParseIP(host) == nil {
		if labels := strings.Split(host, "."); len(labels) > 2 {
			host = strings.Join(labels[len(labels)-2:], ".")
		}
	}
	return u.Scheme + "://" + host
}

// Get returns the value of the cookie of that name that u would get.
func (j *Jar) Get(u *url.URL, name string) (string, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, k := range j.cookies {
		if k.name == name && j.matches(k, u) {
			return k.value, true
		}
	}
	return "", false
}

// Names returns the names of all cookies that u would get, sorted.
func (j *Jar) Names(u *url.URL) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var names []string
	for _, k := range j.cookies {
		if j.matches(k, u) {
			names = append(names, k.name)
		}
	}
	sort.Strings(names)
	return names
}

// Set stores a cookie for u as if u had set it, without applying any rule.
func (j *Jar) Set(u *url.URL, name, value string) {
	j.put(u, &http.Cookie{Name: name, Value: value, Path: "/", Secure: u.Scheme == "https"})
}

// Delete removes the cookie of that name of u's host.
func (j *Jar) Delete(u *url.URL, name string) {
	j.put(u, &http.Cookie{Name: name, Path: "/", MaxAge: -1})
}
