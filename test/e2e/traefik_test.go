package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

func TestSignIn(t *testing.T) {
	r := theRig(t)
	b := r.browser()
	p := r.signIn(b, "/reports?year=2024", "alice")
	seen := r.sees(p)
	if seen.URI != "/reports?year=2024" {
		t.Errorf("ended at %q", seen.URI)
	}
	for name, want := range map[string]string{
		"X-Forwarded-User": "alice@example.com", "X-Auth-Request-User": "alice@example.com", "X-Subject": "alice", "X-Name": "name alice",
		"X-User-Groups": "staff,of-alice", "X-Auth-Request-Redirect": "/reports?year=2024", "Cookie": "", "Authorization": "",
	} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, ok := b.Jar.Get(r.home(), r.cookie); !ok || len(b.Jar.Refused) > 0 {
		t.Errorf("cookies %v, refused %v", b.Jar.Names(r.home()), b.Jar.Refused)
	}
	if p := r.browser().Fetch(r.url + "/x"); p.Status != http.StatusUnauthorized || p.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("a stranger's script: status %d", p.Status)
	}
}

func TestSignInOverPlainHTTP(t *testing.T) {
	r := newRig(t, false)
	if got := r.sees(r.signIn(r.browser(), "/x", "bob")).Header.Get("X-Forwarded-User"); got != "bob@example.com" {
		t.Errorf("X-Forwarded-User: %q", got)
	}
}

func TestForgedHeaders(t *testing.T) {
	r := theRig(t)
	cookie, _ := r.signedIn("alice").Jar.Get(r.home(), r.cookie)
	for _, row := range []struct {
		name, path, want string
		lines            []string
	}{
		{"G1 a public path", "/open/x", "", nil},
		{"G1 a public path, signed in", "/open/x", "", []string{"Cookie: " + r.cookie + "=" + cookie}},
		{"G3 signed in", "/x", "alice@example.com", []string{"Cookie: " + r.cookie + "=" + cookie}},
		{"G5 named by Connection", "/x", "alice@example.com", []string{"Cookie: " + r.cookie + "=" + cookie, "Connection: X-Forwarded-User, X-Subject"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			lines := append([]string{"GET " + row.path + " HTTP/1.1", "Host: " + r.home().Host,
				"X-Forwarded-User: root", "x_forwarded_user: root", "X-Forwarded_User: root", "X_User_Groups: root", "x-subject: root", "X_Subject: root",
			}, row.lines...)
			before := r.echo.Count()
			res := browser.Raw(t, r.address(), true, lines...)
			if res.StatusCode != http.StatusOK || r.echo.Count() != before+1 {
				t.Fatalf("status %d, %d requests at the backend", res.StatusCode, r.echo.Count()-before)
			}
			seen := r.echo.Last()
			for name, values := range seen.Header {
				if strings.Contains(strings.Join(values, ""), "root") {
					t.Errorf("%s: %q", name, values)
				}
			}
			if got := seen.Header.Get("X-Forwarded-User"); got != row.want {
				t.Errorf("X-Forwarded-User: %q, want %q", got, row.want)
			}
		})
	}
}

func TestPathsStayProtected(t *testing.T) {
	r := theRig(t)
	for _, target := range []string{
		"/open/../admin", "/open/%2e%2e/admin", "/open/..;/admin", "/open%2f..%2fadmin", "/open;/../admin", "/openly", `/open\..\admin`, "/open/%252e%252e/admin", "//admin", "/admin?/open",
	} {
		t.Run("H2 H3 H6 "+target, func(t *testing.T) {
			before := r.echo.Count()
			res := browser.Raw(t, r.address(), true, "GET "+target+" HTTP/1.1", "Host: "+r.home().Host, "Connection: close")
			if res.StatusCode < 300 || res.StatusCode > 499 || r.echo.Count() != before {
				t.Errorf("status %d, %d requests at the backend", res.StatusCode, r.echo.Count()-before)
			}
		})
	}
}

func TestAccessRules(t *testing.T) {
	r := theRig(t)
	session := func(name string) string {
		value, _ := r.signedIn(name).Jar.Get(r.home(), r.cookie)
		return "Cookie: " + r.cookie + "=" + value
	}
	alice, bob := session("alice"), session("bob")
	for _, row := range []struct {
		name, line, session string
		status              int
		user, rule          string
	}{
		{"a public path", "GET /rules/open/x", "", 200, "", ""},
		{"a public path, signed in", "GET /rules/open/x", bob, 200, "bob@example.com", ""},
		{"the rule's user", "GET /rules/alice", alice, 200, "alice@example.com", "alice@example.com"},
		{"another user", "GET /rules/alice/x", bob, 403, "", ""},
		{"no user", "GET /rules/alice", "", 401, "", ""},
		{"another method", "POST /rules/alice", bob, 200, "bob@example.com", ""},
		{"L40 another case", "GET /Rules/Alice", bob, 403, "", ""},
		{"L40 a path with two readings", "GET /rules/open/..%2falice", bob, 403, "", ""},
		{"L40 a path with two readings, no user", "GET /rules/open/..%2falice", "", 401, "", ""},
		{"L42 forged headers on a public path", "GET /rules/open", "X-Rule: root", 200, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			lines := []string{row.line + " HTTP/1.1", "Host: " + r.home().Host, "Connection: close", "Content-Length: 0"}
			if row.session != "" {
				lines = append(lines, row.session)
			}
			before := r.echo.Count()
			res := browser.Raw(t, r.address(), true, lines...)
			if res.StatusCode != row.status || row.status != 200 && r.echo.Count() != before {
				t.Fatalf("status %d, want %d, %d requests at the backend", res.StatusCode, row.status, r.echo.Count()-before)
			}
			if seen := r.echo.Last().Header; row.status == 200 && (seen.Get("X-Forwarded-User") != row.user || seen.Get("X-Rule") != row.rule) {
				t.Errorf("the backend sees %q and %q, want %q and %q", seen.Get("X-Forwarded-User"), seen.Get("X-Rule"), row.user, row.rule)
			}
		})
	}
}

