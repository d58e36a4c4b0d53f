package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// A claimCase is a token signed by the provider, with changed claims.
type claimCase struct {
	name   string
	change func(c map[string]any)
	fails  string // text in the error; empty: the token is accepted
}

func set(name string, v any) func(map[string]any) {
	return func(c map[string]any) { c[name] = v }
}

func without(name string) func(map[string]any) {
	return func(c map[string]any) { delete(c, name) }
}

func num(s string) json.Number { return json.Number(s) }

func TestIDTokenClaims(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{TrustedAudiences: []string{"friend"}})
	now := b.clock.Now().Unix()
	for _, c := range []claimCase{
		{"C0 as it should be", func(map[string]any) {}, ""},
		{"C11 payload typed as an access token", set("typ", "Bearer"), "another type"},
		{"C11 payload typed as a refresh token", set("typ", "Refresh"), "another type"},
		{"C11 reports an event", set("events", map[string]any{}), "another type"},
		{"C12 other client", set("aud", "other"), "aud"},
		{"C12 client in another case", set("aud", "Client"), "aud"},
		{"C12 client with a space", set("aud", "client "), "aud"},
		{"C12 only a trusted audience", func(c map[string]any) { c["aud"], c["azp"] = "friend", "client" }, "aud"},
		{"C13 second audience", set("aud", []string{"client", "evil"}), "aud"},
		{"C13 second audience although azp is the client", func(c map[string]any) {
			c["aud"], c["azp"] = []string{"client", "evil"}, "client"
		}, "aud"},
		{"C13 trusted second audience without azp", set("aud", []string{"client", "friend"}), "aud"},
		{"C13 trusted second audience with azp", func(c map[string]any) {
			c["aud"], c["azp"] = []string{"client", "friend"}, "client"
		}, ""},
		{"C14 azp is another client", set("azp", "other"), "azp"},
		{"C14 azp is empty", set("azp", ""), ""},
		{"C14 azp is null", set("azp", nil), ""},
		{"C13 second audience and azp is null", func(c map[string]any) {
			c["aud"] = []string{"client", "friend"}
			c["azp"] = nil
		}, "aud"},
		{"C20 nbf is null", set("nbf", nil), ""},
		{"C22 at_hash is null", set("at_hash", nil), ""},
		{"B23 auth_time is null", set("auth_time", nil), ""},
		{"C14 azp is an array", set("azp", []string{"client"}), "azp"},
		{"C14 azp is the client", set("azp", "client"), ""},
		{"C15 no aud", without("aud"), "aud"},
		{"C15 aud is null", set("aud", nil), "aud"},
		{"C15 aud is an empty array", set("aud", []string{}), "aud"},
		{"C15 aud is an object", set("aud", map[string]any{"client": "client"}), "aud"},
		{"C15 aud is a number", set("aud", 1), "aud"},
		{"C15 aud is nested", set("aud", []any{[]string{"client"}}), "aud"},
		{"C15 aud has a number", set("aud", []any{"client", 1}), "aud"},
		{"C16 aud is an array of one", set("aud", []string{"client"}), ""},
		{"C16 aud names the client twice", set("aud", []string{"client", "client"}), ""},
		{"C17 other iss", set("iss", "https://evil.example"), "iss"},
		{"C17 iss with a slash", set("iss", b.op.URL()+"/"), "iss"},
		{"C17 iss in another case", set("iss", strings.ToUpper(b.op.URL())), "iss"},
		{"C17 no iss", without("iss"), "iss"},
		{"C17 iss is an array", set("iss", []string{b.op.URL()}), "iss"},
		{"C19 exp past", set("exp", now-61), "exp"},
		{"C19 exp past within the skew", set("exp", now-59), ""},
		{"C19 no exp", without("exp"), "exp"},
		{"C19 exp is null", set("exp", nil), "exp"},
		{"C19 exp is a string", set("exp", fmt.Sprint(now+300)), "exp"},
		{"C19 exp is huge", set("exp", num("1e300")), ""},
		{"C19 exp is beyond any number", set("exp", num("1e999999")), ""},
		{"C19 exp overflows 64 bits", set("exp", num("9223372036854775808")), ""},
		{"C19 exp is negative", set("exp", -1), "exp"},
		{"C19 exp is hugely negative", set("exp", num("-1e300")), "exp"},
		{"C19 exp has a fraction", set("exp", num(fmt.Sprint(now)+".75")), ""},
		{"C19 exp is written as a power", set("exp", num("1.8000003e9")), ""},
		{"C20 nbf in the future", set("nbf", now+61), "nbf"},
		{"C20 nbf within the skew", set("nbf", now+59), ""},
		{"C20 nbf is a string", set("nbf", "0"), "nbf"},
		{"C20 iat in the future", set("iat", now+61), "iat"},
		{"C20 iat is huge", set("iat", num("1e300")), "iat"},
		{"C20 no iat", without("iat"), "iat"},
		{"C20 iat is a string", set("iat", fmt.Sprint(now)), "iat"},
		// OpenID Connect lets the client choose; exp bounds the token.
		{"C20 iat is ancient", set("iat", now-86400*365), ""},
		{"C21 no sub", without("sub"), "sub"},
		{"C21 sub is empty", set("sub", ""), "sub"},
		{"C21 sub is a number", set("sub", 7), "sub"},
		{"C21 sub is null", set("sub", nil), "sub"},
		{"C21 sub of 255 bytes", set("sub", strings.Repeat("a", 255)), ""},
		{"C21 sub of 256 bytes", set("sub", strings.Repeat("a", 256)), "sub"},
		{"C21 sub with CR LF", set("sub", "a\r\nX-Admin: 1"), "sub"},
		{"C21 sub with NUL", set("sub", "a\x00"), "sub"},
		{"C22 at_hash of another access token", set("at_hash", "x"), "at_hash"},
		{"C22 at_hash is a number", set("at_hash", 1), "at_hash"},
		{"C23 c_hash of another code", set("c_hash", "x"), "c_hash"},
		{"C23 s_hash of another state", set("s_hash", "x"), "s_hash"},
		{"C33 a number beyond 2^53", set("n", num("9007199254740993")), ""},
		{"B21 no nonce", without("nonce"), "nonce"},
		{"B22 other nonce", set("nonce", "other"), "nonce"},
		{"B22 nonce is empty", set("nonce", ""), "nonce"},
		{"B22 nonce is an array", set("nonce", []string{testNonce}), "nonce"},
		{"B23 auth_time is a string and was not asked for", set("auth_time", "0"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims := b.claims()
			c.change(claims)
			_, err := b.rp.VerifyIDToken(context.Background(), b.op.SigningKey().SignClaims(claims, nil), Expect{
				Nonce: testNonce, AccessToken: "access", Code: "code", State: "state",
			})
			checkRefusal(t, err, c.fails)
		})
	}
}

