package auth

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// startPage is the beginning of the log's line about a sign-in that leads there.
const startPage = "the sign-in leads to the start page"

// grafana returns a link of n bytes, with the characters that Grafana escapes and those
// that clients may leave as they are.
func grafana(n int) string {
	const link = `/explore?schemaVersion=1&panes=%7B%22a1b%22:{"datasource":"P8E80F9AEF21F6940","queries":[{"expr":"{job=%5C%22x%5C%22}|="}]}&x=`
	return link + strings.Repeat("{", 100) + strings.Repeat("a", n-len(link)-100)
}

// reasoned runs f and fails the test unless the log has one line more about the start
// page, with the reason; none for an empty reason.
func (s *site) reasoned(reason string, f func()) {
	s.Helper()
	before := len(s.log.String())
	f()
	lines := s.log.String()[before:]
	want := 1
	if reason == "" {
		want = 0
	}
	if strings.Count(lines, startPage) != want || !strings.Contains(lines, reason) {
		s.Errorf("want %d lines with %q: %s", want, reason, lines)
	}
}

func TestLongReturnTargets(t *testing.T) {
	s := newSite(t, nil)
	for _, row := range []struct {
		name, target, reason string
	}{
		{"A15 a link of 1,000 bytes", grafana(1000), ""},
		{"A15 a link of 1,001 bytes", grafana(1001), ""},
		{"A15 a link of 1.5 KB", grafana(1500), ""},
		{"A15 a link of 2,000 bytes", grafana(2000), ""},
		{"A15 a link of 2,001 bytes", grafana(2001), "its address has 2001 bytes, and at most 2000"},
		{"A15 a path of 2,000 bytes", "/" + strings.Repeat("x", 1999), ""},
		{"A15 a path of 2,001 bytes", "/" + strings.Repeat("x", 2000), "its address has 2001 bytes"},
		{"A2 no path", "/%5Cevil.example/", "another site"},
	} {
		t.Run(row.name, func(t *testing.T) {
			want, ok := policy.ReturnTarget(row.target, policy.MaxSignInTarget)
			if ok != (row.reason == "") {
				t.Fatalf("a return target: %v", ok)
			}
			if !ok {
				want = "/"
			}
			b := s.browser()
			s.reasoned(row.reason, func() {
				s.leads(b.open(b.callbackFor(row.target, "alice")), want)
			})
			if len(b.jar) != 2 {
				t.Errorf("cookies after the sign-in: %v", b.jar)
			}
		})
	}
	target := strings.NewReplacer(`"`, "%22", "{", "%7B", "}", "%7D", "|", "%7C").Replace(grafana(1500))

	t.Run("B3 a callback that comes twice", func(t *testing.T) {
		b := s.browser()
		callback := b.callbackFor(target, "alice")
		login := b.jarCopy()
		s.leads(b.open(callback), target)
		s.reasoned("the cookie with the page's address", func() { s.leads(b.open(callback), "/") })
		for name, value := range login { // as two requests at once would have it
			b.jar[name] = value
		}
		s.leads(b.open(callback), target)
	})
	t.Run("B7 a sign-in whose own cookie is gone", func(t *testing.T) {
		b := s.browser()
		callback := b.callbackFor(target, "alice")
		for name := range b.jar {
			if !strings.Contains(name, "target-") {
				delete(b.jar, name)
			}
		}
		s.reasoned("", func() { s.leads(b.open(b.provided(b.open(callback), "alice")), target) })
	})
	t.Run("L30 the cookie with the target is gone", func(t *testing.T) {
		b := s.browser()
		callback := b.callbackFor(target, "alice")
		for name := range b.jar {
			if strings.Contains(name, "target-") {
				delete(b.jar, name)
			}
		}
		s.reasoned("the cookie with the page's address", func() { s.leads(b.open(callback), "/") })
	})
	t.Run("L30 the cookie with the target is altered", func(t *testing.T) {
		b := s.browser()
		callback := b.callbackFor(target, "alice")
		for name := range b.jar {
			if strings.Contains(name, "target-") {
				b.jar[name] = b.jar[name][:500] + "AAAA" + b.jar[name][504:]
			}
		}
		s.reasoned("the cookie with the page's address", func() { s.leads(b.open(callback), "/") })
	})
	t.Run("a page that says no leads on to it", func(t *testing.T) {
		b := s.browser()
		callback := edited(b.callbackFor(target, "alice"), func(q url.Values) { q.Set("error", "access_denied") })
		if page := s.says(b.open(callback), http.StatusForbidden, "access_denied"); !strings.Contains(page, strings.ReplaceAll(target, "&", "&amp;")) {
			t.Errorf("no way on in %s", page)
		}
	})
	t.Run("a sign-out that is followed by a sign-in", func(t *testing.T) {
		b := s.browser()
		to := s.anotherAccount(target)
		r := b.request(http.MethodGet, to, nil)
		if got, ok := s.accountTarget(r); !ok || got != target {
			t.Errorf("%q leads to %q", to, got)
		}
		s.reasoned("its address has 2001 bytes", func() {
			s.accountTarget(b.request(http.MethodGet, s.anotherAccount("/"+strings.Repeat("x", 2000)), nil))
		})
	})
}

