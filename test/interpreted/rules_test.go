package interpreted

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// a is an access rule in the form in which an operator writes it.
type a = map[string]any

// staffed is the setup of a site with access rules. A member of each kind can sign in. The
// allowed lists allow only the owner.
func staffed(rules ...any) setup {
	return setup{
		options: map[string]any{
			"allowedUsers": "owner@example.com",
			"headers":      []any{a{"name": "X-Level", "value": "all"}, a{"name": "X-Sub", "value": "${claims.sub}"}},
			"accessRules":  rules,
		},
		provider: oidctest.Options{Users: []oidctest.User{
			{Sub: "owner", Email: "owner@example.com", EmailVerified: true},
			{Sub: "ada", Email: "ada@example.com", EmailVerified: true, Groups: []string{"admins", "staff"}},
			{Sub: "sam", Email: "sam@example.com", EmailVerified: true, Groups: []string{"staff"}},
			{Sub: "gus", Email: "gus@example.com", EmailVerified: true, Extra: map[string]any{"groups": nil}},
		}},
	}
}

func rulesOfSite() []any {
	return []any{
		a{"paths": "/oidc/callback/logout"},
		a{"paths": "/admin/open", "unauthenticated": "pass"},
		a{"paths": "/admin", "require": "Group(`admins`)", "headers": []any{a{"name": "X-Level", "value": "admin ${claims.sub}"}, a{"name": "X-Admin", "value": "yes"}}},
		a{"paths": "/api", "methods": "GET", "unauthenticated": "pass"},
		a{"paths": "/api", "require": "Group(`staff`)", "unauthenticated": "deny"},
		a{"paths": "/team", "require": "Group(`staff`) && !Group(`admins`)"},
		a{"paths": "/strangers", "require": "!Group(`staff`)"},
		a{"hosts": "intern.example.test", "require": "Group(`staff`)"},
		a{"paths": "/old", "unauthenticated": "redirect"},
	}
}

// directly gives a request with a session cookie and no header that hides it from the
// path of every request to the handler, and returns the status.
func (s *site) directly(target, cookies string) int {
	s.t.Helper()
	return s.directlyAt(appHost, target, cookies)
}

// directlyAt is directly with a Host header.
func (s *site) directlyAt(host, target, cookies string) int {
	s.t.Helper()
	if !strings.Contains(target, " ") {
		target = "GET " + target
	}
	if cookies != "" {
		cookies += "\r\n"
	}
	w := &sink{header: http.Header{}}
	s.server.Config.Handler.ServeHTTP(w, received(s.t, target+" HTTP/1.1\r\nHost: "+host+"\r\n"+cookies+"\r\n"))
	return w.status
}

// cookieOf signs a user in at a path and returns the session cookie.
func (s *site) cookieOf(user, path string) string {
	s.t.Helper()
	b := s.browser()
	s.status(s.signIn(b, path, user), http.StatusOK)
	return "Cookie: " + cookie + "=" + s.value(b)
}

