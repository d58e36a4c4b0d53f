package interpreted

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// A tokenCase is a valid or an invalid ID token. The valid ones have odd claims that are
// allowed.
type tokenCase struct {
	name   string
	change func(p *oidctest.Provider, b *oidctest.Behaviour)
	good   bool
}

func claim(name string, value any) func(*oidctest.Provider, *oidctest.Behaviour) {
	return claims(func(c map[string]any) { c[name] = value })
}

func noClaim(name string) func(*oidctest.Provider, *oidctest.Behaviour) {
	return claims(func(c map[string]any) { delete(c, name) })
}

func claims(edit func(c map[string]any)) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.IDTokenClaims = edit }
}

func header(name string, value any) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(_ *oidctest.Provider, b *oidctest.Behaviour) {
		b.IDTokenHeader = func(h map[string]any) { h[name] = value }
	}
}

func token(edit func(raw string) string) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.IDToken = edit }
}

// signedOver signs the decoded parts of the token with the provider's key.
func signedOver(edit func(header, payload string) (string, string)) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(p *oidctest.Provider, b *oidctest.Behaviour) {
		k := p.SigningKey()
		b.IDToken = func(raw string) string {
			parts := strings.Split(raw, ".")
			h, _ := base64.RawURLEncoding.DecodeString(parts[0])
			c, _ := base64.RawURLEncoding.DecodeString(parts[1])
			newHeader, newPayload := edit(string(h), string(c))
			return k.Sign([]byte(newHeader), []byte(newPayload))
		}
	}
}

// secretOf returns a key that signs with HMAC, under the name of the published one.
func secretOf(secret func(p *oidctest.Provider) []byte) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(p *oidctest.Provider, b *oidctest.Behaviour) {
		b.SignWith = &oidctest.Key{ID: p.SigningKey().ID, Alg: "HS256", Secret: secret(p)}
	}
}

func public(p *oidctest.Provider) []byte {
	der, _ := x509.MarshalPKIXPublicKey(p.SigningKey().Signer.Public())
	return der
}

// signature replaces the last part of the token.
func signature(edit func(s []byte) []byte) func(*oidctest.Provider, *oidctest.Behaviour) {
	return token(func(raw string) string {
		i := strings.LastIndexByte(raw, '.')
		s, _ := base64.RawURLEncoding.DecodeString(raw[i+1:])
		return raw[:i+1] + base64.RawURLEncoding.EncodeToString(edit(s))
	})
}