// sealed returns a callback of a sign-in to a target that no request can name. A
// sign-in of another version could have such a target.
func (b *browser) sealed(m *Middleware, target string) string {
	b.Helper()
	g, err := m.logins.Start(nil, target, 0, session.AnyAccount)
	if err != nil {
		b.Fatal(err)
	}
	r := b.request(http.MethodGet, "/", nil)
	to, err := m.o.Provider.AuthURL(context.Background(), oidc.AuthRequest{
		RedirectURI: m.callbackAddress(r), State: g.State, Nonce: g.Nonce, Verifier: g.Verifier, Scopes: m.o.Scopes,
	})
	if err != nil {
		b.Fatal(err)
	}
	cookies, err := m.logins.Set(g, r)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range cookies {
		b.jar[c.Name] = c.Value
	}
	u, err := b.provider.Visit(to, "alice")
	if err != nil {
		b.Fatal(err)
	}
	return u.RequestURI()
}

func TestTargetsThatWereSealed(t *testing.T) {
	s := newSite(t, nil)
	tail := strings.Repeat("x", 1200)
	for _, row := range []struct {
		name    string
		targets []string
	}{
		{"L31 A1 slashes", []string{"/%2Fevil.example/", "/.//evil.example/"}},
		{"L31 A2 backslashes", []string{`/\evil.example/`, `\\evil.example/`, "/%5Cevil.example/"}},
		{"L31 A3 control characters", []string{"/\t/evil.example/", "/\r\nSet-Cookie: a=b;x=", "/%0d%0a/evil.example/"}},
		{"L31 A4 dot segments", []string{"/a/..//evil.example/", "/./\\evil.example/"}},
		{"L31 A5 A6 another site", []string{"https://evil.example/", "http://" + siteHost + "/", "https://" + siteHost + "@evil.example/", "evil.example/"}},
		{"L31 A7 another scheme", []string{"javascript:alert(1)//", "data:text/html,/"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, target := range row.targets {
				for _, more := range []string{"", tail} {
					b := s.browser()
					callback := b.sealed(s.Middleware, target+more)
					s.reasoned("not a page of this site", func() { s.leads(b.open(callback), "/") })
				}
			}
		})
	}
	t.Run("L31 A17 our own paths", func(t *testing.T) {
		b := s.browser()
		s.leads(b.open(b.sealed(s.Middleware, logoutPath+"?x="+tail)), "/")
	})
	t.Run("L31 A1 more slashes become one", func(t *testing.T) {
		b := s.browser()
		s.leads(b.open(b.sealed(s.Middleware, "//evil.example/"+tail)), "/evil.example/"+tail)
	})
}

func TestSealedTargetsOfHostsOfTheDomain(t *testing.T) {
	s := newSite(t, nil)
	m := s.another(func(o *Options) {
		o.CallbackURL = "https://" + siteHost + callbackPath
		o.Cookies = session.Cookies{Name: "__Secure-oidc", Domain: "example.com", Secure: true}
	})
	h := m.Handler(http.HandlerFunc(s.backend))
	tail := strings.Repeat("x", 1200)
	for target, want := range map[string]string{
		"https://other.example.com/" + tail:          "https://other.example.com/" + tail,
		"https://other.example.com:8443/a?b=" + tail: "https://other.example.com:8443/a?b=" + tail,
		"/" + tail:                               "/" + tail,
		"https://evil.example/" + tail:           "/",
		"https://other.example.com//" + tail:     "https://other.example.com/" + tail,
		"https://other.example.com/\\" + tail:    "/",
		"https://a@other.example.com/" + tail:    "/",
		"https://evilexample.com/" + tail:        "/",
		"javascript://other.example.com/" + tail: "/",
		"//other.example.com/" + tail:            "/other.example.com/" + tail,
		"https:///" + tail:                       "/",
		"https://other.example.com":              "/",
	} {
		b := s.browser()
		callback := b.sealed(m, target)
		resp := b.send(h, b.request(http.MethodGet, callback, nil))
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("L31 %.60q leads to %.60q, want %.60q", target, got, want)
		}
	}
}