func TestAccessRules(t *testing.T) {
	whole := newSite(t, staffed(rulesOfSite()...))
	ada, sam := whole.cookieOf("ada", "/admin"), whole.cookieOf("sam", "/team")
	owner := whole.cookieOf("owner", "/")
	gus := whole.cookieOf("gus", "/old") // may be there, and nowhere else

	t.Run("the first rule that matches decides", func(t *testing.T) {
		s := whole.in(t)
		for _, row := range []struct {
			who, target string
			want        int
		}{
			{ada, "/admin", 200}, {ada, "/admin/x?y=1", 200}, {sam, "/admin", 403}, {owner, "/admin", 403}, {gus, "/admin/", 403}, {"", "/admin", 401},
			{ada, "/admin/open", 200}, {gus, "/admin/open/x", 200}, {"", "/admin/open", 200},
			{ada, "/api/x", 200}, {"", "/api/x", 200}, {"", "HEAD /api/x", 200}, {"", "POST /api/x", 401}, {sam, "POST /api/x", 200}, {owner, "POST /api/x", 403}, {gus, "DELETE /api/x", 403},
			{sam, "/team", 200}, {ada, "/team", 403}, {gus, "/team", 403},
			{sam, "/old", 200}, {gus, "/old/x", 200},
			{owner, "/", 200}, {owner, "/administrator", 200}, {ada, "/", 403}, {sam, "/other", 403}, {"", "/", 401},
		} {
			if got := s.asks(row.target, row.who); got != row.want {
				t.Errorf("%.40s: %s: status %d, want %d", row.who, row.target, got, row.want)
			}
			if got := s.directly(row.target, row.who); got != row.want {
				t.Errorf("%.40s: %s, directly: status %d, want %d", row.who, row.target, got, row.want)
			}
		}
	})

	t.Run("H19 a negated rule on an absent claim opens nothing", func(t *testing.T) {
		s := whole.in(t)
		for who, want := range map[string]int{gus: 403, sam: 403, "": 401} {
			if got := s.asks("/strangers", who); got != want {
				t.Errorf("%.40s: status %d, want %d", who, got, want)
			}
		}
	})

	t.Run("L40 a path that can be read in two ways passes only for a user that satisfies every rule", func(t *testing.T) {
		s := whole.in(t)
		targets := []string{
			"/ADMIN", "/Admin/x", "/admin.json", "/admin%20", "/admin~", "/%EF%BD%81dmin/x", "//admin", "/admin/open/../x", "/admin/open/%2e%2e/x", "/admin/open%2f..%2fx", "/x/../admin", "/other/..;/admin",
			"/admin;x", "/admin/open;/../x", "/admin%00", `/open\..\admin`, "/admin/OPEN", "/admin/open.json", "/x%2fy", "/x;y", "/%2e/admin", "/admin%252fx", "/./admin", "/Team/../admin/open",
		}
		for _, target := range targets {
			s.untouched(func() {
				for _, who := range []string{"", sam, owner, gus} {
					if got := s.asks(target, who); got < 400 || got > 499 {
						t.Errorf("%.40s: %s: status %d", who, target, got)
					}
				}
			})
		}
		for _, target := range []string{"/admin/OPEN", "/admin/open.json"} {
			if got := s.asks(target, ada); got != http.StatusOK {
				t.Errorf("an administrator: %s: status %d", target, got)
			}
		}
	})

	t.Run("L40 an escape that every server reads alike changes nothing", func(t *testing.T) {
		s := whole.in(t)
		for target, want := range map[string]int{"/%61dmin": 403, "/admin/%6fpen": 200, "/oth%65r": 403} {
			if got := s.asks(target, sam); got != want {
				t.Errorf("%s: status %d, want %d", target, got, want)
			}
		}
	})

	t.Run("L40 a path that an earlier middleware changed without the URI", func(t *testing.T) {
		s := whole.in(t)
		for _, row := range []struct{ who, uri, path string }{
			{ada, "/admin/x", "/team"}, {ada, "/team", "/admin"}, {sam, "/team", "/admin"}, {owner, "/other", "/admin"}, {owner, "/admin", "/other"}, {owner, "/%6fther", "/admin"},
		} {
			s.untouched(func() {
				r := received(t, request("GET "+row.uri, row.who))
				r.URL.Path, r.URL.RawPath = row.path, ""
				w := &sink{header: http.Header{}}
				s.server.Config.Handler.ServeHTTP(w, r)
				if w.status != http.StatusForbidden {
					t.Errorf("%.40s: %s as %s: status %d", row.who, row.uri, row.path, w.status)
				}
			})
		}
	})

	t.Run("L40 another spelling of a method restricts as well", func(t *testing.T) {
		s := whole.in(t)
		for _, row := range []struct {
			target string
			lines  []string
		}{
			{"get /api/x", nil}, {"Get /api/x", nil}, {"/api/x", []string{"X-HTTP-Method-Override: DELETE"}}, {"/api/x", []string{"x-method-override: POST"}}, {"HEAD /api/x", []string{"X-HTTP-Method: PUT"}},
			{"/api/x", []string{"X_HTTP_METHOD_OVERRIDE: DELETE"}}, {"/api/x", []string{"X.Http.Method.Override: DELETE"}}, {"/api/x", []string{"X-Method_Override: DELETE"}},
		} {
			s.untouched(func() {
				if got := s.asks(row.target, append(row.lines, "Accept: */*")...); got != http.StatusUnauthorized {
					t.Errorf("%s %v: status %d", row.target, row.lines, got)
				}
			})
		}
	})

	t.Run("L40 a header that overrides the method is never taken for harmless", func(t *testing.T) {
		s := whole.in(t)
		for range 3 {
			for who, want := range map[string]int{sam: 200, gus: 403} {
				if got := s.directly("GET /api/x", who+"\r\nX-HTTP-Method-Override: DELETE"); got != want {
					t.Errorf("%.40s: status %d, want %d", who, got, want)
				}
			}
		}
	})

	t.Run("L41 the host of a rule, as it is written", func(t *testing.T) {
		s := whole.in(t)
		onHost := func(host, who string, lines ...string) int {
			head := []string{"GET /other HTTP/1.1", "Host: " + host, "Connection: close"}
			if who != "" {
				head = append(head, who)
			}
			return s.raw(append(head, lines...)...).StatusCode
		}
		for _, host := range []string{"intern.example.test", "INTERN.example.test", "intern.example.test.", "intern.example.test:443", "Intern.Example.Test.:8443"} {
			if got := onHost(host, sam); got != http.StatusOK {
				t.Errorf("%s: status %d", host, got)
			}
			if got := onHost(host, owner); got != http.StatusForbidden {
				t.Errorf("%s: the owner has no group: status %d", host, got)
			}
			for range 2 {
				if first, second := s.directlyAt(host, "/other", sam), s.directlyAt(host, "/other", owner); first != 200 || second != 403 {
					t.Errorf("%s, directly: status %d, and %d for the owner", host, first, second)
				}
				if got := s.directlyAt(host, "POST /api/x", sam); got != 200 {
					t.Errorf("%s, directly: a POST: status %d", host, got)
				}
			}
		}
		for _, line := range []string{"GETintern.example.test /other", "GET /other;x", "get /other"} {
			for range 2 {
				if got := s.directlyAt("x"+appHost, line, sam); got != http.StatusForbidden {
					t.Errorf("%s: status %d", line, got)
				}
			}
		}
		for _, host := range []string{"", "intern.example.test@app.example.test", "intern.example.test,app.example.test", "app.example.test:1:2", "intern_example.test/", "x.intern.example.test", "intern.example.test.evil.test"} {
			s.untouched(func() {
				if got := onHost(host, sam); got < 400 || got > 499 {
					t.Errorf("%q: status %d", host, got)
				}
			})
		}
		s.untouched(func() {
			if got := onHost(appHost, sam, "X-Forwarded-Host: intern.example.test", "X-Host: intern.example.test", "Forwarded: host=intern.example.test"); got != http.StatusForbidden {
				t.Errorf("another host by a header: status %d", got)
			}
		})
		if got := s.raw("GET https://intern.example.test/other HTTP/1.1", "Host: "+appHost, "Connection: close", owner).StatusCode; got != http.StatusForbidden {
			t.Errorf("a host in the request line: status %d", got)
		}
	})

	t.Run("L42 a request that passes without a session has no identity", func(t *testing.T) {
		s := whole.in(t)
		forged := []string{
			"X-Forwarded-User: ada@example.com", "x-forwarded-user: ada", "X_Forwarded_User: ada", "X-User-Groups: admins", "X-Admin: yes", "x_admin: yes", "X-Level: admin", "X-Sub: ada",
			"X-Auth-Request-User: ada", "X-Auth-Request-Redirect: //evil.test", "Connection: close, X-Admin",
		}
		for _, cookies := range []string{"", "Cookie: " + cookie + "=forged", "Cookie: " + cookie + "=" + strings.Repeat("A", 100) + "; theme=dark"} {
			for _, target := range []string{"/admin/open/x", "/api/x"} {
				lines := append([]string{"GET " + target + " HTTP/1.1", "Host: " + appHost}, forged...)
				if cookies != "" {
					lines = append(lines, cookies)
				}
				res := s.raw(lines...)
				if res.StatusCode != http.StatusOK {
					t.Fatalf("%s: status %d", target, res.StatusCode)
				}
				seen := s.echo.Last().Header
				for _, name := range append([]string{"X-Admin", "X-Level", "X-Sub"}, identity...) {
					for _, spelling := range spellings(name) {
						if v := seen[http.CanonicalHeaderKey(spelling)]; v != nil {
							t.Errorf("%s: the backend sees %s: %v", target, spelling, v)
						}
					}
				}
				if strings.Contains(strings.Join(seen["Cookie"], ""), cookie) {
					t.Errorf("%s: the backend sees the cookie: %v", target, seen["Cookie"])
				}
			}
		}
		s.asks("/api/x", gus)
		if got := s.echo.Last().Header.Get("X-Sub"); got != "gus" {
			t.Errorf("a signed-in user has the header %q", got)
		}
	})

	t.Run("headers of a rule, in place of those of the same name", func(t *testing.T) {
		s := whole.in(t)
		for _, row := range []struct{ who, target, level, admin string }{
			{ada, "/admin/x", "admin ada", "yes"}, {ada, "/admin/open", "all", ""}, {owner, "/", "all", ""}, {ada, "/ADMIN", "", ""},
		} {
			for _, directly := range []bool{false, true} {
				status := 0
				if directly {
					status = s.directly(row.target, row.who)
				} else {
					status = s.asks(row.target, row.who, "X-Admin: forged", "X-Level: forged")
				}
				seen := s.echo.Last().Header
				if row.target == "/ADMIN" {
					if status != http.StatusForbidden {
						t.Errorf("%s: status %d", row.target, status)
					}
					continue
				}
				if seen.Get("X-Level") != row.level || seen.Get("X-Admin") != row.admin || seen.Get("X-Sub") == "" || seen.Get("X-Forwarded-User") == "" {
					t.Errorf("%s: %v", row.target, seen)
				}
			}
		}
	})

	t.Run("the response without a session", func(t *testing.T) {
		s := whole.in(t)
		visit := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
		for _, row := range []struct {
			target string
			lines  []string
			want   int
		}{
			{"/admin", visit, 302}, {"/admin", []string{"Accept: */*"}, 401}, {"/api/x", visit, 200}, {"POST /api/x", visit, 401}, {"DELETE /api/x", nil, 401},
			{"/old", visit, 302}, {"/old", []string{"Accept: */*"}, 302}, {"/old", []string{"Sec-Fetch-Mode: cors"}, 302}, {"POST /old", visit, 401},
			{"/old", []string{"Sec-Purpose: prefetch"}, 401}, {"/old", []string{"Connection: Upgrade", "Upgrade: websocket"}, 401}, {"/OLD", []string{"Accept: */*"}, 401},
		} {
			if got := s.asks(row.target, row.lines...); got != row.want {
				t.Errorf("%s %v: status %d, want %d", row.target, row.lines, got, row.want)
			}
		}
		if p := s.browser().Hop(s.url + "/api/form"); p.Status != http.StatusOK {
			t.Errorf("a visit to a public API: status %d", p.Status)
		}
	})

	t.Run("a rule takes no path of the plugin itself", func(t *testing.T) {
		s := whole.in(t)
		again := s.cookieOf("sam", "/team")
		s.untouched(func() { s.directly("/oidc/callback/logout", again) })
	})

	t.Run("a user whom every rule refuses gets the page that says so", func(t *testing.T) {
		s := newSite(t, staffed(a{"paths": "/admin", "require": "Group(`admins`)"}))
		b := s.browser()
		s.status(s.signIn(b, "/admin", "gus"), http.StatusForbidden)
		if !strings.Contains(s.plugin.Log.String(), "accessRules[0]") {
			t.Error("the log does not name the rule")
		}
		s.status(b.Do(browser.Request{URL: s.url + "/oidc/callback/logout", Method: "POST", From: s.home()}), http.StatusOK)
	})
}

