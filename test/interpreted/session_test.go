package interpreted

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// value returns the session cookie of the browser.
func (s *site) value(b *browser.Browser) string {
	s.t.Helper()
	v, ok := b.Jar.Get(s.home(), cookie)
	if !ok {
		s.t.Fatal("no session cookie")
	}
	return v
}

// withCookies makes a script's request with only that Cookie header.
func (s *site) withCookies(header ...string) *browser.Page {
	s.t.Helper()
	return s.browser().Do(browser.Request{
		URL: s.url + "/probe", From: s.home(), Fetch: true, OneHop: true, NoCookie: true, Header: http.Header{"Cookie": header},
	})
}

// A live site changes its configuration as Traefik does. The context of the old handlers
// ends before the new ones are built.
type live struct {
	*site
	name    string
	handler atomic.Value // of http.Handler, boxed
	cancel  context.CancelFunc
}

type boxed struct{ http.Handler }

func newLive(t testing.TB, plugin *loader.Plugin, more map[string]any) *live {
	t.Helper()
	return newLiveAt(t, plugin, oidctest.Options{}, more)
}

// newLiveAt is newLive at a given provider.
func newLiveAt(t testing.TB, plugin *loader.Plugin, provider oidctest.Options, more map[string]any) *live {
	t.Helper()
	l := &live{site: &site{t: t, plugin: plugin, echo: &backend.Echo{}, asked: newGate()}, name: t.Name()}
	provider.HoldDiscovery = l.asked.c
	provider.SigningAlg = "ES256"
	provider.Now = plugin.Clock.Now
	provider.Deliver = browser.Transport(func(address string) string { return l.network[address] })
	l.provider = oidctest.New(provider)
	t.Cleanup(l.provider.Close)
	t.Cleanup(func() { l.cancel() })
	l.reload(more)
	l.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.handler.Load().(boxed).ServeHTTP(w, r)
	}), false)
	return l
}

