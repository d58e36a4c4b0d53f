package policy

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// control are the ASCII control characters, unprintable those and the space.
const (
	control = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f" +
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"
	unprintable = control + " "
)

// word are the characters beyond ASCII that a plain path may have: letters, the marks
// that belong to them, and decimal digits. All others are refused, because Unicode's
// compatibility forms (UAX 15, NFKC) turn many of them into / . ? # ; or %, as they
// do with numbers of other kinds, and because servers drop those that show nothing.
const word = `\p{L}\p{M}\p{Nd}`

// odd are the letters and marks that are refused all the same: their compatibility
// form has a space in it, or they show nothing (Default_Ignorable_Code_Point). A
// test asks for each character of Unicode whether it is here if it has to be.
const odd = `\x{34f}\x{37a}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180d}\x{180f}\x{3164}\x{fc5e}-\x{fc63}\x{fdfa}\x{fdfb}` +
	`\x{fe00}-\x{fe0f}\x{fe70}\x{fe72}\x{fe74}\x{fe76}\x{fe78}\x{fe7a}\x{fe7c}\x{fe7e}\x{ffa0}\x{e0100}-\x{e01ef}`

// marks are the marks, and the two letters whose compatibility form is a mark.
const marks = `\p{M}\x{ff9e}\x{ff9f}`

// foreign matches what a plain path must not have beyond ASCII: anything but word,
// which invalid UTF-8 is not either; a mark without its letter, as some servers drop
// marks; odd.
var foreign = regexp.MustCompile(`[^\x00-\x7f` + word + `]|[^` + word + `][` + marks + `]|[` + odd + `]`)

// dots matches a segment of dots and spaces alone, which some server takes for a dot
// segment.
var dots = regexp.MustCompile(`/[. ]+(?:/|$)`)

// dividers are what some server may take for a slash, the end of the path or the
// beginning of an escape.
const dividers = `\;%#?`

// plain reports whether every server reads the decoded path alike: it is absolute
// and has no empty segment but the last, no segment of dots and spaces alone,
// nothing that could end it or be decoded again, no control character, and beyond
// ASCII words alone.
func plain(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.ContainsAny(path, control+dividers) {
		return false
	}
	if (strings.Contains(path, "/.") || strings.Contains(path, "/ ")) && dots.MatchString(path) {
		return false
	}
	return isASCII(path) || !foreign.MatchString(path)
}

// escapes are the characters whose encoded form servers disagree about: . / \ ;
// # % ? and the NUL.
var escapes = regexp.MustCompile(`(?i)%(?:2e|2f|5c|3b|23|25|3f|00)`)

// plainlyEscaped reports whether the path as it was sent encodes none of escapes.
func plainlyEscaped(escaped string) bool {
	return !escapes.MatchString(escaped)
}

func isASCII(s string) bool {
	return utf8.RuneCountInString(s) == len(s) && utf8.ValidString(s)
}
