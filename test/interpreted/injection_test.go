package interpreted

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// tokenHeaders hand the access token on, each in another way.
func tokenHeaders() map[string]any {
	return map[string]any{"headers": []any{
		map[string]any{"name": "Authorization", "value": "Bearer {{.AccessToken}}"}, map[string]any{"name": "X-Access", "value": "${accessToken}"},
		map[string]any{"name": "X-Auth-Request-Token", "value": "{{.AccessToken}}"},
	}}
}

// handsOn fails the test unless the backend got that access token, once and under each
// name. "" is none.
func (s *site) handsOn(seen backend.Seen, token string) {
	s.t.Helper()
	for name, prefix := range map[string]string{"Authorization": "Bearer ", "X-Access": "", "X-Auth-Request-Token": ""} {
		got := []string{}
		for _, n := range seen.Names(name) {
			got = append(got, append(seen.Header[n], seen.Trailer[n]...)...)
		}
		want := prefix + token
		if token == "" && len(got) != 0 || token != "" && (len(got) != 1 || got[0] != want) {
			s.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestAccessTokensOfOthers has the backend get only the access token that the token
// endpoint gave for the session. Other tokens come with a request, in a changed response
// to the sign-in, or in a changed record of the store.
func TestAccessTokensOfOthers(t *testing.T) {
	options := tokenHeaders()
	options["excludedURLs"] = []any{"/public"}
	whole := newSite(t, setup{options: options, provider: oidctest.Options{JWTAccessTokens: true}})
	own := func(s *site, b *browser.Browser) string {
		s.t.Helper()
		return s.sees(b.Fetch(s.url + "/x")).Header.Get("X-Access")
	}
	alice := whole.signedIn("alice")
	token, other := own(whole, alice), own(whole, whole.signedIn("bob"))
	if token == "" || other == "" || token == other {
		t.Fatalf("the tokens are %q and %q", token, other)
	}
	session := "Cookie: " + cookie + "=" + whole.value(alice)

	for _, row := range []struct {
		name, query, body string
		lines             []string
	}{
		{"E5 in the headers that hand it on", "", "", []string{"Authorization: Bearer " + other, "X-Access: " + other, "X-Auth-Request-Token: " + other}},
		{"E5 in other spellings of them", "", "", []string{"authorization: Bearer " + other, "X_Access: " + other, "x_auth-request_token: " + other, "X_AUTH_REQUEST_TOKEN: " + other}},
		{"E5 in headers twice", "", "", []string{"X-Access: " + other, "X-Access: " + other, "Connection: X-Access, keep-alive"}},
		{"E5 in headers of others", "", "", []string{"Proxy-Authorization: Bearer " + other, "X-Forwarded-Access-Token: " + other, "X-Original-Authorization: Bearer " + other}},
		{"E5 in the query", "?access_token=" + other + "&token=" + other + "&id_token=" + other, "", nil},
		{"E5 in a form", "", "access_token=" + other, []string{"Content-Type: application/x-www-form-urlencoded"}},
		{"E5 in cookies", "", "", []string{"Cookie: access_token=" + other + "; _oidc_raczylo_a=" + other + "; __Host-oidc-a=" + other}},
		{"E5 in a cookie by our name", "", "", []string{"Cookie: " + cookie + "=" + other}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			for _, target := range []struct {
				path, session, token string
			}{{"/x", session, token}, {"/public/x", "", ""}, {"/public/x", session, ""}} {
				lines := []string{"POST " + target.path + row.query + " HTTP/1.1", "Host: " + appHost, "Content-Length: " + strconv.Itoa(len(row.body))}
				if target.session != "" {
					lines = append(lines, target.session)
				}
				lines = append(append(lines, row.lines...), "Connection: close", "", row.body)
				before := s.echo.Count()
				s.raw(lines...)
				if s.echo.Count() != before+1 {
					t.Fatalf("%s: the request did not reach the backend", target.path)
				}
				s.handsOn(s.echo.Last(), target.token)
			}
			s.untouched(func() {
				s.raw(append([]string{"POST /x" + row.query + " HTTP/1.1", "Host: " + appHost, "Content-Length: " + strconv.Itoa(len(row.body)), "Connection: close"}, append(append([]string{}, row.lines...), "", row.body)...)...)
			})
		})
	}

	t.Run("E5 in the trailer", func(t *testing.T) {
		s := whole.in(t)
		s.raw("POST /x HTTP/1.1", "Host: "+appHost, session, "Transfer-Encoding: chunked", "Trailer: X-Access", "", "1", "a", "0", "X-Access: "+other, "X_Auth_Request_Token: "+other, "", "")
		s.handsOn(s.echo.Last(), token)
	})
	t.Run("E5 in the callback", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		callback := edited(s.callbackFor(b, "/x", "alice"), func(q url.Values) {
			q.Set("access_token", other)
			q.Set("id_token", other)
			q.Set("token_type", "Bearer")
		})
		s.status(s.comeBack(b, callback), http.StatusFound)
		seen := s.sees(b.Fetch(s.url + "/x"))
		if got := seen.Header.Get("X-Access"); got == other || got == "" {
			t.Errorf("X-Access: %q", got)
		}
		s.handsOn(seen, seen.Header.Get("X-Access"))
	})
	t.Run("E5 C22 in the token response, beside an ID token for another", func(t *testing.T) {
		s := whole.in(t)
		defer s.provider.Reset()
		s.provider.Set(func(b *oidctest.Behaviour) { b.TokenResponse = func(r map[string]any) { r["access_token"] = other } })
		b := s.browser()
		s.failed(b, s.comeBack(b, s.callbackFor(b, "/x", "alice")))
	})
	t.Run("E5 in userinfo and in the ID token", func(t *testing.T) {
		options := tokenHeaders()
		options["userinfo"] = "always"
		s := newSite(t, setup{options: options})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.UserInfo = func(c map[string]any) { c["access_token"], c["AccessToken"] = other, other }
			b.IDTokenClaims = func(c map[string]any) { c["access_token"], c["AccessToken"] = other, other }
		})
		b := s.signedIn("alice")
		seen := s.sees(b.Fetch(s.url + "/x"))
		if got := seen.Header.Get("X-Access"); got == other || got == "" {
			t.Errorf("X-Access: %q", got)
		}
	})
	t.Run("E5 F11 in a record that an attacker put into Redis", func(t *testing.T) {
		redis := resptest.Start(t)
		options := tokenHeaders()
		options["redis"] = map[string]any{"enabled": "true", "address": redis.Addr(), "cacheMode": "redis"}
		logged := whole.plugin.Log.Len()
		s := newSite(t, setup{options: options})
		s.browser().Hop(s.url + "/")
		eventually.True(t, "the store", func() bool { return strings.Contains(s.plugin.Log.Since(logged), "Redis cache initialized") })
		alice, bob := s.signedIn("alice"), s.signedIn("bob")
		tokens := map[*browser.Browser]string{alice: own(s, alice), bob: own(s, bob)}
		s.swapRecords(redis.Addr())
		s.untouched(func() {
			for b, token := range tokens {
				p := b.Fetch(s.url + "/x")
				s.status(p, http.StatusUnauthorized)
				if token == "" || strings.Contains(string(p.Body), token) {
					t.Errorf("the token is %q, the answer %s", token, p.Body)
				}
			}
		})
		s.swapRecords(redis.Addr())
		for b, token := range tokens {
			s.handsOn(s.sees(b.Fetch(s.url+"/x")), token)
		}
	})
}

// swapRecords puts each of the two sessions' records in Redis under the other's key.
func (s *site) swapRecords(address string) {
	s.t.Helper()
	c := resp.NewClient(resp.Options{Address: address, OperationTimeout: 10 * time.Second})
	defer c.Close()
	ctx := context.Background()
	keys, _, err := c.Scan(ctx, "0", "*s:{*", 1000)
	if err != nil || len(keys) != 2 {
		s.t.Fatalf("the sessions in Redis are %q, %v", keys, err)
	}
	var records [2][]byte
	for i, k := range keys {
		if records[i], err = c.Get(ctx, k); err != nil {
			s.t.Fatal(err)
		}
	}
	for i, k := range keys {
		if err := c.Set(ctx, k, records[1-i], time.Hour); err != nil {
			s.t.Fatal(err)
		}
	}
}
