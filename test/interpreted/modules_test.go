package interpreted

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// modules are those of the certification plans for Basic RP, Config RP, RP-Initiated
// RP, Back-Channel RP and Front-Channel RP, and those for refresh tokens.
func modules() []module {
	all := append(basicModules(), configModules()...)
	all = append(all, logoutModules()...)
	all = append(all, channelModules()...)
	return append(all, refreshModules()...)
}

func basicModules() []module {
	claims := func(edit func(c map[string]any)) func(*oidctest.Provider, *oidctest.Behaviour) {
		return func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.IDTokenClaims = edit }
	}
	return []module{
		{basicPlan, "", "keeps the rules", nil, accepts},
		{basicPlan, "invalid-iss", "another issuer in the ID token", claims(func(c map[string]any) { c["iss"] = c["iss"].(string) + "1" }), stops},
		{basicPlan, "missing-sub", "no sub in the ID token", claims(func(c map[string]any) { delete(c, "sub") }), stops},
		{basicPlan, "invalid-aud", "another client in aud", claims(func(c map[string]any) { c["aud"] = "another" }), stops},
		{basicPlan, "missing-iat", "no iat in the ID token", claims(func(c map[string]any) { delete(c, "iat") }), stops},
		{basicPlan, "kid-absent-single-jwks", "one key, no kid in the ID token", withoutKeyID, accepts},
		{basicPlan, "kid-absent-multiple-jwks", "two keys that fit, no kid in the ID token", func(p *oidctest.Provider, b *oidctest.Behaviour) {
			p.Publish(oidctest.NewKey("RS256"))
			withoutKeyID(p, b)
		}, accepts},
		{basicPlan, "idtoken-sig-rs256", "signs with RS256", nil, accepts},
		{basicPlan, "idtoken-sig-none", "an unsigned ID token", unsigned, stops},
		{basicPlan, "invalid-sig-rs256", "signs with a key it does not publish", func(p *oidctest.Provider, b *oidctest.Behaviour) {
			b.SignWith = oidctest.NewKey("RS256")
			b.SignWith.ID = p.SigningKey().ID
		}, stops},
		{basicPlan, "userinfo-invalid-sub", "another sub in userinfo", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.UserInfo = func(c map[string]any) { c["sub"] = c["sub"].(string) + "1" }
		}, stopsAfterUserInfo},
		{basicPlan, "nonce-invalid", "another nonce in the ID token", claims(func(c map[string]any) { c["nonce"] = c["nonce"].(string) + "1" }), stops},
		{basicPlan, "scope-userinfo-claims", "claims in userinfo alone", func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.ClaimsOnlyInUserInfo = true }, asksForClaims},
		{basicPlan, "client-secret-basic", "takes client_secret_basic alone", nil, authenticatesByBasic},
	}
}

func configModules() []module {
	return []module{
		{configPlan, "discovery-openid-config", "keeps the rules", nil, func(s *site) string {
			came := accepts(s)
			if n := s.provider.Count(oidctest.Discovery); n != 1 {
				s.t.Errorf("%d discovery requests", n)
			}
			return "discovered, " + came
		}},
		{configPlan, "discovery-jwks-uri-keys", "keys at an address of this run", nil, takesKeysElsewhere},
		{configPlan, "discovery-issuer-mismatch", "another issuer in discovery", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.Discovery = func(doc map[string]any) { doc["issuer"] = "https://another.test" }
		}, discoveryRefused},
		{configPlan, "idtoken-sig-none", "an unsigned ID token", unsigned, stops},
		{configPlan, "signing-key-rotation-just-before-signing", "a new key while the user is there", nil, rotated(true)},
		{configPlan, "signing-key-rotation", "a new key between two sign-ins", nil, rotated(false)},
	}
}

func logoutModules() []module {
	return []module{
		{logoutPlan, "rp-init-logout", "sends the user back", nil, logsOut(nil)},
		{logoutPlan, "rp-init-logout-other-state", "sends another state back", nil, logsOut(func(q url.Values) { q.Set("state", "another") })},
		{logoutPlan, "rp-init-logout-no-state", "sends no state back", nil, logsOut(func(q url.Values) { q.Del("state") })},
	}
}

func withoutKeyID(_ *oidctest.Provider, b *oidctest.Behaviour) {
	b.IDTokenHeader = func(h map[string]any) { delete(h, "kid") }
}

func unsigned(_ *oidctest.Provider, b *oidctest.Behaviour) {
	b.IDTokenHeader = func(h map[string]any) { h["alg"] = "none"; delete(h, "kid") }
	b.IDToken = func(raw string) string { return raw[:strings.LastIndexByte(raw, '.')+1] }
}

// asksForClaims is the run of a module with a scope beside openid.
func asksForClaims(s *site) string {
	s.t.Helper()
	came := accepts(s)
	scope := strings.Fields(s.provider.Last(oidctest.Authorize).Form.Get("scope"))
	for _, one := range scope {
		if one == "profile" || one == "email" {
			return came + ", its claims used"
		}
	}
	s.t.Errorf("the scopes are %q", scope)
	return came
}

func authenticatesByBasic(s *site) string {
	s.t.Helper()
	came := accepts(s)
	r := http.Request{Header: s.provider.Last(oidctest.Token).Header}
	form := s.provider.Last(oidctest.Token).Form
	if id, secret, ok := r.BasicAuth(); !ok || id != "client" || secret != "secret" || form.Has("client_secret") {
		s.t.Errorf("the token request has basic authentication %v and the parameters %v", ok, form)
	}
	return "basic authentication, " + came
}

// takesKeysElsewhere is the run of a module with keys at a URL that only discovery
// names. A client that guesses would miss them.
func takesKeysElsewhere(s *site) string {
	s.t.Helper()
	fetched := make(chan string, 16)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched <- r.URL.Path
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{s.provider.SigningKey().JWK()}})
	}))
	s.t.Cleanup(keys.Close)
	s.provider.Set(func(b *oidctest.Behaviour) {
		b.Discovery = func(doc map[string]any) {
			basicAlone(doc)
			doc["jwks_uri"] = keys.URL + "/run/keys-4711"
		}
	})
	came := accepts(s)
	if len(fetched) != 1 || <-fetched != "/run/keys-4711" || s.provider.Count(oidctest.JWKS) != 0 {
		s.t.Errorf("the keys were fetched %d times more there, and %d times from their usual place", len(fetched), s.provider.Count(oidctest.JWKS))
	}
	return "keys fetched there, " + came
}