// reload serves the options as three routers. Requests go to one of them.
func (l *live) reload(more map[string]any) {
	l.t.Helper()
	if l.cancel != nil {
		l.cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	options := optionsFor(l.provider)
	for k, v := range more {
		options[k] = v
	}
	m, err := l.plugin.Middleware(l.name, options)
	if err != nil {
		l.t.Fatal(err)
	}
	for range 3 {
		h, err := m.Handler(ctx, l.echo)
		if err != nil {
			l.t.Fatal(err)
		}
		l.handler.Store(boxed{h})
	}
}

func TestSessions(t *testing.T) {
	whole := newSite(t, setup{})

	t.Run("F1 a new id at every sign-in, the old one dead", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		b.Jar.Set(s.home(), cookie, "planted")
		one, two := b.Hop(s.url+"/one"), b.Hop(s.url+"/two")
		s.comeBack(b, s.provided(b, one, "alice"))
		old := s.value(b)
		if old == "planted" {
			t.Fatal("the planted value is the session's")
		}
		s.status(s.withCookies(cookie+"="+old), http.StatusOK)
		s.comeBack(b, s.provided(b, two, "bob"))
		if now := s.value(b); now == old {
			t.Error("the second sign-in kept the id of the first")
		}
		if got := s.sees(b.Fetch(s.url + "/me")).Header.Get("X-Forwarded-User"); got != "bob@example.com" {
			t.Errorf("after bob's sign-in: %q", got)
		}
		s.status(s.withCookies(cookie+"="+old), http.StatusUnauthorized)
	})

	t.Run("F2 a malformed cookie is no session", func(t *testing.T) {
		s := whole.in(t)
		good := s.value(s.signedIn("alice"))
		bad := []string{"", "x", "abc", "===", "%00", "\"\"", "not base64!", strings.Repeat("A", 3900), good + "A", good + "=", good[1:], "A" + good, strings.ToUpper(good), good[:len(good)-1], good[:3], good + good}
		for i := range good {
			bad = append(bad, flip(good, i))
		}
		raw, err := base64.RawURLEncoding.DecodeString(good)
		if err == nil {
			for i := range raw {
				for bit := range 8 {
					if bit != i%8 {
						continue
					}
					changed := append([]byte(nil), raw...)
					changed[i] ^= 1 << bit
					bad = append(bad, base64.RawURLEncoding.EncodeToString(changed))
				}
			}
		}
		s.untouched(func() {
			for _, v := range bad {
				s.status(s.withCookies(cookie+"="+v), http.StatusUnauthorized)
			}
		})
		b := s.browser()
		b.Jar.Set(s.home(), cookie, flip(good, len(good)/2))
		p := b.Hop(s.url + "/page")
		if !s.toProvider(p) {
			t.Errorf("a navigation with a bad cookie: status %d", p.Status)
		}
		if _, kept := b.Jar.Get(s.home(), cookie); kept {
			t.Error("the bad cookie was not cleared")
		}
		s.status(s.withCookies(cookie+"="+good), http.StatusOK)
	})

	t.Run("F3 values swapped between cookies", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		callback := s.callbackFor(b, "/page", "alice")
		names := b.Jar.Names(s.home())
		if len(names) != 1 || !strings.HasPrefix(names[0], cookie+"-s-") {
			t.Fatalf("cookies of a sign-in: %v", names)
		}
		login, _ := b.Jar.Get(s.home(), names[0])
		s.status(s.withCookies(cookie+"="+login), http.StatusUnauthorized)

		session := s.value(s.signedIn("alice"))
		b.Jar.Set(s.home(), names[0], session)
		s.withoutTokenCall(func() { s.comeBack(b, callback) })
		s.noSession(b)

		// The sign-in's cookie under the name of another one.
		c, d := s.browser(), s.browser()
		first, second := s.callbackFor(c, "/c", "alice"), s.callbackFor(d, "/d", "bob")
		other, _ := d.Jar.Get(s.home(), d.Jar.Names(s.home())[0])
		c.Jar.Set(s.home(), c.Jar.Names(s.home())[0], other)
		s.withoutTokenCall(func() { s.comeBack(c, first); s.comeBack(c, second) })
		s.noSession(c)
	})

	t.Run("F4 F5 F6 there are no chunks", func(t *testing.T) {
		s := whole.in(t)
		good := s.value(s.signedIn("alice"))
		half := len(good) / 2
		for _, header := range []string{
			cookie + "_0=" + good[:half] + "; " + cookie + "_1=" + good[half:],
			cookie + ".0=" + good[:half] + "; " + cookie + ".1=" + good[half:],
			cookie + "=2." + good, cookie + "=99999999", cookie + "=-1", cookie + "=+1", cookie + "=1e3",
			cookie + "-s-=" + good, cookie + "-s-AAAAAAAA=" + good,
		} {
			s.status(s.withCookies(header), http.StatusUnauthorized)
		}
	})

	t.Run("F7 two cookies of the same name", func(t *testing.T) {
		s := whole.in(t)
		good := s.value(s.signedIn("alice"))
		for _, header := range [][]string{
			{cookie + "=forged; " + cookie + "=" + good}, {cookie + "=" + good + "; " + cookie + "=forged"},
			{cookie + "=forged", cookie + "=" + good}, {cookie + "=" + good, cookie + "=forged"},
			{cookie + "=; " + cookie + "=; " + cookie + "=" + good}, {"a" + cookie + "=forged; " + cookie + "=" + good},
			{"x=" + cookie + "=forged; " + cookie + "=" + good},
		} {
			seen := s.sees(s.withCookies(header...))
			if got := seen.Header.Get("X-Forwarded-User"); got != "alice@example.com" {
				t.Errorf("%v: %q", header, got)
			}
			if strings.Contains(strings.Join(seen.Header["Cookie"], ";"), good) {
				t.Errorf("%v: the backend saw the session cookie", header)
			}
		}
	})

	t.Run("F8 F18 F19 every cookie we set, from the sign-in to the logout", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		b.Jar.Set(s.home(), cookie, "planted")
		pages := []*browser.Page{s.signIn(b, "/page", "alice"), b.Hop(s.url + "/oidc/callback/logout")}
		b.Jar.Set(s.home(), cookie, "planted")
		pages = append(pages, b.Hop(s.url+"/page"))
		start := s.browser()
		first := s.callbackFor(start, "/page", "alice")
		s.comeBack(start, first)
		pages = append(pages, s.comeBack(start, first))

		set := 0
		for _, p := range pages {
			for _, hop := range p.Hops {
				if hop.URL.Host != appHost {
					continue
				}
				for _, line := range hop.Header.Values("Set-Cookie") {
					set++
					s.checkSetCookie(line)
				}
				if len(hop.Header.Values("Set-Cookie")) > 0 && !strings.Contains(hop.Header.Get("Cache-Control"), "no-store") {
					t.Errorf("%s sets a cookie with Cache-Control %q", hop.URL, hop.Header.Get("Cache-Control"))
				}
			}
		}
		if set < 5 {
			t.Errorf("only %d cookies were set", set)
		}
		if len(b.Jar.Refused) > 0 {
			t.Errorf("the browser refused %v", b.Jar.Refused)
		}
	})

	t.Run("F9 a copied cookie dies with the logout", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		copied := s.value(b)
		s.status(s.withCookies(cookie+"="+copied), http.StatusOK)
		b.Hop(s.url + "/oidc/callback/logout")
		s.status(s.withCookies(cookie+"="+copied), http.StatusUnauthorized)
		p := s.browser().Do(browser.Request{URL: s.url + "/", OneHop: true, Header: http.Header{"Cookie": {cookie + "=" + copied}}})
		if !s.toProvider(p) {
			t.Errorf("a navigation with the copy: status %d", p.Status)
		}
	})

	t.Run("F10 F14 cookies are random and as short as the options say", func(t *testing.T) {
		s := whole.in(t)
		seen := map[string]bool{}
		for range 8 {
			v := s.value(s.signedIn("alice"))
			if len(v) > 120 || len(v) < 60 {
				t.Errorf("a cookie of %d bytes", len(v))
			}
			for i := 0; i+8 <= len(v); i++ {
				if piece := v[i : i+8]; seen[piece] {
					t.Errorf("%q occurs in two cookies", piece)
				}
			}
			for i := 0; i+8 <= len(v); i++ {
				seen[v[i:i+8]] = true
			}
		}
	})

	t.Run("F15 one response to every problem of a cookie", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		dead := s.value(b)
		b.Hop(s.url + "/oidc/callback/logout")
		var first string
		for _, v := range []string{dead, flip(dead, 10), flip(dead, len(dead)-5), dead[:20], "x"} {
			p := s.withCookies(cookie + "=" + v)
			text := fmt.Sprint(p.Status, p.Header["Www-Authenticate"], p.Header["Set-Cookie"], len(p.Body))
			if first == "" {
				first = text
			}
			if text != first {
				t.Errorf("%q: %s, others: %s", v, text, first)
			}
		}
	})

	t.Run("F17 a session of another middleware", func(t *testing.T) {
		s := newTwo(t, nil, map[string]any{"allowedUsers": []any{"alice@example.com"}})
		b := s.browser()
		s.sees(s.signIn(b, "/a/page", "alice"))
		s.untouched(func() { s.status(b.Fetch(s.url+"/b/page"), http.StatusUnauthorized) })
		s.status(b.Fetch(s.url+"/a/page"), http.StatusOK)

		group := map[string]any{"sessionGroup": "both"}
		shared := newTwo(t, group, group)
		c := shared.browser()
		shared.sees(shared.signIn(c, "/a/page", "alice"))
		shared.status(c.Fetch(shared.url+"/b/page"), http.StatusOK)
	})

	t.Run("F21 G12 many groups", func(t *testing.T) {
		groups := func(n int, format string) (list []string) {
			for i := range n {
				list = append(list, fmt.Sprintf(format, i))
			}
			return list
		}
		few, many, tooMany := groups(400, "g%03d"), groups(400, "group-%03d-of-a-large-company"), groups(3000, "group-%04d-of-a-large-company")
		s := newSite(t, setup{provider: oidctest.Options{Users: []oidctest.User{
			{Sub: "few", Email: "few@example.com", EmailVerified: true, Groups: few},
			{Sub: "many", Email: "many@example.com", EmailVerified: true, Groups: many},
			{Sub: "toomany", Email: "toomany@example.com", EmailVerified: true, Groups: tooMany},
		}}, options: map[string]any{"allowedRolesAndGroups": []any{few[399], many[399], tooMany[2999]}}})
		if got := s.sees(s.signIn(s.browser(), "/", "few")).Header.Get("X-User-Groups"); got != strings.Join(few, ",") {
			t.Errorf("X-User-Groups has %d bytes", len(got))
		}
		for _, who := range []string{"many", "toomany"} {
			seen := s.sees(s.signIn(s.browser(), "/", who))
			if got := seen.Header.Get("X-User-Groups"); len(got) > 8<<10 {
				t.Errorf("X-User-Groups of %d bytes goes to the backend", len(got))
			}
			if seen.Header.Get("X-Forwarded-User") != who+"@example.com" {
				t.Error("the name is lost with the groups")
			}
		}
	})

	t.Run("F22 F23 our cookies stay here, others pass as they are", func(t *testing.T) {
		s := whole.in(t)
		good := s.value(s.signedIn("alice"))
		login := cookie + "-s-AbCdEf12=zzz"
		for _, row := range []struct{ sent, want string }{
			{cookie + "=" + good, ""},
			{"a=1; " + cookie + "=" + good + "; b=2", "a=1; b=2"},
			{cookie + "=" + good + "; a=1", "a=1"},
			{"a=1; " + cookie + "=" + good, "a=1"},
			{"a=1; " + login + "; " + cookie + "=" + good + "; " + login + "; b=2", "a=1; b=2"},
			{`q="x y"; ` + cookie + "=" + good + "; empty=; novalue; =noname; u=ü", `q="x y"; empty=; novalue; =noname; u=ü`},
			{cookie + "x=keep; " + cookie + "=" + good + "; oidc=keep; " + "__host-oidc=keep; x" + cookie + "=keep", cookie + "x=keep; oidc=keep; __host-oidc=keep; x" + cookie + "=keep"},
			{"a=1;b=2;" + cookie + "=" + good + ";c=3", "a=1;b=2;c=3"},
			{"a=" + cookie + "=1; " + cookie + "=" + good, "a=" + cookie + "=1"},
		} {
			seen := s.sees(s.withCookies(row.sent))
			if got := strings.Join(seen.Header["Cookie"], "|"); got != row.want {
				t.Errorf("sent %q\n got %q\nwant %q", strings.ReplaceAll(row.sent, good, "…"), got, row.want)
			}
		}
	})

	t.Run("F24 thousands of cookies", func(t *testing.T) {
		s := whole.in(t)
		good := s.value(s.signedIn("alice"))
		lines := []string{"GET /probe HTTP/1.1", "Host: " + appHost, "Connection: close"}
		for name, want := range map[string][2]int{cookie: {431, 431}, "c": {401, 200}, cookie + "-s-AAAAAAAA": {431, 431}} {
			header := "Cookie: "
			for i := range 6000 {
				header += fmt.Sprintf("%s=%d; ", name, i)
			}
			for i, end := range []string{"end=1", cookie + "=" + good} {
				if res := s.raw(append(lines, header+end)...); res.StatusCode != want[i] {
					t.Errorf("%s: status %d, want %d", name, res.StatusCode, want[i])
				}
			}
		}
	})
}