// Many users at once, each with a path of its own.
func TestRulesOfManyUsers(t *testing.T) {
	const users, rounds = 16, 5
	var rules []any
	o := setup{options: a{}}
	for i := range users {
		rules = append(rules, a{
			"paths": fmt.Sprintf("/home%d", i), "require": fmt.Sprintf("Claim(`sub`, `user%d`)", i), "methods": "GET", "hosts": appHost,
			"headers": []any{a{"name": "X-Home", "value": fmt.Sprintf("%d ${claims.sub}", i)}},
		})
		o.provider.Users = append(o.provider.Users, oidctest.User{Sub: fmt.Sprintf("user%d", i), Email: fmt.Sprintf("u%d@example.com", i), EmailVerified: true})
	}
	o.options["accessRules"] = rules
	s := newSite(t, o)
	s.each(users, func(i int) {
		session := s.cookieOf(fmt.Sprintf("user%d", i), fmt.Sprintf("/home%d", i))
		for range rounds {
			for _, spelling := range []string{"/home%d", "/home%d/x?y", "/%%68ome%d"} {
				res := s.raw("GET "+fmt.Sprintf(spelling, i)+" HTTP/1.1", "Host: "+appHost, session)
				body, _ := io.ReadAll(res.Body)
				seen, err := backend.Read(body)
				if want := fmt.Sprintf("%d user%d", i, i); err != nil || seen.Header.Get("X-Home") != want {
					t.Errorf("%s: status %d, X-Home %q, want %q", spelling, res.StatusCode, seen.Header.Get("X-Home"), want)
				}
			}
			if got := s.asks(fmt.Sprintf("/home%d", (i+1)%users), session); got != http.StatusForbidden {
				t.Errorf("another's home: status %d", got)
			}
		}
	})
}