func TestIDTokens(t *testing.T) {
	now := time.Now().Unix()
	var fetched atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	t.Cleanup(canary.Close)
	foreign := oidctest.NewKey("RS256")
	cases := []tokenCase{
		{"C16 an audience in a list of one", claim("aud", []any{"client"}), true},
		{"C19 a fraction", claim("exp", json.Number(fmt.Sprintf("%d.75", now+300))), true},
		{"C20 issued within the skew", claim("iat", now+20), true},

		{"C2 the public key's PEM as a secret", secretOf(func(p *oidctest.Provider) []byte {
			return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public(p)})
		}), false},
		{"C2 the public key's DER as a secret", secretOf(public), false},
		{"C2 the JWK as a secret", secretOf(func(p *oidctest.Provider) []byte { b, _ := json.Marshal(p.SigningKey().JWK()); return b }), false},
		{"C3 an empty secret", secretOf(func(*oidctest.Provider) []byte { return []byte{} }), false},
		{"C3 the client secret, though HS256 is not named", secretOf(func(*oidctest.Provider) []byte { return []byte("secret") }), false},

		{"C7 a path", header("kid", "../../../../dev/null"), false}, {"C7 SQL", header("kid", "x' UNION SELECT 'key'--"), false},
		{"C7 NUL", header("kid", "a\x00b"), false}, {"C7 10 KB", header("kid", strings.Repeat("k", 10<<10)), false},
		{"C7 a list", header("kid", []any{"k"}), false}, {"C7 a number", header("kid", 7), false}, {"C7 an object", header("kid", map[string]any{}), false},
		{"C8 a key of its own", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.SignWith = foreign
			b.IDTokenHeader = func(h map[string]any) { h["jwk"] = foreign.JWK() }
		}, false},
		{"C8 the address of a key", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.SignWith = foreign
			b.IDTokenHeader = func(h map[string]any) { h["jku"], h["x5u"] = canary.URL+"/jwks", canary.URL+"/x5u" }
		}, false},
		{"C8 a certificate of its own", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.SignWith = foreign
			b.IDTokenHeader = func(h map[string]any) { h["x5c"] = []any{"MIIB"} }
		}, false},
		{"C9 crit", header("crit", []any{"exp"}), false}, {"C9 crit, empty", header("crit", []any{}), false},
		{"C9 b64", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.IDTokenHeader = func(h map[string]any) { h["b64"], h["crit"] = false, []any{"b64"} }
		}, false},
		{"C10 an access token's type", header("typ", "at+jwt"), false}, {"C10 a logout token's type", header("typ", "logout+jwt"), false},

		{"C12 another client", claim("aud", "other"), false}, {"C13 a second audience", claim("aud", []any{"client", "other"}), false},
		{"C13 a second audience, azp ours", claims(func(c map[string]any) { c["aud"], c["azp"] = []any{"client", "other"}, "client" }), false},
		{"C14 another azp", claim("azp", "other"), false},
		{"C15 no audience", noClaim("aud"), false}, {"C15 empty", claim("aud", ""), false}, {"C15 an empty list", claim("aud", []any{}), false},
		{"C15 an object", claim("aud", map[string]any{"client": true}), false}, {"C15 a number", claim("aud", 1), false}, {"C15 nested", claim("aud", []any{[]any{"client"}}), false},
		{"C17 no issuer", noClaim("iss"), false}, {"C17 another", claim("iss", "https://other.test"), false},
		{"C17 a trailing slash", claims(func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" }), false},
		{"C17 another case", claims(func(c map[string]any) { c["iss"] = strings.ToUpper(c["iss"].(string)) }), false},
		{"C19 expired", claim("exp", now-600), false}, {"C19 no exp", noClaim("exp"), false}, {"C19 text", claim("exp", "tomorrow"), false},
		{"C19 negative", claim("exp", -1), false}, {"C19 null", claim("exp", nil), false},
		{"C20 not before later", claim("nbf", now+3600), false}, {"C20 issued later", claim("iat", now+3600), false}, {"C20 no iat", noClaim("iat"), false},
		{"C21 no subject", noClaim("sub"), false}, {"C21 empty", claim("sub", ""), false}, {"C21 a number", claim("sub", 7), false},
		{"C21 256 letters", claim("sub", strings.Repeat("s", 256)), false}, {"C21 two lines", claim("sub", "a\r\nb"), false},
		{"C22 another at_hash", claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), false}, {"C22 a number", claim("at_hash", 1), false},
		{"C22 another access token", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.TokenResponse = func(r map[string]any) { r["access_token"] = "swapped" }
		}, false},

		{"C24 a bit", signature(func(s []byte) []byte { s[17] ^= 1; return s }), false}, {"C24 cut", signature(func(s []byte) []byte { return s[:len(s)-1] }), false},
		{"C24 longer", signature(func(s []byte) []byte { return append(s, 0) }), false}, {"C24 zeros", signature(func(s []byte) []byte { return make([]byte, len(s)) }), false},
		{"C24 none", signature(func([]byte) []byte { return nil }), false}, {"C24 another's", func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.SignWith = foreign }, false},
		{"C24 another's under our name", func(p *oidctest.Provider, b *oidctest.Behaviour) {
			k := *foreign
			k.ID = p.SigningKey().ID
			b.SignWith = &k
		}, false},
		{"C24 a fourth part", token(func(raw string) string { return raw + ".x" }), false}, {"C24 two parts", token(func(raw string) string { return raw[:strings.LastIndexByte(raw, '.')] }), false},
		{"C24 C32 five parts", token(func(string) string { return "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIiwiemlwIjoiREVGIn0..AAAA.AAAA.AAAA" }), false},
		{"C32 PBES2 with a huge count", token(func(string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}`)) + ".AAAA.AAAA.AAAA.AAAA"
		}), false},
		{"C24 nothing", token(func(string) string { return "" }), false}, {"C24 dots", token(func(string) string { return ".." }), false},

		{"C27 padding", token(func(raw string) string { return strings.Replace(raw, ".", "=.", 1) }), false},
		{"C27 a line end", token(func(raw string) string { return raw + "\n" }), false}, {"C27 a space", token(func(raw string) string { return " " + raw }), false},
		{"C27 a line end inside", token(func(raw string) string { return raw[:20] + "\n" + raw[20:] }), false},
		{"C27 the other alphabet", token(func(raw string) string {
			i := strings.LastIndexByte(raw, '.')
			return raw[:i] + strings.NewReplacer("-", "+", "_", "/").Replace(raw[i:])
		}), false},

		{"C28 alg twice", signedOver(func(h, p string) (string, string) { return `{"alg":"RS256",` + h[1:], p }), false},
		{"C28 aud twice", signedOver(func(h, p string) (string, string) { return h, `{"aud":"client",` + p[1:] }), false},
		{"C28 nonce twice", signedOver(func(h, p string) (string, string) { return h, p[:len(p)-1] + `,"nonce":"x"}` }), false},
		{"C29 Iss good, iss evil", claims(func(c map[string]any) { c["Iss"], c["iss"] = c["iss"], "https://evil.test" }), false},
		{"C29 ISS evil, iss good", claim("ISS", "https://evil.test"), true},
		{"C29 Exp for exp", claims(func(c map[string]any) { c["Exp"] = c["exp"]; delete(c, "exp") }), false},
		{"C29 Nonce for nonce", claims(func(c map[string]any) { c["Nonce"] = c["nonce"]; delete(c, "nonce") }), false},
		{"C30 a byte order mark", signedOver(func(h, p string) (string, string) { return h, "\ufeff" + p }), false},
		{"C30 UTF-16", signedOver(func(h, p string) (string, string) { return h, strings.Join(strings.Split(p, ""), "\x00") }), false},
		{"C30 a raw NUL", signedOver(func(h, p string) (string, string) { return h, p + "\x00" }), false},
		{"C31 deep", signedOver(func(h, p string) (string, string) {
			return h, `{"x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "," + p[1:]
		}), false},
		{"C31 a claim of 1 MB", claim("x", strings.Repeat("x", 1<<20)), false},
		{"C31 100000 audiences", claim("aud", append(make([]any, 100_000), "client")), false},
	}
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, 1, []any{"RS256"}, "RS256 ", "rs256"} {
		cases = append(cases, tokenCase{fmt.Sprintf("C1 alg %v", alg), func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.IDTokenHeader = func(h map[string]any) { h["alg"] = alg }
			if s, ok := alg.(string); ok && strings.EqualFold(s, "none") {
				b.IDToken = func(raw string) string { return raw[:strings.LastIndexByte(raw, '.')+1] }
			}
		}, false})
	}
	whole := newSite(t, setup{provider: oidctest.Options{SigningAlg: "RS256"}})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { whole.in(t).takes(c) })
	}
	if fetched.Load() != 0 {
		t.Errorf("C8 %d requests to an address in a header", fetched.Load())
	}

	t.Run("C11 an access token for an ID token", func(t *testing.T) {
		s := newSite(t, setup{provider: oidctest.Options{JWTAccessTokens: true}})
		s.takes(tokenCase{"as it should be", func(*oidctest.Provider, *oidctest.Behaviour) {}, true})
		s.takes(tokenCase{"swapped", func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.TokenResponse = func(r map[string]any) { r["id_token"] = r["access_token"] }
		}, false})
		s.takes(tokenCase{"a logout token", func(p *oidctest.Provider, b *oidctest.Behaviour) {
			b.TokenResponse = func(r map[string]any) { r["id_token"] = p.LogoutToken("client", "alice", "", nil) }
		}, false})
	})
	t.Run("C33 large numbers stay as they are", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"headers": []any{map[string]any{"name": "X-Number", "value": "${claims.number}"}}}})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.IDTokenClaims = func(c map[string]any) { c["number"] = json.Number("9007199254740993") }
		})
		if got := s.sees(s.signIn(s.browser(), "/", "alice")).Header.Get("X-Number"); got != "9007199254740993" {
			t.Errorf("X-Number: %q", got)
		}
	})
	t.Run("C37 a comma in a group", func(t *testing.T) {
		s := newSite(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.IDTokenClaims = func(c map[string]any) { c["groups"] = []any{"CN=Admins,OU=x", "staff"} }
		})
		if got := s.sees(s.signIn(s.browser(), "/", "alice")).Header.Get("X-User-Groups"); got != "CN=Admins%2COU=x,staff" {
			t.Errorf("X-User-Groups: %q", got)
		}
	})
}

