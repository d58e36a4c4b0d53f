package interpreted

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// frame opens the front channel in a frame of a page of the provider. The browser
// sends no cookie there, as the provider is another site.
func (s *site) frame(b *browser.Browser, q url.Values) *browser.Page {
	s.t.Helper()
	return b.Do(browser.Request{URL: s.url + frontPath + "?" + q.Encode(), From: s.parse(s.provider.URL() + "/op/end_session"), Frame: true, OneHop: true})
}

// framed fails the test unless only the provider may show the page in a frame, and
// nobody may store it.
func (s *site) framed(p *browser.Page) {
	s.t.Helper()
	policy := p.Header.Get("Content-Security-Policy")
	_, ancestors, _ := strings.Cut(policy, "frame-ancestors ")
	ancestors, _, _ = strings.Cut(ancestors, ";")
	if strings.TrimSpace(ancestors) != s.provider.URL() || p.Header.Get("X-Frame-Options") != "" {
		s.t.Errorf("framing: Content-Security-Policy %q, X-Frame-Options %q", policy, p.Header.Get("X-Frame-Options"))
	}
	if !strings.Contains(p.Header.Get("Cache-Control"), "no-store") {
		s.t.Errorf("Cache-Control %q", p.Header.Get("Cache-Control"))
	}
}

// named are the parameters that the provider puts into a frame's address.
func (s *site) named(m member) url.Values {
	return url.Values{"iss": {s.provider.URL()}, "sid": {m.sid}}
}

var frameTag = regexp.MustCompile(`<iframe src="([^"]*)"`)

