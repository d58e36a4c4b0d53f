package interpreted

import (
	"net/http"
	"strings"
	"testing"
)

// foreignIdentity are the headers by which other proxies name the user.
var foreignIdentity = []string{
	"X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username", "X-Auth-Request-Access-Token", "X-Forwarded-Email",
	"X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "Remote-User", "Remote-Name", "Remote-Email",
	"Remote-Groups", "OIDC-CLAIM-sub", "OIDC-CLAIM-groups",
}

func TestIdentityHeadersOfOthers(t *testing.T) {
	open := map[string]any{"excludedURLs": []any{"/public"}}
	// arrived are the names of headers that have the value of a forged one.
	arrived := func(s *site) []string {
		var names []string
		for name, values := range s.echo.Last().Header {
			if strings.Contains(strings.Join(values, "|"), "intruder") {
				names = append(names, name)
			}
		}
		return names
	}
	send := func(s *site, target, session string, spelled int) *http.Response {
		lines := []string{"GET " + target + " HTTP/1.1", "Host: " + appHost, session}
		for _, name := range foreignIdentity {
			lines = append(lines, spellings(name)[spelled]+": intruder")
		}
		return s.raw(lines...)
	}
	whole := newSite(t, setup{options: open})
	session := "Cookie: " + cookie + "=" + whole.value(whole.signedIn("alice"))
	for i, form := range spellings("a-b-c") {
		t.Run("L19 removed as "+form, func(t *testing.T) {
			s := whole.in(t)
			for _, target := range []string{"/public/x", "/x", "/x"} {
				if res := send(s, target, session, i); res.StatusCode != http.StatusOK || len(arrived(s)) != 0 {
					t.Errorf("%s: status %d, %v arrived", target, res.StatusCode, arrived(s))
				}
			}
		})
	}

	t.Run("L19 keepRequestHeaders lets one pass", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}, "keepRequestHeaders": "Remote-User"}})
		session := "Cookie: " + cookie + "=" + s.value(s.signedIn("alice"))
		for _, target := range []string{"/public/x", "/x", "/x"} {
			for i := range spellings("a-b-c") {
				want := "Remote-User"
				if strings.Contains(spellings(want)[i], "_") {
					want = ""
				}
				send(s, target, session, i)
				if got := strings.Join(arrived(s), " "); got != want {
					t.Errorf("%s: %q arrived, want %q", target, got, want)
				}
			}
		}
		s.raw("GET /x HTTP/1.1", "Host: "+appHost, session, "Connection: Remote-User", "Remote-User: of-the-proxy-before")
		if seen := s.echo.Last(); seen.Header.Get("Remote-User") != "of-the-proxy-before" || strings.Contains(seen.Header.Get("Connection"), "User") {
			t.Errorf("the client has it removed: %v", seen.Header)
		}
	})

	t.Run("L19 keepRequestHeaders cannot name a header that is set here", func(t *testing.T) {
		s := whole.in(t)
		for _, name := range []string{"X-Forwarded-User", "x_auth_request_user", "X-Auth-Request-Token", "Remote-User"} {
			text := s.refusedOptions(map[string]any{
				"keepRequestHeaders": []any{name}, "headers": []any{map[string]any{"name": "Remote_User", "value": "${claims.sub}"}},
			})
			if !strings.Contains(text, "keepRequestHeaders") || !strings.Contains(text, name) {
				t.Errorf("%s: %s", name, text)
			}
		}
	})
}
