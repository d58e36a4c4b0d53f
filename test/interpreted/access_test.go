package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// asks sends a script's request for the target as it is, and returns the status.
func (s *site) asks(target string, lines ...string) int {
	s.t.Helper()
	method := "GET "
	if strings.Contains(target, " ") {
		method = ""
	}
	return s.raw(append([]string{method + target + " HTTP/1.1", "Host: " + appHost, "Connection: close"}, lines...)...).StatusCode
}

func TestBypass(t *testing.T) {
	whole := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public", "/health", "/docs/", "/.well-known/acme-challenge"}}})

	t.Run("H1 public paths", func(t *testing.T) {
		s := whole.in(t)
		for _, target := range []string{
			"/public", "/public/", "/public/a/b", "/public?x=/admin", "/health", "/docs/a", "/.well-known/acme-challenge/abc", "POST /public/form", "HEAD /public", "/public/caf%C3%A9",
		} {
			if got := s.asks(target); got != http.StatusOK {
				t.Errorf("%s: status %d", target, got)
			}
		}
	})

	for _, row := range []struct {
		name    string
		targets []string
		lines   []string
	}{
		{"H1 no segment boundary", []string{"/public-admin", "/publicity", "/public.html", "/healthz", "/public~", "/public%20"}, nil},
		{"H2 dot segments", []string{
			"/public/../admin", "/public/%2e%2e/admin", "/public/..;/admin", "/public/.%2e/admin", "/public/%2E./admin", "/public/./../admin", "/public/a/../../admin", "/public/..", "/public/%2e%2e", "/public/.../../../admin",
			`/public/..\admin`, `/public\..\admin`, "/public/..%5cadmin",
		}, nil},
		{"H3 encoded slashes, twice encoded", []string{
			"/public%2f..%2fadmin", "/public/%2e%2e%2fadmin", "/public/%252e%252e/admin", "/public%252f..%252fadmin", "/public/%25%32%65%25%32%65/admin", "/public/..%2fadmin", "/public%5c..%5cadmin", "/public/%c0%ae%c0%ae/admin", "/public/%u002e%u002e/admin",
			"/public/x%2fy", "/public%2Fx", "/public/a%2ejs", "/public/%2e/x", "/public/x%5Cy",
		}, nil},
		{"H4 the query decides nothing", []string{"/admin?x=/public", "/api/private?path=/public", "/?/public", "/admin?/../public"}, nil},
		{"H5 fragments", []string{"/admin#/public", "/admin%23/public", "/public%23/../admin", "/public#/../admin", "/public%3f/../admin"}, nil},
		{"H6 path parameters", []string{"/public;/../admin", "/admin;.css", "/admin;/public", "/public;x/../admin", "/public/..;x=y/admin", "/public/%3b/../admin", "/public;jsessionid=1/../../admin"}, nil},
		{"H7 other spellings", []string{"/admin/", "//admin", "/ADMIN", "/admin.json", "/admin%20", "/admin%00", "/PUBLIC", "/Public/x", "//public", "/public//../admin", "/admin/public", "/%70ublic/../admin", "/public%00", "/public/%00/../admin", "/public%0a", "/public/\x7f"}, nil},
		{"H8 not anchored elsewhere", []string{"/x/health", "/x/public", "/docsx", "/a/.well-known/acme-challenge/x", "/.well-known/openid-configuration"}, nil},
		{"H9 the method is the request's own", []string{"POST /admin", "HEAD /admin", "OPTIONS /admin", "TRACE /admin", "get /admin", "DELETE /admin", "PROPFIND /admin"}, []string{"X-HTTP-Method-Override: OPTIONS", "X-HTTP-Method: OPTIONS", "X-Method-Override: GET"}},
		{"H9 a preflight is no way in", []string{"OPTIONS /admin"}, []string{"Origin: https://other.test", "Access-Control-Request-Method: GET"}},
		{"H10 nor is a user agent", []string{"/admin", "/healthz"}, []string{"User-Agent: GoogleHC/1.0 kube-probe/1.29 ELB-HealthChecker/2.0"}},
		{"H11 nor an Accept", []string{"/admin"}, []string{"Accept: text/event-stream"}},
		{"H12 nor an address", []string{"/admin"}, []string{"X-Real-Ip: 127.0.0.1", "X-Forwarded-For: 127.0.0.1, 10.0.0.1", "Client-Ip: 127.0.0.1", "True-Client-Ip: ::1"}},
		{"H14 nor a WebSocket", []string{"/admin", "/socket"}, []string{"Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			for _, target := range row.targets {
				s.untouched(func() {
					if got := s.asks(target, row.lines...); got != http.StatusUnauthorized && (got < 400 || got > 499) {
						t.Errorf("%s: status %d", target, got)
					}
				})
			}
		})
	}

	t.Run("H21 an empty prefix opens nothing", func(t *testing.T) {
		s := newSite(t, setup{})
		for _, list := range []any{[]any{""}, "", ",", []any{"${TRAEFIKOIDC_NEVER_SET}"}} {
			if _, taken := s.tried(map[string]any{"excludedURLs": list}); taken {
				empty := newSite(t, setup{options: map[string]any{"excludedURLs": list}})
				for _, target := range []string{"/", "/admin", "//"} {
					if got := empty.asks(target); got != http.StatusUnauthorized {
						t.Errorf("%v: %s: status %d", list, target, got)
					}
				}
			}
		}
	})

	t.Run("H13 the host as it is written", func(t *testing.T) {
		s := whole.in(t)
		for _, host := range []string{strings.ToUpper(appHost), appHost + ".", appHost + ":443", "other.test", ""} {
			s.untouched(func() {
				res := s.raw("GET /admin HTTP/1.1", "Host: "+host, "Connection: close")
				if res.StatusCode < 400 || res.StatusCode > 499 {
					t.Errorf("%q: status %d", host, res.StatusCode)
				}
			})
		}
	})

	t.Run("H14 a WebSocket without a session gets 401, not 302", func(t *testing.T) {
		s := whole.in(t)
		res := s.raw("GET /socket HTTP/1.1", "Host: "+appHost, "Accept: text/html", "Sec-Fetch-Mode: websocket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		if res.StatusCode != http.StatusUnauthorized || res.Header.Get("Upgrade") != "" {
			t.Errorf("status %d, Upgrade %q", res.StatusCode, res.Header.Get("Upgrade"))
		}
	})

	t.Run("H14 nor is one that looks like a navigation", func(t *testing.T) {
		s := whole.in(t)
		for _, lines := range [][]string{
			{"Accept: text/html"}, {"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none"},
		} {
			s.untouched(func() {
				res := s.raw(append([]string{"GET /socket HTTP/1.1", "Host: " + appHost, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, lines...)...)
				if res.StatusCode != http.StatusUnauthorized || res.Header.Get("Location") != "" || len(res.Header.Values("Set-Cookie")) != 0 {
					t.Errorf("%v: status %d, %v", lines, res.StatusCode, res.Header)
				}
			})
		}
	})

	t.Run("302 for only navigations, else 401 with a challenge and JSON", func(t *testing.T) {
		s := whole.in(t)
		for _, row := range []struct {
			name   string
			method string
			header map[string]string
			want   int
		}{
			{"an address typed in", "GET", map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 302},
			{"an older browser", "GET", map[string]string{"Accept": "text/html,*/*"}, 302},
			{"fetch", "GET", map[string]string{"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 401},
			{"fetch that accepts html", "GET", map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 401},
			{"an image", "GET", map[string]string{"Accept": "image/avif,*/*", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 401},
			{"an older script", "GET", map[string]string{"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}, 401},
			{"an event stream", "GET", map[string]string{"Accept": "text/event-stream"}, 401},
			{"curl", "GET", map[string]string{"Accept": "*/*"}, 401},
			{"nothing said", "GET", nil, 401},
			{"a form", "POST", map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 401},
		} {
			lines := []string{row.method + " /page HTTP/1.1", "Host: " + appHost, "Connection: close", "Content-Length: 0"}
			for k, v := range row.header {
				lines = append(lines, k+": "+v)
			}
			res := s.raw(lines...)
			if res.StatusCode != row.want {
				t.Errorf("%s: status %d, want %d", row.name, res.StatusCode, row.want)
			}
			kind := "application/json"
			if row.name == "a form" {
				kind = "text/html; charset=utf-8" // the page is for a user
			}
			if row.want == 401 && (res.Header.Get("WWW-Authenticate") != `OIDC realm="sign-in required"` || res.Header.Get("Content-Type") != kind || res.Header.Get("Cache-Control") != "no-store") {
				t.Errorf("%s: %v", row.name, res.Header)
			}
		}
	})
}

func TestRules(t *testing.T) {
	users := []oidctest.User{
		{Sub: "alice", Email: "alice@example.com", EmailVerified: true, Groups: []string{"Admins", "staff"}, Roles: []string{"operator"}},
		{Sub: "bob", Email: "bob@example.com", EmailVerified: true, Groups: []string{"staff"}},
		{Sub: "carol", Email: "carol@example.org", EmailVerified: true, Groups: []string{}},
		{Sub: "unverified", Email: "dave@example.com", Groups: []string{"staff"}},
		{Sub: "textual", Email: "erin@example.com", Extra: map[string]any{"email_verified": "false"}},
		{Sub: "nomail", Groups: []string{"staff"}},
		{Sub: "nullgroups", Email: "n@example.com", EmailVerified: true, Extra: map[string]any{"groups": nil}},
		{Sub: "onegroup", Email: "o@example.com", EmailVerified: true, Extra: map[string]any{"groups": "admins"}},
		{Sub: "objectgroups", Email: "p@example.com", EmailVerified: true, Extra: map[string]any{"groups": map[string]any{"admins": true}}},
		{Sub: "emptygroups", Email: "q@example.com", EmailVerified: true, Extra: map[string]any{"groups": []any{"", " ", 7, nil, true, []any{"admins"}}}},
		{Sub: "joined", Email: "r@example.com", EmailVerified: true, Extra: map[string]any{"groups": []any{"users,admins", "admins "}}},
		{Sub: "twoat", Email: "evil@other.test@example.com", EmailVerified: true},
		{Sub: "kelvin", Email: "v@des\u212a.example", EmailVerified: true},
		{Sub: "capital", Email: "w@DESK.example", EmailVerified: true},
		{Sub: "nobody", Email: "@desk.example", EmailVerified: true},
		{Sub: "spaced", Email: "x y@desk.example", EmailVerified: true},
		{Sub: "lines", Email: "x\ny@desk.example", EmailVerified: true},
		{Sub: "suffix", Email: "s@example.com.evil.test", EmailVerified: true},
		{Sub: "sub", Email: "t@sub.example.com", EmailVerified: true},
		{Sub: "arraymail", Extra: map[string]any{"email": []any{"alice@example.com"}, "email_verified": true}},
		{Sub: "mallory", Email: "mallory@evil.test", EmailVerified: true, Extra: map[string]any{"preferred_username": "mallory@example.com", "upn": "mallory@example.com"}},
		{Sub: "upn", Extra: map[string]any{"upn": "upn@example.com"}},
		{Sub: "silent", Email: "silent@example.com", Extra: map[string]any{"preferred_username": "silent", "email_verified": nil}},
		{Sub: "nested", Email: "u@example.com", EmailVerified: true, Roles: []string{"auditor"}, Extra: map[string]any{"https://example.com/roles": []any{"literal"}}},
	}
	for _, row := range []struct {
		name     string
		options  map[string]any
		in, kept []string
	}{
		{"H18 users", map[string]any{"allowedUsers": []any{"ALICE@example.com", "nobody"}}, []string{"alice"}, []string{"bob", "nomail", "arraymail", "twoat"}},
		{"H18 C35 domains", map[string]any{"allowedUserDomains": []any{"Example.COM"}}, []string{"alice", "bob"}, []string{"carol", "nomail", "unverified", "textual", "twoat", "suffix", "sub", "arraymail"}},
		{"C35 look-alikes of a domain", map[string]any{"allowedUserDomains": []any{"desk.example"}}, []string{"capital"}, []string{"kelvin", "nobody", "spaced", "lines"}},
		{"H18 users or domains", map[string]any{"allowedUsers": []any{"carol@example.org"}, "allowedUserDomains": []any{"example.com"}}, []string{"carol", "bob"}, []string{"suffix"}},
		{"H18 C36 groups", map[string]any{"allowedRolesAndGroups": []any{"admins"}}, []string{"alice", "onegroup", "objectgroups"}, []string{"bob", "carol", "nullgroups", "emptygroups", "joined", "twoat"}},
		{"H18 domains and groups", map[string]any{"allowedUserDomains": []any{"example.com"}, "allowedRolesAndGroups": []any{"staff"}}, []string{"bob"}, []string{"carol", "nomail", "nullgroups"}},
		{"H18 nested roles", map[string]any{"allowedRolesAndGroups": []any{"auditor"}, "roleClaimName": "realm_access.roles"}, []string{"nested"}, []string{"bob", "alice"}},
		{"H18 a claim named by a URL", map[string]any{"allowedRolesAndGroups": []any{"literal"}, "roleClaimName": "https://example.com/roles"}, []string{"nested"}, []string{"bob"}},
		{"H18 another identifier", map[string]any{"allowedUsers": []any{"bob"}, "userIdentifierClaim": "sub"}, []string{"bob"}, []string{"alice"}},
		{"L9 a domain is that of email", map[string]any{"allowedUserDomains": []any{"example.com"}, "userIdentifierClaim": "preferred_username"}, []string{"alice", "silent"}, []string{"mallory", "upn", "unverified"}},
		{"L9 a domain of another claim, by name", map[string]any{"allowedUserDomains": []any{"example.com"}, "userDomainClaim": "upn"}, []string{"upn", "mallory"}, []string{"alice"}},
		{"L9 C34 a domain where a verified address is required", map[string]any{"allowedUserDomains": []any{"example.com"}, "userIdentifierClaim": "sub", "emailVerified": "require"}, []string{"alice"}, []string{"silent", "unverified"}},
		{"C34 unverified e-mail, ignored", map[string]any{"allowedUserDomains": []any{"example.com"}, "emailVerified": "ignore"}, []string{"unverified", "textual"}, []string{"carol"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: row.options, provider: oidctest.Options{Users: users}})
			for _, who := range row.in {
				if p := s.signIn(s.browser(), "/x", who); p.Status != http.StatusOK {
					t.Errorf("%s: status %d: %s", who, p.Status, p.Body)
				}
			}
			for _, who := range row.kept {
				s.untouched(func() {
					if p := s.signIn(s.browser(), "/x", who); p.Status != http.StatusForbidden {
						t.Errorf("%s: status %d, want 403", who, p.Status)
					}
				})
			}
		})
	}

	t.Run("H16 K9 K7 a 403 discloses only the user's own name", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"allowedUsers": []any{"alice@example.com"}, "allowedRolesAndGroups": []any{"board"}}, provider: oidctest.Options{Users: users}})
		texts := map[string]bool{}
		s.untouched(func() {
			for _, who := range []string{"alice", "bob", "nomail", "unverified"} {
				b := s.browser()
				p := s.signIn(b, "/x", who)
				s.status(p, http.StatusForbidden)
				if who != "nomail" && !ownName.Match(p.Body) {
					t.Errorf("the page does not say that %s is signed in: %s", who, p.Body)
				}
				body := withoutName(withoutReference(string(p.Body)))
				texts[body] = true
				for _, secret := range []string{who + "@", "example.com", "board", "group", "role", "claim", "verified"} {
					if strings.Contains(strings.ToLower(body), secret) {
						t.Errorf("the page discloses %q", secret)
					}
				}
				f := b.Fetch(s.url + "/x")
				s.status(f, http.StatusForbidden)
				if got := f.Header.Get("Content-Type"); got != "application/json" {
					t.Errorf("a script gets %q", got)
				}
				for _, r := range []browser.Request{{Method: "POST", Body: "x=1"}, {Method: "HEAD"}, {Method: "OPTIONS"}} {
					r.URL, r.From, r.Fetch, r.OneHop = s.url+"/x", s.home(), true, true
					s.status(b.Do(r), http.StatusForbidden)
				}
			}
		})
		if len(texts) != 1 {
			t.Errorf("%d different pages", len(texts))
		}
	})

	t.Run("H17 another middleware, other rules, one session", func(t *testing.T) {
		s := newTwo(t, map[string]any{"sessionGroup": "H17"}, map[string]any{"sessionGroup": "H17", "allowedRolesAndGroups": []any{"nobody"}})
		b := s.browser()
		s.sees(s.signIn(b, "/a/x", "alice"))
		s.untouched(func() { s.status(b.Fetch(s.url+"/b/x"), http.StatusForbidden) })
		s.status(b.Fetch(s.url+"/a/x"), http.StatusOK)
	})

	t.Run("H21 an empty list is no rule that lets everybody in", func(t *testing.T) {
		t.Setenv("TRAEFIKOIDC_EMPTY", "")
		s := newSite(t, setup{})
		for _, option := range []string{"allowedUsers", "allowedUserDomains", "allowedRolesAndGroups"} {
			for _, list := range []any{[]any{""}, []any{" "}, []any{"${TRAEFIKOIDC_EMPTY}"}, []any{"${TRAEFIKOIDC_NEVER_SET}"}, "${TRAEFIKOIDC_EMPTY}", ","} {
				if text := s.refusedOptions(map[string]any{option: list}); !strings.Contains(text, option) {
					t.Errorf("%s %v: the refusal does not name the option: %s", option, list, text)
				}
			}
		}
	})
}

