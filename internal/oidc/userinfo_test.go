package oidc

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestUserInfo(t *testing.T) {
	foreign := oidctest.NewKey("ES256")
	for _, c := range []struct {
		name     string
		change   func(be *oidctest.Behaviour)
		sentinel error
		what     string
	}{
		{"E3 as it should be", func(*oidctest.Behaviour) {}, nil, ""},
		{"E3 signed", func(be *oidctest.Behaviour) { be.UserInfoSigned = true }, nil, ""},
		{"E3 another sub", func(be *oidctest.Behaviour) { be.UserInfo = set("sub", "bob") }, ErrInvalidToken, "another sub"},
		{"E3 sub in another case", func(be *oidctest.Behaviour) { be.UserInfo = set("sub", "Alice") }, ErrInvalidToken, "another sub"},
		{"E3 no sub", func(be *oidctest.Behaviour) { be.UserInfo = without("sub") }, ErrInvalidToken, "another sub"},
		{"E3 sub is a number", func(be *oidctest.Behaviour) { be.UserInfo = set("sub", 1) }, ErrInvalidToken, "another sub"},
		{"E3 sub in a list", func(be *oidctest.Behaviour) { be.UserInfo = set("sub", []string{"alice"}) }, ErrInvalidToken, "another sub"},
		{"E3 signed with another sub", func(be *oidctest.Behaviour) {
			be.UserInfoSigned, be.UserInfo = true, set("sub", "bob")
		}, ErrInvalidToken, "another sub"},
		{"E3 an array", func(be *oidctest.Behaviour) { be.UserInfoBody = []byte(`[{"sub":"alice"}]`) }, ErrInvalidToken, "could not be read"},
		{"E3 HTML", func(be *oidctest.Behaviour) { be.UserInfoBody = []byte("<html>canary") }, ErrInvalidToken, "could not be read"},
		{"E3 sub twice", func(be *oidctest.Behaviour) { be.UserInfoBody = []byte(`{"sub":"alice","sub":"bob"}`) }, ErrInvalidToken, "could not be read"},
		{"E3 too large", func(be *oidctest.Behaviour) { be.UserInfo = set("x", strings.Repeat("a", 2<<20)) }, ErrUnavailable, "sent no complete response"},
		{"E3 a JWT that is unsigned", func(be *oidctest.Behaviour) {
			be.UserInfoSigned, be.IDTokenHeader = true, set("alg", "none")
		}, ErrInvalidToken, "alg"},
		{"E3 a JWT of a foreign key", func(be *oidctest.Behaviour) {
			be.UserInfoSigned, be.SignWith = true, foreign
		}, ErrInvalidToken, "signature"},
		{"E3 JSON said to be a JWT", func(be *oidctest.Behaviour) { be.UserInfoType = "application/jwt" }, ErrInvalidToken, "not a signed JWT"},
		{"E3 a JWT said to be JSON", func(be *oidctest.Behaviour) {
			be.UserInfoSigned, be.UserInfoType = true, "application/json"
		}, ErrInvalidToken, "could not be read"},
		{"E3 401", func(be *oidctest.Behaviour) { be.Faults[oidctest.UserInfo] = oidctest.Fault{Status: 401} }, ErrRejected, "status 401"},
		{"E3 500", func(be *oidctest.Behaviour) { be.Faults[oidctest.UserInfo] = oidctest.Fault{Status: 500} }, ErrUnavailable, "status 500"},
		{"E3 dropped", func(be *oidctest.Behaviour) { be.Faults[oidctest.UserInfo] = oidctest.Fault{Drop: true} }, ErrUnavailable, "no complete response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			b.op.Set(c.change)
			tokens := b.tokens(t)
			claims, err := b.rp.UserInfo(context.Background(), tokens.AccessToken, "alice")
			if !failsWith(err, c.sentinel, c.what) {
				t.Fatal(err)
			}
			if err == nil && claims.Text("email") != "alice@example.com" {
				t.Fatalf("%v", claims)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Fatalf("E17: %v", err)
			}
		})
	}
}

func TestSignedUserInfoIsOfUs(t *testing.T) {
	for _, c := range []claimCase{
		{"E3 without iss and aud", func(m map[string]any) { delete(m, "iss"); delete(m, "aud"); delete(m, "exp") }, ""},
		{"E3 other iss", set("iss", "https://evil.example"), "iss"},
		{"E3 other aud", set("aud", "other"), "aud"},
		{"E3 expired", set("exp", 1), "exp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			tokens := b.tokens(t)
			body := []byte(b.op.IDToken("client", "alice", "", c.change))
			b.op.Set(func(be *oidctest.Behaviour) {
				be.UserInfoBody, be.UserInfoType = body, "application/jwt; charset=utf-8"
			})
			_, err := b.rp.UserInfo(context.Background(), tokens.AccessToken, "alice")
			checkRefusal(t, err, c.fails)
		})
	}
}

