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

// A link is one part of a chain: a middleware of the plugin, or one of Traefik that
// changes a path.
type link struct {
	name    string // links of one name are the same middleware
	options map[string]any
	strip   string // StripPrefix with it
	add     string // AddPrefix with it
}

// newLinked returns a host. Its requests go through the links in turn.
func newLinked(t testing.TB, links ...link) *site {
	t.Helper()
	s := &site{t: t, plugin: loader.Load(t), echo: &backend.Echo{}}
	s.provider = oidctest.New(oidctest.Options{
		SigningAlg: "ES256", Clients: []oidctest.Client{{ID: "other", Secret: "secret"}},
		Deliver: browser.Transport(func(address string) string { return s.network[address] }),
	})
	t.Cleanup(s.provider.Close)
	var h http.Handler = s.echo
	for i := len(links) - 1; i >= 0; i-- {
		l := links[i]
		switch {
		case l.strip != "":
			h = stripPrefix(l.strip, h)
		case l.add != "":
			h = addPrefix(l.add, h)
		default:
			all := optionsFor(s.provider)
			for k, v := range l.options {
				all[k] = v
			}
			h = s.plugin.New(t, h, t.Name()+"-"+l.name, all)
		}
	}
	s.serve(h, false)
	return s
}

// stripPrefix and addPrefix act like Traefik's middlewares of these names.
func stripPrefix(prefix string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix); ok {
			r.URL.Path = "/" + strings.TrimPrefix(rest, "/")
			r.URL.RawPath = ""
			r.Header.Add("X-Forwarded-Prefix", prefix)
			r.RequestURI = r.URL.RequestURI()
		}
		next.ServeHTTP(w, r)
	})
}

func addPrefix(prefix string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = prefix + r.URL.Path
		r.RequestURI = r.URL.RequestURI()
		next.ServeHTTP(w, r)
	})
}

// goesOn sends requests of every kind that a browser with a session makes. There are
// more of them than a handler marks if it takes itself for the last of its chain.
func (s *site) goesOn(b *browser.Browser, path, who string) {
	s.t.Helper()
	for i := range 250 {
		seen := s.sees(b.Fetch(s.url + path))
		if got := seen.Header.Get("X-Forwarded-User"); got != who || seen.Header.Get("Cookie") != "" {
			s.t.Fatalf("request %d: of %q, with %q", i, got, seen.Header["Cookie"])
		}
	}
	s.sees(b.Open(s.url + path))
}

