package interpreted

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The backend may redirect to the address in X-Auth-Request-Redirect. It is a return
// target, or it is absent.
func TestTheTargetForTheBackend(t *testing.T) {
	whole := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}}})
	home := whole.home()
	session := "Cookie: " + cookie + "=" + whole.value(whole.signedIn("alice"))

	// told returns the header at the backend for a signed-in request.
	told := func(s *site, target string, lines ...string) []string {
		before := s.echo.Count()
		s.raw(append([]string{"GET " + target + " HTTP/1.1", "Host: " + appHost, "Connection: close", session}, lines...)...)
		if s.echo.Count() != before+1 {
			s.t.Fatalf("%q did not reach the backend", target)
		}
		return s.echo.Last().Header["X-Auth-Request-Redirect"]
	}
	for _, row := range []struct {
		name string
		want map[string]string // by request target; "": absent
	}{
		{"L14 a path and its query", map[string]string{
			"/": "/", "/a/b.c?x=1&y=%2F//z": "/a/b.c?x=1&y=%2F//z", "/a%20b": "/a%20b", "/%C3%BC?\u00fc": "/%C3%BC?%C3%BC", "https://" + appHost + "/deep?x=1": "/deep?x=1",
		}},
		{"L14 A1 leading slashes", map[string]string{"//evil.test/x": "/evil.test/x", "///evil.test": "/evil.test", "/%2Fevil.test": "", "https://" + appHost + "//evil.test": "/evil.test"}},
		{"L14 A2 backslashes", map[string]string{`/\evil.test`: "", "/%5Cevil.test": "", `/a\b`: "/a%5Cb"}},
		{"L14 A3 control characters", map[string]string{"/%09/evil.test": "", "/a%0d%0aX-Admin:%201": "", "/%00": ""}},
		{"L14 A4 dot segments", map[string]string{"/./\\evil.test": "", "/.//evil.test": "", "/a/..//evil.test": "", "/%2e%2e//evil.test": ""}},
		{"L14 bytes that no header has", map[string]string{"/a?b=\u00fc\xff": "/a?b=%C3%BC%FF", "/\u00fc": "/%C3%BC", `/a?"<>`: "/a?%22%3C%3E"}},
		{"L14 A15 over-long", map[string]string{"/" + strings.Repeat("a", 20<<10): "", "/a?" + strings.Repeat("b", 20<<10): "", "/" + strings.Repeat("a", 999): "/" + strings.Repeat("a", 999)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			for target, want := range row.want {
				// Trailer and Upgrade take the request off the short way that most go.
				for _, lines := range [][]string{nil, {"Trailer: X-T"}, {"Upgrade: websocket"}} {
					got := told(s, target, lines...)
					if want == "" && got == nil || len(got) == 1 && got[0] == want {
						continue
					}
					t.Errorf("%.60q %v: %.60q, want %.60q", target, lines, got, want)
				}
				if want != "" && !staysHome(home, want) {
					t.Errorf("%q leads away", want)
				}
			}
		})
	}

	t.Run("L14 nothing on a public path", func(t *testing.T) {
		s := whole.in(t)
		if got := told(s, "/public/x", "X-Auth-Request-Redirect: //evil.test"); got != nil {
			t.Errorf("%q", got)
		}
	})

	t.Run("L14 nothing with minimalHeaders", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"minimalHeaders": true}})
		b := s.signedIn("alice")
		if got := s.sees(b.Fetch(s.url + "/x")).Header["X-Auth-Request-Redirect"]; got != nil {
			t.Errorf("%q", got)
		}
		s.status(b.Fetch(s.url+"/x"), http.StatusOK)
	})
}

func TestPublicPathsBeyondASCII(t *testing.T) {
	whole := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}}})

	t.Run("L15 words of any script are open", func(t *testing.T) {
		s := whole.in(t)
		for _, word := range []string{
			"\u00fcber", "u\u0308ber", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0e01\u0e34\u0e19\u0e02\u0e49\u0e32\u0e27", "\u65e5\u672c\u8a9e", "\ud55c\uad6d\uc5b4",
			"\u1112\u1161\u11ab", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u0627\u0644\u0639\u064e\u0631\u0628\u064a\u0629", "\u0665\u0666", "e\u0301\u0323", "\u1e69.html", "\U00020000",
		} {
			if got := s.asks("/public/" + url.PathEscape(word)); got != http.StatusOK {
				t.Errorf("%q: status %d", word, got)
			}
		}
	})

	for name, paths := range map[string][]string{
		"L15 H2 look-alikes of dots":                {"/public/\uff0e\uff0e/admin", "/public/\u2024\u2024/admin", "/public/\u2025/admin", "/public/\ufe52\ufe52/admin", "/public/\u2026/admin", "/public/\u2488/x", "/public/\u3002/x"},
		"L15 H3 look-alikes of slashes":             {"/public/a\uff0f..\uff0fadmin", "/public/a\u2044b", "/public/a\u2215b", "/public/\u2100", "/public/\u2105", "/public/\u00bd", "/public/\u215f", "/public/\u29f8", "/public/\uff3c", "/public/\ufe68", "/public/\u20a9", "/public/\u00a5"},
		"L15 H5 look-alikes of ? and #":             {"/public/\uff1f", "/public/\ufe56", "/public/\u2047", "/public/\u2048", "/public/\u2049", "/public/\ufe16", "/public/\uff03", "/public/\ufe5f"},
		"L15 H6 look-alikes of ; and : in CJK":      {"/public/\uff1b", "/public/\ufe54", "/public/\ufe14", "/public/\u037e", "/public/\ufe30/admin", "/public/\ufe19/admin"},
		"L15 H3 look-alikes of %":                   {"/public/\uff052e", "/public/\ufe6a2e", "/public/\u066a", "/public/\u2030"},
		"L15 invisible characters":                  {"/public/.\u200b./admin", "/public/.\u00ad./admin", "/public/\ufeff", "/public/.\u2060./admin", "/public/.\u034f./admin", "/public/.\ufe0f./admin", "/public/.\u115f./admin", "/public/\u3164/admin", "/public/\u200e", "/public/\U000e0020", "/public/\U000e0101", "/public/a\u180b"},
		"L15 combining characters without a letter": {"/public/.\u0301./admin", "/public/\u0301/admin", "/public/..\u0338/admin", "/public/-\u0301"},
		"L15 digits that are no digits":             {"/public/\u00b2", "/public/\u2460", "/public/\u2153", "/public/\u2167", "/public/\u3361"},
		"L15 spaces and letters of one":             {"/public/..\u00a0/admin", "/public/\u3000", "/public/..\u2003/admin", "/public/\ufe70", "/public/\ufdfa", "/public/\u037a"},
		"L15 code points that are no characters":    {"/public/\ufffd", "/public/\ue000", "/public/\U0010fffd", "/public/\u0378", "/public/\ufdd0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := whole.in(t)
			s.untouched(func() {
				for _, path := range paths {
					if got := s.asks((&url.URL{Path: path}).EscapedPath()); got != http.StatusUnauthorized {
						t.Errorf("%q: status %d", path, got)
					}
					if got := s.asks(path); got < 400 || got > 499 {
						t.Errorf("%q as it is: status %d", path, got)
					}
				}
			})
		})
	}
}