func TestUserInfoCannotChangeTheSignIn(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	protected := []string{"iss", "aud", "azp", "exp", "nbf", "iat", "jti", "sid", "nonce", "acr", "amr", "auth_time", "at_hash", "tid"}
	b.op.Set(func(be *oidctest.Behaviour) {
		be.UserInfo = func(m map[string]any) {
			for _, name := range protected {
				m[name] = "evil"
			}
			m["department"] = "ops"
		}
	})
	tokens := b.tokens(t)
	info, err := b.rp.UserInfo(context.Background(), tokens.AccessToken, "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(protected, "sub") {
		if v, ok := info[name]; ok {
			t.Errorf("E4 %s: %v", name, v)
		}
	}
	for name, merge := range map[string]func(idToken, userinfo Claims) Claims{"Merge": Merge, "Update": Update} {
		userinfo := Claims{"department": "ops", "sub": "evil"}
		for _, p := range protected {
			userinfo[p] = "evil"
		}
		merged := merge(Claims{"sub": "alice", "acr": "high"}, userinfo)
		if !reflect.DeepEqual(merged, Claims{"sub": "alice", "acr": "high", "department": "ops"}) {
			t.Errorf("E4 %s: %v", name, merged)
		}
		if len(userinfo) != len(protected)+2 {
			t.Errorf("%s changed its argument", name)
		}
	}
}

// One claim may be in the ID token, in userinfo, or in both.
func TestClaimsOfTwoSources(t *testing.T) {
	for _, c := range []struct {
		name, idToken, userinfo string
		together, later         string // expected results of Merge and Update
	}{
		{"E4 both have a claim", `{"email":"t","groups":["t"]}`, `{"email":"u","groups":["u"]}`, `{"email":"t","groups":["t"]}`, `{"email":"u","groups":["u"]}`},
		{"E4 one has a claim", `{"a":"t"}`, `{"b":"u"}`, `{"a":"t","b":"u"}`, `{"a":"t","b":"u"}`},
		{"E4 null is absent", `{"a":null,"b":"t"}`, `{"a":"u","b":null}`, `{"a":"u","b":"t"}`, `{"a":"u","b":"t"}`},
		{"E4 empty is there", `{"a":[],"b":"t"}`, `{"a":["u"],"b":""}`, `{"a":[],"b":"t"}`, `{"a":["u"],"b":""}`},
		{"E4 an object is one claim", `{"a":{"x":1}}`, `{"a":{"x":2,"y":2}}`, `{"a":{"x":1}}`, `{"a":{"x":2,"y":2}}`},
		{"E4 a literal name does not hide a path", `{"a":{"roles":["t"]}}`, `{"a.roles":["u"]}`, `{"a":{"roles":["t"]}}`, `{"a":{"roles":["t"]},"a.roles":["u"]}`},
		{"E4 nor does an older one", `{"a.roles":["t"]}`, `{"a":{"roles":["u"]}}`, `{"a.roles":["t"],"a":{"roles":["u"]}}`, `{"a":{"roles":["u"]}}`},

		{"E4 C34 email_verified of the other address", `{"email":"t"}`, `{"email":"u","email_verified":true}`, `{"email":"t"}`, `{"email":"u","email_verified":true}`},
		{"E4 C34 and the other way round", `{"email":"t","email_verified":true}`, `{"email":"u"}`, `{"email":"t","email_verified":true}`, `{"email":"u"}`},
		{"E4 C34 email_verified of the same address", `{"email":"t"}`, `{"email":"t","email_verified":true}`, `{"email":"t","email_verified":true}`, `{"email":"t","email_verified":true}`},
		{"E4 C34 email_verified without an address", `{"email_verified":false}`, `{"email":"u"}`, `{"email":"u","email_verified":false}`, `{"email":"u","email_verified":false}`},
		{"E4 C34 the address has its own", `{"email_verified":true}`, `{"email":"u","email_verified":false}`, `{"email":"u","email_verified":false}`, `{"email":"u","email_verified":false}`},
		{"E4 C34 an address that is none", `{"email":["t"]}`, `{"email":"u","email_verified":true}`, `{"email":["t"]}`, `{"email":"u","email_verified":true}`},
		{"E4 C34 no address", `{"email_verified":true}`, `{"email_verified":false}`, `{"email_verified":true}`, `{"email_verified":false}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			idToken, userinfo := mustClaims(t, c.idToken), mustClaims(t, c.userinfo)
			if got := Merge(idToken, userinfo); !reflect.DeepEqual(got, mustClaims(t, c.together)) {
				t.Errorf("together: %v", got)
			}
			if got := Update(idToken, userinfo); !reflect.DeepEqual(got, mustClaims(t, c.later)) {
				t.Errorf("later: %v", got)
			}
			if !reflect.DeepEqual(idToken, mustClaims(t, c.idToken)) || !reflect.DeepEqual(userinfo, mustClaims(t, c.userinfo)) {
				t.Error("merging changed its arguments")
			}
		})
	}
}

func mustClaims(t *testing.T, text string) Claims {
	t.Helper()
	c, err := decodeObject([]byte(text), maxBody)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProvidersWithoutUserInfo(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = without("userinfo_endpoint") })
	if _, err := b.rp.UserInfo(context.Background(), "x", "alice"); !errors.Is(err, ErrRejected) {
		t.Fatal(err)
	}
}

func TestTheAccessTokenIsSentInTheHeaderOnly(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	tokens := b.tokens(t)
	if _, err := b.rp.UserInfo(context.Background(), tokens.AccessToken, "alice"); err != nil {
		t.Fatal(err)
	}
	last := b.op.Last(oidctest.UserInfo)
	if len(last.Form) != 0 || last.Header.Get("Authorization") != "Bearer "+tokens.AccessToken {
		t.Fatalf("%+v", last)
	}
	if _, err := b.rp.UserInfo(context.Background(), "canary\r\nX: y", "alice"); err == nil || strings.Contains(err.Error(), "canary") {
		t.Fatalf("E17 a token with a line break: %v", err)
	}
}
