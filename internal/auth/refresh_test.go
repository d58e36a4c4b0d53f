package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// tellingTokens sends the tokens of a session to the backend.
func tellingTokens(o *Options) {
	o.Templates, _ = headers.Compile([]headers.Template{
		{Name: "X-Access", Value: "{{.AccessToken}}"}, {Name: "X-Refresh", Value: "{{.RefreshToken}}"}, {Name: "X-Sid", Value: "${claims.sid}"},
		{Name: "X-Iat", Value: "${claims.iat}"}, {Name: "X-Groups", Value: "{{.Claims.groups}}"},
	})
	o.Cleaner = headers.NewCleaner(o.Templates.Names(), nil)
	o.RefreshGrace = time.Minute
}

// told returns the headers that the backend gets now about the session of b.
func (b *browser) told() http.Header {
	b.Helper()
	b.status(b.open("/"), 200)
	b.site.mu.Lock()
	defer b.site.mu.Unlock()
	return b.seen[len(b.seen)-1].Header
}

// expired returns a browser whose session's tokens have expired, and the headers that
// the backend got before.
func (s *site) expired(user string) (*browser, http.Header) {
	s.Helper()
	b := s.signedIn(user)
	before := b.told()
	s.turn(6 * time.Minute)
	return b, before
}

func TestTokensAreRefreshed(t *testing.T) {
	t.Run("E6 fifty requests at expiry over two replicas: one call, fifty answers", func(t *testing.T) {
		s := newSite(t, tellingTokens)
		other := s.another(tellingTokens).Handler(http.HandlerFunc(s.backend))
		b := s.signedIn("alice")
		before := b.told()
		for round := 1; round <= 3; round++ {
			s.turn(6 * time.Minute)
			var wg sync.WaitGroup
			for i := 0; i < 50; i++ {
				wg.Add(1)
				go func(h http.Handler) {
					defer wg.Done()
					s.status(b.send(h, b.request("GET", "/", nil)), 200)
				}([]http.Handler{s.handler, other}[i%2])
			}
			wg.Wait()
			now := b.told()
			if now.Get("X-Access") == before.Get("X-Access") || now.Get("X-Refresh") == before.Get("X-Refresh") || now.Get("X-Sid") != before.Get("X-Sid") {
				t.Errorf("the backend is told %v after %v", now, before)
			}
			if n := s.provider.Count(oidctest.Refresh); n != round || s.provider.Count("refresh_reuse") != 0 {
				t.Fatalf("%d calls, %d tokens sent twice", n, s.provider.Count("refresh_reuse"))
			}
			before = now
		}
	})
	for _, row := range []struct {
		name      string
		grace     time.Duration
		at        time.Duration
		refreshed bool
	}{
		{"refreshGracePeriodSeconds: before it", time.Minute, 3*time.Minute + 50*time.Second, false},
		{"refreshGracePeriodSeconds: within it", time.Minute, 4*time.Minute + 10*time.Second, true},
		{"refreshGracePeriodSeconds: a longer one", 3 * time.Minute, 2*time.Minute + 10*time.Second, true},
		{"refreshGracePeriodSeconds: none", 0, 4*time.Minute + 50*time.Second, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, func(o *Options) {
				tellingTokens(o)
				o.RefreshGrace = row.grace
			})
			b := s.signedIn("alice")
			before := b.told()
			s.turn(row.at)
			if now := b.told(); (now.Get("X-Access") != before.Get("X-Access")) != row.refreshed {
				t.Errorf("the backend is told %s after %s", now.Get("X-Access"), before.Get("X-Access"))
			}
		})
	}
	t.Run("E12 no other refresh token and no ID token: the ones before stay, and it is not refreshed at each request", func(t *testing.T) {
		s := newSite(t, tellingTokens)
		b, before := s.expired("alice")
		s.provider.Set(func(p *oidctest.Behaviour) {
			p.NoRotation = true
			p.RefreshResponse = func(r map[string]any) { delete(r, "id_token"); delete(r, "expires_in") }
		})
		for round := 1; round <= 3; round++ {
			for i := 0; i < 5; i++ {
				now := b.told()
				if now.Get("X-Refresh") != before.Get("X-Refresh") || now.Get("X-Iat") != before.Get("X-Iat") || now.Get("X-Access") == before.Get("X-Access") {
					t.Fatalf("the backend is told %v", now)
				}
			}
			s.turn(time.Minute)
			b.told()
			if n := s.provider.Count(oidctest.Refresh); n != round {
				t.Fatalf("%d calls, want %d", n, round)
			}
			s.turn(5 * time.Minute)
		}
	})
	t.Run("without expires_in the ID token's exp applies", func(t *testing.T) {
		s := newSite(t, tellingTokens)
		s.provider.Set(func(p *oidctest.Behaviour) {
			p.TokenResponse = func(r map[string]any) { delete(r, "expires_in") }
		})
		b, before := s.expired("alice")
		if now := b.told(); now.Get("X-Access") == before.Get("X-Access") {
			t.Error("not refreshed")
		}
		b.told()
		if n := s.provider.Count(oidctest.Refresh); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
	t.Run("E13 a group that was taken away", func(t *testing.T) {
		s := newSite(t, func(o *Options) {
			tellingTokens(o)
			o.Rules, _ = policy.NewRules(policy.Rules{RolesAndGroups: []string{"admins"}})
		})
		b, _ := s.expired("alice")
		s.provider.Change("alice", func(p *oidctest.User) { p.Groups = []string{"staff"} })
		s.says(b.open("/"), http.StatusForbidden, "not_allowed")
		s.turn(6 * time.Minute)
		s.provider.Change("alice", func(p *oidctest.User) { p.Groups = []string{"admins"} })
		s.status(b.open("/"), 200)
	})
	t.Run("userinfo is requested again, and its former claims stay when it fails", func(t *testing.T) {
		s := newSite(t, func(o *Options) {
			tellingTokens(o)
			o.UserInfo = UserInfoAlways
		})
		s.provider.Set(func(p *oidctest.Behaviour) { p.ClaimsOnlyInUserInfo = true })
		b, before := s.expired("alice")
		s.provider.Set(func(p *oidctest.Behaviour) { p.Faults[oidctest.UserInfo] = oidctest.Fault{Status: 500} })
		now := b.told()
		if now.Get("X-Access") == before.Get("X-Access") || now.Get("X-Groups") != before.Get("X-Groups") || now.Get("X-Groups") == "" {
			t.Errorf("the backend is told %v", now)
		}
		s.provider.Set(func(p *oidctest.Behaviour) { delete(p.Faults, oidctest.UserInfo) })
		s.provider.Change("alice", func(p *oidctest.User) { p.Groups = []string{"others"} })
		s.turn(6 * time.Minute)
		if now := b.told(); !strings.Contains(now.Get("X-Groups"), "others") {
			t.Errorf("the backend is told %v", now)
		}
	})
}

// The newer one of the ID token and userinfo decides about a user's groups. If they
// came together, the ID token does.
func TestWhichClaimsCount(t *testing.T) {
	s := newSite(t, func(o *Options) {
		tellingTokens(o)
		o.UserInfo = UserInfoAlways
	})
	says := func(idToken, userinfo string, faults bool) {
		s.provider.Set(func(p *oidctest.Behaviour) {
			p.UserInfo = func(c map[string]any) { c["groups"], c["sid"] = []string{userinfo}, "evil" }
			p.IDTokenClaims = func(c map[string]any) { c["groups"] = []string{idToken} }
			p.RefreshResponse = nil
			if idToken == "" {
				p.RefreshResponse = func(r map[string]any) { delete(r, "id_token") }
			}
			delete(p.Faults, oidctest.UserInfo)
			if faults {
				p.Faults[oidctest.UserInfo] = oidctest.Fault{Status: 500}
			}
		})
	}
	says("token 1", "info 1", false)
	b := s.signedIn("alice")
	first := b.told()
	for _, row := range []struct {
		name, idToken, userinfo string
		faults                  bool
		want                    string
	}{
		{"E4 both at the sign-in", "token 1", "info 1", false, "token 1"},
		{"E4 no ID token, and userinfo", "", "info 2", false, "info 2"},
		{"E4 no ID token, and no userinfo: the newer one stays", "", "info 3", true, "info 2"},
		{"E4 an ID token, and no userinfo", "token 4", "info 4", true, "token 4"},
		{"E4 no ID token, and still no userinfo", "", "info 5", true, "token 4"},
		{"E4 no ID token, and userinfo again", "", "info 6", false, "info 6"},
		{"E4 both at a token refresh", "token 7", "info 7", false, "token 7"},
	} {
		t.Run(row.name, func(t *testing.T) {
			says(row.idToken, row.userinfo, row.faults)
			if row.want != "token 1" {
				s.turn(6 * time.Minute)
			}
			now := b.told()
			if now.Get("X-Groups") != row.want || now.Get("X-Sid") != first.Get("X-Sid") {
				t.Errorf("the backend is told %v", now)
			}
		})
	}
}

func TestRefreshesThatFail(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(p *oidctest.Behaviour)
	}{
		{"E9 the answer is lost", func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = oidctest.Fault{DropDone: true} }},
		{"E9 no JSON", func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = oidctest.Fault{Status: 200, Body: "<html>"} }},
		{"E11 another sub", func(p *oidctest.Behaviour) { p.RefreshClaims = func(c map[string]any) { c["sub"] = "mallory" } }},
		{"E11 another iss", func(p *oidctest.Behaviour) {
			p.RefreshClaims = func(c map[string]any) { c["iss"] = "https://evil.example" }
		}},
		{"E11 another aud", func(p *oidctest.Behaviour) { p.RefreshClaims = func(c map[string]any) { c["aud"] = "other" } }},
		{"E11 another nonce", func(p *oidctest.Behaviour) { p.RefreshClaims = func(c map[string]any) { c["nonce"] = "other" } }},
		{"E11 an older auth_time", func(p *oidctest.Behaviour) { p.RefreshClaims = func(c map[string]any) { c["auth_time"] = 1000 } }},
		{"E11 a bad signature", func(p *oidctest.Behaviour) { p.SignWith = oidctest.NewKey("RS256") }},
		{"E11 at_hash of another token", func(p *oidctest.Behaviour) {
			p.RefreshResponse = func(r map[string]any) { r["access_token"] = "other" }
		}},
		{"no access token", func(p *oidctest.Behaviour) { p.RefreshResponse = func(r map[string]any) { delete(r, "access_token") } }},
	} {
		t.Run(row.name+": nothing is adopted, the token is not sent again, the claims serve on", func(t *testing.T) {
			s := newSite(t, tellingTokens)
			b, before := s.expired("alice")
			s.provider.Set(row.change)
			for i := 0; i < 3; i++ {
				now := b.told()
				if now.Get("X-Access") != before.Get("X-Access") || now.Get("X-Forwarded-User") != "alice@example.com" || now.Get("X-Refresh") != "" {
					t.Fatalf("the backend is told %v", now)
				}
				s.turn(6 * time.Minute)
			}
			if n := s.provider.Count(oidctest.Token); n != 2 {
				t.Errorf("%d calls", n)
			}
			if !strings.Contains(s.log.String(), "response to a token refresh was lost") || strings.Contains(s.log.String(), "alice") {
				t.Errorf("the log says %s", s.log.String())
			}
			s.turn(time.Hour)
			s.provider.Reset()
			s.leadsToProvider(b.open("/"), b)
		})
	}
	for _, row := range []struct {
		name   string
		change func(p *oidctest.Behaviour)
	}{
		{"E10 500", func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = oidctest.Fault{Status: 500} }},
		{"E10 503", func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = oidctest.Fault{Status: 503} }},
		{"E10 invalid_client", func(p *oidctest.Behaviour) { p.RefreshError = "invalid_client" }},
		{"E10 temporarily_unavailable", func(p *oidctest.Behaviour) { p.RefreshError = "temporarily_unavailable" }},
	} {
		t.Run(row.name+": the session stays, and is refreshed later", func(t *testing.T) {
			s := newSite(t, tellingTokens)
			b, before := s.expired("alice")
			s.provider.Set(row.change)
			for i := 0; i < 5; i++ {
				if now := b.told(); now.Get("X-Access") != before.Get("X-Access") {
					t.Fatalf("the backend is told %v", now)
				}
			}
			if n := s.provider.Count(oidctest.Token); n != 2 {
				t.Errorf("%d calls: each request asks", n)
			}
			s.provider.Reset()
			s.turn(20 * time.Second)
			if now := b.told(); now.Get("X-Access") == before.Get("X-Access") || now.Get("X-Refresh") == "" {
				t.Errorf("the backend is told %v", now)
			}
		})
	}
	t.Run("E10 invalid_grant: signed out, a script gets 401 and a navigation signs in", func(t *testing.T) {
		s := newSite(t, tellingTokens)
		b, _ := s.expired("alice")
		copied := b.jarCopy()
		s.provider.Set(func(p *oidctest.Behaviour) { p.RefreshError = "invalid_grant" })
		r := b.request("POST", "/", map[string]string{"Accept": "application/json"})
		s.status(b.send(s.handler, r), http.StatusUnauthorized)
		s.leadsToProvider(b.open("/"), b)
		b.jar = copied
		s.status(b.script("/"), http.StatusUnauthorized)
	})
	t.Run("E11 the tokens that came with it are revoked", func(t *testing.T) {
		s := newSite(t, tellingTokens)
		b, _ := s.expired("alice")
		s.provider.Set(func(p *oidctest.Behaviour) { p.RefreshClaims = func(c map[string]any) { c["sub"] = "mallory" } })
		b.told()
		eventually.True(s, "the revocation", func() bool { return s.provider.Count(oidctest.Revocation) == 1 })
	})
	t.Run("D2 a new key that cannot be fetched at once: the tokens that came are kept", func(t *testing.T) {
		s := newSite(t, tellingTokens)
		b, before := s.expired("alice")
		s.provider.Rotate()
		s.provider.Set(func(p *oidctest.Behaviour) { p.Faults[oidctest.JWKS] = oidctest.Fault{Status: 503, Times: 1} })
		b.told()
		eventually.True(s, "the token refresh", func() bool { return b.told().Get("X-Access") != before.Get("X-Access") })
	})
	t.Run("L13 logout tokens of invented key ids before a rotation: the tokens that came are kept", func(t *testing.T) {
		s := newSite(t, func(o *Options) {
			tellingTokens(o)
			channels(o)
		})
		b, before := s.expired("alice")
		forged := oidctest.NewKey("RS256")
		throttled := 0
		for i := 0; i < 6; i++ {
			forged.ID = "invented-" + string(rune('a'+i))
			resp := s.deliver(forged.SignClaims(map[string]any{"iss": s.provider.URL(), "aud": "client"}, nil))
			if strings.Contains(s.status(resp, http.StatusBadRequest), "temporarily_unavailable") {
				throttled++
			}
		}
		if throttled == 0 {
			t.Error("no delivery is throttled")
		}
		s.provider.Rotate()
		s.provider.Retire()
		now := b.told()
		if now.Get("X-Access") == before.Get("X-Access") || now.Get("X-Refresh") == "" || s.provider.Count(oidctest.Revocation) != 0 {
			t.Errorf("the backend is told %v", now)
		}
	})
	t.Run("L13 keys that were fetched too often lately: the refresh waits", func(t *testing.T) {
		s := newSite(t, tellingTokens)
		s.keysPause = time.Millisecond
		// Once it is throttled, time passes each time that the provider reads the
		// clock.
		var pace, ahead atomic.Int64
		s.o.Provider = s.relyingParty(func() time.Time { return s.now().Add(time.Duration(ahead.Add(pace.Load()))) })
		b, before := s.expired("alice")
		ctx := context.Background()
		forged := oidctest.NewKey("RS256")
		for i := 0; ; i++ {
			forged.ID = "invented-" + string(rune('a'+i))
			_, err := s.o.Provider.VerifyIDToken(ctx, forged.SignClaims(map[string]any{"iss": s.provider.URL(), "aud": "client"}, nil), oidc.Expect{})
			if errors.Is(err, oidc.ErrKeysThrottled) {
				break
			}
		}
		s.provider.Rotate()
		s.provider.Retire()
		pace.Store(int64(200 * time.Millisecond))
		if now := b.told(); now.Get("X-Access") == before.Get("X-Access") || now.Get("X-Refresh") == "" {
			t.Errorf("the backend is told %v", now)
		}
	})
	t.Run("a nonce that is repeated later on", func(t *testing.T) {
		s := newSite(t, tellingTokens)
		b, before := s.expired("alice")
		first := b.told() // the ID token has none
		s.turn(6 * time.Minute)
		s.provider.Set(func(p *oidctest.Behaviour) { p.RefreshNonce = true })
		second := b.told()
		s.turn(6 * time.Minute)
		s.provider.Set(func(p *oidctest.Behaviour) {
			p.RefreshNonce = false
			p.RefreshClaims = func(c map[string]any) { c["nonce"] = "other" }
		})
		third := b.told()
		if first.Get("X-Access") == before.Get("X-Access") || second.Get("X-Access") == first.Get("X-Access") {
			t.Error("not refreshed")
		}
		if third.Get("X-Access") != second.Get("X-Access") {
			t.Error("E11 refreshed with another nonce")
		}
	})
}