// A record that has not changed is not prepared again, and a refreshed one is.
func TestVerdictsStay(t *testing.T) {
	o := staffed(a{"paths": "/admin", "require": "Group(`admins`)"}, a{"paths": "/team", "require": "Group(`staff`)"})
	o.plugin = loader.LoadAlone(t)
	s := newSite(t, o)
	sam := s.cookieOf("sam", "/team")
	for _, d := range []time.Duration{0, 6 * time.Minute, 6 * time.Minute, time.Hour} {
		s.plugin.Clock.Pass(d)
		for target, want := range map[string]int{"/team": 200, "/admin": 403, "/": 403, "/ADMIN": 403} {
			for range 2 {
				if got := s.directly(target, sam); got != want {
					t.Errorf("%v later: %s: status %d, want %d", d, target, got, want)
				}
			}
		}
	}
}

func TestClaimsOfRules(t *testing.T) {
	o := staffed(a{"paths": "/vault", "require": "ACR(`mfa`, `phr`)"}, a{"paths": "/mail", "require": "ClaimRegexp(`email`, `^(a+)+$`) || ClaimRegexp(`note`, `^(x+x+)+y$`)"}, a{"paths": "/in"})
	o.provider.Users = append(o.provider.Users,
		oidctest.User{Sub: "weak", Email: "weak@example.com", EmailVerified: true, Extra: a{"acr": "pwd"}},
		oidctest.User{Sub: "strong", Email: "strong@example.com", EmailVerified: true, Extra: a{"acr": "mfa"}},
		oidctest.User{Sub: "long", Email: strings.Repeat("a", 900) + "@example.com", EmailVerified: true, Extra: a{"note": strings.Repeat("x", 4000)}},
	)
	s := newSite(t, o)
	for _, row := range []struct {
		name, who, target string
		want              int
	}{
		{"B24 a weaker acr than the rule demands", "weak", "/vault", 403}, {"B24 no acr", "sam", "/vault", 403}, {"the acr of the rule", "strong", "/vault", 200},
		{"H20 regular expressions that others take ages for", "long", "/mail", 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := s.in(t).directly(row.target, s.cookieOf(row.who, "/in")); got != row.want {
				t.Errorf("status %d, want %d", got, row.want)
			}
		})
	}
}