func (s *site) checkSetCookie(line string) {
	s.t.Helper()
	name, _, _ := strings.Cut(line, "=")
	if name != cookie && (!strings.HasPrefix(name, cookie+"-s-") || len(name) != len(cookie)+11) {
		s.t.Errorf("a cookie of another name: %s", line)
	}
	for _, want := range []string{"; Path=/;", "; Secure", "; HttpOnly", "; SameSite=Lax"} {
		if !strings.Contains(line+";", want) {
			s.t.Errorf("no %q in %s", want, line)
		}
	}
	if strings.Contains(line, "Domain") {
		s.t.Errorf("a domain in %s", line)
	}
	if value, _, _ := strings.Cut(line, ";"); strings.HasPrefix(name, cookie+"-s-") && len(value) > 400 {
		s.t.Errorf("a sign-in cookie of %d bytes", len(value))
	}
}

func TestKeys(t *testing.T) {
	old, young := key, oidctest.NewSecret()
	keys := func(k ...any) map[string]any { return map[string]any{"sessionEncryptionKey": k} }

	t.Run("F12 keys rotate without signing anyone out", func(t *testing.T) {
		s := newLive(t, loader.Load(t), map[string]any{"sessionEncryptionKey": old})
		b := s.signedIn("alice")
		for _, step := range []map[string]any{keys(old), keys(old, young), keys(young, old)} {
			s.reload(step)
			s.status(b.Fetch(s.url+"/"), http.StatusOK)
		}
		c := s.signedIn("bob")
		s.reload(keys(young))
		s.status(c.Fetch(s.url+"/"), http.StatusOK)
		s.status(b.Fetch(s.url+"/"), http.StatusUnauthorized)
	})

	t.Run("F12 a sign-in goes on across a rotation", func(t *testing.T) {
		s := newLive(t, loader.Load(t), keys(old, young))
		b := s.browser()
		callback := s.callbackFor(b, "/page", "alice")
		s.reload(keys(young, old))
		s.status(s.comeBack(b, callback), http.StatusFound)
	})

	t.Run("F13 weak keys are refused", func(t *testing.T) {
		s := newSite(t, setup{})
		for name, k := range map[string]any{
			"none": nil, "empty": "", "short": key[:31], "all the same": strings.Repeat("a", 32), "all zero": strings.Repeat("0", 64),
			"repeated": strings.Repeat("ab", 16), "well known": "potato-secret-is-at-least-32-bytes-long", "a sequence": "0123456789abcdef0123456789abcdef",
			"only a sequence": "abcdefghijklmnopqrstuvwxyz0123456789", "only repeated": strings.Repeat("q3Zt8Lw0", 5), "only two letters": "azaazzazazzazaaazzazzzazazazzaazaz",
			"only a phrase": "your-32-byte-session-encryption-key-here", "only published": "birCadC14b7InolTxkd9srtMelAxGLhI", "twice": []any{key, key},
			"a list with a weak one": []any{key, "short"}, "an empty list": []any{}, "a number": 12345678,
		} {
			text := s.refusedOptions(map[string]any{"sessionEncryptionKey": k})
			if !strings.Contains(text, "sessionEncryptionKey") {
				t.Errorf("%s: the refusal does not name the option: %s", name, text)
			}
			if v, ok := k.(string); ok && len(v) > 8 && strings.Contains(text, v) {
				t.Errorf("%s: the refusal discloses the key", name)
			}
		}
	})
}

