package interpreted

import (
	"net/http"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// postAs sends a form of the site as the member.
func (s *site) postAs(m member, body string) *browser.Page {
	s.t.Helper()
	return m.Do(browser.Request{Method: http.MethodPost, URL: s.url + "/form", From: s.home(), Body: body, OneHop: true})
}

// asBefore fails the test unless the backend gets the same headers as before a refresh
// that failed.
func (s *site) asBefore(m member, before backend.Seen) {
	s.t.Helper()
	now := s.me(m)
	for _, name := range []string{"X-Sub", "X-Sid", "X-Forwarded-User", "X-User-Groups", "X-Access"} {
		if got, want := now.Header.Get(name), before.Header.Get(name); got != want {
			s.t.Errorf("%s is %q, was %q", name, got, want)
		}
	}
}

// TestRefreshesThatFail has a session end only if the provider says that the grant ended.
func TestRefreshesThatFail(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault oidctest.Fault
		err   string
	}{
		{"E10 status 500", oidctest.Fault{Status: 500}, ""},
		{"E10 status 503", oidctest.Fault{Status: 503, Body: `{"error":"invalid_grant"}`, Type: "application/json"}, ""},
		{"E10 status 429", oidctest.Fault{Status: 429}, ""},
		{"E10 temporarily_unavailable", oidctest.Fault{}, "temporarily_unavailable"},
		{"E10 invalid_client, which is the operator's to mend", oidctest.Fault{}, "invalid_client"},
		{"E10 a page of a proxy", oidctest.Fault{Status: 403, Body: "<html>invalid_grant</html>", Type: "text/html"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newMovable(t, setup{})
			m := s.member("alice")
			before := s.me(m)
			s.provider.Set(func(b *oidctest.Behaviour) {
				b.RefreshError = row.err
				if row.fault.Status != 0 {
					b.Faults[oidctest.Refresh] = row.fault
				}
			})
			s.expire()
			for range 20 {
				s.asBefore(m, before)
			}
			s.status(s.postAs(m, "x=1"), http.StatusOK)
			if n := s.provider.Count(oidctest.Refresh); n == 0 || n > 6 {
				t.Errorf("%d calls", n)
			}
			s.provider.Reset()
			s.expire()
			s.refreshed(m, before)
			if n := s.provider.Count("refresh_reuse"); n != 0 {
				t.Errorf("%d refresh tokens were sent twice", n)
			}
		})
	}

	t.Run("E10 invalid_grant ends the session", func(t *testing.T) {
		s := newMovable(t, setup{})
		m, bob := s.member("alice"), s.member("bob")
		s.provider.SignOut("alice") // it sends no logout token without a registered back channel
		s.alive(m)
		s.expire()
		s.untouched(func() {
			eventually.True(t, "the end of the session", func() bool {
				p := s.postAs(m, "x=1")
				return p.Status == http.StatusUnauthorized && p.Header.Get("Location") == ""
			})
		})
		s.gone(m)
		s.alive(bob)
		s.alive(s.member("alice"))
	})

	t.Run("E10 the provider is gone at expiry: a form is served", func(t *testing.T) {
		s := newMovable(t, setup{})
		m := s.member("alice")
		before := s.me(m)
		s.provider.Close()
		s.expire()
		p := s.postAs(m, "amount=1&to=bob")
		if seen := s.sees(p); seen.Method != http.MethodPost || seen.Body != "amount=1&to=bob" || seen.Header.Get("X-Sub") != "alice" {
			t.Errorf("the backend saw %+v", seen)
		}
		s.asBefore(m, before)
	})

	for _, row := range []struct {
		name  string
		fault oidctest.Fault
	}{
		{"E9 the answer is lost after the token was used", oidctest.Fault{DropDone: true, Times: 1}},
		{"E9 the connection is cut, and nobody knows whether it was", oidctest.Fault{Drop: true, Times: 1}},
		{"E9 half an answer", oidctest.Fault{Status: 200, Type: "application/json", Body: `{"access_token":"half`, Times: 1}},
		{"E9 a gateway that did not wait", oidctest.Fault{Status: 504, Times: 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newMovable(t, setup{options: map[string]any{"sessionMaxAge": 3600}})
			m := s.member("alice")
			before := s.me(m)
			s.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Refresh] = row.fault })
			for range 4 { // 24 minutes
				s.expire()
				for range 5 {
					s.asBefore(m, before)
				}
			}
			s.refreshes(1)
			s.pass(40 * time.Minute)
			s.gone(m)
			s.alive(s.member("alice"))
		})
	}
}

