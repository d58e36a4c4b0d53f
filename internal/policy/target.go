package policy

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

const (
	// MaxTarget bounds a return target in a header or in a URL, in bytes.
	MaxTarget = 1000
	// MaxSignInTarget bounds the return target of a sign-in, in bytes. It applies to the
	// target as the client sent it, and to the result of [Compact].
	MaxSignInTarget = 2000
)

// PlainTarget matches the most common return targets. ReturnTarget returns a target that
// it matches, of up to MaxTarget bytes, without a change. It lets callers that check each
// request do so in one native call.
var PlainTarget = regexp.MustCompile(`^/(?:[0-9A-Za-z_~!$&'()*+,:=@-]\.*/?)*(?:\?[0-9A-Za-z_~!$&'()*+,:;=@%./?\[\]-]*)?$`)

// ReturnTarget makes the return target of a sign-in from the URI of a request. It is a path
// of this site with its query, in ASCII. most is MaxTarget, which then bounds the target
// too, or MaxSignInTarget.
//
// It refuses a URI that some browser could read as another site, and one that is not a
// plain reference to a path. It repairs two things only: several slashes at the beginning
// become one, and characters of the query are escaped if they have to be.
func ReturnTarget(raw string, most int) (string, bool) {
	if !strings.HasPrefix(raw, "/") || len(raw) > most {
		return "", false
	}
	path, query, hasQuery := strings.Cut("/"+strings.TrimLeft(raw, "/"), "?")
	if strings.ContainsAny(path, unprintable+`\#`) || strings.ContainsAny(query, unprintable+"#") {
		return "", false
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || !isLocalPath(u.Path) {
		return "", false
	}
	target := u.EscapedPath()
	if hasQuery {
		target += "?" + queryEscaper.Replace(query)
	}
	if len(target) <= MaxTarget {
		return target, true
	}
	return target, most > MaxTarget && len(Compact(target)) <= most
}

// Compact removes the escapes that ReturnTarget adds to a query. target must be a result
// of ReturnTarget, which makes the same target from the shorter text again. The text is
// for storage only and must not be used in a header.
func Compact(target string) string {
	path, query, hasQuery := strings.Cut(target, "?")
	if !hasQuery {
		return target
	}
	return path + "?" + queryUnescaper.Replace(query)
}

// foreign matches decoded paths that some browser reads as a URL with a host. They have a
// second slash, or a character like it, at the beginning or after a dot segment.
var foreign = regexp.MustCompile(`^/[/\\ ]|[/\\]\.\.?(?:[/\\]|$)`)

// isLocalPath reports whether no browser reads a decoded path as a URL with a host. It
// refuses control characters too, because they could end the header with the target.
func isLocalPath(path string) bool {
	return !strings.ContainsAny(path, control) && !foreign.MatchString(path)
}

// queryEscaper escapes characters that a request may have in its query, but that a header
// or some browser does not permit there. queryUnescaper reverses it.
var (
	queryEscaper   = newQueryEscaper(false)
	queryUnescaper = newQueryEscaper(true)
)

func newQueryEscaper(reverse bool) *strings.Replacer {
	var pairs []string
	for c := 0; c < 256; c++ {
		b := string([]byte{byte(c)})
		if c < 0x80 && !strings.Contains(`"<>\^`+"`{|}", b) {
			continue
		}
		escape := fmt.Sprintf("%%%02X", c)
		if reverse {
			pairs = append(pairs, escape, b)
		} else {
			pairs = append(pairs, b, escape)
		}
	}
	return strings.NewReplacer(pairs...)
}

// LeadsTo reports whether target, a result of ReturnTarget, has one of paths, in any
// spelling. Users must not return to the callback or to the sign-out.
func LeadsTo(target string, paths []string) bool {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}
	for _, p := range paths {
		if strings.TrimRight(u.Path, "/") == strings.TrimRight(p, "/") {
			return true
		}
	}
	return false
}
