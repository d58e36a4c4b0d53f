package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// TestNoSecretOfRefreshesAndLogoutsIsShown fails if the log or a response has a token, a
// claim or a value of a request.
func TestNoSecretOfRefreshesAndLogoutsIsShown(t *testing.T) {
	s := newMovable(t, setup{provider: oidctest.Options{Users: []oidctest.User{
		{Sub: "canarysubject", Email: "canary@example.com", EmailVerified: true, Groups: []string{"canarygroup"}},
	}}})
	before := s.plugin.Log.Len()
	c := canaries{"a subject": "canarysubject", "an address": "canary@", "a group": "canarygroup"}
	answers := ""
	told := func(d oidctest.Delivery) { answers += fmt.Sprint(d.Header, d.Body) }

	refresh := func(name string, change func(b *oidctest.Behaviour)) member {
		s.pass(2 * time.Second)
		m := s.member("canarysubject")
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.TokenResponse = func(r map[string]any) {
				for _, kind := range []string{"id_token", "access_token", "refresh_token"} {
					if text, ok := r[kind].(string); ok {
						c["the "+kind+" of "+name] = text
					}
				}
			}
			change(b)
		})
		c["the sid of "+name], c["the cookie of "+name] = m.sid, s.value(m.Browser)
		s.expire()
		p := s.postAs(m, "x=1")
		if p.Status != http.StatusOK {
			answers += string(p.Body)
		}
		s.provider.Reset()
		return m
	}
	m := refresh("a refresh", func(*oidctest.Behaviour) {})
	refresh("a refresh with another sub", func(b *oidctest.Behaviour) {
		b.RefreshClaims = func(claims map[string]any) { claims["sub"] = "canaryother" }
	})
	refresh("a refresh that is refused", func(b *oidctest.Behaviour) { b.RefreshError = "invalid_grant" })
	refresh("a refresh that is lost", func(b *oidctest.Behaviour) {
		b.Faults[oidctest.Refresh] = oidctest.Fault{DropDone: true}
	})
	refresh("a refresh that fails", func(b *oidctest.Behaviour) {
		b.Faults[oidctest.Refresh] = oidctest.Fault{Status: 500, Body: "canaryfault"}
	})

	tokens := []string{"canarytoken", s.token(m, withClaim("iss", "https://canaryissuer.test")), s.token(m, withHead("kid", "canarykey")), s.token(m, nil)}
	for i, token := range append(tokens, tokens[3]) {
		told(s.tell(token))
		c[fmt.Sprintf("logout token %d", i)] = token
	}
	c["a jti"] = s.claimsOf(tokens[3])["jti"].(string)
	for _, query := range []string{"?iss=https://canaryissuer.test&sid=canarysid", "?iss=" + s.provider.URL() + "&sid=canarysid", "?canaryquery"} {
		p := s.browser().Do(browser.Request{URL: s.url + frontPath + query, Frame: true, OneHop: true})
		answers += fmt.Sprint(p.Header, string(p.Body))
	}
	for _, name := range []string{"canaryissuer", "canarykey", "canarysid", "canaryother", "canaryfault", "canaryquery", "canary-description"} {
		c["what came from outside, "+name] = name
	}
	logged := s.plugin.Log.Since(before)
	for _, want := range []string{
		"session refreshed", "does not refresh the session any more", "was lost", "could not be refreshed now", "signed out by the provider",
		"logout by the provider refused", "signed out by the provider's page",
	} {
		if !strings.Contains(logged, want) {
			t.Errorf("the log has no %q:\n%s", want, logged)
		}
	}
	t.Run("K8 the log holds no secret of token refreshes and logouts", func(t *testing.T) { c.absent(t, "the log", logged) })
	t.Run("K6 E17 nor do the answers", func(t *testing.T) { c.absent(t, "an answer", answers) })
}
