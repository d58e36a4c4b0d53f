package interpreted

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// readings returns the readings of a decoded path by servers that translate it once
// more. They apply the compatibility forms of Unicode, and drop invisible characters and
// combining marks.
func readings(path string) []string {
	var read []string
	for _, form := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
		translated := form.String(path)
		read = append(read, translated, strings.Map(shown, translated), strings.Map(unaccented, translated), form.String(strings.Map(shown, path)))
	}
	return read
}

// shown drops the characters that show nothing (UAX 44, Default_Ignorable_Code_Point).
func shown(r rune) rune {
	if unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	return r
}

func unaccented(r rune) rune {
	if unicode.Is(unicode.M, r) {
		return -1
	}
	return shown(r)
}

// shape returns the parts of a path that decide its target: its ASCII characters except
// letters and digits, and the places of anything else in a segment.
func shape(path string) string {
	var b strings.Builder
	word := false
	for _, r := range path {
		if r >= 0x80 || r >= '0' && unicode.In(r, unicode.L, unicode.Nd) {
			if !word {
				b.WriteByte('w')
			}
			word = true
			continue
		}
		word = false
		b.WriteRune(r)
	}
	return b.String()
}

// A path that is public for one reader must not be another path for the next. This calls
// the rule itself, natively, because there are 150,000 characters.
func TestEveryCharacterOfUnicodeOnAPublicPath(t *testing.T) {
	t.Run("L15 every character of Unicode", func(t *testing.T) {
		bypass, err := policy.NewBypass([]string{"/public"})
		if err != nil {
			t.Fatal(err)
		}
		public := func(path string) bool {
			u := &url.URL{Path: path}
			return bypass.Matches(&http.Request{Method: http.MethodGet, URL: u, RequestURI: u.EscapedPath()})
		}
		open := 0
		for r := rune(0x80); r <= unicode.MaxRune; r++ {
			c := string(r)
			if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf) || !public("/public/a"+c) {
				continue
			}
			open++
			if unicode.Is(unicode.L, r) && norm.NFKD.String(c) == c && shown(r) >= 0 {
				continue // a letter that reads alike everywhere
			}
			for _, path := range []string{"/public/a" + c + "b", "/public/" + c + "/admin", "/public/." + c + "./admin", "/public/.." + c + "/admin", "/public/" + c + "../admin"} {
				if !public(path) {
					continue
				}
				for _, read := range readings(path) {
					if shape(read) != shape(path) {
						t.Errorf("%U: %q is public, and reads %q", r, path, read)
					}
				}
			}
		}
		t.Logf("%d characters may be in a public path", open)
		if open < 100000 {
			t.Errorf("only %d characters may be in a public path", open)
		}
	})
}
