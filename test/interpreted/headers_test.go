package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// identity are the headers by which backends know the user.
var identity = []string{
	"X-Forwarded-User", "X-User-Groups", "X-User-Roles", "X-Auth-Request-User", "X-Auth-Request-Redirect", "X-Auth-Request-Token", "X-Our-Own",
}

// spellings are the ways to write a header name that servers take for the same.
func spellings(name string) []string {
	under := strings.ReplaceAll(name, "-", "_")
	mixed := strings.Replace(name, "-", "_", 1)
	return []string{name, strings.ToLower(name), strings.ToUpper(name), under, strings.ToLower(under), mixed, strings.ToLower(mixed)}
}

func TestHeaders(t *testing.T) {
	whole := newSite(t, setup{
		options: map[string]any{
			"excludedURLs": []any{"/public"},
			"headers":      []any{map[string]any{"name": "X-Our-Own", "value": "{{.Claims.department}}"}},
		},
		provider: oidctest.Options{Users: []oidctest.User{
			{Sub: "alice", Email: "alice@example.com", EmailVerified: true, Groups: []string{"admins", "staff"}, Roles: []string{"admin"}, Extra: map[string]any{"department": "sales"}},
			{Sub: "bare", Email: "bare@example.com", EmailVerified: true},
		}},
	})

	t.Run("G1 G2 G3 G6 a client's statements about itself never arrive", func(t *testing.T) {
		s := whole.in(t)
		session := "Cookie: " + cookie + "=" + s.value(s.signedIn("alice"))
		for _, branch := range []struct {
			name  string
			lines []string
			self  bool // the backend gets the name of alice
		}{
			{"an open path", []string{"GET /public/x HTTP/1.1"}, false},
			{"an open path, signed in", []string{"GET /public/x HTTP/1.1", session}, false},
			{"an open path, a form", []string{"POST /public/x HTTP/1.1", "Content-Length: 0"}, false},
			{"an open path, a preflight", []string{"OPTIONS /public/x HTTP/1.1", "Origin: https://other.test", "Access-Control-Request-Method: GET"}, false},
			{"an open path, an event stream", []string{"GET /public/x HTTP/1.1", "Accept: text/event-stream"}, false},
			{"an open path, a WebSocket", []string{"GET /public/x HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade"}, false},
			{"an open path, odd method", []string{"BREW /public/x HTTP/1.1"}, false},
			{"signed in", []string{"GET /x HTTP/1.1", session}, true},
			{"signed in, a preflight", []string{"OPTIONS /x HTTP/1.1", session, "Origin: https://other.test", "Access-Control-Request-Method: GET"}, true},
			{"signed in, an event stream", []string{"GET /x HTTP/1.1", session, "Accept: text/event-stream"}, true},
			{"signed in, a WebSocket", []string{"GET /x HTTP/1.1", session, "Upgrade: websocket", "Connection: Upgrade"}, true},
		} {
			t.Run(branch.name, func(t *testing.T) {
				s := s.in(t)
				for i := range spellings("a-b-c") {
					lines := append([]string{}, branch.lines...)
					for _, name := range identity {
						lines = append(lines, spellings(name)[i]+": intruder")
					}
					before := s.echo.Count()
					s.raw(append(lines, "Host: "+appHost)...)
					if s.echo.Count() != before+1 {
						t.Fatal("the request did not reach the backend")
					}
					seen := s.echo.Last()
					for _, name := range identity {
						names := seen.Names(name)
						for _, n := range names {
							if v := strings.Join(seen.Header[n], "|"); strings.Contains(v, "intruder") || n != name || !branch.self {
								t.Errorf("%s arrived as %s: %q", spellings(name)[i], n, v)
							}
						}
					}
					if got := seen.Header["X-Forwarded-User"]; branch.self && (len(got) != 1 || got[0] != "alice@example.com") {
						t.Errorf("G6 X-Forwarded-User: %q", got)
					}
				}
			})
		}
	})

	t.Run("G1 G2 nor where the answer is ours", func(t *testing.T) {
		s := whole.in(t)
		s.untouched(func() {
			for _, path := range []string{"/oidc/callback", "/oidc/callback/logout", "/x"} {
				res := s.raw("GET "+path+" HTTP/1.1", "Host: "+appHost, "X-Forwarded-User: intruder", "Connection: close")
				if res.StatusCode >= 500 {
					t.Errorf("%s: status %d", path, res.StatusCode)
				}
			}
		})
	})

	t.Run("G4 a claim that is missing leaves nothing of the client's", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("bare")
		b.Header.Set("X-User-Groups", "admins")
		b.Header.Set("X-User-Roles", "admin")
		b.Header.Set("X-Our-Own", "sales")
		seen := s.sees(b.Fetch(s.url + "/x"))
		for _, name := range []string{"X-User-Groups", "X-User-Roles", "X-Our-Own"} {
			if got := seen.Names(name); len(got) != 0 {
				t.Errorf("%s arrived: %v", name, seen.Header[got[0]])
			}
		}
		if got := seen.Header.Get("X-Forwarded-User"); got != "bare@example.com" {
			t.Errorf("X-Forwarded-User: %q", got)
		}
	})

	t.Run("G5 Connection does not name our headers", func(t *testing.T) {
		s := whole.in(t)
		session := "Cookie: " + cookie + "=" + s.value(s.signedIn("alice"))
		for _, line := range []string{
			"Connection: X-Forwarded-User", "Connection: close, x-forwarded-user, X_Forwarded_User", "Connection: keep-alive,X-User-Groups ,  X-Our-Own",
		} {
			s.raw("GET /x HTTP/1.1", "Host: "+appHost, session, line)
			seen := s.echo.Last()
			if got := seen.Header.Get("X-Forwarded-User"); got != "alice@example.com" {
				t.Errorf("%s: X-Forwarded-User: %q", line, got)
			}
			named := strings.ReplaceAll(strings.ToLower(strings.Join(seen.Header["Connection"], ",")), "_", "-")
			for _, name := range identity {
				if strings.Contains(named, strings.ToLower(name)) {
					t.Errorf("%s: Connection still names %s: %q", line, name, named)
				}
			}
		}
	})

	t.Run("G7 a claim is one line", func(t *testing.T) {
		for name, value := range map[string]string{
			"CR LF": "a\r\nX-Admin: 1", "LF": "a\nX-Admin: 1", "CR": "a\rX-Admin: 1", "NUL": "a\x00b", "other controls": "a\x01\x1b[2J\x7fb", "not ASCII": "Zoë Ångström 愛",
		} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t, setup{
					options: map[string]any{
						"userIdentifierClaim": "nick",
						"headers": []any{
							map[string]any{"name": "X-Nick", "value": "nick {{.Claims.nick}}"}, map[string]any{"name": "X-Nick-Too", "value": "${claims.nick}"},
						}},
					provider: oidctest.Options{Users: []oidctest.User{{Sub: "u", Groups: []string{value, "staff"}, Extra: map[string]any{"nick": value}}}},
				})
				b := s.browser()
				p := s.signIn(b, "/", "u")
				if p.Status == http.StatusForbidden {
					return // no user passes with a name that no header can have
				}
				for k, values := range s.sees(p).Header {
					for _, v := range values {
						if strings.ContainsAny(v, "\r\n\x00\x01\x1b\x7f") || k == "X-Admin" {
							t.Errorf("%s: %q", k, v)
						}
					}
				}
			})
		}
	})

	t.Run("G8 a missing claim omits the header", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"headers": []any{
			map[string]any{"name": "X-Team", "value": "{{.Claims.team}}"},
			map[string]any{"name": "X-Deep", "value": "{{.Claims.a.b.c}}"},
			map[string]any{"name": "X-Into-Text", "value": "{{.Claims.sub.x.y}}"},
			map[string]any{"name": "X-Into-List", "value": "{{index .Claims.groups 99}}"},
			map[string]any{"name": "X-Dollar", "value": "${claims.team}"},
			map[string]any{"name": "X-Mail", "value": "${claims.email}"},
			map[string]any{"name": "X-Mail-Too", "value": "<{{.Claims.email}}>"},
		}}})
		seen := s.sees(s.signIn(s.browser(), "/", "alice"))
		for _, name := range []string{"X-Team", "X-Deep", "X-Into-Text", "X-Into-List", "X-Dollar"} {
			if got, ok := seen.Header[name]; ok {
				t.Errorf("%s: %q", name, got)
			}
		}
		if seen.Header.Get("X-Mail") != "alice@example.com" || seen.Header.Get("X-Mail-Too") != "<alice@example.com>" {
			t.Errorf("X-Mail: %q, X-Mail-Too: %q", seen.Header.Get("X-Mail"), seen.Header.Get("X-Mail-Too"))
		}
	})

	t.Run("G9 templates are bounded", func(t *testing.T) {
		s := whole.in(t)
		for _, value := range []string{
			"{{.Claims.sub", "{{.Nothing}}", "{{call .Claims.sub}}", "{{template \"x\"}}", "{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}", "{{unknown .Claims.sub}}",
		} {
			text := s.refusedOptions(map[string]any{"headers": []any{map[string]any{"name": "X-Bad", "value": value}}})
			if !strings.Contains(text, "headers") {
				t.Errorf("%s: the refusal does not name the option: %s", value, text)
			}
		}
		for _, value := range []string{`{{printf "%999999999d" 1}}`, `{{printf "%*d" 99999999 1}}`, "{{range .Claims.groups}}{{range $.Claims.groups}}{{range $.Claims.groups}}" + strings.Repeat("x", 9000) + "{{end}}{{end}}{{end}}"} {
			options := map[string]any{"headers": []any{map[string]any{"name": "X-Large", "value": value}}}
			if text, ok := s.tried(options); !ok {
				if !strings.Contains(text, "headers") {
					t.Errorf("%s: the refusal does not name the option: %s", value, text)
				}
				continue
			}
			large := newSite(t, setup{options: options})
			seen := large.sees(large.signIn(large.browser(), "/", "alice"))
			if got := len(seen.Header.Get("X-Large")); got > 64<<10 {
				t.Errorf("%s: a header of %d bytes", value, got)
			}
		}
	})

	t.Run("G10 tokens go to backends that ask for them", func(t *testing.T) {
		s := whole.in(t)
		for name, values := range s.sees(s.signIn(s.browser(), "/", "alice")).Header {
			for _, v := range values {
				if strings.Count(v, ".") >= 2 && strings.HasPrefix(v, "ey") || len(v) > 300 {
					t.Errorf("%s: %q", name, v)
				}
			}
		}
		asked := newSite(t, setup{options: map[string]any{"headers": []any{
			map[string]any{"name": "Authorization", "value": "Bearer {{.AccessToken}}"}, map[string]any{"name": "X-Id", "value": "{{.IdToken}}"},
			map[string]any{"name": "X-Id-Too", "value": "{{.IDToken}}"}, map[string]any{"name": "X-Refresh", "value": "{{.RefreshToken}}"},
		}}})
		b := asked.browser()
		seen := asked.sees(asked.signIn(b, "/", "alice"))
		if a := seen.Header.Get("Authorization"); !strings.HasPrefix(a, "Bearer ") || len(a) < 20 {
			t.Errorf("Authorization: %q", a)
		}
		if id := seen.Header.Get("X-Id"); strings.Count(id, ".") != 2 || id != seen.Header.Get("X-Id-Too") || seen.Header.Get("X-Refresh") == "" {
			t.Errorf("X-Id: %q, X-Id-Too: %q, X-Refresh: %q", id, seen.Header.Get("X-Id-Too"), seen.Header.Get("X-Refresh"))
		}
	})

	t.Run("G11 the client's Authorization passes with a session", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		b.Header.Set("Authorization", "Bearer app")
		for _, path := range []string{"/x", "/x?y=%2e"} { // by the short way, and by the long one
			if got := s.sees(b.Fetch(s.url + path)).Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer app" {
				t.Errorf("%s: Authorization: %q", path, got)
			}
		}
	})
	t.Run("G11 a line of headers replaces the client's Authorization", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"headers": []any{map[string]any{"name": "Authorization", "value": "Bearer {{.AccessToken}}"}}}})
		b := s.signedIn("alice")
		b.Header.Set("Authorization", "Bearer app")
		if got := s.sees(b.Fetch(s.url + "/x")).Header.Values("Authorization"); len(got) != 1 || got[0] == "Bearer app" {
			t.Errorf("Authorization: %q", got)
		}
	})

	t.Run("G minimalHeaders", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"minimalHeaders": true}})
		seen := s.sees(s.signIn(s.browser(), "/", "alice"))
		for _, name := range identity[1:] {
			if len(seen.Names(name)) != 0 {
				t.Errorf("%s arrived", name)
			}
		}
		if got := seen.Header.Get("X-Forwarded-User"); got != "alice@example.com" {
			t.Errorf("X-Forwarded-User: %q", got)
		}
	})

	t.Run("K17 the response is the backend's own", func(t *testing.T) {
		s := newSite(t, setup{})
		b := s.signedIn("alice")
		problem := "the backend was not asked"
		s.echo.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			_, flusher := w.(http.Flusher)
			_, hijacker := w.(http.Hijacker)
			problem = ""
			if !flusher || !hijacker || r.Header.Get("Range") != "bytes=0-1" || r.Header.Get("If-None-Match") != `"x"` {
				problem = fmt.Sprintf("Flusher %t, Hijacker %t, headers %v", flusher, hijacker, r.Header)
			}
			return false
		}
		s.status(b.Do(browser.Request{URL: s.url + "/x", From: s.home(), Fetch: true, Header: http.Header{"Range": {"bytes=0-1"}, "If-None-Match": {`"x"`}}}), http.StatusOK)
		if problem != "" {
			t.Error(problem)
		}
	})
}
