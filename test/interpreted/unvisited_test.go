package interpreted

import (
	"net/http"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// unasked are headers of requests that browsers make without an action of the user, by a
// name.
var unasked = map[string]http.Header{
	"a prefetch":                       {"Sec-Purpose": {"prefetch"}},
	"a prerender":                      {"Sec-Purpose": {"prefetch;prerender"}},
	"a prefetch through a proxy":       {"Sec-Purpose": {"prefetch;anonymous-client-ip"}},
	"a link's prefetch":                {"Sec-Purpose": {"prefetch"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Mode": {"no-cors"}},
	"a prefetch in two lines":          {"Sec-Purpose": {"", "prefetch"}},
	"an older browser's prefetch":      {"Purpose": {"prefetch"}, "Sec-Fetch-Dest": nil, "Sec-Fetch-Mode": nil, "Sec-Fetch-Site": nil},
	"an older Firefox's prefetch":      {"X-Moz": {"prefetch"}, "Sec-Fetch-Dest": nil, "Sec-Fetch-Mode": nil, "Sec-Fetch-Site": nil},
	"an older Safari's preview":        {"X-Purpose": {"preview"}, "Sec-Fetch-Dest": nil, "Sec-Fetch-Mode": nil, "Sec-Fetch-Site": nil},
	"an older browser's image":         {"Accept": {"image/webp,image/*,*/*;q=0.8"}, "Sec-Fetch-Dest": nil, "Sec-Fetch-Mode": nil, "Sec-Fetch-Site": nil},
	"an older browser's style sheet":   {"Accept": {"text/css,*/*;q=0.1"}, "Sec-Fetch-Dest": nil, "Sec-Fetch-Mode": nil, "Sec-Fetch-Site": nil},
	"something that nobody heard of":   {"Sec-Fetch-Dest": {"hologram"}},
	"a prefetch of a page in capitals": {"Purpose": {"PREFETCH"}},
}

func init() {
	for _, to := range []string{
		"audio", "audioworklet", "embed", "fencedframe", "font", "image", "json", "manifest", "object", "paintworklet", "report", "script",
		"serviceworker", "sharedworker", "speculationrules", "style", "track", "video", "webidentity", "worker", "xslt",
	} {
		unasked["for "+to] = http.Header{"Sec-Fetch-Dest": {to}, "Sec-Fetch-Mode": {"no-cors"}}
	}
}

// changesNothing fails the test unless the response is an error that sets no cookie and
// that no cache may keep.
func (s *site) changesNothing(name string, p *browser.Page) {
	s.t.Helper()
	if p.Status < 400 || p.Status > 499 || p.Header["Set-Cookie"] != nil || p.Header.Get("Cache-Control") != "no-store" {
		s.t.Errorf("%s: status %d, %v", name, p.Status, p.Header)
	}
}

func TestRequestsWithoutAUser(t *testing.T) {
	whole := newSite(t, setup{})

	t.Run("L18 I1 signs nobody out", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		revoked := s.provider.Count(oidctest.Revocation)
		for name, header := range unasked {
			for _, from := range []string{s.url + "/page", ""} {
				r := browser.Request{URL: s.url + logoutPath, Header: header, OneHop: true}
				if from != "" {
					r.From = s.parse(from)
				}
				s.changesNothing(name, b.Do(r))
			}
		}
		s.changesNothing("a link that was followed", b.Do(browser.Request{
			Method: "POST", URL: s.url + logoutPath, From: s.home(), Body: "PING", OneHop: true, Header: http.Header{"Content-Type": {"text/ping"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Mode": {"no-cors"}},
		}))
		s.status(b.Fetch(s.url+"/still"), http.StatusOK)
		if n := s.provider.Count(oidctest.Revocation) - revoked; n != 0 {
			t.Errorf("%d tokens were revoked", n)
		}
	})

	t.Run("L18 a sign-out by a user or a page's script still works", func(t *testing.T) {
		s := whole.in(t)
		for name, r := range map[string]browser.Request{
			"a link": {From: s.home()}, "fetch": {From: s.home(), Fetch: true}, "a frame of the same site": {From: s.home(), Frame: true},
			"a form": {From: s.home(), Method: "POST", Body: "x=1"}, "the address bar": {},
			"an API client": {Header: http.Header{"Accept": {"*/*"}, "Sec-Fetch-Dest": nil, "Sec-Fetch-Mode": nil, "Sec-Fetch-Site": nil}},
		} {
			b := s.signedIn("alice")
			copied := s.value(b)
			r.URL, r.OneHop = s.url+logoutPath, true
			if p := b.Do(r); p.Status != http.StatusFound {
				t.Errorf("%s: status %d", name, p.Status)
			}
			s.status(s.withCookies(cookie+"="+copied), http.StatusUnauthorized)
		}
	})

	t.Run("L18 I1 over http, where browsers send less", func(t *testing.T) {
		s := newSite(t, setup{plain: true})
		b := s.signedIn("alice")
		for name, accept := range map[string]string{"an image": "image/avif,image/webp,*/*;q=0.8", "a style sheet": "text/css,*/*;q=0.1", "a video": "video/webm,*/*;q=0.5"} {
			s.changesNothing(name, b.Do(browser.Request{
				URL: s.url + logoutPath, From: s.home(), OneHop: true, Header: http.Header{"Accept": {accept}, "Referer": {s.url + "/"}},
			}))
		}
		s.status(b.Fetch(s.url+"/still"), http.StatusOK)
		s.status(b.Do(browser.Request{URL: s.url + logoutPath, From: s.home(), OneHop: true}), http.StatusFound)
	})

	t.Run("L18 B7 begins no sign-in", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		for name, header := range unasked {
			if header["Sec-Fetch-Dest"] != nil {
				continue // such as an object, which is a page in a page
			}
			s.changesNothing(name, b.Do(browser.Request{URL: s.url + "/page", From: s.home(), Header: header, OneHop: true}))
		}
		if p := b.Hop(s.url + "/page"); !s.toProvider(p) {
			t.Errorf("the visit: status %d", p.Status)
		}
	})

	t.Run("L18 uses up no callback", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		callback := s.callbackFor(b, "/page", "alice")
		s.withoutTokenCall(func() {
			for name, header := range unasked {
				s.changesNothing(name, b.Do(browser.Request{URL: callback.String(), From: s.parse(s.provider.URL() + "/op/"), Header: header, OneHop: true}))
			}
		})
		s.status(s.comeBack(b, callback), http.StatusFound)
		s.status(b.Fetch(s.url+"/page"), http.StatusOK)
	})
}
