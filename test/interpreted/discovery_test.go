package interpreted

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

func TestDiscovery(t *testing.T) {
	var visited atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { visited.Add(1) }))
	t.Cleanup(trap.Close)
	elsewhere := strings.Replace(trap.URL, "127.0.0.1", "127.0.0.2", 1)
	for _, row := range []struct {
		name string
		edit func(doc map[string]any)
	}{
		{"D1 another issuer", func(doc map[string]any) { doc["issuer"] = "https://other.test" }},
		{"D1 a trailing slash", func(doc map[string]any) { doc["issuer"] = doc["issuer"].(string) + "/" }},
		{"D1 another case", func(doc map[string]any) { doc["issuer"] = strings.ToUpper(doc["issuer"].(string)) }},
		{"D1 no issuer", func(doc map[string]any) { delete(doc, "issuer") }},
		{"D6 an authorization endpoint that is a script", func(doc map[string]any) { doc["authorization_endpoint"] = "javascript:alert(1)" }},
		{"D6 a token endpoint that is a file", func(doc map[string]any) { doc["token_endpoint"] = "file:///etc/passwd" }},
		{"D6 keys in a file", func(doc map[string]any) { doc["jwks_uri"] = "file:///etc/passwd" }},
		{"D6 no token endpoint", func(doc map[string]any) { delete(doc, "token_endpoint") }},
		{"D6 a token endpoint with a password", func(doc map[string]any) { doc["token_endpoint"] = "http://u:p@127.0.0.1/token" }},
		{"D6 a list for an endpoint", func(doc map[string]any) { doc["token_endpoint"] = []any{"http://127.0.0.1/token"} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{})
			s.provider.Set(func(b *oidctest.Behaviour) { b.Discovery = row.edit })
			p := s.browser().Hop(s.url + "/page")
			s.status(p, http.StatusServiceUnavailable)
		})
	}
	for _, row := range []struct {
		name string
		edit func(doc map[string]any)
	}{
		{"D6 keys at an internal address", func(doc map[string]any) { doc["jwks_uri"] = elsewhere + "/jwks" }},
		{"D6 a token endpoint at an internal address", func(doc map[string]any) { doc["token_endpoint"] = elsewhere + "/token" }},
		{"D6 D8 a name of an internal address", func(doc map[string]any) {
			doc["jwks_uri"] = strings.Replace(trap.URL, "127.0.0.1", "localhost", 1) + "/jwks"
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: map[string]any{"allowPrivateIPAddresses": false}})
			s.provider.Set(func(b *oidctest.Behaviour) { b.Discovery = row.edit })
			b := s.browser()
			start := b.Hop(s.url + "/page")
			if start.Status == http.StatusFound {
				if p := s.comeBack(b, s.provided(b, start, "alice")); p.Status < 400 {
					t.Errorf("the callback's status is %d", p.Status)
				}
			}
			s.noSession(b)
			if visited.Load() != 0 {
				t.Error("the internal address was visited")
			}
		})
	}

	for _, host := range []string{"168.63.129.16", "192.88.99.1", "[::127.0.0.2]", "[3fff::1]", "[5f00::1]", "[64:ff9b::7f00:2]", "[2002:7f00:2::1]"} {
		t.Run("L20 D6 a token endpoint at "+host, func(t *testing.T) {
			s := newSite(t, setup{options: map[string]any{"allowPrivateIPAddresses": false}})
			s.provider.Set(func(b *oidctest.Behaviour) {
				b.Discovery = func(doc map[string]any) { doc["token_endpoint"] = "http://" + host + "/token" }
			})
			before := s.plugin.Log.Len()
			s.status(s.signIn(s.browser(), "/", "alice"), http.StatusServiceUnavailable)
			eventually.True(t, "a line that names the reason", func() bool {
				return strings.Contains(s.plugin.Log.Since(before), "token endpoint at http://"+host+"/token is at an address that is not allowed")
			})
		})
	}
	t.Run("D6 the provider itself may be at an internal address", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"allowPrivateIPAddresses": false}})
		s.sees(s.signIn(s.browser(), "/", "alice"))
	})
	t.Run("D2 keys that rotate", func(t *testing.T) {
		s := newSite(t, setup{})
		s.sees(s.signIn(s.browser(), "/", "alice"))
		s.provider.Rotate()
		s.sees(s.signIn(s.browser(), "/", "alice"))
		if n := s.provider.Count(oidctest.JWKS); n != 2 {
			t.Errorf("the keys were fetched %d times", n)
		}
	})
	t.Run("D3 a flood of unknown keys", func(t *testing.T) {
		s := newSite(t, setup{})
		s.sees(s.signIn(s.browser(), "/", "alice"))
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.IDTokenHeader = func(h map[string]any) { h["kid"] = fmt.Sprint(visited.Add(1)) }
		})
		before := s.provider.Count(oidctest.JWKS)
		for range 40 {
			b := s.browser()
			s.comeBack(b, s.callbackFor(b, "/", "alice"))
		}
		if n := s.provider.Count(oidctest.JWKS) - before; n > 5 {
			t.Errorf("40 unknown keys made %d fetches", n)
		}
		s.provider.Reset()
		s.sees(s.signIn(s.browser(), "/", "alice"))
	})
	t.Run("D4 a document without a list of keys leaves the old ones", func(t *testing.T) {
		for name, fault := range map[string]oidctest.Fault{
			"empty": {Status: 200, Body: "{}"}, "garbage": {Status: 200, Body: "\x00\x01"}, "HTML": {Status: 200, Type: "text/html", Body: "<html>"},
			"10 MB": {Status: 200, Body: strings.Repeat(" ", 10<<20)}, "gone": {Drop: true}, "503": {Status: 503},
		} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t, setup{})
				s.sees(s.signIn(s.browser(), "/", "alice"))
				s.provider.Set(func(b *oidctest.Behaviour) {
					b.Faults[oidctest.JWKS] = fault
					b.IDTokenHeader = func(h map[string]any) { h["kid"] = "unknown" }
				})
				b := s.browser()
				if p := s.comeBack(b, s.callbackFor(b, "/", "alice")); p.Status < 400 {
					t.Errorf("an unknown key: status %d", p.Status)
				}
				s.provider.Set(func(b *oidctest.Behaviour) { b.IDTokenHeader = nil })
				s.sees(s.signIn(s.browser(), "/", "alice"))
			})
		}
	})
	t.Run("D5 two keys of one name", func(t *testing.T) {
		s := newSite(t, setup{})
		other := oidctest.NewKey("ES256")
		other.ID = s.provider.SigningKey().ID
		s.provider.Publish(other)
		s.sees(s.signIn(s.browser(), "/", "alice"))
	})
	t.Run("D10 certificates", func(t *testing.T) {
		unknown := newSite(t, setup{provider: oidctest.Options{TLS: true}})
		unknown.status(unknown.browser().Hop(unknown.url+"/"), http.StatusServiceUnavailable)

		s := &site{t: t, plugin: loader.Load(t), provider: oidctest.New(oidctest.Options{TLS: true})}
		t.Cleanup(s.provider.Close)
		ca := filepath.Join(t.TempDir(), "ca.pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certificate()})
		if err := os.WriteFile(ca, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"caCertPath": ca, "caCertPEM": string(text)} {
			trusting := newSite(t, setup{provider: oidctest.Options{TLS: true}, options: map[string]any{name: value}})
			if p := trusting.browser().Hop(trusting.url + "/"); !trusting.toProvider(p) {
				t.Errorf("%s: status %d", name, p.Status)
			}
		}
	})
}

