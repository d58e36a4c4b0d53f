package interpreted

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// TestSessionsThatALogoutEnds has logout tokens end the sessions that they name, and no
// other.
func TestSessionsThatALogoutEnds(t *testing.T) {
	t.Run("BL14 two providers that give out the same sid and sub", func(t *testing.T) {
		a, b := newMovable(t, setup{}), newMovable(t, setup{})
		for _, s := range []*site{a, b} {
			s.provider.Set(func(b *oidctest.Behaviour) { b.SessionIDs = oidctest.PersonalSessionIDs })
		}
		at, bt := a.member("alice"), b.member("alice")
		if at.sid != bt.sid || at.sid == "" {
			t.Fatalf("the sids are %q and %q", at.sid, bt.sid)
		}
		b.turnedDown(b.tell(a.token(at, nil)), http.StatusBadRequest)
		a.taken(a.tell(a.token(at, nil)))
		a.gone(at)
		b.alive(bt)
		b.taken(b.tell(b.token(bt, without("sub"))))
		b.gone(bt)
	})

	t.Run("BL14 two clients of one provider", func(t *testing.T) {
		on := func(name, client string) map[string]any {
			return map[string]any{"clientID": client, "enableBackchannelLogout": true, "backchannelLogoutURL": "/" + name + "/back"}
		}
		s := newTwo(t, on("a", "client"), on("b", "other"))
		s.provider.Set(func(b *oidctest.Behaviour) { b.SessionIDs = oidctest.PersonalSessionIDs })
		b := s.browser()
		s.sees(s.signIn(b, "/a/page", "alice"))
		s.sees(s.signIn(b, "/b/page", "alice"))
		token := s.provider.LogoutToken("client", "alice", "sid-of-alice", nil)
		s.turnedDown(s.provider.SendLogoutToken(s.url+"/b/back", token), http.StatusBadRequest)
		s.taken(s.provider.SendLogoutToken(s.url+"/a/back", token))
		s.status(b.Fetch(s.url+"/a/page"), http.StatusUnauthorized)
		s.status(b.Fetch(s.url+"/b/page"), http.StatusOK)
	})

	t.Run("L38 a logout is remembered as long as a session of any middleware lasts", func(t *testing.T) {
		redis := resptest.Start(t)
		on := func(name, age string) map[string]any {
			return map[string]any{
				"sessionMaxAge": age, "enableBackchannelLogout": true, "backchannelLogoutURL": "/" + name + "/back",
				"redis": map[string]any{"enabled": true, "address": redis.Addr(), "cacheMode": "redis"},
			}
		}
		s := newTwo(t, on("a", "5m"), on("b", "720h"))
		s.sees(s.signIn(s.browser(), "/b/page", "alice"))
		c := resp.NewClient(resp.Options{Address: redis.Addr(), OperationTimeout: 10 * time.Second})
		defer c.Close()
		var keys []string
		eventually.True(t, "the logout is noted in Redis", func() bool {
			s.taken(s.provider.SendLogoutToken(s.url+"/a/back", s.provider.LogoutToken("client", "alice", "", nil)))
			keys, _, _ = c.Scan(context.Background(), "0", "*:r:*", 1000)
			return len(keys) > 0
		})
		for _, k := range keys {
			if ttl, err := c.PTTL(context.Background(), k); err != nil || ttl < 719*time.Hour {
				t.Errorf("it is forgotten after %v: %v", ttl, err)
			}
		}
	})

	whole := newMovable(t, setup{})

	t.Run("BL14 an unknown sid of a known user", func(t *testing.T) {
		s := whole.in(t)
		m := s.member("alice")
		s.taken(s.tell(s.provider.LogoutToken("client", "", m.sid+"x", nil)))
		s.taken(s.tell(s.provider.LogoutToken("client", m.sub+"x", "", nil)))
		s.alive(m)
	})

	t.Run("BL15 only sub: all sessions of the user end, and no others", func(t *testing.T) {
		s := whole.in(t)
		s.pass(2 * time.Second)
		one, two, bob := s.member("alice"), s.member("alice"), s.member("bob")
		s.taken(s.tell(s.provider.LogoutToken("client", "alice", "", nil)))
		s.gone(one, two)
		s.alive(bob)
		s.pass(2 * time.Second)
		s.alive(s.member("alice"), bob)
	})

	t.Run("BL15 only sid: that session ends", func(t *testing.T) {
		s := whole.in(t)
		one, two, bob := s.member("alice"), s.member("alice"), s.member("bob")
		s.taken(s.tell(s.provider.LogoutToken("client", "", one.sid, nil)))
		s.gone(one)
		s.alive(two, bob)
	})

	t.Run("BL15 without sids only sub decides", func(t *testing.T) {
		s := newMovable(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.SessionIDs = oidctest.NoSessionIDs })
		one, bob := s.member("alice"), s.member("bob")
		s.taken(s.tell(s.provider.LogoutToken("client", "alice", "", nil)))
		s.gone(one)
		s.alive(bob)
	})

	t.Run("BL16 sid and sub that do not belong together end nothing", func(t *testing.T) {
		s := whole.in(t)
		s.pass(2 * time.Second)
		alice, bob := s.member("alice"), s.member("bob")
		s.taken(s.tell(s.provider.LogoutToken("client", "bob", alice.sid, nil)))
		s.alive(alice, bob)
		s.taken(s.tell(s.provider.LogoutToken("client", "alice", alice.sid, nil)))
		s.gone(alice)
		s.alive(bob)
	})

	t.Run("BL16 sid and sub end the session that has both, not the others of the user", func(t *testing.T) {
		s := whole.in(t)
		s.pass(2 * time.Second)
		one, two := s.member("alice"), s.member("alice")
		s.taken(s.tell(s.token(one, nil)))
		s.gone(one)
		s.alive(two)
	})

	t.Run("BL16 sid and sub end sessions without a sid, of that user only", func(t *testing.T) {
		s := newMovable(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.SessionIDs = oidctest.NoSessionIDs })
		one, bob := s.member("alice"), s.member("bob")
		s.taken(s.tell(s.provider.LogoutToken("client", "alice", "any", nil)))
		s.gone(one)
		s.alive(bob)
	})

	t.Run("BL16 sid and sub that do not belong together keep nobody from signing in", func(t *testing.T) {
		s := newMovable(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.SessionIDs = oidctest.PersonalSessionIDs })
		s.taken(s.tell(s.provider.LogoutToken("client", "bob", "sid-of-alice", nil)))
		alice := s.member("alice")
		if n := s.provider.Count(oidctest.Token); alice.sid != "sid-of-alice" || n != 1 {
			t.Fatalf("the sid is %q, and it took %d sign-ins", alice.sid, n)
		}
		s.alive(alice)
	})

	t.Run("BL15 one sid for all sessions of a user, and a sign-in after it", func(t *testing.T) {
		s := newMovable(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.SessionIDs = oidctest.PersonalSessionIDs })
		one, two, bob := s.member("alice"), s.member("alice"), s.member("bob")
		s.taken(s.tell(s.token(one, without("sub"))))
		s.gone(one, two)
		s.alive(bob)
		s.pass(2 * time.Second)
		s.alive(s.member("alice"))
	})

	t.Run("BL15 the provider's own sign-out ends the session", func(t *testing.T) {
		s := newMovable(t, setup{provider: oidctest.Options{BackchannelLogoutURI: "https://" + appHost + backPath}})
		alice, bob := s.member("alice"), s.member("bob")
		s.provider.SignOut("alice")
		s.gone(alice)
		bob.Do(browser.Request{URL: s.provider.Endpoint(oidctest.EndSession), OneHop: true})
		s.gone(bob)
		for _, d := range s.provider.Deliveries() {
			s.taken(d)
		}
		if n := len(s.provider.Deliveries()); n != 2 {
			t.Errorf("delivered %d times", n)
		}
	})

	for _, row := range []struct {
		name string
		edit edit
		by   time.Duration
	}{
		{"BL17 a logout overtakes the sign-in, by sid and sub", nil, 0},
		{"BL17 a logout overtakes the sign-in, by sid", without("sub"), 0},
		{"BL17 a logout overtakes the sign-in, by sub", without("sid"), 0},
		{"BL17 a logout overtakes the sign-in by minutes", nil, 4 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newMovable(t, setup{})
			issued, release := make(chan string, 1), make(chan struct{})
			s.provider.Set(func(b *oidctest.Behaviour) {
				b.Faults[oidctest.Token] = oidctest.Fault{HoldDone: release, Times: 1}
				b.TokenResponse = func(r map[string]any) { issued <- r["id_token"].(string) }
			})
			b := s.browser()
			callback := s.callbackFor(b, "/", "alice")
			done := make(chan *browser.Page)
			go func() { done <- s.comeBack(b, callback) }()
			claims := s.claimsOf(<-issued)
			s.taken(s.tell(s.provider.LogoutToken("client", "alice", claims["sid"].(string), row.edit)))
			s.pass(row.by)
			close(release)
			if p := <-done; p.Status >= 500 {
				t.Errorf("the callback's status is %d: %s", p.Status, p.Body)
			}
			s.noSession(b)
			s.provider.Reset()
			s.pass(2 * time.Second)
			s.alive(s.member("alice"))
		})
	}
}

