package interpreted

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

type edit = func(header, claims map[string]any)

func withClaim(name string, v any) edit { return func(_, c map[string]any) { c[name] = v } }

func withHead(name string, v any) edit { return func(h, _ map[string]any) { h[name] = v } }

func without(names ...string) edit {
	return func(h, c map[string]any) {
		for _, name := range names {
			delete(h, name)
			delete(c, name)
		}
	}
}

// TestLogoutTokens has an invalid logout token refused, and the session lives. A valid
// one ends it.
func TestLogoutTokens(t *testing.T) {
	whole := newMovable(t, setup{options: map[string]any{"idTokenSigningAlgs": []any{"ES256"}}})
	now := whole.plugin.Clock.Now().Unix()
	rs := oidctest.NewKey("RS256")
	whole.provider.Publish(rs)
	foreign := oidctest.NewKey("ES256")
	sameID := oidctest.NewKey("ES256")
	sameID.ID = whole.provider.SigningKey().ID
	secret := &oidctest.Key{Alg: "HS256", Secret: []byte("secret")}
	public := &oidctest.Key{Alg: "HS256", ID: rs.ID, Secret: []byte(rs.JWK()["n"].(string))}
	none := oidctest.NewKey("none")

	for _, row := range []struct {
		name  string
		key   *oidctest.Key // nil: the provider's
		edit  edit
		taken bool
	}{
		{"BL19 as it should be", nil, nil, true},
		{"BL19 as the certification sends it, with a claim that is not known", nil, withClaim("http://example.com/unknown", map[string]any{"a": []any{1}}), true},
		{"BL1 unsigned", none, nil, false},
		{"BL1 alg none over a signature", nil, withHead("alg", "none"), false},
		{"BL1 alg None", none, withHead("alg", "None"), false},
		{"BL2 an algorithm that was not agreed, by a key that is published", rs, nil, false},
		{"BL2 HS256 with the client's secret", secret, nil, false},
		{"BL2 HS256 with a public key", public, nil, false},
		{"BL3 a key that is not published", foreign, nil, false},
		{"BL3 a foreign key under the name of the provider's", sameID, nil, false},
		{"BL3 no kid", nil, without("kid"), true},
		{"BL4 another iss", nil, withClaim("iss", "https://evil.test"), false},
		{"BL4 iss with a slash more", nil, func(_, c map[string]any) { c["iss"] = c["iss"].(string) + "/" }, false},
		{"BL4 no iss", nil, without("iss"), false},
		{"BL4 another aud", nil, withClaim("aud", "other"), false},
		{"BL4 aud of two", nil, withClaim("aud", []any{"client", "other"}), false},
		{"BL4 no aud", nil, without("aud"), false},
		{"BL4 another azp", nil, withClaim("azp", "other"), false},
		{"BL5 no iat", nil, without("iat"), false},
		{"BL5 iat of yesterday", nil, withClaim("iat", now-86400), false},
		{"BL5 iat of tomorrow", nil, withClaim("iat", now+86400), false},
		{"BL5 iat is a text", nil, withClaim("iat", "now"), false},
		{"BL5 exp past", nil, withClaim("exp", now-300), false},
		{"BL5 no exp", nil, without("exp"), false},
		{"BL5 exp is a text", nil, withClaim("exp", "never"), false},
		{"BL5 nbf of tomorrow", nil, withClaim("nbf", now+86400), false},
		{"BL6 neither sub nor sid", nil, without("sub", "sid"), false},
		{"BL6 sub is empty", nil, withClaim("sub", ""), false},
		{"BL6 sid is empty", nil, withClaim("sid", ""), false},
		{"BL6 sid is a number", nil, withClaim("sid", 1), false},
		{"BL6 sub is null, which is absent", nil, withClaim("sub", nil), true},
		{"BL6 sub and sid are null", nil, func(_, c map[string]any) { c["sub"], c["sid"] = nil, nil }, false},
		{"BL6 only sid", nil, without("sub"), true},
		{"BL6 only sub", nil, without("sid"), true},
		{"BL7 no events", nil, without("events"), false},
		{"BL7 events is a list", nil, withClaim("events", []any{logoutEvent}), false},
		{"BL7 another event", nil, withClaim("events", map[string]any{"http://schemas.openid.net/event/backchannel-test": map[string]any{}}), false},
		{"BL7 the event is no object", nil, withClaim("events", map[string]any{logoutEvent: true}), false},
		{"BL7 events is a text", nil, withClaim("events", logoutEvent), false},
		{"BL7 the event is null", nil, withClaim("events", map[string]any{logoutEvent: nil}), false},
		{"BL7 the event is a list", nil, withClaim("events", map[string]any{logoutEvent: []any{}}), false},
		{"BL7 another event beside it", nil, withClaim("events", map[string]any{logoutEvent: map[string]any{}, "http://example.com/event": map[string]any{}}), false},
		{"BL8 a nonce", nil, withClaim("nonce", "n"), false},
		{"BL8 a nonce that is null", nil, withClaim("nonce", nil), false},
		{"BL8 a nonce that is a number", nil, withClaim("nonce", 1), false},
		{"BL9 no jti", nil, without("jti"), false},
		{"BL9 jti is empty", nil, withClaim("jti", ""), false},
		{"BL11 typ of an access token", nil, withHead("typ", "at+jwt"), false},
		{"BL11 typ JWT", nil, withHead("typ", "JWT"), true},
		{"BL11 no typ", nil, without("typ"), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			s.pass(2 * time.Second) // beyond the second of the last logout
			m := s.member("alice")
			k := row.key
			if k == nil {
				k = s.provider.SigningKey()
			}
			d := s.tell(s.provider.LogoutTokenBy(k, "client", m.sub, m.sid, row.edit))
			if row.taken {
				s.taken(d)
			} else {
				s.turnedDown(d, http.StatusBadRequest)
				s.alive(m)
				s.taken(s.tell(s.token(m, nil)))
			}
			s.gone(m)
		})
	}

	t.Run("BL3 a flipped bit", func(t *testing.T) {
		s := whole.in(t)
		s.pass(2 * time.Second)
		m := s.member("alice")
		token := s.token(m, nil)
		for _, bad := range []string{flip(token, len(token)-9), flip(token, strings.IndexByte(token, '.')+20), flip(token, 5), token[:len(token)-4], token + "A"} {
			s.turnedDown(s.tell(bad), http.StatusBadRequest)
		}
		s.alive(m)
		s.taken(s.tell(token))
		s.gone(m)
	})

	t.Run("BL3 keys that rotated, fetched again", func(t *testing.T) {
		s := whole.in(t)
		s.pass(time.Minute)
		m := s.member("alice")
		s.provider.Rotate()
		before := s.provider.Count(oidctest.JWKS)
		s.taken(s.tell(s.token(m, nil)))
		s.gone(m)
		if n := s.provider.Count(oidctest.JWKS) - before; n != 1 {
			t.Errorf("the keys were fetched %d times", n)
		}
	})

	t.Run("BL9 a logout token can be used once", func(t *testing.T) {
		s := whole.in(t)
		s.pass(2 * time.Second)
		first := s.member("alice")
		token := s.provider.LogoutToken("client", "alice", "", nil)
		s.taken(s.tell(token))
		s.gone(first)
		s.pass(2 * time.Second)
		second := s.member("alice")
		s.turnedDown(s.tell(token), http.StatusBadRequest)
		s.alive(second)
		s.taken(s.tell(s.provider.LogoutToken("client", "alice", "", nil)))
		s.gone(second)
	})

	t.Run("BL10 an ID token is no logout token, nor the reverse", func(t *testing.T) {
		s := whole.in(t)
		s.pass(2 * time.Second)
		m := s.member("alice")
		for _, edit := range []func(c map[string]any){nil, func(c map[string]any) {
			c["sid"], c["jti"] = m.sid, "j"
			delete(c, "nonce")
		}} {
			s.turnedDown(s.tell(s.provider.IDToken("client", "alice", "n", edit)), http.StatusBadRequest)
		}
		s.alive(m)
		s.misbehaves(func(p *oidctest.Provider, b *oidctest.Behaviour) {
			b.TokenResponse = func(r map[string]any) {
				nonce := s.claimsOf(r["id_token"].(string))["nonce"]
				r["id_token"] = p.LogoutToken("client", "alice", "s", func(h, c map[string]any) { h["typ"], c["nonce"] = "JWT", nonce })
			}
		})
		defer s.provider.Reset()
		b := s.browser()
		if p := s.signIn(b, "/", "alice"); p.Status < 400 {
			t.Errorf("signed in by a logout token: status %d", p.Status)
		}
		s.noSession(b)
	})

	t.Run("BL13 an encrypted token", func(t *testing.T) {
		s := whole.in(t)
		s.pass(2 * time.Second)
		m := s.member("alice")
		parts := strings.Split(s.token(m, withHead("enc", "A128GCM")), ".")
		s.turnedDown(s.tell(strings.Join([]string{parts[0], "", parts[1], parts[2], "AAAA"}, ".")), http.StatusBadRequest)
		s.alive(m)
	})
}