func TestReloads(t *testing.T) {
	s := newLive(t, loader.Load(t), nil)
	b := s.signedIn("alice")
	before := s.provider.Count(oidctest.Discovery)

	t.Run("K18 twenty reloads under traffic", func(t *testing.T) {
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					if p := b.Fetch(s.url + "/"); p.Status != http.StatusOK {
						t.Errorf("status %d: %s", p.Status, p.Body)
						return
					}
				}
			}
		}()
		for i := range 20 {
			s.reload(map[string]any{"headers": []any{map[string]any{"name": "X-Generation", "value": fmt.Sprint(i)}}})
			if got := s.sees(b.Fetch(s.url + "/")).Header.Get("X-Generation"); got != fmt.Sprint(i) {
				t.Errorf("generation %q, want %d", got, i)
			}
		}
		close(stop)
		<-done
		if n := s.provider.Count(oidctest.Discovery); n != before {
			t.Errorf("%d more fetches of the discovery document", n-before)
		}
	})

	t.Run("H17 rules change without a sign-in", func(t *testing.T) {
		s.reload(map[string]any{"allowedUsers": []any{"bob@example.com"}})
		s.untouched(func() { s.status(b.Fetch(s.url+"/"), http.StatusForbidden) })
		s.reload(map[string]any{"allowedRolesAndGroups": []any{"staff"}})
		s.status(b.Fetch(s.url+"/"), http.StatusOK)
	})

	t.Run("F9 a sign-out holds across reloads", func(t *testing.T) {
		copied := s.value(b)
		b.Hop(s.url + "/oidc/callback/logout")
		s.reload(map[string]any{"minimalHeaders": true})
		s.status(s.withCookies(cookie+"="+copied), http.StatusUnauthorized)
	})
}