// certificate returns the certificate of the provider.
func (s *site) certificate() []byte {
	s.t.Helper()
	res, err := s.provider.Client().Get(s.provider.Endpoint(oidctest.Discovery))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.TLS.PeerCertificates[0].Raw
}

func TestTokenResponses(t *testing.T) {
	whole := newSite(t, setup{})
	for _, row := range []struct {
		name string
		edit func(r map[string]any)
		good bool
	}{
		{"E1 bearer, in any case", func(r map[string]any) { r["token_type"] = "bEARER" }, true},
		{"E1 no expires_in", func(r map[string]any) { delete(r, "expires_in") }, true},
		{"E1 no ID token", func(r map[string]any) { delete(r, "id_token") }, false},
		{"E1 an ID token that is a list", func(r map[string]any) { r["id_token"] = []any{r["id_token"]} }, false},
		{"E1 DPoP", func(r map[string]any) { r["token_type"] = "DPoP" }, false},
		{"E2 expires_in as text", func(r map[string]any) { r["expires_in"] = "300" }, true},
		{"E2 huge", func(r map[string]any) { r["expires_in"] = 1e30 }, true},
		{"E2 zero", func(r map[string]any) { r["expires_in"] = 0 }, true},
		{"E2 negative", func(r map[string]any) { r["expires_in"] = -5 }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			whole.in(t).takes(tokenCase{row.name, func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.TokenResponse = row.edit }, row.good})
		})
	}

	t.Run("E14 odd letters in the client's secret", func(t *testing.T) {
		const secret = "a:b%c+d e&f=gü/?"
		s := newSite(t, setup{provider: oidctest.Options{ClientSecret: secret}, options: map[string]any{"clientSecret": secret}})
		s.sees(s.signIn(s.browser(), "/", "alice"))
	})
	t.Run("E14 odd letters in the client's id", func(t *testing.T) {
		const id = "https://app.example/a:b%c+d e&f=g\u00fc"
		s := newSite(t, setup{provider: oidctest.Options{ClientID: id}, options: map[string]any{"clientID": id}})
		s.sees(s.signIn(s.browser(), "/", "alice"))
	})
	t.Run("E14 client authentication as discovery offers", func(t *testing.T) {
		for _, method := range []string{"client_secret_basic", "client_secret_post"} {
			s := newSite(t, setup{})
			s.provider.Set(func(b *oidctest.Behaviour) {
				b.Discovery = func(doc map[string]any) { doc["token_endpoint_auth_methods_supported"] = []any{method} }
			})
			s.sees(s.signIn(s.browser(), "/", "alice"))
			last := s.provider.Last(oidctest.Token)
			if basic, post := last.Header.Get("Authorization") != "", last.Form.Get("client_secret") != ""; basic == post || basic != (method == "client_secret_basic") {
				t.Errorf("%s: Authorization %t, client_secret %t", method, basic, post)
			}
		}
	})
	t.Run("E14 a public client", func(t *testing.T) {
		s := newSite(t, setup{provider: oidctest.Options{Public: true}, without: []string{"clientSecret"}})
		s.sees(s.signIn(s.browser(), "/", "alice"))
	})
}