func checkRefusal(t *testing.T, err error, fails string) {
	t.Helper()
	if fails == "" && err != nil {
		t.Fatalf("refused: %v", err)
	}
	if fails != "" && !failsWith(err, ErrInvalidToken, fails) {
		t.Fatalf("want a refusal that names %q, got: %v", fails, err)
	}
}

func TestHashesOfAllAlgorithmsMatch(t *testing.T) {
	for _, alg := range []string{"RS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"} {
		t.Run("C22 "+alg, func(t *testing.T) {
			b := newBed(t, oidctest.Options{SigningAlg: alg}, Options{})
			tokens := b.tokens(t)
			if _, err := b.rp.VerifyIDToken(context.Background(), tokens.IDToken, Expect{Nonce: testNonce, AccessToken: tokens.AccessToken}); err != nil {
				t.Fatal(err)
			}
			_, err := b.rp.VerifyIDToken(context.Background(), tokens.IDToken, Expect{Nonce: testNonce, AccessToken: "swapped"})
			checkRefusal(t, err, "at_hash")
		})
	}
}

func TestMaxAge(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		option time.Duration
		expect time.Duration
		fails  string
	}{
		{"B23 recent", set("auth_time", 1800000000-100), 0, 100 * time.Second, ""},
		{"B23 old", set("auth_time", 1800000000-161), 0, 100 * time.Second, "auth_time"},
		{"B23 missing", without("auth_time"), 0, 100 * time.Second, "auth_time"},
		{"B23 null", set("auth_time", nil), 0, 100 * time.Second, "auth_time"},
		{"B23 a string", set("auth_time", "1800000000"), 0, 100 * time.Second, "auth_time"},
		{"B23 old by the option", set("auth_time", 1800000000-161), 100 * time.Second, 0, "auth_time"},
		{"B23 missing and not asked for", without("auth_time"), 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{MaxAge: c.option})
			raw := b.op.IDToken("client", "alice", testNonce, c.change)
			_, err := b.rp.VerifyIDToken(context.Background(), raw, Expect{Nonce: testNonce, MaxAge: c.expect})
			checkRefusal(t, err, c.fails)
		})
	}
}

