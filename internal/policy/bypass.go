package policy

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Bypass holds the path prefixes for which nobody is asked to sign in. It is safe
// for concurrent use; nil matches nothing.
type Bypass struct {
	begins *regexp.Regexp // nil: there are no prefixes
}

// NewBypass returns a bypass for prefixes: /public lets /public and everything
// below it pass, /public/ only what is below. A prefix must be a canonical
// decoded path, and / is refused, because it would leave nothing protected. All
// problems come in one error that quotes the prefixes.
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
		return "is not a plain path: no query, no escapes, no dot segments, and beyond ASCII letters, marks and digits alone"
	case len(p) > maxPath:
		return "is too long"
	}
	return ""
}

// Begins matches how the paths begin that Matches may find open; nil: none is. It
// is for those who ask often and want to know quickly.
func (b *Bypass) Begins() *regexp.Regexp {
	if b == nil {
		return nil
	}
	return b.begins
}

// maxPath bounds a path that can be bypassed, in bytes.
const maxPath = 4096

// Matches reports whether r needs no sign-in. Only its path counts, on the
// boundary of a segment; a path that another server could read differently never
// matches, nor does one that Traefik would not send on as it was matched. Traefik
// builds the request to the backend from RequestURI where it has one.
func (b *Bypass) Matches(r *http.Request) bool {
	if b == nil || b.begins == nil || !b.begins.MatchString(r.URL.Path) {
		return false
	}
	return unambiguous(r)
}

// unambiguous reports whether every server reads the path of r alike. RawPath and
// RequestURI are looked at as they came: EscapedPath makes its own escapes of what
// is not well formed.
func unambiguous(r *http.Request) bool {
	if len(r.URL.Path) > maxPath || !plain(r.URL.Path) || !plainlyEscaped(r.URL.RawPath) {
		return false
	}
	target, _, _ := strings.Cut(r.RequestURI, "?")
	if r.RequestURI == "" || target == r.URL.Path {
		return true
	}
	sent, err := url.ParseRequestURI(target)
	return err == nil && plainlyEscaped(target) && sent.Path == r.URL.Path
}