// TestLogoutRequests has the back channel accept only a form with one logout token, by
// POST.
func TestLogoutRequests(t *testing.T) {
	s := newMovable(t, setup{})
	m := s.member("alice")
	form := func(token string) string { return "logout_token=" + token }
	multipart := "--b\r\nContent-Disposition: form-data; name=\"logout_token\"\r\n\r\n@\r\n--b--\r\n"
	const urlencoded = "application/x-www-form-urlencoded"
	for _, row := range []struct {
		name, method, query, kind, body string // @ is the logout token
		status                          int
	}{
		{"BL12 GET", "GET", "?logout_token=@", "", "", 405},
		{"BL12 PUT", "PUT", "", urlencoded, form("@"), 405},
		{"BL12 HEAD", "HEAD", "?logout_token=@", "", "", 405},
		{"BL12 OPTIONS", "OPTIONS", "", "", "", 405},
		{"BL12 in the query", "POST", "?logout_token=@", urlencoded, "", 400},
		{"BL12 in the query, with a body of another meaning", "POST", "?logout_token=@", urlencoded, "x=1", 400},
		{"BL12 JSON", "POST", "", "application/json", `{"logout_token":"@"}`, 400},
		{"BL12 only the token", "POST", "", "application/jwt", "@", 400},
		{"BL12 only the token, as a form", "POST", "", urlencoded, "@", 400},
		{"BL12 multipart", "POST", "", "multipart/form-data; boundary=b", multipart, 400},
		{"BL12 a form said to be JSON", "POST", "", "application/json", form("@"), 400},
		{"BL12 a form said to be text", "POST", "", "text/plain", form("@"), 400},
		{"BL12 a form of two types", "POST", "", urlencoded + "|text/plain", form("@"), 400},
		{"BL12 in the query and in the body", "POST", "?logout_token=@", urlencoded, form("@"), 400},
		{"BL12 a form of no type", "POST", "", "", form("@"), 400},
		{"BL12 twice", "POST", "", urlencoded, form("@") + "&" + form("@"), 400},
		{"BL12 twice, one empty", "POST", "", urlencoded, form("") + "&" + form("@"), 400},
		{"BL12 none", "POST", "", urlencoded, "x=1", 400},
		{"BL12 an empty one", "POST", "", urlencoded, form(""), 400},
		{"BL12 no body", "POST", "", urlencoded, "", 400},
		{"BL12 a form that is none", "POST", "", urlencoded, form("@") + "&%zz=1", 400},
		{"BL12 ten megabytes", "POST", "", urlencoded, form("@") + "&x=" + strings.Repeat("x", 10<<20), 413},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := s.in(t)
			token := s.token(m, nil)
			r := browser.Request{Method: row.method, URL: s.url + backPath + strings.ReplaceAll(row.query, "@", token), Body: strings.ReplaceAll(row.body, "@", token), OneHop: true}
			r.Header = http.Header{"Content-Type": strings.Split(row.kind, "|"), "Sec-Fetch-Mode": nil, "Accept": nil}
			var p *browser.Page
			s.untouched(func() { p = s.browser().Do(r) })
			d := oidctest.Delivery{Status: p.Status, Header: p.Header, Body: string(p.Body)}
			switch {
			case row.method == "HEAD":
				s.status(p, row.status)
				s.unstored(p.Header)
			default:
				s.turnedDown(d, row.status)
			}
			if row.status == 405 && p.Header.Get("Allow") != "POST" {
				t.Errorf("Allow is %q", p.Header.Get("Allow"))
			}
			s.alive(m)
		})
	}
	s.taken(s.tell(s.token(m, nil)))
	s.gone(m)
}