func TestUserInfo(t *testing.T) {
	groups := map[string]any{"allowedRolesAndGroups": []any{"staff"}}
	for _, row := range []struct {
		name    string
		options map[string]any
		change  func(p *oidctest.Provider, b *oidctest.Behaviour)
		good    bool
		asked   int
	}{
		{"E3 nothing is missing", groups, func(*oidctest.Provider, *oidctest.Behaviour) {}, true, 0},
		{"E3 always", map[string]any{"userinfo": "always"}, func(*oidctest.Provider, *oidctest.Behaviour) {}, true, 1},
		{"E3 claims only there", groups, func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.ClaimsOnlyInUserInfo = true }, true, 1},
		{"E3 signed", groups, func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.ClaimsOnlyInUserInfo, b.UserInfoSigned = true, true
		}, true, 1},
		{"E3 never", map[string]any{"userinfo": "never", "allowedRolesAndGroups": []any{"staff"}}, func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.ClaimsOnlyInUserInfo = true }, false, 0},
		{"E3 another subject", groups, userInfo(func(c map[string]any) { c["sub"] = "bob" }), false, 1},
		{"E3 no subject", groups, userInfo(func(c map[string]any) { delete(c, "sub") }), false, 1},
		{"E3 a list", groups, userInfoBody(`["staff"]`), false, 1},
		{"E3 HTML", groups, func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.ClaimsOnlyInUserInfo, b.UserInfoType, b.UserInfoBody = true, "text/html", []byte("<html>")
		}, false, 1},
		{"E3 a JWT that nobody signed", groups, func(_ *oidctest.Provider, b *oidctest.Behaviour) {
			b.ClaimsOnlyInUserInfo, b.UserInfoType = true, "application/jwt"
			b.UserInfoBody = []byte("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImdyb3VwcyI6WyJzdGFmZiJdfQ.")
		}, false, 1},
		{"E4 claims of the ID token win", map[string]any{"userinfo": "always", "allowedRolesAndGroups": []any{"staff"}, "headers": []any{map[string]any{"name": "X-Claims", "value": "${claims.email} ${claims.name}"}}},
			func(_ *oidctest.Provider, b *oidctest.Behaviour) {
				b.UserInfo = func(c map[string]any) {
					c["email"], c["name"], c["groups"] = "evil@example.com", "evil", []string{"evil"}
				}
			}, true, 1},
		{"E4 nor do those of userinfo let anybody in", map[string]any{"userinfo": "always", "allowedRolesAndGroups": []any{"board"}},
			func(_ *oidctest.Provider, b *oidctest.Behaviour) {
				b.UserInfo = func(c map[string]any) { c["groups"] = []string{"board"} }
			}, false, 1},
		{"L9 a verified address is required, and userinfo says so", map[string]any{"allowedUserDomains": []any{"example.com"}, "emailVerified": "require"},
			func(_ *oidctest.Provider, b *oidctest.Behaviour) {
				b.IDTokenClaims = func(c map[string]any) { delete(c, "email_verified") }
			}, true, 1},
		{"E4 L9 userinfo says so of another address", map[string]any{"allowedUserDomains": []any{"example.com"}, "emailVerified": "require"},
			func(_ *oidctest.Provider, b *oidctest.Behaviour) {
				b.IDTokenClaims = func(c map[string]any) { delete(c, "email_verified") }
				b.UserInfo = func(c map[string]any) { c["email"] = "alice@evil.example" }
			}, false, 1},
		{"E4 protected claims", map[string]any{"userinfo": "always", "headers": []any{map[string]any{"name": "X-Claims", "value": "${claims.iss} ${claims.aud} ${claims.sid} ${claims.nonce}"}}},
			userInfo(func(c map[string]any) {
				for _, name := range []string{"iss", "aud", "exp", "nonce", "acr", "amr", "auth_time", "sid", "azp"} {
					c[name] = "evil"
				}
			}), true, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: row.options})
			s.misbehaves(row.change)
			b := s.browser()
			p := s.signIn(b, "/", "alice")
			if row.good {
				for name, values := range s.sees(p).Header {
					if strings.Contains(strings.Join(values, ""), "evil") {
						t.Errorf("%s: %q", name, values)
					}
				}
			} else if p.Status < 400 || p.Status > 502 || p.Status == 500 {
				t.Errorf("status %d", p.Status)
			}
			if n := s.provider.Count(oidctest.UserInfo); n != row.asked {
				t.Errorf("userinfo was asked %d times, want %d", n, row.asked)
			}
			if q := s.provider.Last(oidctest.UserInfo); row.asked > 0 && (!strings.HasPrefix(q.Header.Get("Authorization"), "Bearer ") || q.Form.Get("access_token") != "") {
				t.Errorf("asked with %v %v", q.Header, q.Form)
			}
		})
	}
}

