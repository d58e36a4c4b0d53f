package interpreted

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// TestCallbacksAreUsedOnce has a callback and the browser's cookies used twice. The code
// is sent once, however late the second try is. A request cannot show that the marker
// outlives the sign-in, because the state has expired by then.
func TestCallbacksAreUsedOnce(t *testing.T) {
	s := newMovable(t, setup{})
	copyOf := func(b *browser.Browser) *browser.Browser {
		c := s.browser()
		for _, name := range b.Jar.Names(s.home()) {
			value, _ := b.Jar.Get(s.home(), name)
			c.Jar.Set(s.home(), name, value)
		}
		return c
	}
	for _, after := range []time.Duration{0, 2 * time.Second, 5 * time.Minute, 10*time.Minute - 10*time.Second} {
		t.Run("B3 again after "+after.String(), func(t *testing.T) {
			s := s.in(t)
			b := s.browser()
			callback := s.callbackFor(b, "/page", "alice")
			thief := copyOf(b)
			s.status(s.comeBack(b, callback), http.StatusFound)
			s.pass(after)
			s.withoutTokenCall(func() {
				if p := s.comeBack(thief, callback); !s.toProvider(p) {
					t.Errorf("status %d to %q, want a new sign-in", p.Status, p.Header.Get("Location"))
				}
			})
			s.noSession(thief)
		})
	}
	t.Run("B3 with another code", func(t *testing.T) {
		s := s.in(t)
		b := s.browser()
		callback := s.callbackFor(b, "/page", "alice")
		thief := copyOf(b)
		s.status(s.comeBack(b, callback), http.StatusFound)
		code := s.callbackFor(s.browser(), "/other", "bob").Query().Get("code")
		before := s.provider.Count(oidctest.Token)
		p := s.comeBack(thief, edited(callback, func(q url.Values) { q.Set("code", code) }))
		if n := s.provider.Count(oidctest.Token) - before; n != 0 || !s.toProvider(p) {
			t.Errorf("status %d, the token endpoint was called %d times", p.Status, n)
		}
		s.noSession(thief)
	})
}