func TestOptionsAreRefusedByName(t *testing.T) {
	s := (&site{t: t, plugin: loader.Load(t), provider: oidctest.NewHandler(oidctest.Options{Issuer: "https://op.example.test"})})
	for _, row := range []struct {
		option string
		value  any
		also   string
	}{
		{"providerUrll", "x", "providerURL"}, {"calbackURL", "/x", "callbackURL"}, {"allowedUser", "x", "allowedUsers"},
		{"enableBearerAuth", true, "not supported in this version"}, {"resource", "x", "not supported in this version"},
		{"cookie_secret", "x", "sessionEncryptionKey"}, {"clientSecretFile", "/x", "clientSecret: file:/path"},
		{"maxRefreshTokenAgeSeconds", 60, "sessionMaxAge ends the session"}, {"provider", map[string]any{"url": "https://op.test"}, "providerURL"},
		{"enableBackchannelLogout", true, "backchannelLogoutURL"}, {"enableFrontchannelLogout", true, "frontchannelLogoutURL"}, {"refreshGracePeriodSeconds", -1, ""},
		{"providerURL", "", ""}, {"providerURL", "not a url", ""}, {"providerURL", "https://u:p@op.test", ""}, {"clientID", "", ""},
		{"callbackURL", "", ""}, {"callbackURL", "no-slash", ""}, {"logoutURL", "//evil.test", ""}, {"excludedURLs", []any{"public"}, ""},
		{"sessionMaxAge", -1, ""}, {"idleTimeout", "soon", ""}, {"logLevel", "loud", ""}, {"rateLimit", 1, ""}, {"userinfo", "perhaps", ""}, {"emailVerified", "no", ""},
		{"headers", []any{map[string]any{"name": "bad name", "value": "x"}}, ""}, {"headers", []any{map[string]any{"name": "", "value": "x"}}, ""}, {"headers", []any{map[string]any{"name": "X", "vallue": "x"}}, "value"},
		{"idTokenSigningAlgs", []any{"none"}, ""}, {"cookieDomain", "evil test", ""}, {"trustedProxies", []any{"everybody"}, ""}, {"clientAuthMethod", "telepathy", ""},
	} {
		t.Run(fmt.Sprintf("%s %v", row.option, row.value), func(t *testing.T) {
			text := s.in(t).refusedOptions(map[string]any{row.option: row.value})
			if !strings.Contains(text, row.option) || !strings.Contains(text, row.also) {
				t.Errorf("the refusal does not name %s %s: %s", row.option, row.also, text)
			}
			if strings.Contains(text, key) || strings.Contains(text, "secret\"") {
				t.Errorf("the refusal discloses a secret: %s", text)
			}
		})
	}
}
