package interpreted

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// TestRefreshByOneOfMany has handlers that share only the store, and so the refresh
// token.
func TestRefreshByOneOfMany(t *testing.T) {
	t.Run("E6 two middlewares that share sessions: one call", func(t *testing.T) {
		group := map[string]any{"sessionGroup": "both"}
		s := newTwoOn(t, movable(t), group, group)
		b := s.browser()
		s.sees(s.signIn(b, "/a/page", "alice"))
		value := cookie + "=" + s.value(b)
		for round := 1; round <= 2; round++ {
			s.expire()
			s.each(50, func(i int) {
				p := s.browser().Do(browser.Request{
					URL: s.url + "/" + "ab"[i%2:i%2+1] + "/page", From: s.home(), Fetch: true, OneHop: true, NoCookie: true, Header: http.Header{"Cookie": {value}},
				})
				if got := s.sees(p).Header.Get("X-Forwarded-User"); got != "alice@example.com" {
					t.Errorf("alice is %q", got)
				}
			})
			eventually.True(t, "the refresh", func() bool { return s.provider.Count(oidctest.Refresh) >= round })
			s.refreshes(round)
		}
	})

	t.Run("E6 K18 a reload in the middle of a token refresh: one call", func(t *testing.T) {
		s := newLive(t, movable(t), channels(nil))
		m := s.member("alice")
		before := s.me(m)
		value := cookie + "=" + s.value(m.Browser)
		used, release := make(chan struct{}), make(chan struct{})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.Faults[oidctest.Refresh] = oidctest.Fault{HoldDone: release, Times: 1}
			b.RefreshResponse = func(map[string]any) { close(used) }
		})
		s.expire()
		done := make(chan int, 2)
		ask := func() { done <- s.withCookies(value).Status }
		go ask()
		<-used
		s.reload(channels(map[string]any{"minimalHeaders": true}))
		go ask()
		close(release)
		for range 2 {
			if status := <-done; status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
		s.refreshed(m, before)
		s.refreshes(1)
	})

	t.Run("F20 token refreshes do not prolong the absolute lifetime, nor set cookies", func(t *testing.T) {
		s := newMovable(t, setup{options: map[string]any{"sessionMaxAge": 1800}})
		m := s.member("alice")
		for range 4 {
			before := s.me(m)
			s.expire()
			p := m.Fetch(s.url + "/")
			if s.sees(p); p.Header.Get("Set-Cookie") != "" {
				t.Errorf("a refresh sets %q", p.Header.Get("Set-Cookie"))
			}
			s.refreshed(m, before)
		}
		s.pass(7 * time.Minute)
		s.gone(m)
	})
}

// TestLogoutsAmongRefreshes has users sign in, have their tokens refreshed, be signed out
// by the provider and come back, all at once. An accepted logout holds from then on, and
// no other session ends.
func TestLogoutsAmongRefreshes(t *testing.T) {
	users, rounds := 12, 5
	if testing.Short() {
		users, rounds = 4, 2
	}
	var accounts []oidctest.User
	for i := range users {
		sub := fmt.Sprintf("user%02d", i)
		accounts = append(accounts, oidctest.User{Sub: sub, Email: sub + "@example.com", EmailVerified: true, Groups: []string{sub + "-0"}})
	}
	s := newMovable(t, setup{provider: oidctest.Options{Users: accounts, JWTAccessTokens: true, AccessLifetime: 20 * time.Second}})
	lasting := make([]member, users)
	s.each(users, func(i int) { lasting[i] = s.member(accounts[i].Sub) })

	s.each(users, func(i int) {
		for range rounds {
			m := s.member(accounts[i].Sub)
			for range 3 {
				s.own(m, s.me(m))
				s.own(lasting[i], s.me(lasting[i]))
			}
			s.delivered(s.token(m, nil))
			s.status(m.Fetch(s.url+"/"), http.StatusUnauthorized)
			s.own(lasting[i], s.me(lasting[i]))
			s.pass(2 * time.Second) // for everybody, and too short to end the sign-ins under way
		}
	})
	s.alive(lasting...)
	if n := s.provider.Count("refresh_reuse"); n != 0 || s.provider.Count(oidctest.Refresh) < users {
		t.Errorf("%d refreshes, %d refresh tokens sent twice", s.provider.Count(oidctest.Refresh), n)
	}
}
