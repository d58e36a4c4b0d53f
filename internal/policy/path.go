package policy

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// control has the ASCII control characters; unprintable has those and the space.
const (
	control = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f" +
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"
	unprintable = control + " "
)

// word has the characters beyond ASCII that a plain path may have: letters, the marks
// on them, and decimal digits. All others are refused. Unicode's compatibility forms
// (UAX 15, NFKC) turn many of them, such as numbers of other kinds, into / . ? # ; or
// %, and some servers drop invisible ones.
const word = `\p{L}\p{M}\p{Nd}`

// refused has the letters and marks that a plain path must not have either: their
// compatibility form contains a space, or they are invisible
// (Default_Ignorable_Code_Point). A test compares it with all characters of Unicode.
const refused = `\x{34f}\x{37a}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180d}\x{180f}\x{3164}\x{fc5e}-\x{fc63}\x{fdfa}\x{fdfb}` +
	`\x{fe00}-\x{fe0f}\x{fe70}\x{fe72}\x{fe74}\x{fe76}\x{fe78}\x{fe7a}\x{fe7c}\x{fe7e}\x{ffa0}\x{e0100}-\x{e01ef}`

// marks has the marks, and the two letters with a mark as their compatibility form.
const marks = `\p{M}\x{ff9e}\x{ff9f}`

// notPlain matches characters beyond ASCII that a plain path must not have:
//   - characters that are not in word, and invalid UTF-8;
//   - a mark without its letter, because some servers drop marks;
//   - characters in refused.
var notPlain = regexp.MustCompile(`[^\x00-\x7f` + word + `]|[^` + word + `][` + marks + `]|[` + refused + `]`)

// dots matches a segment of dots and spaces only, which some servers read as a dot
// segment.
var dots = regexp.MustCompile(`/[. ]+(?:/|$)`)

// dividers has the characters that some servers read as a slash, as the end of the
// path or as the beginning of an escape.
const dividers = `\;%#?`

// plain reports whether every server reads the decoded path alike. Such a path is
// absolute. It has no empty segment except the last, no segment of dots and spaces
// only, no divider, no control character, and nothing that notPlain matches.
func plain(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.ContainsAny(path, control+dividers) {
		return false
	}
	if (strings.Contains(path, "/.") || strings.Contains(path, "/ ")) && dots.MatchString(path) {
		return false
	}
	return isASCII(path) || !notPlain.MatchString(path)
}

// escapes matches the encoded form of . / \ ; # % ? and NUL, which servers read in
// different ways.
var escapes = regexp.MustCompile(`(?i)%(?:2e|2f|5c|3b|23|25|3f|00)`)

// plainlyEscaped reports whether the path as received has none of escapes.
func plainlyEscaped(escaped string) bool {
	return !escapes.MatchString(escaped)
}

func isASCII(s string) bool {
	return utf8.RuneCountInString(s) == len(s) && utf8.ValidString(s)
}