// A claim of a rule that the ID token lacks comes from userinfo.
func TestRulesReadUserinfo(t *testing.T) {
	s := newSite(t, staffed(a{"paths": "/blue", "require": "Claim(`team`, `blue`)"}, a{"paths": "/in"}))
	s.misbehaves(func(_ *oidctest.Provider, b *oidctest.Behaviour) {
		b.UserInfo = func(claims map[string]any) {
			if claims["sub"] == "sam" {
				claims["team"] = "blue"
			}
		}
	})
	for who, want := range map[string]int{"sam": 200, "ada": 403} {
		if got := s.directly("/blue", s.cookieOf(who, "/in")); got != want {
			t.Errorf("%s: status %d, want %d", who, got, want)
		}
	}
}

// More Host headers than are remembered change no verdict.
func TestManyHosts(t *testing.T) {
	s := newSite(t, staffed(rulesOfSite()...))
	sam := s.cookieOf("sam", "/team")
	for i := range 200 {
		port := fmt.Sprintf(":%d", 1000+i)
		if got := s.directlyAt("intern.example.test"+port, "/other", sam); got != http.StatusOK {
			t.Fatalf("%s: status %d", port, got)
		}
		if got := s.directlyAt("other.example.test"+port, "/other", sam); got != http.StatusForbidden {
			t.Fatalf("%s: another host: status %d", port, got)
		}
	}
}