func TestAStreamIsNotCutByATokenRefresh(t *testing.T) {
	s := newSite(t, tellingTokens)
	b := s.signedIn("alice")
	b.told()
	s.turn(6 * time.Minute)
	streaming, release, done := make(chan bool), make(chan bool), make(chan *http.Response)
	h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(streaming)
		<-release
		w.WriteHeader(http.StatusTeapot)
	}))
	go func() { done <- b.send(h, b.request("GET", "/stream", nil)) }()
	<-streaming
	s.turn(6 * time.Minute)
	b.told()
	close(release)
	if resp := <-done; resp.StatusCode != http.StatusTeapot || s.provider.Count(oidctest.Refresh) != 2 {
		t.Errorf("status %d after %d refreshes", resp.StatusCode, s.provider.Count(oidctest.Refresh))
	}
}

func TestTokensThatNobodyUsesAreRevoked(t *testing.T) {
	s := newSite(t, tellingTokens)
	b, _ := s.expired("alice")
	hold := make(chan struct{})
	s.provider.Set(func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = oidctest.Fault{Hold: hold} })
	done := make(chan *http.Response)
	go func() { done <- b.script("/") }()
	eventually.True(s, "the provider is asked", func() bool { return s.provider.Count(oidctest.Token) == 2 })
	e := session.Ending{Issuer: s.provider.URL(), Subject: "alice", Before: s.now()}
	if err := s.sessions.EndAll(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	close(hold)
	s.status(<-done, http.StatusUnauthorized)
	eventually.True(s, "I7 the new tokens are revoked", func() bool { return s.provider.Count(oidctest.Revocation) == 1 })
}