// takes signs a user in with the case's token and checks the result.
func (s *site) takes(c tokenCase) {
	s.t.Helper()
	defer s.provider.Reset()
	s.misbehaves(c.change)
	b := s.browser()
	p := s.comeBack(b, s.callbackFor(b, "/page", "alice"))
	if c.good {
		s.status(p, http.StatusFound)
		s.status(b.Fetch(s.url+s.probe), http.StatusOK)
		return
	}
	s.failed(b, p)
}

// A keyCase is a provider with valid or invalid keys.
type keyCase struct {
	name    string
	alg     string // of the ID tokens; empty: RS256
	offered []any  // in the discovery document; nil: alg
	options map[string]any
	change  func(p *oidctest.Provider, b *oidctest.Behaviour)
	good    bool
}

func jwk(edit func(k map[string]any)) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(_ *oidctest.Provider, b *oidctest.Behaviour) {
		b.JWKS = func(keys []map[string]any) []map[string]any {
			for _, k := range keys {
				edit(k)
			}
			return keys
		}
	}
}

func jwkMember(name string, value any) func(*oidctest.Provider, *oidctest.Behaviour) {
	return jwk(func(k map[string]any) { k[name] = value })
}

// signedBy signs with a second, published key of that algorithm, under a header that names alg.
func signedBy(key, alg string) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(p *oidctest.Provider, b *oidctest.Behaviour) {
		k := oidctest.NewKey(key)
		p.Publish(k)
		b.SignWith = k
		b.IDTokenHeader = func(h map[string]any) { h["alg"] = alg }
	}
}

