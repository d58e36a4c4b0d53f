package interpreted

import (
	"net/http"
	"strings"
	"testing"
)

// The backend may redirect to what X-Auth-Request-Redirect says: it is a return target,
// or it is not there.
func TestTheTargetThatTheBackendIsTold(t *testing.T) {
	whole := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}}})
	home := whole.home()
	session := "Cookie: " + cookie + "=" + whole.value(whole.signedIn("alice"))

	// told is the header that the backend sees of a signed-in request.
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

	t.Run("L14 nothing on an open path", func(t *testing.T) {
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
