package policy

import (
	"strings"
	"unicode/utf8"
)

// control are the ASCII control characters, unprintable those and the space.
const (
	control = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f" +
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"
	unprintable = control + " "
)

// dividers are what some server may take for a slash, the end of the path or the
// beginning of an escape; lookalikes are the letters that Unicode's compatibility
// forms turn into those, or into dots.
const (
	dividers   = `\;%#?`
	lookalikes = "\u2024\u2025\u2044\u2215\u29f8\u29f9\ufe52\ufe54\ufe68\uff05\uff0e\uff0f\uff1b\uff3c"
)

// plain reports whether every server reads the decoded path alike: it is absolute
// and has no empty segment but the last, no segment of dots and spaces alone,
// nothing that could end it or be decoded again, no control character and no
// invalid UTF-8.
func plain(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.ContainsAny(path, control+dividers) {
		return false
	}
	if !utf8.ValidString(path) || utf8.RuneCountInString(path) != len(path) && strings.ContainsAny(path, lookalikes) {
		return false
	}
	if !strings.Contains(path, "/.") && !strings.Contains(path, "/ ") {
		return true
	}
	for _, segment := range strings.Split(path, "/") {
		if segment != "" && strings.Trim(segment, ". ") == "" {
			return false
		}
	}
	return true
}

// escapes are the characters whose encoded form servers disagree about: . / \ ;
// # % ? and the NUL.
var escapes = [...]string{"%2e", "%2f", "%5c", "%3b", "%23", "%25", "%3f", "%00"}

// plainlyEscaped reports whether the path as it was sent encodes none of escapes.
func plainlyEscaped(escaped string) bool {
	if !strings.Contains(escaped, "%") {
		return true
	}
	small := strings.ToLower(escaped)
	for _, e := range escapes {
		if strings.Contains(small, e) {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	return utf8.RuneCountInString(s) == len(s) && utf8.ValidString(s)
}