// TestRefreshedTokensThatDeviate has responses with an ID token of another user or
// provider. Nothing of them is used, and the used refresh token is not sent again.
func TestRefreshedTokensThatDeviate(t *testing.T) {
	set := func(name string, v any) func(b *oidctest.Behaviour) {
		return func(b *oidctest.Behaviour) { b.RefreshClaims = func(c map[string]any) { c[name] = v } }
	}
	change := func(edit func(c map[string]any)) func(b *oidctest.Behaviour) {
		return func(b *oidctest.Behaviour) { b.RefreshClaims = edit }
	}
	past := func(c map[string]any, name string, by int64) { c[name] = c[name].(int64) - by }
	foreign := oidctest.NewKey("ES256")
	for _, row := range []struct {
		name   string
		change func(b *oidctest.Behaviour)
		taken  bool
	}{
		{"E11 another sub", set("sub", "bob"), false},
		{"E11 no sub", change(func(c map[string]any) { delete(c, "sub") }), false},
		{"E11 another iss", set("iss", "https://evil.test"), false},
		{"E11 another aud", set("aud", "other"), false},
		{"E11 an aud more", set("aud", []any{"client", "other"}), false},
		{"E11 another azp", set("azp", "other"), false},
		{"E11 the nonce of another sign-in", set("nonce", "other"), false},
		{"E11 an older auth_time", change(func(c map[string]any) { past(c, "auth_time", 3600) }), false},
		{"E11 a signature of another key", func(b *oidctest.Behaviour) { b.SignWith = foreign }, false},
		{"E11 no signature", func(b *oidctest.Behaviour) { b.SignWith = oidctest.NewKey("none") }, false},
		{"E11 exp past", change(func(c map[string]any) { past(c, "exp", 86400) }), false},
		{"E11 no iat", change(func(c map[string]any) { delete(c, "iat") }), false},
		{"E11 at_hash of another access token", set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), false},
		{"E11 a logout token", func(b *oidctest.Behaviour) { b.IDTokenHeader = func(h map[string]any) { h["typ"] = "logout+jwt" } }, false},
		{"E11 no JWT", func(b *oidctest.Behaviour) { b.IDToken = func(string) string { return "x" } }, false},
		{"E11 the nonce of the sign-in", func(b *oidctest.Behaviour) { b.RefreshNonce = true }, true},
		{"E11 a newer auth_time", change(func(c map[string]any) { c["auth_time"] = c["iat"] }), true},
		{"E11 no auth_time", change(func(c map[string]any) { delete(c, "auth_time") }), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newMovable(t, setup{})
			m := s.member("alice")
			before := s.me(m)
			s.provider.Change("alice", func(q *oidctest.User) { q.Groups, q.Email = []string{"evil"}, "evil@example.com" })
			s.provider.Set(row.change)
			s.expire()
			if row.taken {
				s.refreshed(m, before)
				s.refreshes(1)
				return
			}
			for range 3 {
				for range 4 {
					s.asBefore(m, before)
				}
				s.expire()
			}
			s.refreshes(1)
			s.provider.Reset()
			s.asBefore(m, before)
			s.refreshes(1)
		})
	}
}

// TestRefreshAndLogout has sessions end during a refresh. They stay ended, and the new
// tokens are revoked.
func TestRefreshAndLogout(t *testing.T) {
	for _, row := range []struct {
		name string
		out  func(s *site, m member)
	}{
		{"I7 the provider's logout token", func(s *site, m member) { s.taken(s.tell(s.token(m, nil))) }},
		{"I7 the provider's logout token, with only sub", func(s *site, m member) { s.taken(s.tell(s.token(m, without("sid")))) }},
		{"I7 the provider's frame", func(s *site, m member) { s.status(s.frame(m.Browser, s.named(m)), http.StatusOK) }},
		{"I7 the user's own logout", func(s *site, m member) { s.status(m.Hop(s.url+logoutPath), http.StatusFound) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newMovable(t, setup{})
			m := s.member("alice")
			value := cookie + "=" + s.value(m.Browser)
			issued, release := make(chan string, 1), make(chan struct{})
			s.provider.Set(func(b *oidctest.Behaviour) {
				b.Faults[oidctest.Refresh] = oidctest.Fault{HoldDone: release, Times: 1}
				b.RefreshResponse = func(r map[string]any) { issued <- r["refresh_token"].(string) }
			})
			s.expire()
			done := make(chan int, 5)
			for range 5 {
				go func() { done <- s.withCookies(value).Status }()
			}
			token := <-issued
			row.out(s, m)
			close(release)
			for range 5 {
				if status := <-done; status != http.StatusUnauthorized && status != http.StatusOK {
					t.Errorf("a request that waited has status %d", status)
				}
			}
			s.status(s.withCookies(value), http.StatusUnauthorized)
			s.gone(m)
			eventually.True(t, "the new tokens are given back", func() bool {
				return s.provider.Last(oidctest.Revocation).Form.Get("token") == token
			})
			s.expire()
			s.status(s.withCookies(value), http.StatusUnauthorized)
			s.refreshes(1)
		})
	}
}
