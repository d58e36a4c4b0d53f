// Package texts has the texts of the built-in pages in English, German, French and
// Spanish. It chooses the language of a page by Accept-Language (RFC 9110, section
// 12.5.4). A file of the operator can add another language.
package texts

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Auto is the value of the language option that follows the browser's languages.
const Auto = "auto"

// User is the placeholder for the user's name in the text "label.signed_in_as".
const User = "{user}"

const (
	// maxAccepted is the maximum length of an Accept-Language header in bytes. maxRanges
	// is the number of languages in it that are read.
	maxAccepted = 1000
	maxRanges   = 16
	// maxText bounds a text of an operator's file, in bytes.
	maxText = 2000
)

// Options are the options of a Book. The zero value has the built-in languages and
// follows the browser.
type Options struct {
	Language  string            // Auto, or the tag of a language with texts; empty: Auto
	Custom    map[string]string // texts by key; nil: none. For a missing key: the built-in text of CustomTag, then the English one
	CustomTag string            // the language tag of Custom
}

// A Book has the languages of the pages. It is safe for concurrent use.
type Book struct {
	byTag map[string]*Language // by primary subtag
	fixed *Language            // nil: the language follows the browser
}

// A Language has the texts of one language.
type Language struct {
	Tag         string // for the attribute lang of a page
	RightToLeft bool
	texts       map[string]string
	fallback    *Language // has the texts that are missing here; nil: none
}

// rightToLeft has the primary subtags of languages that are written from right to left.
var rightToLeft = map[string]bool{"ar": true, "fa": true, "he": true, "ur": true, "ps": true, "dv": true, "yi": true, "ckb": true, "sd": true, "ug": true}

// tag matches language tags (RFC 5646, section 2.1) of up to five subtags.
var tag = regexp.MustCompile(`^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}$`)

// IsTag reports whether s has the form of a language tag, such as it or pt-BR.
func IsTag(s string) bool {
	return tag.MatchString(s)
}

// New makes a Book. It fails if there are no texts in Options.Language.
func New(o Options) (*Book, error) {
	en := &Language{Tag: "en", texts: english}
	de := &Language{Tag: "de", texts: german, fallback: en}
	fr := &Language{Tag: "fr", texts: french, fallback: en}
	es := &Language{Tag: "es", texts: spanish, fallback: en}
	b := &Book{byTag: map[string]*Language{"en": en, "de": de, "fr": fr, "es": es}}
	if o.Custom != nil {
		p := primary(o.CustomTag)
		l := &Language{Tag: o.CustomTag, RightToLeft: rightToLeft[p], texts: o.Custom, fallback: en}
		if same := b.byTag[p]; same != nil {
			l.fallback = same
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

// BuiltIn reports whether the language of a tag is built in.
func BuiltIn(tag string) bool {
	switch primary(tag) {
	case "en", "de", "fr", "es":
		return true
	}
	return false
}

// Same reports whether two tags are of the same language, such as de and de-AT.
func Same(one, other string) bool {
	return primary(one) == primary(other)
}

func primary(tag string) string {
	p, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return p
}

// FollowsBrowser reports whether the language of a page depends on Accept-Language.
func (b *Book) FollowsBrowser() bool {
	return b.fixed == nil
}

// accepted matches one language range with its weight.
var accepted = regexp.MustCompile(`(?i)^[ \t]*([a-z]{1,8})(?:-[a-z0-9-]{1,64})?[ \t]*(?:;[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*)?$`)

// For returns the language of a page for a browser with this Accept-Language header. It
// is the language with the highest weight, and the first of those with equal weights;
// English if the header names no language with texts. Only the first 16 languages of a
// header are read. A header of more than 1000 bytes is ignored.
func (b *Book) For(header string) *Language {
	if b.fixed != nil {
		return b.fixed
	}
	best := b.byTag["en"]
	highest := 0.0
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
		if l != nil && weight > highest {
			best = l
			highest = weight
		}
	}
	return best
}

// Text returns the text of a key; empty: there is no such key.
func (l *Language) Text(key string) string {
	for from := l; from != nil; from = from.fallback {
		if text := from.texts[key]; text != "" {
			return text
		}
	}
	return ""
}

// Sentences returns the English title and advice of the page with a code as one text,
// for API clients. A code without texts of its own has those of callback.
func Sentences(code string) string {
	title := english[code+".title"]
	if title == "" {
		return english["callback.title"] + ". " + english["callback.advice"]
	}
	return title + ". " + english[code+".advice"]
}

// Keys returns the keys of all texts, sorted.
func Keys() []string {
	keys := make([]string, 0, len(english))
	for key := range english {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// Fault describes the problem with a text of an operator's file; empty: there is none.
func Fault(key, text string) string {
	switch {
	case english[key] == "":
		return "is not the key of a text"
	case strings.TrimSpace(text) == "":
		return "is empty; leave it out for the English text"
	case len(text) > maxText:
		return "is longer than 2000 bytes"
	case strings.Count(english[key], User) != strings.Count(text, User):
		return "must have " + User + " where the English text has it: " + english[key]
	}
	return ""
}
