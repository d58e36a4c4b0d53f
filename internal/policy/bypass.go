package policy

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Bypass holds the public paths, which need no sign-in. It is safe for concurrent use;
// nil matches nothing.
type Bypass struct {
	begins *regexp.Regexp // nil: there are no public paths
}

// NewBypass makes a Bypass from path prefixes. /public matches /public and every path
// below it; /public/ matches only the paths below. A prefix must be a canonical decoded
// path. / is refused, because it would leave nothing protected. One error names all
// problems and quotes their prefixes.
func NewBypass(prefixes []string) (*Bypass, error) {
	var problems, parts []string
	for _, p := range prefixes {
		if fault := prefixFault(p); fault != "" {
			problems = append(problems, fmt.Sprintf("%.100q %s", p, fault))
			continue
		}
		part := regexp.QuoteMeta(p)
		if !strings.HasSuffix(p, "/") {
			part += "(?:/|$)"
		}
		parts = append(parts, part)
	}
	if problems != nil {
		return nil, fmt.Errorf("policy: excluded paths: %s", strings.Join(problems, "; "))
	}
	b := &Bypass{}
	if parts == nil {
		return b, nil
	}
	var err error
	if b.begins, err = regexp.Compile("^(?:" + strings.Join(parts, "|") + ")"); err != nil {
		return nil, fmt.Errorf("policy: excluded paths: %w", err)
	}
	return b, nil
}

func prefixFault(p string) string {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "does not begin with /"
	case strings.Trim(p, "/") == "":
		return "would leave nothing protected"
	case strings.ContainsAny(p, "*"):
		return "has a wildcard; a prefix covers everything below it"
	case !plain(p):
		return "is not a plain path: it must have no query, no escapes and no dot segments, and beyond ASCII only letters, marks and digits"
	case len(p) > MaxPath:
		return "is too long"
	}
	return ""
}

// Begins returns an expression for the beginnings of public paths; nil: there are none.
// A path that it does not match is not public; for the others, ask Matches. It makes
// the common case one native call.
func (b *Bypass) Begins() *regexp.Regexp {
	if b == nil {
		return nil
	}
	return b.begins
}

const (
	// MaxPath bounds, in bytes, a decoded path of which the plugin is sure. A longer one is
	// not public. With access rules, it is a path that can be read in two ways.
	MaxPath = 4096
	// maxSent bounds, in bytes, such a path as it was received: with escapes, and with the
	// scheme and the host of the absolute form (RFC 9112, section 3.2.2).
	maxSent = 3*MaxPath + 1024
)

// Matches reports whether r has a public path and so needs no sign-in. Prefixes end at
// the boundary of a segment. A path that another server could read differently never
// matches. A path that differs from the one that Traefik sends to the backend does not
// either; Traefik builds that from RequestURI if it is set.
func (b *Bypass) Matches(r *http.Request) bool {
	if b == nil || b.begins == nil || !b.begins.MatchString(r.URL.Path) {
		return false
	}
	return unambiguous(r)
}

// unambiguous reports whether every server reads the path of r alike. It uses RawPath
// and RequestURI as received, because EscapedPath replaces malformed escapes. It looks at
// the lengths first, so that no client determines what a look costs.
func unambiguous(r *http.Request) bool {
	target, _, _ := strings.Cut(r.RequestURI, "?")
	if len(r.URL.Path) > MaxPath || len(r.URL.RawPath) > maxSent || len(target) > maxSent {
		return false
	}
	if !plain(r.URL.Path) || !plainlyEscaped(r.URL.RawPath) {
		return false
	}
	if r.RequestURI == "" || target == r.URL.Path {
		return true
	}
	sent, err := url.ParseRequestURI(target)
	return err == nil && plainlyEscaped(target) && sent.Path == r.URL.Path
}
