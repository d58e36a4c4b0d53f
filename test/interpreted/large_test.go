package interpreted

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestLargeHeaders has headers within the bounds, which pass for every client. Those
// beyond the bounds are refused before any work is done for them.
func TestLargeHeaders(t *testing.T) {
	whole := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}}})
	session := cookie + "=" + whole.value(whole.signedIn("alice"))
	cookies := func(first string, size int) string {
		text := first + "; "
		for i := 0; len(text)+20 < size; i++ {
			text += fmt.Sprintf("c%d=%d; ", i, i)
		}
		return "Cookie: " + text + "e=" + strings.Repeat("x", size-len(text)-2)
	}
	filled := func(n int, more ...string) []string { return append(numbered(n-len(more), "X-Many-%d: x"), more...) }
	// The entry point adds five headers of its own.
	for _, row := range []struct {
		name, target string
		lines        []string
		want         int
	}{
		{"L5 64 KB of cookies, signed in", "/x", []string{cookies(session, 64<<10)}, 200},
		{"L5 a byte more, signed in", "/x", []string{cookies(session, 64<<10+1)}, 431},
		{"L5 64 KB of cookies on a public path", "/public/x", []string{cookies("a=b", 64<<10)}, 200},
		{"L5 a byte more on a public path", "/public/x", []string{cookies("a=b", 64<<10+1)}, 431},
		{"L5 64 KB of cookies, not signed in", "/x", []string{cookies("a=b", 64<<10)}, 401},
		{"L5 a byte more, not signed in", "/x", []string{cookies("a=b", 64<<10+1)}, 431},
		{"L5 two headers of 40 KB", "/public/x", []string{cookies("a=b", 40<<10), cookies("c=d", 40<<10)}, 431},
		{"L5 two headers of 30 KB", "/public/x", []string{cookies("a=b", 30<<10), cookies("c=d", 30<<10)}, 200},
		{"L5 more cookies at the callback", "/oidc/callback?state=x&code=x", []string{cookies("a=b", 64<<10+1)}, 431},
		{"L5 more cookies at the logout", "/oidc/callback/logout", []string{cookies(session, 64<<10+1)}, 431},
		{"L5 200 names, signed in", "/x", filled(195, "Cookie: "+session), 200},
		{"L5 a name more, signed in", "/x", filled(196, "Cookie: "+session), 431},
		{"L5 200 names on a public path", "/public/x", filled(195), 200},
		{"L5 a name more on a public path", "/public/x", filled(196), 431},
		{"L5 a name more, not signed in", "/x", filled(196), 431},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			for round := range 2 { // from the store and from memory, unknown names and learned ones
				before := s.echo.Count()
				res := s.raw(append([]string{"GET " + row.target + " HTTP/1.1", "Host: " + appHost}, row.lines...)...)
				if res.StatusCode != row.want || (s.echo.Count() > before) != (row.want == 200) {
					t.Errorf("round %d: status %d, want %d; %d requests at the backend", round, res.StatusCode, row.want, s.echo.Count()-before)
				}
			}
		})
	}

	t.Run("L5 a trailer of many names", func(t *testing.T) {
		s := whole.in(t)
		s.untouched(func() {
			res := s.raw("POST /x HTTP/1.1", "Host: "+appHost, "Cookie: "+session, "Transfer-Encoding: chunked", "Trailer: "+strings.Join(numbered(201, "x-%d"), ","), "", "0", "", "")
			if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("status %d", res.StatusCode)
			}
		})
		res := s.raw("POST /x HTTP/1.1", "Host: "+appHost, "Cookie: "+session, "Transfer-Encoding: chunked", "", "0", strings.Join(numbered(201, "x-%d: 1"), "\r\n"), "X_User_Roles: admin", "", "")
		if seen := s.echo.Last(); res.StatusCode != http.StatusOK || len(seen.Trailer) != 0 {
			t.Errorf("one that was not announced: status %d, %d names", res.StatusCode, len(seen.Trailer))
		}
	})

	t.Run("L5 the page advises the user, and the session lives", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		for i := range 30 {
			b.Jar.Store(s.home(), http.Header{"Set-Cookie": {fmt.Sprintf("c%d=%s; Path=/", i, strings.Repeat("x", 3000))}})
		}
		p := b.Fetch(s.url + "/x")
		s.status(p, http.StatusRequestHeaderFieldsTooLarge)
		if !strings.Contains(string(p.Body), `"cookies_too_large"`) {
			t.Errorf("a script gets %s", p.Body)
		}
		p = b.Hop(s.url + "/x")
		if p.Status != http.StatusRequestHeaderFieldsTooLarge || !strings.Contains(string(p.Body), "Delete the cookies of this site") {
			t.Errorf("status %d: %s", p.Status, p.Body)
		}
		for i := range 30 {
			b.Jar.Store(s.home(), http.Header{"Set-Cookie": {fmt.Sprintf("c%d=; Path=/; Max-Age=0", i)}})
		}
		s.sees(b.Fetch(s.url + "/x"))
	})

	t.Run("L5 the chunks of another plugin expire", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		for i := range 30 {
			line := fmt.Sprintf("_oidc_raczylo_access_%d=%s; Path=/; HttpOnly; Secure", i, strings.Repeat("x", 3500))
			b.Jar.Store(s.home(), http.Header{"Set-Cookie": {line}})
		}
		s.status(b.Hop(s.url+"/x"), http.StatusRequestHeaderFieldsTooLarge)
		seen := s.sees(b.Hop(s.url + "/x"))
		if seen.Header.Get("X-Forwarded-User") != "alice@example.com" {
			t.Errorf("X-Forwarded-User: %q", seen.Header.Get("X-Forwarded-User"))
		}
	})

	t.Run("L5 the log and the answer stay short", func(t *testing.T) {
		s := whole.in(t)
		before := s.plugin.Log.Len()
		res := s.raw("GET /"+strings.Repeat("a", 500_000)+" HTTP/1.1", "Host: "+appHost, cookies("a=b", 64<<10+1))
		body, err := io.ReadAll(res.Body)
		if log := s.plugin.Log.Since(before); err != nil || len(body) > 10_000 || len(log) > 2_000 {
			t.Errorf("an answer of %d bytes (%v), a log of %d", len(body), err, len(log))
		}
	})
}