func TestLifetimes(t *testing.T) {
	plugin := loader.LoadAlone(t)
	for _, row := range []struct {
		name    string
		options map[string]any
		steps   []step
	}{
		{"F20 the absolute lifetime never slides", map[string]any{"sessionMaxAge": 3600}, []step{
			{20 * time.Minute, 200}, {20 * time.Minute, 200}, {19 * time.Minute, 200}, {2 * time.Minute, 401},
		}},
		{"F20 the idle timeout slides", map[string]any{"idleTimeout": "30m"}, []step{
			{20 * time.Minute, 200}, {20 * time.Minute, 200}, {25 * time.Minute, 200}, {31 * time.Minute, 401},
		}},
		{"F20 the idle timeout does not outlive the absolute lifetime", map[string]any{"idleTimeout": "30m", "sessionMaxAge": 3600}, []step{
			{25 * time.Minute, 200}, {25 * time.Minute, 200}, {11 * time.Minute, 401},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{plugin: plugin, options: row.options, provider: oidctest.Options{Now: plugin.Clock.Now, AccessLifetime: 24 * time.Hour}})
			b := s.signedIn("alice")
			for i, step := range row.steps {
				plugin.Clock.Pass(step.after)
				if p := b.Fetch(s.url + "/"); p.Status != step.status {
					t.Errorf("step %d: status %d, want %d", i, p.Status, step.status)
				}
			}
		})
	}
}