func TestChains(t *testing.T) {
	const alice = "alice@example.com"

	t.Run("L23 the same middleware twice", func(t *testing.T) {
		s := newLinked(t, link{name: "m"}, link{name: "m"})
		b := s.signedIn("alice")
		s.goesOn(b, "/x", alice)
		s.untouched(func() { s.status(s.browser().Fetch(s.url+"/x"), http.StatusUnauthorized) })
	})

	t.Run("L23 the same middleware three times", func(t *testing.T) {
		s := newLinked(t, link{name: "m"}, link{name: "m"}, link{name: "m"})
		s.goesOn(s.signedIn("alice"), "/x", alice)
	})

	t.Run("L23 the same middleware before and behind a StripPrefix", func(t *testing.T) {
		options := map[string]any{"excludedURLs": []any{"/public"}}
		s := newLinked(t, link{name: "m", options: options}, link{strip: "/public"}, link{name: "m", options: options})
		s.untouched(func() { s.status(s.browser().Fetch(s.url+"/public/admin"), http.StatusUnauthorized) })
		if seen := s.sees(s.browser().Fetch(s.url + "/public/public/x")); seen.Path != "/public/x" {
			t.Errorf("the backend saw %s", seen.Path)
		}
		b := s.browser()
		if seen := s.sees(s.signIn(b, "/public/admin", "alice")); seen.Path != "/admin" {
			t.Errorf("the sign-in leads to %s", seen.Path)
		}
		s.goesOn(b, "/public/admin", alice)
		s.goesOn(b, "/x", alice)
	})

	t.Run("L23 a path that is public for the later one only", func(t *testing.T) {
		options := map[string]any{"excludedURLs": []any{"/public"}}
		s := newLinked(t, link{name: "m", options: options}, link{strip: "/app"}, link{name: "m", options: options})
		s.untouched(func() { s.status(s.browser().Fetch(s.url+"/app/public/x"), http.StatusUnauthorized) })
		b := s.signedIn("alice")
		seen := s.sees(b.Fetch(s.url + "/app/public/x"))
		if seen.Path != "/public/x" || len(seen.Header["Cookie"]) != 0 {
			t.Errorf("the backend saw %s with %q", seen.Path, seen.Header["Cookie"])
		}
	})

	for name, callback := range map[string]string{"callbackURL without the prefix": "/oidc/callback", "callbackURL with the prefix": "/app/oidc/callback", "a URL as callbackURL": "https://" + appHost + "/oidc/callback"} {
		t.Run("L39 L23 a sign-in that begins behind a StripPrefix, "+name, func(t *testing.T) {
			options := map[string]any{"callbackURL": callback, "logoutURL": "/oidc/out", "excludedURLs": []any{"/app/public"}}
			s := newLinked(t, link{name: "m", options: options}, link{strip: "/app"}, link{name: "m", options: options})
			b := s.browser()
			s.untouched(func() { s.status(b.Fetch(s.url+"/app/public/x"), http.StatusUnauthorized) })
			p := b.Hop(s.url + "/app/public/x")
			if got := p.Location().Query().Get("redirect_uri"); got != s.url+callback && got != callback {
				t.Errorf("the redirect URI is %q", got)
			}
			if seen := s.sees(s.follows(b, s.url+"/app/public/x")); seen.Path != "/public/x" {
				t.Errorf("the backend saw %s", seen.Path)
			}
			s.goesOn(b, "/app/public/x", alice)
			s.goesOn(b, "/app/x", alice)
			s.untouched(func() { s.status(s.browser().Fetch(s.url+"/app/public/x"), http.StatusUnauthorized) })
		})
	}

	t.Run("L39 L23 a later middleware of another cookie", func(t *testing.T) {
		s := newLinked(t, link{name: "m", options: map[string]any{"sessionGroup": t.Name(), "excludedURLs": []any{"/app/public"}}}, link{strip: "/app"},
			link{name: "other", options: map[string]any{"sessionGroup": t.Name(), "cookiePrefix": "__Host-other", "callbackURL": "/two/callback"}})
		before := s.plugin.Log.Len()
		s.untouched(func() {
			s.status(s.browser().Fetch(s.url+"/app/public/x"), http.StatusUnauthorized)
			s.endsWith(s.follows(s.browser(), s.url+"/app/public/x"), before, http.StatusBadRequest, "misplaced_callback",
				t.Name()+`-m\" sees`, t.Name()+`-other\"`, `\"/app/two/callback\"`, `\"/two/callback\"`, `\"/oidc/callback\"`, "StripPrefix", "cookiePrefix", "cookieDomain")
		})
	})

	for name, cookies := range map[string]map[string]any{"of one cookie": nil, "of two cookies": {"cookiePrefix": "__Host-strict"}} {
		t.Run("L23 everybody may pass the first and few the second, "+name, func(t *testing.T) {
			everybody := map[string]any{"sessionGroup": t.Name()}
			few := map[string]any{"sessionGroup": t.Name(), "allowedUsers": []any{alice}}
			for k, v := range cookies {
				few[k] = v
			}
			s := newLinked(t, link{name: "any", options: everybody}, link{name: "strict", options: few})
			s.goesOn(s.signedIn("alice"), "/x", alice)
			b := s.browser()
			s.untouched(func() {
				s.status(s.signIn(b, "/x", "bob"), http.StatusForbidden)
				for range 250 {
					s.status(b.Fetch(s.url+"/x"), http.StatusForbidden)
				}
			})
		})
	}

	t.Run("L23 few may pass the first and everybody the second", func(t *testing.T) {
		s := newLinked(t, link{name: "strict", options: map[string]any{"sessionGroup": t.Name(), "allowedUsers": []any{alice}}},
			link{name: "any", options: map[string]any{"sessionGroup": t.Name()}})
		b := s.browser()
		s.untouched(func() { s.status(s.signIn(b, "/x", "bob"), http.StatusForbidden) })
		s.goesOn(s.signedIn("alice"), "/x", alice)
	})

	t.Run("L23 a sign-out at the later one ends the session of both", func(t *testing.T) {
		s := newLinked(t, link{name: "1", options: map[string]any{"sessionGroup": t.Name(), "logoutURL": "/1/out"}},
			link{name: "2", options: map[string]any{"sessionGroup": t.Name(), "logoutURL": "/2/out", "cookiePrefix": "__Host-two"}})
		b := s.signedIn("alice")
		session := s.cookieNamed(b, cookie)
		s.status(b.Hop(s.url+"/2/out"), http.StatusFound)
		p := b.Do(browser.Request{URL: s.url + "/x", From: s.home(), Fetch: true, NoCookie: true, OneHop: true, Header: http.Header{"Cookie": {session}}})
		s.status(p, http.StatusUnauthorized)
	})

	t.Run("L23 a middleware of another client signs in on its own", func(t *testing.T) {
		s := newLinked(t, link{name: "A"}, link{name: "B", options: map[string]any{
			"clientID": "other", "cookiePrefix": "__Host-other", "callbackURL": "/other/callback",
		}})
		b := s.browser()
		s.status(s.comeBack(b, s.callbackFor(b, "/x", "alice")), http.StatusFound)
		s.untouched(func() { s.status(b.Fetch(s.url+"/x"), http.StatusUnauthorized) })
		s.sees(s.signIn(b, "/x", "bob"))
		s.goesOn(b, "/x", "bob@example.com")
	})

	t.Run("L23 neither a client nor a header can replace a passage", func(t *testing.T) {
		s := newLinked(t, link{name: "public", options: map[string]any{"sessionGroup": t.Name(), "excludedURLs": []any{"/x"}, "cookiePrefix": "__Host-one"}},
			link{name: "strict", options: map[string]any{"sessionGroup": t.Name()}})
		b := s.browser()
		s.status(s.comeBack(b, s.callbackFor(b, "/y", "alice")), http.StatusFound)
		value := strings.TrimPrefix(s.cookieNamed(b, "__Host-one"), "__Host-one=")
		s.untouched(func() {
			for _, sent := range []string{"__Host-one=" + value, cookie + "=" + value} {
				p := b.Do(browser.Request{URL: s.url + "/x", From: s.home(), Fetch: true, NoCookie: true, OneHop: true, Header: http.Header{
					"Cookie": {sent}, "X-Forwarded-User": {alice}, "Traefikoidc": {value},
				}})
				s.status(p, http.StatusUnauthorized)
			}
		})
	})
}
