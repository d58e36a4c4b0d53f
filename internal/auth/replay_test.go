package auth

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// ageing makes entries of the store expire by the test's clock.
func (s *site) ageing() func(o *Options) {
	return func(o *Options) { o.Backend = &fragile{Memory: cache.NewMemory(cache.MemoryOptions{Now: s.now})} }
}

// A callback can be used once, as long as its sign-in lasts. If its code were sent
// again, providers would revoke the victim's first tokens.
func TestACallbackIsUsedOnce(t *testing.T) {
	s := newSite(t, nil)
	first := s.another(s.ageing())
	second := s.another(func(o *Options) { o.Backend = first.o.Backend }) // the other replica
	handlers := []http.Handler{first.Handler(http.HandlerFunc(s.backend)), second.Handler(http.HandlerFunc(s.backend))}

	// copied returns a callback, and the cookies of the browser that it belongs to.
	copied := func(t *testing.T) (string, map[string]string) {
		t.Helper()
		b := s.browser()
		callback := b.provided(b.send(handlers[0], b.request(http.MethodGet, "/page", nil)), "alice")
		return callback, b.jarCopy()
	}
	use := func(h http.Handler, callback string, cookies map[string]string) (*http.Response, *browser) {
		b := s.browser()
		for name, value := range cookies {
			b.jar[name] = value
		}
		return b.send(h, b.request(http.MethodGet, callback, nil)), b
	}
	for _, after := range []time.Duration{0, 2 * time.Second, 5 * time.Minute, 10*time.Minute - 5*time.Second} {
		for i, where := range []string{"here", "at the other replica"} {
			t.Run("B3 again after "+after.String()+", "+where, func(t *testing.T) {
				callback, cookies := copied(t)
				resp, _ := use(handlers[0], callback, cookies)
				s.leads(resp, "/page")
				before := s.provider.Count(oidctest.Token)
				s.turn(after)
				resp, b := use(handlers[i], callback, cookies)
				s.leadsToProvider(resp, b)
				if n := s.provider.Count(oidctest.Token) - before; n != 0 || b.jar[cookieName] != "" {
					t.Errorf("the code was sent %d times more", n)
				}
			})
		}
	}
	t.Run("B3 J11 at a replica whose clock is a minute behind, when its time is over by the others'", func(t *testing.T) {
		behind := s.another(func(o *Options) {
			o.Backend = first.o.Backend
			o.Now = func() time.Time { return s.now().Add(-59 * time.Second) }
		})
		callback, cookies := copied(t)
		resp, _ := use(handlers[0], callback, cookies)
		s.leads(resp, "/page")
		before := s.provider.Count(oidctest.Token)
		s.turn(10*time.Minute + 50*time.Second)
		resp, b := use(behind.Handler(http.HandlerFunc(s.backend)), callback, cookies)
		s.leadsToProvider(resp, b)
		if n := s.provider.Count(oidctest.Token) - before; n != 0 {
			t.Errorf("the code was sent %d times more", n)
		}
	})
	t.Run("B3 when its time is over", func(t *testing.T) {
		callback, cookies := copied(t)
		resp, _ := use(handlers[0], callback, cookies)
		s.leads(resp, "/page")
		before := s.provider.Count(oidctest.Token)
		for _, step := range []time.Duration{10 * time.Minute, 30 * time.Second, 2 * time.Minute} {
			s.turn(step)
			resp, _ := use(handlers[1], callback, cookies)
			s.status(resp, http.StatusBadRequest)
		}
		if n := s.provider.Count(oidctest.Token) - before; n != 0 {
			t.Errorf("the code was sent %d times more", n)
		}
	})
	t.Run("B3 many times at once, at both", func(t *testing.T) {
		callback, cookies := copied(t)
		before := s.provider.Count(oidctest.Token)
		sessions := make([]string, 16)
		var wg sync.WaitGroup
		for i := range sessions {
			wg.Add(1)
			go func(i int) {
				defer wg.Done()
				_, b := use(handlers[i%2], callback, cookies)
				sessions[i] = b.jar[cookieName]
			}(i)
		}
		wg.Wait()
		made := 0
		for _, v := range sessions {
			if v != "" {
				made++
			}
		}
		if n := s.provider.Count(oidctest.Token) - before; n != 1 || made != 1 {
			t.Errorf("the code was sent %d times, %d sessions were made", n, made)
		}
	})
}

// A logout token is used up for as long as it is valid.
func TestALogoutTokenIsUsedOnce(t *testing.T) {
	s := newSite(t, channels)
	m := s.another(func(o *Options) {
		channels(o)
		s.ageing()(o)
	})
	h := m.Handler(http.HandlerFunc(s.backend))
	for _, lasts := range []time.Duration{time.Minute, 30 * time.Minute} {
		token := s.provider.LogoutToken("client", "nobody", "", func(_, c map[string]any) { c["exp"] = s.now().Add(lasts).Unix() })
		s.taken(s.answer(h, delivery(token)))
		for _, after := range []time.Duration{0, 2 * time.Second, lasts - 10*time.Second, 30 * time.Second} {
			t.Run("BL9 after "+after.String()+" more of "+lasts.String(), func(t *testing.T) {
				s.turn(after)
				s.turnedDown(s.answer(h, delivery(token)), http.StatusBadRequest, "invalid_request")
			})
		}
	}
}

// A code of one sign-in is worthless in another. The provider refuses it for its PKCE
// challenge. Without PKCE, its ID token has another nonce.
func TestACodeOfAnotherSignIn(t *testing.T) {
	for _, row := range []struct {
		name    string
		without bool // PKCE
		code    string
	}{
		{"B8 PKCE refuses it", false, "sign_in_refused"},
		{"B8 the nonce refuses it", true, "sign_in_invalid"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, func(o *Options) { o.WithoutPKCE = row.without })
			victim, err := url.Parse(s.browser().callbackFor("/victim", "alice"))
			if err != nil {
				t.Fatal(err)
			}
			b := s.browser()
			injected := edited(b.callbackFor("/mine", "bob"), func(q url.Values) { q.Set("code", victim.Query().Get("code")) })
			resp := b.open(injected)
			s.says(resp, resp.StatusCode, row.code)
			if resp.StatusCode < 400 || b.jar[cookieName] != "" {
				t.Errorf("status %d, cookies %v", resp.StatusCode, b.jar)
			}
		})
	}
}
