package auth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/policy"
)

func TestAUserComesAndGoes(t *testing.T) {
	s := newSite(t, nil)
	b := s.browser()
	first := b.open("/deep?x=1")
	if first.Header.Get("Cache-Control") != "no-store" || first.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers of the redirect: %v", first.Header)
	}
	callback := b.provided(first, "alice")
	resp := b.open(callback)
	s.leads(resp, "/deep?x=1")
	if len(b.jar) != 2 || b.jar[cookieName] == "" { // the other counts completed sign-ins
		t.Errorf("cookies %v", b.jar)
	}
	for _, c := range resp.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("F19: %s", c.String())
		}
	}
	for i := 0; i < 2; i++ { // from the store, then from memory
		if body := s.status(b.open("/deep?x=1"), http.StatusOK); body != "backend /deep?x=1 for alice@example.com" {
			t.Error(body)
		}
	}
	seen := s.seen[1]
	if seen.Header.Get("Cookie") != "" || seen.Header.Get("X-Auth-Request-Redirect") != "/deep?x=1" {
		t.Errorf("the backend got %v", seen.Header)
	}
	copied := b.jar[cookieName]
	out := b.open(logoutPath)
	if to := out.Header.Get("Location"); !strings.HasPrefix(to, s.provider.Endpoint(oidctest.EndSession)+"?") {
		t.Errorf("the logout leads to %q", to)
	}
	if len(b.jar) != 0 {
		t.Errorf("cookies after the logout: %v", b.jar)
	}
	b.jar[cookieName] = copied
	s.status(b.script("/"), http.StatusUnauthorized)
	s.leadsToProvider(b.open("/"), b)
	if strings.Contains(s.log.String(), "alice") || strings.Contains(s.log.String(), copied) || strings.Contains(s.log.String(), "code=ey") {
		t.Error("K8: the log tells too much")
	}
}

func (s *site) leadsToProvider(resp *http.Response, b *browser) {
	s.Helper()
	if !b.toProvider(resp) {
		s.Errorf("status %d to %q, want the provider", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestWhoIsNotSignedIn(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Bypass, _ = policy.NewBypass([]string{"/public"}) })
	rows := []struct {
		name, method, target string
		head                 map[string]string
		status               int
	}{
		{"a navigation", "GET", "/", nil, 302},
		{"a script", "GET", "/", map[string]string{"Sec-Fetch-Mode": "cors", "Accept": "application/json"}, 401},
		{"A13 a form", "POST", "/", nil, 401},
		{"H9 HEAD", "HEAD", "/", nil, 401},
		{"H9 OPTIONS", "OPTIONS", "/", nil, 401},
		{"H14 an upgrade", "GET", "/", map[string]string{"Connection": "Upgrade", "Upgrade": "websocket"}, 401},
		{"a public path", "GET", "/public/x", nil, 200},
		{"H2 an ambiguous path", "GET", "/public/%2e%2e/admin", nil, 302},
		{"G1 with the plugin's headers on a public path", "GET", "/public", map[string]string{"X-Forwarded-User": "root", "X_User_Groups": "admins"}, 200},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := s.browser()
			before := s.hits()
			resp := b.send(s.handler, b.request(row.method, row.target, row.head))
			body := s.status(resp, row.status)
			if (s.hits() > before) != (row.status == 200) {
				t.Error("H16: the backend was reached, or not")
			}
			if row.status == 200 && (body != "backend "+row.target+" for " || s.seen[len(s.seen)-1].Header.Get("X_User_Groups") != "") {
				t.Error(body)
			}
			if row.status != 401 {
				return
			}
			if resp.Header.Get("WWW-Authenticate") != `OIDC realm="sign-in required"` || len(resp.Cookies()) != 0 {
				t.Errorf("headers %v", resp.Header)
			}
			if (row.method == "HEAD") != (body == "") {
				t.Errorf("body %q", body)
			}
		})
	}
	t.Run("JSON for an API client", func(t *testing.T) {
		var v map[string]string
		if err := json.Unmarshal([]byte(s.status(s.browser().script("/"), 401)), &v); err != nil || v["error"] != "not_signed_in" || v["reference"] == "" {
			t.Errorf("%v, %v", v, err)
		}
	})
	t.Run("G1 our headers on a protected path", func(t *testing.T) {
		b := s.signedIn("bob")
		b.status(b.send(s.handler, b.request("GET", "/", map[string]string{"x-forwarded-user": "root", "Connection": "X-Forwarded-User"})), 200)
		if got := s.seen[len(s.seen)-1].Header; got.Get("X-Forwarded-User") != "bob@example.com" || got.Get("Connection") != "" {
			t.Errorf("the backend got %v", got)
		}
	})
	t.Run("F23 other cookies stay", func(t *testing.T) {
		b := s.signedIn("bob")
		own := cookieName + "=" + b.jar[cookieName]
		for _, pair := range [][2]string{
			{"a=1; " + own, "a=1"}, {own + "; a=1", "a=1"}, {"a=1; " + own + ";b=\"2\"", "a=1;b=\"2\""},
			{own + "; " + cookieName + "-s-AAAAAAAA=x", ""}, {"x" + own + "; " + own, "x" + own},
		} {
			b.status(b.send(s.handler, b.request("GET", "/", map[string]string{"Cookie": pair[0]})), 200)
			if got := strings.Join(s.seen[len(s.seen)-1].Header["Cookie"], "|"); got != pair[1] {
				t.Errorf("%q became %q", pair[0], got)
			}
		}
		r := b.request("GET", "/", map[string]string{"Cookie": "-"})
		r.Header["Cookie"] = []string{"a=1", own, "b=2; " + own}
		b.status(b.send(s.handler, r), 200)
		if got := strings.Join(s.seen[len(s.seen)-1].Header["Cookie"], "|"); got != "a=1|b=2" {
			t.Errorf("several headers became %q", got)
		}
	})
}

