package policy

import (
	"net/url"
	"strings"
)

// maxTarget bounds a return target, in bytes.
const maxTarget = 1000

// ReturnTarget turns the URI of a request into where the person goes after the
// sign-in: a path of this site with its query, in ASCII, of at most 1000 bytes.
// Anything that some browser could take for another site, or that is not a plain
// reference to a path, is no target; it is never repaired but for slashes at the
// beginning, which become one, and for characters of the query that have to be
// escaped.
func ReturnTarget(raw string) (string, bool) {
	if !strings.HasPrefix(raw, "/") || len(raw) > maxTarget {
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
		target += "?" + escapeQuery(query)
	}
	return target, len(target) <= maxTarget
}

// staysHere reports whether a decoded path is one in which no browser finds a
// host: nothing like a second slash at its beginning, no dot segment before one,
// no control character.
func staysHere(path string) bool {
	if strings.ContainsAny(path, control) {
		return false
	}
	if strings.IndexAny(path[1:], `/\ `) == 0 {
		return false
	}
	for _, segment := range strings.Split(strings.ReplaceAll(path, `\`, "/"), "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// escapeQuery escapes what may stand in a request's query but not in a header, or
// not in every browser's idea of a query.
func escapeQuery(query string) string {
	if isASCII(query) && !strings.ContainsAny(query, `"<>\^`+"`{|}") {
		return query
	}
	var b strings.Builder
	for i := 0; i < len(query); i++ {
		c := query[i]
		if c >= 0x80 || strings.IndexByte(`"<>\^`+"`{|}", c) >= 0 {
			b.WriteString("%" + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

const hexDigits = "0123456789ABCDEF"

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
