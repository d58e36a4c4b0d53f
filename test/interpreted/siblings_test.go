package interpreted

import (
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// cookiesOf returns the Cookie header at the backend for the path.
func (s *site) cookiesOf(b *browser.Browser, path string) string {
	s.t.Helper()
	return strings.Join(s.sees(b.Fetch(s.url + path)).Header["Cookie"], "|")
}

// named returns the cookie of that name in the browser, in the form of the header.
func (s *site) cookieNamed(b *browser.Browser, name string) string {
	s.t.Helper()
	value, ok := b.Jar.Get(s.home(), name)
	if !ok {
		s.t.Fatalf("no cookie %s, only %v", name, b.Jar.Names(s.home()))
	}
	return name + "=" + value
}

// Browsers send the cookies of all middlewares of a host to all of them. The holder of a
// cookie has its session.
func TestCookiesOfSiblings(t *testing.T) {
	one := map[string]any{"cookiePrefix": "__Host-one", "excludedURLs": []any{"/a/public"}}
	two := map[string]any{"cookiePrefix": "__Host-two"}
	whole := newTwo(t, one, two)

	// signedInAtBoth is a browser with both sessions, a sign-in at each under way, and
	// cookies of the backend.
	signedInAtBoth := func(s *site) *browser.Browser {
		b := s.browser()
		s.sees(s.signIn(b, "/a/x", "alice"))
		s.sees(s.signIn(b, "/b/x", "bob"))
		for _, name := range []string{"__Host-one", "__Host-two"} {
			session, _ := b.Jar.Get(s.home(), name)
			b.Jar.Delete(s.home(), name)
			s.callbackFor(b, map[string]string{"__Host-one": "/a/x", "__Host-two": "/b/x"}[name], "alice")
			b.Jar.Set(s.home(), name, session)
		}
		b.Jar.Set(s.home(), "theme", "dark")
		return b
	}

	t.Run("L16 F22 the backend of one sees no cookie of the other", func(t *testing.T) {
		s := whole.in(t)
		b := signedInAtBoth(s)
		for _, path := range []string{"/a/x", "/a/x", "/b/x", "/a/public/x"} {
			if got := s.cookiesOf(b, path); got != "theme=dark" {
				t.Errorf("%s: the backend saw %q", path, got)
			}
		}
		for path, who := range map[string]string{"/a/x": "alice@example.com", "/b/x": "bob@example.com"} {
			if got := s.sees(b.Fetch(s.url + path)).Header.Get("X-Forwarded-User"); got != who {
				t.Errorf("%s: %q", path, got)
			}
		}
	})

	t.Run("L16 F23 cookies that only look like another's pass as they are", func(t *testing.T) {
		s := whole.in(t)
		b := signedInAtBoth(s)
		own, other := s.cookieNamed(b, "__Host-one"), s.cookieNamed(b, "__Host-two")
		for _, keep := range []string{
			"__Host-two=of-the-backend", other + "A", "x" + other, "a=" + other, "__HOST-TWO" + strings.TrimPrefix(other, "__Host-two"),
			"__Host-two-s-AAAAAAAA=x", "__Host-two2=" + strings.TrimPrefix(other, "__Host-two="), `q="x y"; empty=; novalue; =noname; u=ü`,
		} {
			for _, sent := range []string{own + "; " + keep + "; " + other, keep + "; " + other + "; " + own, other + ";" + own + ";" + keep} {
				p := b.Do(browser.Request{URL: s.url + "/a/x", From: s.home(), Fetch: true, NoCookie: true, Header: http.Header{"Cookie": {sent}}})
				if got := strings.Join(s.sees(p).Header["Cookie"], "|"); got != keep {
					t.Errorf("sent %q\n got %q\nwant %q", sent, got, keep)
				}
			}
		}
	})

	t.Run("L16 several Cookie headers", func(t *testing.T) {
		s := whole.in(t)
		b := signedInAtBoth(s)
		p := b.Do(browser.Request{URL: s.url + "/b/x", From: s.home(), Fetch: true, NoCookie: true, Header: http.Header{
			"Cookie": {s.cookieNamed(b, "__Host-one"), "a=1", s.cookieNamed(b, "__Host-two") + "; b=2"},
		}})
		if got := strings.Join(s.sees(p).Header["Cookie"], "|"); got != "a=1|b=2" {
			t.Errorf("the backend saw %q", got)
		}
	})

	t.Run("L16 F24 more cookies of ours than anybody has", func(t *testing.T) {
		s := whole.in(t)
		b := signedInAtBoth(s)
		own, other := s.cookieNamed(b, "__Host-one"), s.cookieNamed(b, "__Host-two")
		for sent, want := range map[string]int{
			own + strings.Repeat("; "+other, 60): http.StatusOK, own + strings.Repeat("; "+other, 61): http.StatusRequestHeaderFieldsTooLarge,
			own + strings.Repeat("; __Host-two=x", 60) + "; " + other: http.StatusRequestHeaderFieldsTooLarge,
		} {
			p := b.Do(browser.Request{URL: s.url + "/a/x", From: s.home(), Fetch: true, NoCookie: true, Header: http.Header{"Cookie": {sent}}})
			s.status(p, want)
			if want == http.StatusOK && len(s.sees(p).Header["Cookie"]) != 0 {
				t.Errorf("the backend saw %q", s.sees(p).Header["Cookie"])
			}
		}
	})

	t.Run("L16 F3 the session of one is none under the name of the other", func(t *testing.T) {
		s := newTwo(t, map[string]any{"cookiePrefix": "__Host-one", "sessionGroup": "L16"}, map[string]any{"cookiePrefix": "__Host-two", "sessionGroup": "L16"})
		b := s.browser()
		s.sees(s.signIn(b, "/a/x", "alice"))
		value := strings.TrimPrefix(s.cookieNamed(b, "__Host-one"), "__Host-one=")
		asks := func(path, cookie string) *browser.Page {
			return b.Do(browser.Request{URL: s.url + path, From: s.home(), Fetch: true, NoCookie: true, OneHop: true, Header: http.Header{"Cookie": {cookie}}})
		}
		s.status(asks("/a/x", "__Host-one="+value), http.StatusOK)
		s.untouched(func() {
			s.status(asks("/b/x", "__Host-two="+value), http.StatusUnauthorized)
			s.status(asks("/b/x", "__Host-one="+value), http.StatusUnauthorized)
		})
	})

	// Both have cookies of one name, one key and one store. The MAC of a cookie is of one
	// middleware. Without it the record still would not open, because it is sealed for its
	// middleware. But it could be ended.
	t.Run("F17 a sign-out at another middleware does not end the session of this one", func(t *testing.T) {
		s := newTwo(t, nil, nil)
		b := s.browser()
		s.sees(s.signIn(b, "/a/x", "alice"))
		session := s.cookieNamed(b, cookie)
		s.untouched(func() { s.status(b.Fetch(s.url+"/b/x"), http.StatusUnauthorized) })
		s.status(b.Hop(s.url+"/b/callback/logout"), http.StatusFound)
		p := b.Do(browser.Request{URL: s.url + "/a/x", From: s.home(), Fetch: true, NoCookie: true, OneHop: true, Header: http.Header{"Cookie": {session}}})
		s.status(p, http.StatusOK)
	})

	t.Run("L16 with stripAuthCookies off, cookies pass", func(t *testing.T) {
		s := newTwo(t, map[string]any{"cookiePrefix": "__Host-one", "stripAuthCookies": false}, two)
		b := signedInAtBoth(s)
		for _, name := range []string{"__Host-one", "__Host-two"} {
			if got := s.cookiesOf(b, "/a/x"); !strings.Contains(got, s.cookieNamed(b, name)) {
				t.Errorf("the backend saw %q", got)
			}
		}
		if got := s.cookiesOf(b, "/b/x"); got != "theme=dark" {
			t.Errorf("the other backend saw %q", got)
		}
	})

	t.Run("L17 a name that browsers do not guard is warned of", func(t *testing.T) {
		before := whole.plugin.Log.Len()
		newSite(t, setup{options: map[string]any{"cookiePrefix": "L17"}})
		if text := whole.plugin.Log.Since(before); strings.Count(text, "cookiePrefix: ") != 1 || !strings.Contains(text, "__Host-") || !strings.Contains(text, "level=WARN") {
			t.Errorf("the log: %s", text)
		}
	})
}

// newChain returns one host. Its requests go through middlewares of these options, one
// behind the other. Each sees the requests that the one before it lets pass. Their
// callbacks are /1/callback, /2/callback and so on.
func newChain(t testing.TB, options ...map[string]any) *site {
	t.Helper()
	s := &site{t: t, plugin: loader.Load(t), echo: &backend.Echo{}}
	s.provider = oidctest.New(oidctest.Options{SigningAlg: "ES256", Deliver: browser.Transport(func(address string) string { return s.network[address] })})
	t.Cleanup(s.provider.Close)
	var h http.Handler = s.echo
	for i := len(options) - 1; i >= 0; i-- {
		all := optionsFor(s.provider)
		all["callbackURL"] = "/" + string(rune('1'+i)) + "/callback"
		for k, v := range options[i] {
			all[k] = v
		}
		h = s.plugin.New(t, h, t.Name()+"-"+string(rune('1'+i)), all)
	}
	s.serve(h, false)
	return s
}

func TestCookiesInAChain(t *testing.T) {
	first, second, third := map[string]any{"cookiePrefix": "__Host-one"}, map[string]any{"cookiePrefix": "__Host-two"}, map[string]any{"cookiePrefix": "__Host-three"}

	// signedIn goes through all sign-ins that the chain requires.
	signedIn := func(s *site, who string, times int) *browser.Browser {
		b := s.browser()
		for range times {
			s.status(s.comeBack(b, s.callbackFor(b, "/x", who)), http.StatusFound)
		}
		b.Jar.Set(s.home(), "theme", "dark")
		return b
	}

	t.Run("L16 a later middleware finds its own cookie, the backend none", func(t *testing.T) {
		s := newChain(t, first, second, third)
		b := signedIn(s, "alice", 3)
		for range 2 {
			if got := s.cookiesOf(b, "/x"); got != "theme=dark" {
				t.Errorf("the backend saw %q", got)
			}
		}
	})

	t.Run("L16 on a public path of the first, too", func(t *testing.T) {
		s := newChain(t, map[string]any{"cookiePrefix": "__Host-one", "excludedURLs": []any{"/x", "/2"}}, second)
		b := signedIn(s, "alice", 1)
		if got := s.cookiesOf(b, "/x"); got != "theme=dark" {
			t.Errorf("the backend saw %q", got)
		}
	})

	t.Run("L16 on a path that is public for one that shares the session, the next one decides", func(t *testing.T) {
		s := newChain(t, map[string]any{"sessionGroup": "L16", "excludedURLs": []any{"/x", "/2"}}, map[string]any{"sessionGroup": "L16"})
		b := signedIn(s, "alice", 1)
		seen := s.sees(b.Fetch(s.url + "/x"))
		if got := strings.Join(seen.Header["Cookie"], "|"); got != "theme=dark" || seen.Header.Get("X-Forwarded-User") != "alice@example.com" {
			t.Errorf("the backend saw %q of %q", got, seen.Header.Get("X-Forwarded-User"))
		}
		s.untouched(func() { s.status(s.browser().Fetch(s.url+"/x"), http.StatusUnauthorized) })
	})

	t.Run("L16 a middleware that strips nothing gives nothing back", func(t *testing.T) {
		s := newChain(t, first, map[string]any{"cookiePrefix": "__Host-two", "stripAuthCookies": false})
		b := signedIn(s, "alice", 2)
		if got := s.cookiesOf(b, "/x"); got != "theme=dark" {
			t.Errorf("the backend saw %q", got)
		}
	})

	t.Run("L16 a sign-out of a later middleware ends its session", func(t *testing.T) {
		s := newChain(t, first, second)
		b := signedIn(s, "alice", 2)
		own := s.cookieNamed(b, "__Host-one") + "; " + s.cookieNamed(b, "__Host-two")
		s.status(b.Hop(s.url+"/2/callback/logout"), http.StatusFound)
		p := b.Do(browser.Request{URL: s.url + "/x", From: s.home(), Fetch: true, NoCookie: true, OneHop: true, Header: http.Header{"Cookie": {own}}})
		s.status(p, http.StatusUnauthorized)
	})
}