func TestFrontchannelLogout(t *testing.T) {
	whole := newMovable(t, setup{})

	t.Run("BL21 the provider's frame ends the session, without a cookie", func(t *testing.T) {
		s := whole.in(t)
		m, other, bob := s.member("alice"), s.member("alice"), s.member("bob")
		p := s.frame(m.Browser, s.named(m))
		s.status(p, http.StatusOK)
		s.framed(p)
		if p.Hops[0].Sent.Get("Cookie") != "" {
			t.Fatal("the browser sent a cookie")
		}
		s.gone(m)
		s.alive(other, bob)
	})

	for _, row := range []struct {
		name   string
		edit   func(q url.Values)
		status int // zero: 200 or 400
	}{
		{"BL21 no iss", func(q url.Values) { q.Del("iss") }, http.StatusBadRequest},
		{"BL21 another iss", func(q url.Values) { q.Set("iss", "https://evil.test") }, http.StatusBadRequest},
		{"BL21 iss with a slash more", func(q url.Values) { q.Set("iss", q.Get("iss")+"/") }, http.StatusBadRequest},
		{"BL21 an empty iss", func(q url.Values) { q.Set("iss", "") }, http.StatusBadRequest},
		{"BL21 iss twice", func(q url.Values) { q["iss"] = []string{q.Get("iss"), "https://evil.test"} }, http.StatusBadRequest},
		{"BL21 no sid", func(q url.Values) { q.Del("sid") }, http.StatusBadRequest},
		{"BL21 an empty sid", func(q url.Values) { q.Set("sid", "") }, http.StatusBadRequest},
		{"BL21 sid twice", func(q url.Values) { q["sid"] = append(q["sid"], "x") }, http.StatusBadRequest},
		{"BL21 neither", func(q url.Values) { q.Del("iss"); q.Del("sid") }, http.StatusBadRequest},
		{"BL21 a sid of nobody", func(q url.Values) { q.Set("sid", q.Get("sid")+"0") }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			m := s.member("alice")
			q := s.named(m)
			row.edit(q)
			for _, r := range []browser.Request{
				{From: s.parse(s.provider.URL() + "/op/"), Frame: true}, // cross-site: no cookie
				{From: s.home(), Frame: true},                           // with the session's own cookie
				{},                                                      // typed
			} {
				r.URL, r.OneHop = s.url+frontPath+"?"+q.Encode(), true
				p := m.Do(r)
				if p.Status != row.status && (row.status != 0 || p.Status != http.StatusOK && p.Status != http.StatusBadRequest) {
					t.Errorf("status %d: %s", p.Status, p.Body)
				}
				if !strings.Contains(p.Header.Get("Cache-Control"), "no-store") || strings.Contains(string(p.Body), "evil.test") {
					t.Errorf("%v: %s", p.Header, p.Body)
				}
			}
			s.alive(m)
			s.status(s.frame(m.Browser, s.named(m)), http.StatusOK)
			s.gone(m)
		})
	}

	t.Run("BL21 no token is revoked at a client's request", func(t *testing.T) {
		s := whole.in(t)
		m := s.member("alice")
		before := s.provider.Count(oidctest.Revocation)
		s.status(s.frame(m.Browser, s.named(m)), http.StatusOK)
		s.gone(m)
		if n := s.provider.Count(oidctest.Revocation) - before; n != 0 {
			t.Errorf("%d revocations", n)
		}
	})

	t.Run("K1 BL21 made-up sids drive out no session and no tombstone", func(t *testing.T) {
		s := newMovable(t, setup{options: map[string]any{"redis": map[string]any{"hybridL1Size": "20"}}})
		alice, bob := s.member("alice"), s.member("bob")
		s.taken(s.tell(s.token(bob, nil)))
		stranger := s.browser()
		for i := range 200 {
			s.status(s.frame(stranger, url.Values{"iss": {s.provider.URL()}, "sid": {fmt.Sprint("made-up-", i)}}), http.StatusOK)
		}
		s.alive(alice)
		s.gone(bob)
	})

	t.Run("BL21 a sid of nobody keeps nobody from signing in with it", func(t *testing.T) {
		s := newMovable(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.SessionIDs = oidctest.PersonalSessionIDs })
		stranger := s.browser()
		for range 3 {
			s.status(s.frame(stranger, url.Values{"iss": {s.provider.URL()}, "sid": {"sid-of-alice"}}), http.StatusOK)
			m := s.member("alice")
			if m.sid != "sid-of-alice" {
				t.Fatalf("the sid is %q", m.sid)
			}
			s.alive(m)
		}
		if n := s.provider.Count(oidctest.Token); n != 3 {
			t.Errorf("3 sign-ins took %d", n)
		}
	})

	t.Run("BL21 methods", func(t *testing.T) {
		s := whole.in(t)
		m := s.member("alice")
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			s.untouched(func() {
				s.status(m.Do(browser.Request{Method: method, URL: s.url + frontPath + "?" + s.named(m).Encode(), From: s.home(), OneHop: true}), http.StatusMethodNotAllowed)
			})
		}
		s.alive(m)
	})

	t.Run("BL21 headers that forbid frames do not reach this page", func(t *testing.T) {
		s := newMovable(t, setup{options: map[string]any{"securityHeaders": map[string]any{"enabled": true, "profile": "strict"}}})
		m := s.member("alice")
		p := s.frame(m.Browser, s.named(m))
		s.status(p, http.StatusOK)
		s.framed(p)
		s.gone(m)
	})

	t.Run("BL21 BL22 there although all that is around it is excluded", func(t *testing.T) {
		s := newLive(t, loader.Load(t), channels(nil))
		m := s.member("alice")
		s.reload(channels(map[string]any{"excludedURLs": []any{"/oidc"}}))
		s.untouched(func() {
			s.status(s.frame(m.Browser, s.named(m)), http.StatusOK)
			s.status(s.frame(m.Browser, nil), http.StatusBadRequest)
		})
		s.reload(channels(nil))
		s.gone(m)
	})

	t.Run("BL21 off, the path is one like any other", func(t *testing.T) {
		s := newSite(t, setup{})
		b := s.browser()
		if p := s.frame(b, url.Values{"iss": {s.provider.URL()}, "sid": {"x"}}); p.Status == http.StatusOK {
			t.Errorf("status %d", p.Status)
		}
	})

	t.Run("BL21 a sign-out at the provider", func(t *testing.T) {
		s := newMovable(t, setup{provider: oidctest.Options{FrontchannelLogoutURI: "https://" + appHost + frontPath}})
		m := s.member("alice")
		page := m.Do(browser.Request{URL: s.provider.Endpoint(oidctest.EndSession), OneHop: true})
		frames := s.framesOf(m.Browser, page)
		if len(frames) != 1 {
			t.Fatalf("%d frames in %s", len(frames), page.Body)
		}
		s.status(frames[0], http.StatusOK)
		s.gone(m)
	})
}

// framesOf opens the frames of a page.
func (s *site) framesOf(b *browser.Browser, page *browser.Page) (frames []*browser.Page) {
	s.t.Helper()
	for _, m := range frameTag.FindAllStringSubmatch(string(page.Body), -1) {
		frames = append(frames, b.Do(browser.Request{URL: html.UnescapeString(m[1]), From: page.URL, Frame: true, OneHop: true}))
	}
	return frames
}
