package policy

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

const (
	// MaxTarget bounds a return target that stands in a header or in a URL, in bytes.
	MaxTarget = 1000
	// MaxSignInTarget bounds the return target of a sign-in, in bytes: as the client sent
	// it, and as [Compact] makes it.
	MaxSignInTarget = 2000
)

// PlainTarget matches the most common return targets: whatever it matches, and is not
// longer than MaxTarget, ReturnTarget gives back as it is. It is for callers that ask
// at each request and want to know in one call.
var PlainTarget = regexp.MustCompile(`^/(?:[0-9A-Za-z_~!$&'()*+,:=@-]\.*/?)*(?:\?[0-9A-Za-z_~!$&'()*+,:;=@%./?\[\]-]*)?$`)

// ReturnTarget turns the URI of a request into where the user goes after the
// sign-in: a path of this site with its query, in ASCII. Most is MaxTarget, which then
// bounds the target too, or MaxSignInTarget.
// Anything that some browser could take for another site, or that is not a plain
// reference to a path, is no target; it is never repaired but for slashes at the
// beginning, which become one, and for characters of the query that have to be
// escaped.
func ReturnTarget(raw string, most int) (string, bool) {
	if !strings.HasPrefix(raw, "/") || len(raw) > most {
		return "", false
	}
	path, query, asked := strings.Cut("/"+strings.TrimLeft(raw, "/"), "?")
	if strings.ContainsAny(path, unprintable+`\#`) || strings.ContainsAny(query, unprintable+"#") {
		return "", false
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || !staysHere(u.Path) {
		return "", false
	}
	target := u.EscapedPath()
	if asked {
		target += "?" + queryEscaper.Replace(query)
	}
	if len(target) <= MaxTarget {
		return target, true
	}
	return target, most > MaxTarget && len(Compact(target)) <= most
}

// Compact returns the shortest text from which ReturnTarget makes target, one that it
// made: without the escapes that it put into the query. It is for where a target is kept;
// it must not stand in a header.
func Compact(target string) string {
	path, query, asked := strings.Cut(target, "?")
	if !asked {
		return target
	}
	return path + "?" + queryUnescaper.Replace(query)
}

// leaves matches decoded paths in which some browser finds a host: something like a
// second slash at the beginning, or a dot segment before one.
var leaves = regexp.MustCompile(`^/[/\\ ]|[/\\]\.\.?(?:[/\\]|$)`)

// staysHere reports whether a decoded path is one in which no browser finds a
// host. A control character could end the header that the path is put into.
func staysHere(path string) bool {
	return !strings.ContainsAny(path, control) && !leaves.MatchString(path)
}

// queryEscaper escapes what may stand in a request's query but not in a header, or
// not in every browser's idea of a query. queryUnescaper undoes it.
var (
	queryEscaper   = newQueryEscaper(false)
	queryUnescaper = newQueryEscaper(true)
)

func newQueryEscaper(undo bool) *strings.Replacer {
	var pairs []string
	for c := 0; c < 256; c++ {
		b := string([]byte{byte(c)})
		if c < 0x80 && !strings.Contains(`"<>\^`+"`{|}", b) {
			continue
		}
		escape := fmt.Sprintf("%%%02X", c)
		if undo {
			pairs = append(pairs, escape, b)
		} else {
			pairs = append(pairs, b, escape)
		}
	}
	return strings.NewReplacer(pairs...)
}

// LeadsTo reports whether a target that ReturnTarget accepted is one of paths,
// however it is spelled: nobody returns to the callback or to the logout.
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