// namelessKey publishes a key without a name, which is tried for every token, and names a
// key in the token's header.
func namelessKey(kid any) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(p *oidctest.Provider, b *oidctest.Behaviour) {
		jwk(func(k map[string]any) { delete(k, "kid") })(p, b)
		header("kid", kid)(p, b)
	}
}

func TestKeysOfTheProvider(t *testing.T) {
	small := func(bits int) *big.Int { return new(big.Int).SetBit(big.NewInt(1), bits-1, 1) }
	encode := base64.RawURLEncoding.EncodeToString
	unchanged := func(*oidctest.Provider, *oidctest.Behaviour) {}
	cases := []keyCase{
		{name: "C3 HS256 by name, with a short client secret", alg: "HS256", options: map[string]any{"idTokenSigningAlgs": []any{"HS256"}}, change: func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.SignWith = &oidctest.Key{Alg: "HS256", Secret: []byte("secret")}
		}},
		{name: "C3 HS256 by name, with a long client secret", alg: "HS256", options: map[string]any{"idTokenSigningAlgs": []any{"HS256"}, "clientSecret": key}, change: func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.SignWith = &oidctest.Key{Alg: "HS256", Secret: []byte(key)}
		}, good: true},
		{name: "C4 a key that is published, of an algorithm that is not offered", offered: []any{"RS256"}, change: signedBy("ES256", "ES256")},
		{name: "C5 an EC key under RS256", offered: []any{"RS256", "ES256"}, change: signedBy("ES256", "RS256")},
		{name: "C5 an RSA key under PS256", offered: []any{"RS256", "PS256"}, change: signedBy("RS256", "PS256")},
		{name: "C5 a P-384 key under ES256", offered: []any{"ES256", "ES384"}, change: signedBy("ES384", "ES256")},
		{name: "C5 a P-256 key under ES384, r and s at the size of P-384", alg: "ES256", offered: []any{"ES256", "ES384"}, change: func(p *oidctest.Provider, b *oidctest.Behaviour) {
			k := &oidctest.Key{ID: "longer", Alg: "ES384", Signer: p.SigningKey().Signer}
			p.Publish(k)
			signature(func(s []byte) []byte {
				padded := make([]byte, 96)
				copy(padded[16:], s[:32])
				copy(padded[64:], s[32:])
				return padded
			})(p, b)
			b.SignWith = k
		}},
		{name: "C7 a kid that is a list, and a key without one", change: namelessKey([]any{"k"})},
		{name: "C7 a kid that is a number, and a key without one", change: namelessKey(7)},
		{name: "C7 a kid of 2 KB, and a key without one", change: namelessKey(strings.Repeat("k", 2048))},
		{name: "C7 another kid, and a key without one", change: namelessKey("other"), good: true},
		{name: "C5 a key that names another alg", change: jwkMember("alg", "RS512")},
		{name: "C6 a key for encryption", change: jwkMember("use", "enc")},
		{name: "C6 a key whose operations are others", change: jwk(func(k map[string]any) { delete(k, "use"); k["key_ops"] = []any{"encrypt", "wrapKey"} })},
		{name: "C6 a key that may verify", change: jwk(func(k map[string]any) { delete(k, "use"); k["key_ops"] = []any{"verify"} }), good: true},
		{name: "C26 an exponent of one", change: jwkMember("e", "AQ")},
		{name: "C26 an even exponent", change: jwkMember("e", "Ag")},
		{name: "C26 1024 bits", change: func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			weak := weakKey()
			b.SignWith = weak
			b.JWKS = func(keys []map[string]any) []map[string]any { return []map[string]any{weak.JWK()} }
		}},
		{name: "C26 64 KB", change: jwkMember("n", encode(small(64<<13).Bytes()))},
		{name: "C26 a point that is on no curve", alg: "ES256", change: jwkMember("y", encode(make([]byte, 32)))},
		{name: "D11 none and HS256 are offered", offered: []any{"none", "HS256"}, change: func(p *oidctest.Provider, b *oidctest.Behaviour) {
			b.SignWith = &oidctest.Key{Alg: "HS256", Secret: []byte("secret")}
		}},
		{name: "D11 none is offered beside RS256", offered: []any{"none", "RS256"}, change: token(func(raw string) string {
			return "eyJhbGciOiJub25lIn0" + raw[strings.IndexByte(raw, '.'):strings.LastIndexByte(raw, '.')+1]
		})},
		{name: "C25 r and s are zero", alg: "ES256", change: signature(func(s []byte) []byte { return make([]byte, len(s)) })},
		{name: "C25 r is the order and more", alg: "ES256", change: signature(func(s []byte) []byte {
			for i := range 32 {
				s[i] = 0xff
			}
			return s
		})},
		{name: "C25 DER", alg: "ES256", change: signature(func(s []byte) []byte {
			der, _ := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(s[:32]), new(big.Int).SetBytes(s[32:])})
			return der
		})},
		{name: "C25 two bytes more", alg: "ES256", change: signature(func(s []byte) []byte {
			return append(append([]byte{0}, s[:32]...), append([]byte{0}, s[32:]...)...)
		})},
		{name: "C25 one byte less", alg: "ES256", change: signature(func(s []byte) []byte { return s[:63] })},
		{name: "C7 no kid, one key", change: func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.IDTokenHeader = func(h map[string]any) { delete(h, "kid") }
		}, good: true},
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		cases = append(cases, keyCase{name: "C4 " + alg + " as it should be", alg: alg, change: unchanged, good: true})
	}
	tries := &site{t: t, plugin: loader.Load(t), provider: oidctest.NewHandler(oidctest.Options{Issuer: "https://op.example.test"})}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			alg := c.alg
			if alg == "" || alg == "HS256" {
				alg = "RS256"
			}
			if text, taken := tries.in(t).tried(c.options); !taken {
				if c.good || !strings.Contains(text, "idTokenSigningAlgs") && !strings.Contains(text, "clientSecret") {
					t.Errorf("refused: %s", text)
				}
				return
			}
			secret, _ := c.options["clientSecret"].(string)
			s := newSite(t, setup{provider: oidctest.Options{SigningAlg: alg, ClientSecret: secret}, options: c.options})
			s.misbehaves(func(p *oidctest.Provider, b *oidctest.Behaviour) {
				if c.offered != nil {
					b.Discovery = func(doc map[string]any) { doc["id_token_signing_alg_values_supported"] = c.offered }
				}
				c.change(p, b)
			})
			b := s.browser()
			p := s.comeBack(b, s.callbackFor(b, "/page", "alice"))
			if c.good {
				s.status(p, http.StatusFound)
				s.status(b.Fetch(s.url+s.probe), http.StatusOK)
				return
			}
			if p.Status == http.StatusServiceUnavailable {
				s.noSession(b) // no key is left, so the provider is taken for one that does not respond
				return
			}
			s.failed(b, p)
		})
	}
}

func weakKey() *oidctest.Key {
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return &oidctest.Key{ID: "weak", Alg: "RS256", Signer: k}
}