func TestPassForAll(t *testing.T) {
	o := staffed(a{"paths": "/account"}, a{"paths": "/admin", "require": "Group(`admins`)"})
	o.options["unauthenticated"] = "pass"
	s := newSite(t, o)
	gus := s.cookieOf("gus", "/account")
	owner := s.cookieOf("owner", "/account")
	for _, row := range []struct {
		who, target string
		status      int
		user        string
	}{
		{"", "/", 200, ""}, {gus, "/", 200, ""}, {owner, "/", 200, "owner@example.com"}, {"", "/account", 401, ""}, {gus, "/account", 200, "gus@example.com"}, {"", "/ACCOUNT", 401, ""},
		{"", "/x;y", 401, ""}, {"", "/x%2fy", 401, ""}, {gus, "/x;y", 403, ""}, {gus, "/admin", 403, ""}, {"Cookie: " + cookie + "=forged", "/", 200, ""}, {"Cookie: " + cookie + "=forged", "/account", 401, ""},
	} {
		t.Run(fmt.Sprintf("L42 %.12s %s", row.who, row.target), func(t *testing.T) {
			if got := s.in(t).asks(row.target, row.who, "X-Forwarded-User: forged"); got != row.status {
				t.Errorf("status %d, want %d", got, row.status)
			}
			if got := s.echo.Last().Header.Get("X-Forwarded-User"); row.status == 200 && got != row.user {
				t.Errorf("X-Forwarded-User %q, want %q", got, row.user)
			}
		})
	}
}

// A request of a signed-in user allocates the same with one rule and with 200, whether
// they have paths only or methods and hosts too.
func TestRulesBudget(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates on its own")
	}
	cost := func(n int, also a) int {
		var rules []any
		for i := range n {
			rule := a{"paths": fmt.Sprintf("/app%d", n-1-i), "require": fmt.Sprintf("Group(`staff`) && !Group(`g%d`)", i)}
			maps.Copy(rule, also)
			rules = append(rules, rule)
		}
		o := staffed(rules...)
		if n == 0 {
			delete(o.options, "accessRules")
		}
		o.options["allowedUsers"] = "sam@example.com"
		s := newSite(t, o)
		return allocations(t, s.server.Config.Handler, request("GET /app0/x", s.cookieOf("sam", "/app0")), 200)
	}
	none := cost(0, nil)
	for _, row := range []struct {
		name string
		also a
	}{
		{"paths", nil}, {"methods", a{"methods": "GET,POST"}}, {"hosts", a{"hosts": appHost + ",b.example.test"}}, {"methods and hosts", a{"methods": "GET", "hosts": appHost}},
	} {
		one, many := cost(1, row.also), cost(200, row.also)
		t.Logf("%s: %d allocations without rules, %d with one, %d with 200", row.name, none, one, many)
		if one != many || 100*one > 122*none {
			t.Errorf("%s: %d allocations without rules, %d with one, %d with 200; want the same for 1 and 200, and at most 122%% of the first", row.name, none, one, many)
		}
	}
}