func TestCallbacksThatDoNotCount(t *testing.T) {
	s := newSite(t, nil)
	rows := []struct {
		name   string
		change func(q url.Values)
		code   string
	}{
		{"B2 no state", func(q url.Values) { q.Del("state") }, "callback_no_state"},
		{"B2 another state", func(q url.Values) { q.Set("state", "x"+q.Get("state")) }, "callback_foreign_state"},
		{"B14 two codes", func(q url.Values) { q.Add("code", "x") }, "callback_repeated_code"},
		{"B11 another issuer", func(q url.Values) { q.Set("iss", "https://other.example") }, "callback_wrong_issuer"},
		{"B12 no issuer", func(q url.Values) { q.Del("iss") }, "callback_wrong_issuer"},
		{"no code", func(q url.Values) { q.Del("code") }, "callback_no_code"},
		{"L3 K3 a code of NUL", func(q url.Values) { q.Set("code", "\x00") }, "callback_malformed_code"},
		{"L3 K3 a code of more than 4 KB", func(q url.Values) { q.Set("code", strings.Repeat("x", 4097)) }, "callback_malformed_code"},
		{"B16 code and error", func(q url.Values) { q.Set("error", "access_denied") }, "access_denied"},
		{"an error of the provider's own", func(q url.Values) { q.Set("error", "server_error") }, "provider_fault"},
		{"another error", func(q url.Values) { q.Set("error", "invalid_scope") }, "sign_in_refused"},
		{"K8 an unknown error", func(q url.Values) { q.Set("error", "canary") }, "sign_in_refused"},
		{"oversize", func(q url.Values) { q.Set("code", strings.Repeat("x", 1<<15)) }, "callback_too_long"},
		{"an oversize state", func(q url.Values) { q.Set("state", strings.Repeat("x", 1<<13)) }, "callback_foreign_state"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := s.browser()
			before := s.provider.Count(oidctest.Token)
			resp := b.open(edited(b.callbackFor("/", "alice"), row.change))
			if resp.StatusCode < 400 || resp.StatusCode == 500 {
				t.Errorf("status %d", resp.StatusCode)
			}
			s.says(resp, resp.StatusCode, row.code)
			if strings.Contains(s.log.String(), "canary") {
				t.Error("K8: the log repeats what came from outside")
			}
			if s.provider.Count(oidctest.Token) != before || b.jar[cookieName] != "" {
				t.Error("the callback counted")
			}
		})
	}
	t.Run("B18 by POST", func(t *testing.T) {
		b := s.browser()
		resp := b.send(s.handler, b.request("POST", b.callbackFor("/", "alice"), nil))
		s.status(resp, http.StatusMethodNotAllowed)
		if resp.Header.Get("Allow") != "GET" {
			t.Error("no Allow header")
		}
	})
	t.Run("B1 another browser, and B26 one that keeps no cookies", func(t *testing.T) {
		callback := s.browser().callbackFor("/mine", "alice")
		for i := 0; i < attemptsLimit; i++ {
			victim := s.browser()
			resp := victim.open(callback)
			if victim.jar[cookieName] != "" {
				t.Fatal("a session")
			}
			callback = s.browser().provided(resp, "alice")
		}
		s.says(s.browser().open(callback), 400, "cookies_blocked")
	})
	t.Run("B4 expired", func(t *testing.T) {
		b := s.browser()
		callback := b.callbackFor("/late", "alice")
		s.turn(11 * time.Minute)
		if page := s.says(b.open(callback), 400, "sign_in_expired"); !strings.Contains(page, `href="/late"`) {
			t.Errorf("no way on in %s", page)
		}
	})
	t.Run("B3 B27 twice", func(t *testing.T) {
		b := s.browser()
		callback := b.callbackFor("/page", "alice")
		login := b.jarCopy()
		s.leads(b.open(callback), "/page")
		s.leads(b.open(callback), "/page")
		b.jar = login // as two requests at once would have it
		s.leadsToProvider(b.open(callback), b)
	})
	t.Run("B3 twice, where the code was refused", func(t *testing.T) {
		b := s.browser()
		callback := edited(b.callbackFor("/page", "alice"), func(q url.Values) { q.Set("code", "made-up") })
		login := b.jarCopy()
		before := s.provider.Count(oidctest.Token)
		s.says(b.open(callback), 400, "sign_in_refused")
		b.jar = login
		s.leadsToProvider(b.open(callback), b)
		if n := s.provider.Count(oidctest.Token) - before; n != 1 {
			t.Errorf("the code was sent %d times", n)
		}
	})
	// Two defences hold A17: no sign-in starts towards a path of the plugin, and none
	// ends there, because these paths may have changed meanwhile.
	t.Run("A17 nobody leaves for the logout", func(t *testing.T) {
		for _, target := range []string{"//oidc/callback/logout", "/oidc/callback/logout/", "//oidc/callback?x=1"} {
			b := s.browser()
			u, err := url.Parse(b.callbackFor(target, "alice"))
			if err != nil {
				t.Fatal(err)
			}
			g, err := s.logins.Find(u.Query().Get("state"), b.request(http.MethodGet, "/", nil))
			if err != nil || g.Target != "/" {
				t.Errorf("%q is to lead to %q, %v", target, g.Target, err)
			}
		}
	})
	t.Run("A17 no sign-in leads to the path of the sign-out", func(t *testing.T) {
		b := s.browser()
		callback := b.callbackFor("/bye", "alice")
		now := s.another(func(o *Options) { o.LogoutPath = "/bye" }).Handler(http.HandlerFunc(s.backend))
		s.leads(b.send(now, b.request(http.MethodGet, callback, nil)), "/")
	})
	t.Run("A1 A2 A15 targets that lead elsewhere, or nowhere", func(t *testing.T) {
		b := s.browser()
		for _, target := range []string{"//evil.example/x", "/%5Cevil", "/" + strings.Repeat("x", 2000)} {
			resp := b.open(b.callbackFor(target, "alice"))
			if to := resp.Header.Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, `\`) || len(to) > 1000 {
				t.Errorf("%q leads to %q", target, to)
			}
			b.jar = map[string]string{}
		}
	})
}

func (b *browser) jarCopy() map[string]string {
	c := map[string]string{}
	for k, v := range b.jar {
		c[k] = v
	}
	return c
}

func TestPromptNoneBecomesInteractiveOnce(t *testing.T) {
	s := newSite(t, func(o *Options) { o.AuthParams = map[string]string{"prompt": "none", "ui_locales": "de"} })
	b := s.browser()
	s.provider.Set(func(p *oidctest.Behaviour) { p.AuthorizeError = "login_required" })
	resp := b.open(b.callbackFor("/page", ""))
	if q := resp.Header.Get("Location"); strings.Contains(q, "prompt=") || !strings.Contains(q, "ui_locales=de") {
		t.Errorf("B17: leads to %q", q)
	}
	s.says(b.open(b.provided(resp, "")), 400, "sign_in_refused")
}

func TestWhoMayNotComeIn(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Rules, _ = policy.NewRules(policy.Rules{RolesAndGroups: []string{"admins"}}) })
	b := s.signedIn("bob")
	for i := 0; i < 2; i++ {
		page := s.says(b.open("/secret"), http.StatusForbidden, "not_allowed")
		if !strings.Contains(page, logoutPath) || !strings.Contains(page, "<bdi>bob@example.com</bdi>") {
			t.Error(page)
		}
		s.status(b.script("/secret"), http.StatusForbidden)
	}
	if s.hits() != 0 {
		t.Error("H16: the backend was reached")
	}
	s.status(s.signedIn("alice").open("/secret"), http.StatusOK)
}

func TestTheProviderIsDown(t *testing.T) {
	s := newSite(t, nil)
	in := s.signedIn("alice")
	b := s.browser()
	callback := b.callbackFor("/", "bob")
	for _, row := range []struct {
		name  string
		fault oidctest.Fault
		code  string
	}{
		{"a fault", oidctest.Fault{Status: 500}, "provider_unreachable"},
		{"E9 the answer is lost", oidctest.Fault{DropDone: true}, "provider_fault"},
		{"no JSON", oidctest.Fault{Status: 200, Body: "<html>"}, "provider_fault"},
		{"E17 refused", oidctest.Fault{Status: 400, Type: "application/json", Body: `{"error":"invalid_grant","error_description":"canary"}`}, "sign_in_refused"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := s.browser()
			callback := b.callbackFor("/page", "bob")
			s.provider.Set(func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = row.fault })
			defer s.provider.Reset()
			resp := b.open(callback)
			page := s.says(resp, resp.StatusCode, row.code)
			if resp.StatusCode < 400 || resp.StatusCode == 500 || !strings.Contains(page, `href="/page"`) || strings.Contains(page, "canary") || b.jar[cookieName] != "" {
				t.Errorf("status %d: %s", resp.StatusCode, page)
			}
		})
	}
	s.provider.Close()
	down := s.another(func(o *Options) { o.PostLogoutURL = "/bye" }).Handler(http.HandlerFunc(s.backend))
	resp := b.send(down, b.request("GET", "/", nil))
	s.says(resp, http.StatusServiceUnavailable, "provider_unreachable")
	if resp.Header.Get("Retry-After") == "" || len(resp.Cookies()) != 0 {
		t.Errorf("D9: headers %v", resp.Header)
	}
	if resp := b.open(callback); resp.StatusCode != 503 && resp.StatusCode != 502 {
		t.Errorf("a callback: status %d", resp.StatusCode)
	}
	s.status(in.open("/"), http.StatusOK)
	out := in.send(down, in.request("GET", logoutPath, nil))
	s.status(out, http.StatusFound)
	if to, _, _ := strings.Cut(out.Header.Get("Location"), "?state="); to != "https://"+siteHost+"/bye" {
		t.Errorf("I4 leads to %q", out.Header.Get("Location"))
	}
	if len(in.jar) != 0 {
		t.Error("I4: the cookie stays")
	}
}

func TestTheStoreIsDown(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Bypass, _ = policy.NewBypass([]string{"/public"}) })
	down := func(t *testing.T, resp *http.Response) {
		t.Helper()
		s.says(resp, http.StatusServiceUnavailable, "sessions_unreachable")
		if resp.Header.Get("Retry-After") == "" || len(resp.Cookies()) != 0 {
			t.Errorf("headers %v", resp.Header)
		}
	}
	t.Run("a session that is known here, and one that is not", func(t *testing.T) {
		known, unknown := s.signedIn("alice"), s.signedIn("bob")
		s.status(known.open("/"), 200)
		s.store.failing("Get", "Set", "Add", "Mark")
		s.status(known.open("/"), 200)
		s.sessions.ChangedAll()
		s.status(known.open("/"), 200)
		down(t, unknown.open("/"))
		down(t, unknown.script("/"))
		s.status(unknown.open("/public"), 200)
		s.leadsToProvider(s.browser().open("/"), known)
		s.store.failing()
		s.status(unknown.open("/"), 200)
	})
	t.Run("while a callback comes", func(t *testing.T) {
		b := s.browser()
		callback := b.callbackFor("/page", "bob")
		s.store.failing("Mark")
		down(t, b.open(callback))
		s.store.failing()
		s.leads(b.open(callback), "/page")

		callback = b.callbackInTab("/again", "bob")
		s.store.failing("Add")
		down(t, b.open(callback))
		s.store.failing("Get")
		s.leads(b.open(callback), "/again") // the session is known here
		stranger := s.browser()
		stranger.jar[cookieName] = s.notOpened("bob")
		down(t, stranger.open(callback))
		s.store.failing()
		s.leads(b.open(callback), "/again")

		callback = b.callbackInTab("/third", "bob")
		s.store.failing("Set")
		s.leads(b.open(callback), "/third")
		s.store.failing()
		s.status(b.open("/third"), 200)
	})
	t.Run("I4 during a sign-out", func(t *testing.T) {
		b := s.signedIn("alice")
		s.store.failing("Set")
		down(t, b.open(logoutPath))
		s.store.failing()
		s.status(b.open("/"), 200)
		s.store.failing("Get")
		if resp := b.open(logoutPath); resp.StatusCode != http.StatusFound || len(b.jar) != 0 {
			t.Errorf("without a read: status %d", resp.StatusCode)
		}
		s.store.failing()
	})
}

// notOpened returns the cookie of a session that is not in memory here.
func (s *site) notOpened(user string) string {
	s.Helper()
	s.store.failing()
	defer s.store.failing("Get")
	return s.signedIn(user).jar[cookieName]
}

// callbackInTab is callbackFor in another tab of a browser that has been signed in for
// some time.
func (b *browser) callbackInTab(target, user string) string {
	b.Helper()
	b.turn(cache.ClockSkew + time.Second)
	session := b.jar[cookieName]
	delete(b.jar, cookieName)
	callback := b.callbackFor(target, user)
	if session != "" {
		b.jar[cookieName] = session
	}
	return callback
}

func TestAPanicOfOursEndsInAPage(t *testing.T) {
	s := newSite(t, nil)
	b := s.signedIn("alice")
	s.store.hooked(func(string) { panic("canary") })
	for _, target := range []string{"/", logoutPath} {
		if page := s.says(b.open(target), http.StatusInternalServerError, "internal"); strings.Contains(page, "canary") {
			t.Error("K6: the page tells what happened")
		}
	}
	s.store.hooked(nil)
	s.status(b.open("/"), 200)
}