// TestTheWayToTheBackChannel has requests that the back channel gets before every rule,
// also under load.
func TestTheWayToTheBackChannel(t *testing.T) {
	for _, row := range []struct {
		name    string
		options map[string]any
	}{
		{"BL22 no sign-in is requested", nil},
		{"BL22 all that is around it is excluded", map[string]any{"excludedURLs": []any{"/oidc"}}},
		{"BL22 its own path is excluded", map[string]any{"excludedURLs": []any{backPath}}},
		{"BL22 the user is not allowed", map[string]any{"allowedUsers": []any{"bob@example.com"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newLive(t, loader.Load(t), channels(nil))
			m := s.member("alice")
			s.reload(channels(row.options))
			s.untouched(func() {
				s.turnedDown(s.tell("x"), http.StatusBadRequest)
				s.status(m.Hop(s.url+backPath), http.StatusMethodNotAllowed)
				s.taken(s.tell(s.token(m, nil)))
			})
			s.reload(channels(nil))
			s.gone(m)
		})
	}

	t.Run("BL22 off, the path is one like any other", func(t *testing.T) {
		s := newSite(t, setup{})
		s.untouched(func() {
			if d := s.tell(s.provider.LogoutToken("client", "alice", "", nil)); d.Status != http.StatusUnauthorized {
				t.Errorf("status %d", d.Status)
			}
		})
	})

	t.Run("BL20 a flood from one address", func(t *testing.T) {
		s := newMovable(t, setup{options: map[string]any{"rateLimit": 10, "trustedProxies": []any{"127.0.0.0/8"}}})
		m := s.member("alice")
		bad := s.provider.LogoutToken("client", "alice", m.sid, withHead("kid", "invented"))
		from := func(address, token string) *browser.Page {
			return s.browser().Do(browser.Request{
				Method: "POST", URL: s.url + backPath, OneHop: true, Body: "logout_token=" + token,
				Header: http.Header{"X-Forwarded-For": {address}, "Sec-Fetch-Mode": nil, "Accept": nil},
			})
		}
		keys := s.provider.Count(oidctest.JWKS)
		var refused atomic.Int64
		begun := time.Now()
		s.each(20, func(int) {
			for n := range 10 {
				if from("192.0.2.1", bad).Status == http.StatusTooManyRequests {
					refused.Add(1)
				}
				if n == 0 {
					s.alive(m)
				}
			}
		})
		seconds := int(time.Since(begun)/time.Second) + 1
		if read, most := 200-int(refused.Load()), 20+10*seconds; read > most {
			t.Errorf("%d of 200 logout tokens were read in %d s, at most %d may be", read, seconds, most)
		}
		if n, most := s.provider.Count(oidctest.JWKS)-keys, 3+seconds/10+1; n > most {
			t.Errorf("the keys were fetched %d times in %d s", n, seconds)
		}
		s.alive(m)
		if p := from("192.0.2.2", s.token(m, nil)); p.Status != http.StatusOK {
			t.Errorf("the provider's logout token got status %d during the flood: %s", p.Status, p.Body)
		}
		s.gone(m)
	})
}
