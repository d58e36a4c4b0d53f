package interpreted

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// TestLengths fails if a correct guess at a secret makes a response shorter. Nothing is
// compressed. A compressed response of the provider may not be larger uncompressed than
// other responses may be.
func TestLengths(t *testing.T) {
	noise := func(n int) string { return fmt.Sprintf("%0*x", n, n*7919) }
	users := []oidctest.User{
		{Sub: "short", Email: "a@example.com", EmailVerified: true},
		{Sub: "long", Email: strings.Repeat("long", 10) + "@example.com", EmailVerified: true, Groups: []string{noise(9), strings.Repeat("same", 500)}},
		{Sub: "many", Email: "many@example.com", EmailVerified: true, Groups: make([]string, 300), Extra: map[string]any{"x": strings.Repeat("x", 20000)}},
	}
	whole := newSite(t, setup{provider: oidctest.Options{Users: users}})

	t.Run("F16 cookies have one length, for all claims and targets", func(t *testing.T) {
		s := whole.in(t)
		lengths := map[int]bool{}
		for i, q := range users {
			for _, target := range []string{"/", "/" + strings.Repeat("a", 300), "/" + noise(300*(i+1))} {
				b := s.browser()
				start := b.Hop(s.url + target)
				for _, name := range b.Jar.Names(s.home()) {
					value, _ := b.Jar.Get(s.home(), name)
					lengths[-len(name)-len(value)] = true
				}
				s.status(s.comeBack(b, s.provided(b, start, q.Sub)), http.StatusFound)
				lengths[len(s.value(b))] = true
			}
		}
		if len(lengths) != 2 {
			t.Errorf("lengths of sign-in cookies (negative) and session cookies: %v", lengths)
		}
	})
	t.Run("F16 a state is as long as its target", func(t *testing.T) {
		s := whole.in(t)
		state := func(target string) int {
			return len(s.browser().Hop(s.url + target).Location().Query().Get("state"))
		}
		for n := 10; n < 900; n += 97 {
			same, other := state("/"+strings.Repeat("a", n)), state("/"+noise(n))
			if same != other || same < n {
				t.Errorf("targets of %d bytes: states of %d and %d", n+1, same, other)
			}
		}
	})
	t.Run("F16 our own answers are not compressed", func(t *testing.T) {
		s := whole.in(t)
		for name, r := range map[string]browser.Request{
			"a redirect": {URL: s.url + "/"}, "a page": {URL: s.url + "/oidc/callback?state=x&code=x"}, "JSON": {URL: s.url + "/", Fetch: true, From: s.home()},
			"a logout": {URL: s.url + logoutPath},
		} {
			r.OneHop, r.Header = true, http.Header{"Accept-Encoding": {"gzip, deflate, br, zstd"}}
			if p := s.browser().Do(r); p.Header.Get("Content-Encoding") != "" || bytes.HasPrefix(p.Body, []byte("\x1f\x8b")) {
				t.Errorf("%s: Content-Encoding %q: %q", name, p.Header.Get("Content-Encoding"), p.Body)
			}
		}
	})
	for _, row := range []struct {
		name, endpoint string
		options        map[string]any
		statuses       string
	}{
		{"F16 a discovery document that unfolds to 64 MB", oidctest.Discovery, nil, "503"},
		{"F16 keys that unfold to 64 MB", oidctest.JWKS, nil, "503"},
		{"F16 a token response that unfolds to 64 MB", oidctest.Token, nil, "502"},
		{"F16 a userinfo response that unfolds to 64 MB", oidctest.UserInfo, map[string]any{"userinfo": "always"}, "502 503"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: row.options})
			// For userinfo, the uncompressed response is valid except for its size.
			folded := zipped(t, `{"sub":"alice"`+strings.Repeat(" ", 64<<20)+`}`)
			s.provider.Set(func(b *oidctest.Behaviour) {
				b.Faults[row.endpoint] = oidctest.Fault{Status: 200, Type: "application/json", Encoding: "gzip", Body: folded}
			})
			before := allocated()
			b := s.browser()
			p := b.Hop(s.url + "/")
			if row.endpoint != oidctest.Discovery {
				p = s.comeBack(b, s.provided(b, p, "alice"))
			}
			if !strings.Contains(row.statuses, fmt.Sprint(p.Status)) {
				t.Errorf("status %d, want %s: %s", p.Status, row.statuses, p.Body)
			}
			if n := (allocated() - before) >> 20; n > 64 {
				t.Errorf("%d MB were allocated", n)
			}
			s.noSession(b)
		})
	}
	t.Run("F16 a userinfo response that is compressed, of the usual size", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"userinfo": "always"}})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.Faults[oidctest.UserInfo] = oidctest.Fault{Status: 200, Type: "application/json", Encoding: "gzip", Body: zipped(t, `{"sub":"alice"}`)}
		})
		s.sees(s.signIn(s.browser(), "/", "alice"))
	})
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// allocated returns the number of bytes that were ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