func TestRefreshedIDToken(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	first := Expect{Refreshed: true, Subject: "alice", Issuer: b.op.URL(), Nonce: testNonce, AuthTime: b.clock.Now()}
	for _, c := range []claimCase{
		{"E11 without a nonce", without("nonce"), ""},
		{"E11 with the first nonce", set("nonce", testNonce), ""},
		{"E11 with another nonce", set("nonce", "other"), "nonce"},
		{"E11 other sub", set("sub", "bob"), "sub"},
		{"E11 other iss", set("iss", "https://evil.example"), "iss"},
		{"E11 other aud", set("aud", "other"), "aud"},
		{"E12 null at_hash and nonce", func(c map[string]any) {
			c["at_hash"] = nil
			c["nonce"] = nil
		}, ""},
		{"E11 the same auth_time", set("auth_time", 1800000000), ""},
		{"E11 an older auth_time", set("auth_time", 1800000000-1), "auth_time"},
		{"E11 expired", set("exp", 1), "exp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.rp.VerifyIDToken(context.Background(), b.op.IDToken("client", "alice", testNonce, c.change), first)
			checkRefusal(t, err, c.fails)
		})
	}
	t.Run("E11 bad signature", func(t *testing.T) {
		raw := oidctest.NewKey("ES256").SignClaims(b.claims(), nil)
		_, err := b.rp.VerifyIDToken(context.Background(), raw, first)
		checkRefusal(t, err, "signature")
	})
	t.Run("E11 no subject to compare with", func(t *testing.T) {
		_, err := b.rp.VerifyIDToken(context.Background(), b.op.IDToken("client", "alice", testNonce, nil), Expect{Refreshed: true, Nonce: testNonce})
		checkRefusal(t, err, "sub")
	})
}

func TestIDTokenHeaders(t *testing.T) {
	canary := 0
	attacker := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { canary++ }))
	defer attacker.Close()
	b := newBed(t, oidctest.Options{}, Options{})
	evil := oidctest.NewKey("ES256")
	evil.ID = b.op.SigningKey().ID
	for _, c := range []struct {
		name   string
		key    *oidctest.Key // nil: the provider's
		change func(h map[string]any)
		fails  string
	}{
		{"C1 alg none", nil, set("alg", "none"), "alg"},
		{"C1 alg None", nil, set("alg", "None"), "alg"},
		{"C1 alg NONE", nil, set("alg", "NONE"), "alg"},
		{"C1 alg nOnE", nil, set("alg", "nOnE"), "alg"},
		{"C1 no alg", nil, without("alg"), "header"},
		{"C1 alg is empty", nil, set("alg", ""), "alg"},
		{"C1 alg is null", nil, set("alg", nil), "header"},
		{"C1 alg is an array", nil, set("alg", []string{"ES256"}), "header"},
		{"C1 alg in lower case", nil, set("alg", "es256"), "alg"},
		{"C7 kid is a path", nil, set("kid", "../../../../dev/null"), "signature"},
		{"C7 kid is SQL", nil, set("kid", "' OR 1=1 --"), "signature"},
		{"C7 kid has NUL", nil, set("kid", "a\x00b"), "signature"},
		{"C7 kid is empty", nil, set("kid", ""), "signature"},
		{"C7 kid is too long", nil, set("kid", strings.Repeat("k", 10<<10)), "not a signed JWT"},
		{"C7 kid is long", nil, set("kid", strings.Repeat("k", 2<<10)), "header"},
		{"C7 kid is an array", nil, set("kid", []string{evil.ID}), "header"},
		{"C7 kid is a number", nil, set("kid", 1), "header"},
		{"C7 kid is null", nil, set("kid", nil), ""},
		{"C9 crit is null", nil, set("crit", nil), "header"},
		{"C7 no kid", nil, without("kid"), ""},
		{"C8 jwk of the attacker", evil, set("jwk", evil.JWK()), "signature"},
		{"C8 jku", evil, set("jku", attacker.URL), "signature"},
		{"C8 x5u", evil, set("x5u", attacker.URL), "signature"},
		{"C8 x5c", evil, set("x5c", []string{"MIIB"}), "signature"},
		{"C8 jku beside the right key is ignored", nil, set("jku", attacker.URL), ""},
		{"C9 crit", nil, set("crit", []string{"exp"}), "header"},
		{"C9 crit is empty", nil, set("crit", []string{}), "header"},
		{"C9 b64", nil, set("b64", false), "header"},
		{"C10 at+jwt", nil, set("typ", "at+jwt"), "another type"},
		{"C10 application/at+jwt", nil, set("typ", "application/at+jwt"), "another type"},
		{"C10 AT+JWT", nil, set("typ", "AT+JWT"), "another type"},
		{"C10 logout+jwt", nil, set("typ", "logout+jwt"), "another type"},
		{"C10 secevent+jwt", nil, set("typ", "secevent+jwt"), "another type"},
		{"C10 typ is a number", nil, set("typ", 1), "header"},
		{"C10 no typ", nil, without("typ"), ""},
		{"C10 jwt in lower case", nil, set("typ", "jwt"), ""},
		{"C32 zip", nil, set("zip", "DEF"), "header"},
		{"C32 enc", nil, set("enc", "A128GCM"), "header"},
		{"C32 PBES2", nil, func(h map[string]any) { h["alg"], h["p2c"] = "PBES2-HS256+A128KW", 1<<31 }, "alg"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.clock.add(time.Minute) // unknown kids may fetch again
			key := c.key
			if key == nil {
				key = b.op.SigningKey()
			}
			checkRefusal(t, b.verify(key.SignClaims(b.claims(), c.change)), c.fails)
		})
	}
	if canary != 0 {
		t.Errorf("C8: %d requests to the attacker", canary)
	}
}