func userInfo(edit func(c map[string]any)) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(_ *oidctest.Provider, b *oidctest.Behaviour) { b.ClaimsOnlyInUserInfo, b.UserInfo = true, edit }
}

func userInfoBody(body string) func(*oidctest.Provider, *oidctest.Behaviour) {
	return func(_ *oidctest.Provider, b *oidctest.Behaviour) {
		b.ClaimsOnlyInUserInfo, b.UserInfoBody = true, []byte(body)
	}
}

func TestProvidersThatDiffer(t *testing.T) {
	t.Run("an authorization endpoint with a query of its own", func(t *testing.T) {
		s := newSite(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.Discovery = func(doc map[string]any) {
				doc["authorization_endpoint"] = doc["authorization_endpoint"].(string) + "?tenant=a%26b&state=theirs"
			}
		})
		q := s.browser().Hop(s.url + "/").Location().Query()
		if q.Get("tenant") != "a&b" || len(q["state"]) != 1 || q.Get("state") == "theirs" {
			t.Errorf("%v", q)
		}
	})
	t.Run("an issuer with a trailing slash", func(t *testing.T) {
		s := newSite(t, setup{})
		slashed := httptest.NewUnstartedServer(nil)
		issuer := "http://" + slashed.Listener.Addr().String() + "/"
		p := oidctest.NewHandler(oidctest.Options{Issuer: issuer})
		slashed.Config.Handler = p.Handler()
		slashed.Start()
		t.Cleanup(slashed.Close)
		options := optionsFor(p)
		options["providerURL"] = issuer
		w := &site{t: t, plugin: s.plugin, echo: s.echo, provider: p}
		w.serve(s.plugin.New(t, s.echo, t.Name(), options), false)
		w.sees(w.signIn(w.browser(), "/x", "alice"))
	})
	t.Run("authorizationParams", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"authorizationParams": map[string]any{"prompt": "consent", "access_type": "offline", "login_hint": "a b&c"}}})
		s.provider.Set(func(b *oidctest.Behaviour) { b.RefreshTokens = oidctest.RefreshConsent })
		q := s.browser().Hop(s.url + "/").Location().Query()
		if q.Get("prompt") != "consent" || q.Get("access_type") != "offline" || q.Get("login_hint") != "a b&c" {
			t.Errorf("%v", q)
		}
	})
	t.Run("scopes are those that the provider knows", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"scopes": []any{"groups", "nonsense"}}})
		if got := s.browser().Hop(s.url + "/").Location().Query().Get("scope"); got != "openid profile email groups" {
			t.Errorf("scope %q", got)
		}
	})
	t.Run("an absolute callbackURL", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"callbackURL": "https://" + appHost + "/signed/in"}})
		b := s.browser()
		start := b.Hop(s.url + "/x")
		s.redirectURI(start.Location().String(), "https://"+appHost+"/signed/in")
		s.sees(b.Do(browser.Request{URL: s.atProvider(start, "alice")}))
	})
	t.Run("tokens are revoked at the logout", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"headers": []any{map[string]any{"name": "X-Refresh", "value": "{{.RefreshToken}}"}}}})
		b := s.signedIn("alice")
		token := s.sees(b.Fetch(s.url + "/")).Header.Get("X-Refresh")
		b.Hop(s.url + logoutPath)
		eventually.True(t, "the revocation", func() bool { return s.provider.Count(oidctest.Revocation) > 0 })
		if got := s.provider.Last(oidctest.Revocation).Form.Get("token"); got != token {
			t.Errorf("another token than the refresh token was revoked")
		}
	})
}
