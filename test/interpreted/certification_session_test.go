package interpreted

import (
	"net/http"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// channelModules are those of logouts that the provider announces.
func channelModules() []module {
	tells := func(edit edit) func(*oidctest.Provider, *oidctest.Behaviour) {
		return func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.LogoutToken = edit }
	}
	refused := backchannel(http.StatusBadRequest)
	return []module{
		{backPlan, "rp-backchannel-rpinitlogout", "a logout token with an unknown claim", tells(withClaim("unknown", "ignore me")), backchannel(http.StatusOK)},
		{backPlan, "rp-backchannel-rpinitlogout-alg-none", "an unsigned logout token", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.LogoutSignWith = oidctest.NewKey("none")
		}, refused},
		{backPlan, "rp-backchannel-rpinitlogout-no-event", "no events in the logout token", tells(without("events")), refused},
		{backPlan, "rp-backchannel-rpinitlogout-with-nonce", "a nonce in the logout token", tells(withClaim("nonce", "n")), refused},
		{backPlan, "rp-backchannel-rpinitlogout-wrong-alg", "signs it with ES256", func(p *oidctest.Provider, b *oidctest.Behaviour) {
			b.LogoutSignWith = oidctest.NewKey("ES256")
			p.Publish(b.LogoutSignWith)
		}, refused},
		{backPlan, "rp-backchannel-rpinitlogout-wrong-aud", "another client in aud", tells(withClaim("aud", "another")), refused},
		{backPlan, "rp-backchannel-rpinitlogout-wrong-event", "another event", tells(withClaim("events", map[string]any{"http://schemas.openid.net/event/wrong": map[string]any{}})), refused},
		{backPlan, "rp-backchannel-rpinitlogout-wrong-iss", "another issuer", tells(withClaim("iss", "https://another.test/")), refused},
		{frontPlan, "rp-frontchannel-rpinitlogout", "a frame that calls with iss and sid", nil, frontchannel},
	}
}

// backchannel is the run of a logout at the provider with a logout token. The plugin
// sends the user there, as the suite does, and then the user goes there directly. The
// second shows whether the session here lives.
func backchannel(status int) func(s *site) string {
	return func(s *site) string {
		s.t.Helper()
		b := s.signedIn("alice")
		to := b.Hop(s.url + logoutPath).Location()
		if to == nil || !strings.HasPrefix(to.String(), s.provider.Endpoint(oidctest.EndSession)+"?") {
			s.t.Fatalf("sent to %v", to)
		}
		s.status(b.Do(browser.Request{URL: to.String(), From: s.home()}), http.StatusOK)
		s.noSession(b)
		m := s.member("alice")
		m.Do(browser.Request{URL: s.provider.Endpoint(oidctest.EndSession), OneHop: true})
		told := s.provider.Deliveries()
		if len(told) != 2 {
			s.t.Fatalf("%d logout tokens", len(told))
		}
		for _, d := range told {
			if status == http.StatusOK {
				s.taken(d)
			} else {
				s.turnedDown(d, status)
			}
		}
		if status == http.StatusOK {
			s.gone(m)
			return "status 200 without caching, the session ended"
		}
		s.alive(m)
		return "status 400 without caching, the session lives"
	}
}

// frontchannel is the run of a logout with our frame in the provider's page.
func frontchannel(s *site) string {
	s.t.Helper()
	b := s.signedIn("alice")
	page := b.Do(browser.Request{URL: b.Hop(s.url + logoutPath).Location().String(), From: s.home(), OneHop: true})
	m := s.member("alice")
	own := m.Do(browser.Request{URL: s.provider.Endpoint(oidctest.EndSession), OneHop: true})
	frames := append(s.framesOf(b, page), s.framesOf(m.Browser, own)...)
	if len(frames) != 2 {
		s.t.Fatalf("%d frames in %s and %s", len(frames), page.Body, own.Body)
	}
	for _, frame := range frames {
		s.status(frame, http.StatusOK)
		s.framed(frame)
	}
	s.noSession(b)
	s.gone(m)
	return "shown in the frame, the session ended"
}

// refreshModules are those of refresh tokens.
func refreshModules() []module {
	claims := func(edit func(c map[string]any)) func(*oidctest.Provider, *oidctest.Behaviour) {
		return func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.RefreshClaims = edit }
	}
	return []module{
		{refreshPlan, "refresh-token", "keeps the rules", nil, refreshesTokens},
		{refreshPlan, "refresh-token-invalid-issuer", "another issuer in the ID token of the refresh", claims(func(c map[string]any) { c["iss"] = c["iss"].(string) + "1" }), staysAsItWas},
		{refreshPlan, "refresh-token-invalid-sub", "another sub in the ID token of the refresh", claims(func(c map[string]any) { c["sub"] = c["sub"].(string) + "1" }), staysAsItWas},
	}
}

// refreshesTokens is the run of a module that ends at the userinfo request with the
// access token of the refresh.
func refreshesTokens(s *site) string {
	s.t.Helper()
	m := s.member("alice")
	before := s.me(m)
	s.expire()
	now := s.refreshed(m, before)
	if got := s.provider.Last(oidctest.UserInfo).Header.Get("Authorization"); got != "Bearer "+now.Header.Get("X-Access") {
		s.t.Errorf("userinfo was asked with %q", got)
	}
	if n := s.provider.Count(oidctest.UserInfo); n != 2 {
		s.t.Errorf("%d userinfo requests", n)
	}
	s.refreshes(1)
	return "refreshed, userinfo requested with the new token"
}

// staysAsItWas is the run of a module with a refreshed ID token that is invalid.
func staysAsItWas(s *site) string {
	s.t.Helper()
	m := s.member("alice")
	before := s.me(m)
	s.expire()
	for range 3 {
		s.asBefore(m, before)
	}
	if n := s.provider.Count(oidctest.UserInfo); n != 1 {
		s.t.Errorf("%d userinfo requests", n)
	}
	s.refreshes(1)
	return "refused, the claims are as before, userinfo not asked"
}