// TestLifetimesAfterAReload has shorter limits apply to signed-in users too.
func TestLifetimesAfterAReload(t *testing.T) {
	plugin := movable(t)
	long := map[string]any{"sessionMaxAge": 30 * 24 * 3600}
	for _, row := range []struct {
		name  string
		after map[string]any // the options of the reload
		steps []step
	}{
		{"L7 F20 a shorter lifetime", map[string]any{"sessionMaxAge": 900}, []step{{14 * time.Minute, 200}, {2 * time.Minute, 401}}},
		{"L7 F20 a shorter lifetime that is over already", map[string]any{"sessionMaxAge": 900}, []step{{16 * time.Minute, 401}}},
		{"L7 F20 a shorter idle timeout", map[string]any{"idleTimeout": "5m"}, []step{{4 * time.Minute, 200}, {4 * time.Minute, 200}, {4 * time.Minute, 200}, {6 * time.Minute, 401}}},
		{"L7 F20 a shorter idle timeout that is over already", map[string]any{"idleTimeout": "5m"}, []step{{6 * time.Minute, 401}}},
		{"L7 B23 max_age", map[string]any{"authorizationParams": map[string]any{"max_age": "600"}}, []step{{9 * time.Minute, 200}, {3 * time.Minute, 401}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newLive(t, plugin, long)
			b := s.signedIn("alice")
			s.reload(row.after)
			for i, step := range row.steps {
				plugin.Clock.Pass(step.after)
				if p := b.Fetch(s.url + "/"); p.Status != step.status {
					t.Errorf("step %d: status %d, want %d", i, p.Status, step.status)
				}
			}
			if p := b.Hop(s.url + "/"); !s.toProvider(p) {
				t.Errorf("a navigation then: status %d", p.Status)
			}
			s.reload(long)
			s.status(b.Fetch(s.url+"/"), http.StatusOK)
		})
	}

	t.Run("L7 H17 two middlewares of one group", func(t *testing.T) {
		s := newTwoOn(t, plugin, map[string]any{"sessionGroup": "L7", "sessionMaxAge": 30 * 24 * 3600}, map[string]any{"sessionGroup": "L7", "sessionMaxAge": 900})
		b := s.browser()
		s.sees(s.signIn(b, "/a/x", "alice"))
		s.status(b.Fetch(s.url+"/b/x"), http.StatusOK)
		plugin.Clock.Pass(16 * time.Minute)
		s.untouched(func() { s.status(b.Fetch(s.url+"/b/x"), http.StatusUnauthorized) })
		s.status(b.Fetch(s.url+"/a/x"), http.StatusOK)
		s.sees(s.signIn(b, "/b/x", "alice"))
		s.status(b.Fetch(s.url+"/b/x"), http.StatusOK)
		s.status(b.Fetch(s.url+"/a/x"), http.StatusOK)
	})
}

// A step lets time pass, and has the result of a request then.
type step struct {
	after  time.Duration
	status int
}