func TestTokensOfOtherKinds(t *testing.T) {
	b := newBed(t, oidctest.Options{JWTAccessTokens: true}, Options{})
	tokens := b.tokens(t)
	checkRefusal(t, b.verify(tokens.AccessToken), "another type")
	checkRefusal(t, b.verify(tokens.IDToken), "")
	t.Run("C11 an access token that looks like an ID token", func(t *testing.T) {
		raw := b.op.IDToken("client", "alice", "", func(c map[string]any) { delete(c, "nonce") })
		checkRefusal(t, b.verify(raw), "nonce")
		checkRefusal(t, b.verify(tokens.IDToken), "")
	})
	t.Run("C11 a logout token", func(t *testing.T) {
		raw := b.op.LogoutToken("client", "alice", "sid", func(h, _ map[string]any) { h["typ"] = "JWT" })
		checkRefusal(t, b.verify(raw), "another type")
	})
}

func TestTenants(t *testing.T) {
	const tenant, other = ourTenant, otherTenant
	for _, c := range []struct {
		name    string
		allowed []string
		tid     any
		iss     string // the tenant in iss
		fails   string
	}{
		{"C18 an allowed tenant", []string{tenant}, tenant, tenant, ""},
		{"C18 an allowed tenant in capitals", []string{strings.ToUpper("aaaaaaaa-2222-3333-4444-555555555555")}, "aaaaaaaa-2222-3333-4444-555555555555", "aaaaaaaa-2222-3333-4444-555555555555", ""},
		{"C18 any tenant", []string{"*"}, other, other, ""},
		{"C18 another tenant", []string{tenant}, other, other, "iss"},
		{"C18 tid and iss differ", []string{tenant, other}, tenant, other, "iss"},
		{"C18 tid is missing", []string{tenant}, nil, tenant, "iss"},
		{"C18 tid is no GUID", []string{"*"}, "evil/../common", "evil/../common", "iss"},
		{"C18 the template itself", []string{"*"}, "{tenantid}", "{tenantid}", "iss"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTenantBed(t, c.allowed)
			base := manyTenants(b, "{base}/{tenantid}/v2.0")
			raw := b.op.IDToken("client", "alice", testNonce, func(claims map[string]any) {
				claims["iss"] = base + "/" + c.iss + "/v2.0"
				claims["tid"] = c.tid
			})
			checkRefusal(t, b.verify(raw), c.fails)
		})
	}
	for _, c := range []struct{ name, issuer, what string }{
		{"C18 no tenant is allowed", "/{tenantid}/v2.0", "set allowedTenants"},
		{"C18 the template is of another path", "/{tenantid}/v1.0", "another issuer"},
		{"C18 the template spans the path", "/{tenantid}", "another issuer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTenantBed(t, nil)
			b.op.Set(func(be *oidctest.Behaviour) {
				be.Discovery = func(doc map[string]any) {
					doc["issuer"] = strings.TrimSuffix(b.op.URL(), "/common/v2.0") + c.issuer
				}
			})
			if _, err := b.rp.Metadata(context.Background()); !failsWith(err, ErrUnavailable, c.what) {
				t.Fatal(err)
			}
		})
	}
}

func newTenantBed(t *testing.T, allowed []string) *bed {
	t.Helper()
	l := listen(t)
	issuer := "http://" + l.Addr().String() + "/common/v2.0"
	return newBed(t, oidctest.Options{Listener: l, Issuer: issuer}, Options{Issuer: issuer, AllowedTenants: allowed})
}

func TestGoogleHasTwoIssuers(t *testing.T) {
	m := &Metadata{}
	if err := m.readIssuer(Claims{"issuer": "https://accounts.google.com"}, Options{Issuer: "https://accounts.google.com"}); err != nil {
		t.Fatal(err)
	}
	for iss, want := range map[string]bool{
		"https://accounts.google.com": true, "accounts.google.com": true, "accounts.google.com.evil": false, "": false,
	} {
		if m.isIssuer(Claims{"iss": iss}) != want {
			t.Errorf("C17 %q: %v", iss, !want)
		}
	}
}
