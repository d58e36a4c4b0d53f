// Package texts has what the built-in pages say, in English, German, French and
// Spanish, and chooses the language of a page by Accept-Language (RFC 9110, section
// 12.5.4). An operator's file brings any other.
package texts

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Auto is the language option with which the browser's languages decide.
const Auto = "auto"

// User is where the text "label.signed_in_as" has the user's name.
const User = "{user}"

const (
	// maxAccepted bounds, in bytes, an Accept-Language header that is read, and
	// maxRanges how many of its languages.
	maxAccepted = 1000
	maxRanges   = 16
	// maxText bounds a text of an operator's file, in bytes.
	maxText = 2000
)

// Options of a Book. The zero value chooses among the built-in languages.
type Options struct {
	Language  string            // Auto, empty for the same, or the tag of a language that there is
	Custom    map[string]string // by key; nil: none. A key that is missing falls back to CustomTag's built-in text, then to English
	CustomTag string            // the language of Custom
}

// A Book is the languages that pages can have.
type Book struct {
	byTag map[string]*Language // by primary subtag
	fixed *Language            // nil: the browser decides
}

// A Language is the texts of one language.
type Language struct {
	Tag         string // for the attribute lang
	RightToLeft bool
	texts       map[string]string
	otherwise   *Language // nil: there is none
}

// rightToLeft are the primary subtags of languages that are written so.
var rightToLeft = map[string]bool{"ar": true, "fa": true, "he": true, "ur": true, "ps": true, "dv": true, "yi": true, "ckb": true, "sd": true, "ug": true}

// tag matches a language tag (RFC 5646, section 2.1), as far as anybody needs it here.
var tag = regexp.MustCompile(`^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}$`)

// IsTag reports whether s has the form of a language tag, such as it or pt-BR.
func IsTag(s string) bool {
	return tag.MatchString(s)
}

// New returns the book of o, or an error if o's language has no texts.
func New(o Options) (*Book, error) {
	en := &Language{Tag: "en", texts: english}
	de := &Language{Tag: "de", texts: german, otherwise: en}
	fr := &Language{Tag: "fr", texts: french, otherwise: en}
	es := &Language{Tag: "es", texts: spanish, otherwise: en}
	b := &Book{byTag: map[string]*Language{"en": en, "de": de, "fr": fr, "es": es}}
	if o.Custom != nil {
		p := primary(o.CustomTag)
		l := &Language{Tag: o.CustomTag, RightToLeft: rightToLeft[p], texts: o.Custom, otherwise: en}
		if same := b.byTag[p]; same != nil {
			l.otherwise = same
		}
		b.byTag[p] = l
	}
	if o.Language == "" || o.Language == Auto {
		return b, nil
	}
	b.fixed = b.byTag[primary(o.Language)]
	if b.fixed == nil {
		return nil, fmt.Errorf("there are no texts in the language %q", o.Language)
	}
	return b, nil
}

// BuiltIn reports whether there are texts in the language of a tag without any file.
func BuiltIn(tag string) bool {
	switch primary(tag) {
	case "en", "de", "fr", "es":
		return true
	}
	return false
}

// Same reports whether two tags are of the same language, wherever it is spoken.
func Same(one, other string) bool {
	return primary(one) == primary(other)
}

func primary(tag string) string {
	p, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return p
}

// Asks reports whether the language depends on the browser's.
func (b *Book) Asks() bool {
	return b.fixed == nil
}

// English returns the English text of a key.
func English(key string) string {
	return english[key]
}

// accepted matches one language range with its weight.
var accepted = regexp.MustCompile(`(?i)^[ \t]*([a-z]{1,8})(?:-[a-z0-9-]{1,64})?[ \t]*(?:;[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*)?$`)

// For returns the language of a page for a browser with this Accept-Language header:
// the one with the highest weight, the first of equals, and English if there is none.
// Of a header only the first languages count, and one that is too long counts as none.
func (b *Book) For(header string) *Language {
	if b.fixed != nil {
		return b.fixed
	}
	best := b.byTag["en"]
	most := 0.0
	if len(header) > maxAccepted {
		return best
	}
	ranges := strings.SplitN(header, ",", maxRanges+1)
	for i := 0; i < len(ranges) && i < maxRanges; i++ {
		m := accepted.FindStringSubmatch(ranges[i])
		if m == nil {
			continue
		}
		l := b.byTag[strings.ToLower(m[1])]
		weight := 1.0
		if m[2] != "" {
			weight, _ = strconv.ParseFloat(m[2], 64)
		}
		if l != nil && weight > most {
			best = l
			most = weight
		}
	}
	return best
}

// Text returns the text of a key; empty if there is no such key.
func (l *Language) Text(key string) string {
	for from := l; from != nil; from = from.otherwise {
		if text := from.texts[key]; text != "" {
			return text
		}
	}
	return ""
}

// Sentences returns the English title and advice of the page with a code in one text,
// which is what API clients get. A code without texts is one of a callback.
func Sentences(code string) string {
	title := english[code+".title"]
	if title == "" {
		return english["callback.title"] + ". " + english["callback.advice"]
	}
	return title + ". " + english[code+".advice"]
}

// Keys are the keys that texts have, sorted.
func Keys() []string {
	keys := make([]string, 0, len(english))
	for key := range english {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// Fault says what is wrong with a text of an operator's file; empty if nothing is.
func Fault(key, text string) string {
	switch {
	case english[key] == "":
		return "is no key of a text"
	case strings.TrimSpace(text) == "":
		return "is empty; leave it out for the English text"
	case len(text) > maxText:
		return "is longer than 2000 bytes"
	case strings.Count(english[key], User) != strings.Count(text, User):
		return "must have " + User + " where the English text has it: " + english[key]
	}
	return ""
}
