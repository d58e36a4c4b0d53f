package oidc

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

const eventName = "http://schemas.openid.net/event/backchannel-logout"

func TestLogoutTokens(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	now := b.clock.Now().Unix()
	claim := func(name string, v any) func(h, c map[string]any) {
		return func(_, c map[string]any) { c[name] = v }
	}
	lacks := func(names ...string) func(h, c map[string]any) {
		return func(_, c map[string]any) {
			for _, name := range names {
				delete(c, name)
			}
		}
	}
	head := func(name string, v any) func(h, c map[string]any) {
		return func(h, _ map[string]any) { h[name] = v }
	}
	for _, c := range []struct {
		name  string
		edit  func(h, c map[string]any)
		fails string
	}{
		{"BL as it should be", nil, ""},
		{"BL an unknown claim is ignored", claim("canary", map[string]any{"a": 1}), ""},
		{"BL1 alg none", head("alg", "none"), "alg"},
		{"BL2 an algorithm that was not agreed", head("alg", "RS256"), "alg"},
		{"BL2 HS256", head("alg", "HS256"), "alg"},
		{"BL3 unknown kid", head("kid", "other"), "signature"},
		{"BL4 other iss", claim("iss", "https://evil.example"), "iss"},
		{"BL4 other aud", claim("aud", "other"), "aud"},
		{"BL4 a second aud", claim("aud", []string{"client", "evil"}), "aud"},
		{"BL4 no aud", lacks("aud"), "aud"},
		{"BL4 other azp", claim("azp", "other"), "azp"},
		{"BL5 no iat", lacks("iat"), "iat"},
		{"BL5 iat is old", claim("iat", now-86400), "iat"},
		{"BL5 iat in the future", claim("iat", now+120), "iat"},
		{"BL5 iat is a string", claim("iat", "0"), "iat"},
		{"BL5 exp past", claim("exp", now-61), "exp"},
		{"BL5 no exp", lacks("exp"), "exp"},
		{"BL5 exp is null", claim("exp", nil), "exp"},
		{"BL5 nbf in the future", claim("nbf", now+120), "nbf"},
		{"BL6 neither sub nor sid", lacks("sub", "sid"), "sub and sid"},
		{"BL6 only sub", lacks("sid"), ""},
		{"BL6 only sid", lacks("sub"), ""},
		{"BL6 sub is empty", claim("sub", ""), "sub and sid"},
		{"BL6 sid is empty", claim("sid", ""), "sub and sid"},
		{"BL6 sub is a number", claim("sub", 1), "sub and sid"},
		{"BL6 sid is null, which is absent", claim("sid", nil), ""},
		{"BL6 both are null", func(_, c map[string]any) { c["sub"] = nil; c["sid"] = nil }, "sub and sid"},
		{"BL6 sid is too long", claim("sid", strings.Repeat("s", 1025)), "sub and sid"},
		{"BL7 no events", lacks("events"), "events"},
		{"BL7 events is an array", claim("events", []string{eventName}), "events"},
		{"BL7 events is a string", claim("events", eventName), "events"},
		{"BL7 another event", claim("events", map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}), "events"},
		{"BL7 the event is null", claim("events", map[string]any{eventName: nil}), "events"},
		{"BL7 the event is a string", claim("events", map[string]any{eventName: ""}), "events"},
		{"BL7 a second event", claim("events", map[string]any{eventName: map[string]any{}, "x": map[string]any{}}), "events"},
		{"BL7 the event has members", claim("events", map[string]any{eventName: map[string]any{"x": 1}}), ""},
		{"BL8 nonce", claim("nonce", "n"), "nonce"},
		{"BL8 nonce is null", claim("nonce", nil), "nonce"},
		{"BL8 nonce is a number", claim("nonce", 1), "nonce"},
		{"BL9 no jti", lacks("jti"), "jti"},
		{"BL9 jti is empty", claim("jti", ""), "jti"},
		{"BL9 jti is a number", claim("jti", 1), "jti"},
		{"BL11 typ is JWT", head("typ", "JWT"), ""},
		{"BL11 no typ", func(h, _ map[string]any) { delete(h, "typ") }, ""},
		{"BL11 typ is that of an access token", head("typ", "at+jwt"), "another type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.rp.VerifyLogoutToken(context.Background(), b.op.LogoutToken("client", "alice", "sid", c.edit))
			checkRefusal(t, err, c.fails)
		})
	}
}

func TestContentsOfALogoutToken(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	raw := b.op.LogoutToken("client", "alice", "sid", func(_, c map[string]any) { c["jti"] = "id" })
	l, err := b.rp.VerifyLogoutToken(context.Background(), raw)
	want := LogoutToken{Issuer: b.op.URL(), Subject: "alice", SessionID: "sid", ID: "id", Issued: l.Issued, Expiry: b.clock.Now().Add(3 * time.Minute)}
	if err != nil || l != want || l.Issued.Unix() != b.clock.Now().Unix() {
		t.Fatalf("%+v %v", l, err)
	}
}

func TestALogoutTokenExpiresWhenItIsNoLongerAccepted(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	raw := b.op.LogoutToken("client", "alice", "sid", func(_, c map[string]any) { c["exp"] = b.clock.Now().Add(20 * 365 * 24 * time.Hour).Unix() })
	l, err := b.rp.VerifyLogoutToken(context.Background(), raw)
	if err != nil || l.Expiry.Sub(l.Issued) != maxLogoutAge+time.Minute {
		t.Fatalf("K1: until %s after its issue, %v", l.Expiry.Sub(l.Issued), err)
	}
}

func TestOtherThingsAreNoLogoutTokens(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	for name, c := range map[string]struct{ raw, fails string }{
		"BL3 a foreign key": {oidctest.NewKey("ES256").SignClaims(b.claims(), nil), "signature"},
		"BL3 a flipped bit": {flipped(b.op.LogoutToken("client", "alice", "sid", nil)), "signature"},
		"BL10 an ID token":  {b.tokens(t).IDToken, "events"},
		"BL13 a JWE":        {"a.b.c.d.e", "encrypted"},
		"BL13 nothing":      {"", "not a signed JWT"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.rp.VerifyLogoutToken(context.Background(), c.raw)
			checkRefusal(t, err, c.fails)
		})
	}
}

func TestOptionsOfLogoutTokens(t *testing.T) {
	noExp := func(_, c map[string]any) { delete(c, "exp") }
	for _, c := range []struct {
		name    string
		options Options
		edit    func(h, c map[string]any)
		age     time.Duration
		fails   string
	}{
		{"BL5 without exp where that is permitted", Options{LogoutMaxAge: time.Minute}, noExp, 0, ""},
		{"BL5 without exp and too old", Options{LogoutMaxAge: time.Minute}, noExp, 3 * time.Minute, "iat"},
		{"BL5 with exp past although age is permitted", Options{LogoutMaxAge: time.Hour}, nil, 4 * time.Minute, "exp"},
		{"BL11 typ required and there", Options{RequireLogoutType: true}, nil, 0, ""},
		{"BL11 typ required and JWT", Options{RequireLogoutType: true}, func(h, _ map[string]any) { h["typ"] = "JWT" }, 0, "another type"},
		{"BL11 typ required and missing", Options{RequireLogoutType: true}, func(h, _ map[string]any) { delete(h, "typ") }, 0, "another type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, c.options)
			raw := b.op.LogoutToken("client", "alice", "sid", c.edit)
			b.clock.add(c.age)
			_, err := b.rp.VerifyLogoutToken(context.Background(), raw)
			checkRefusal(t, err, c.fails)
		})
	}
}