func TestTwoRouters(t *testing.T) {
	r := theRig(t)
	b := r.browser()
	r.sees(r.signIn(b, "/api/start", "alice"))
	for _, path := range []string{"/api/x", "/x"} {
		if got := r.sees(b.Fetch(r.url + path)).Header.Get("X-Forwarded-User"); got != "alice@example.com" {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestManyPeople(t *testing.T) {
	r := theRig(t)
	var wait sync.WaitGroup
	for i := range 24 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			name := fmt.Sprintf("user%02d", i)
			b := r.browser()
			r.sees(r.signIn(b, "/"+name, name))
			for j := range 30 {
				uri := fmt.Sprintf("/%s/%d", name, j)
				seen := r.sees(b.Fetch(r.url + uri))
				if seen.Header.Get("X-Forwarded-User") != name+"@example.com" || seen.Header.Get("X-Subject") != name || seen.URI != uri {
					t.Errorf("%s was taken for %q at %q", name, seen.Header.Get("X-Forwarded-User"), seen.URI)
				}
			}
		}()
	}
	wait.Wait()
}

func TestLogout(t *testing.T) {
	r := theRig(t)
	b := r.signedIn("alice")
	copied, _ := b.Jar.Get(r.home(), r.cookie)
	stolen := func() int {
		return r.browser().Do(browser.Request{URL: r.url + "/x", From: r.home(), Fetch: true, Header: http.Header{"Cookie": {r.cookie + "=" + copied}}}).Status
	}
	if got := stolen(); got != http.StatusOK {
		t.Fatalf("the copied cookie before the logout: status %d", got)
	}
	p := b.Do(browser.Request{URL: r.url + "/oidc/callback/logout", From: r.home()})
	if !strings.HasPrefix(p.URL.String(), r.issuer+"/session/end") {
		t.Fatalf("the logout leads to %s (%d): %s", p.URL, p.Status, p.Body)
	}
	if got := stolen(); got != http.StatusUnauthorized {
		t.Errorf("F9 the copied cookie, with the provider still asking: status %d", got)
	}
	form := p.Forms()[0]
	form.Values.Set("logout", "yes")
	end := b.Submit(p, form)
	back := false
	for _, hop := range end.Hops {
		back = back || hop.URL.Host == r.home().Host && hop.URL.Path == "/"
	}
	if !back {
		t.Errorf("the provider did not send the browser back: %s (%d)", end.URL, end.Status)
	}
	if end.URL.Host != r.home().Host || !strings.Contains(string(end.Body), "You are signed out") {
		t.Errorf("after the sign-out %s (%d) does not say so", end.URL, end.Status)
	}
	// The site is protected, so the next page leads to the next sign-in.
	again := b.Open(r.url + "/")
	if forms := again.Forms(); len(forms) == 0 || forms[0].Values.Get("prompt") != "login" {
		t.Errorf("after the sign-out the provider does not ask who it is: %s", again.URL)
	}
}

func TestReloads(t *testing.T) {
	r := theRig(t)
	b := r.signedIn("alice")
	const reloads = 40
	var stop atomic.Bool
	var requests, failed atomic.Int64
	var wait sync.WaitGroup
	for range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for !stop.Load() {
				requests.Add(1)
				p := b.Fetch(r.url + "/traffic")
				if p.Status != http.StatusOK {
					failed.Add(1)
					t.Errorf("K18 status %d: %.300s", p.Status, p.Body)
					return
				}
			}
		}()
	}
	for range reloads {
		r.settings.generation++
		r.configure()
		want := fmt.Sprint(r.settings.generation)
		r.eventually("the configuration is in effect", func() bool {
			return b.Fetch(r.url+"/generation").Header.Get("X-Generation") == want
		})
	}
	stop.Store(true)
	wait.Wait()
	if got := r.sees(b.Fetch(r.url + "/x")).Header.Get("X-Forwarded-User"); got != "alice@example.com" {
		t.Errorf("after %d reloads: %q", reloads, got)
	}
	t.Logf("%d requests during %d reloads, %d failed", requests.Load(), reloads, failed.Load())
}
