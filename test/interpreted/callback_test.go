package interpreted

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// edited returns the callback with a changed query.
func edited(callback *url.URL, edit func(q url.Values)) *url.URL {
	u := *callback
	q := u.Query()
	edit(q)
	u.RawQuery = q.Encode()
	return &u
}

// noSession fails the test if the browser got a session.
func (s *site) noSession(b *browser.Browser) {
	s.t.Helper()
	if p := b.Fetch(s.url + s.probe); p.Status != http.StatusUnauthorized {
		s.t.Errorf("a session: status %d", p.Status)
	}
}

// withoutTokenCall fails the test if f makes the plugin call the token endpoint.
func (s *site) withoutTokenCall(f func()) {
	s.t.Helper()
	before := s.provider.Count(oidctest.Token)
	f()
	if n := s.provider.Count(oidctest.Token) - before; n != 0 {
		s.t.Errorf("%d calls to the token endpoint", n)
	}
}

// denied sends a callback that must not be redeemed. The response is the plugin's, with
// a 4xx. There is no token call and no session.
func (s *site) denied(b *browser.Browser, callback *url.URL) *browser.Page {
	s.t.Helper()
	var p *browser.Page
	s.withoutTokenCall(func() { p = s.comeBack(b, callback) })
	if p.Status < 400 || p.Status > 499 {
		s.t.Errorf("%s: status %d to %q, want a 4xx", callback.RawQuery, p.Status, p.Header.Get("Location"))
	}
	s.noSession(b)
	return p
}

func TestAuthorizationResponse(t *testing.T) {
	whole := newSite(t, setup{})

	t.Run("B1 a callback of another browser", func(t *testing.T) {
		s := whole.in(t)
		attacker, victim := s.browser(), s.browser()
		callback := s.callbackFor(attacker, "/mine", "alice")
		s.withoutTokenCall(func() { s.comeBack(victim, callback) })
		s.noSession(victim)

		// It is not redeemed either if the victim has begun another sign-in.
		other := s.browser()
		other.Hop(s.url + "/theirs")
		s.withoutTokenCall(func() { s.comeBack(other, s.callbackFor(attacker, "/mine", "alice")) })
		s.noSession(other)
	})

	t.Run("B2 a state that is not ours", func(t *testing.T) {
		s := whole.in(t)
		for _, row := range []struct {
			name string
			edit func(state string) []string // nil: no state at all
		}{
			{"missing", func(string) []string { return nil }},
			{"empty", func(string) []string { return []string{""} }},
			{"wrong", func(string) []string { return []string{"0123456789abcdef0123456789abcdef"} }},
			{"truncated", func(v string) []string { return []string{v[:len(v)-1]} }},
			{"half", func(v string) []string { return []string{v[:len(v)/2]} }},
			{"appended", func(v string) []string { return []string{v + "A"} }},
			{"padded", func(v string) []string { return []string{v + "="} }},
			{"first letter changed", func(v string) []string { return []string{flip(v, 0)} }},
			{"a letter in the middle changed", func(v string) []string { return []string{flip(v, len(v)/2)} }},
			{"no base64", func(string) []string { return []string{"\x00%%%\xff"} }},
			{"huge", func(string) []string { return []string{strings.Repeat("A", 12<<10)} }},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.in(t)
				b := s.browser()
				s.denied(b, edited(s.callbackFor(b, "/page", "alice"), func(q url.Values) { q["state"] = row.edit(q.Get("state")) }))
			})
		}
	})

	t.Run("B3 B27 a callback used twice", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		callback := s.callbackFor(b, "/page?x=1", "alice")
		s.status(s.comeBack(b, callback), http.StatusFound)
		s.withoutTokenCall(func() {
			again := s.comeBack(b, callback)
			if again.Status != http.StatusFound || again.Header.Get("Location") != "/page?x=1" {
				t.Errorf("with a session: status %d to %q, want the target", again.Status, again.Header.Get("Location"))
			}
			b.Jar.Delete(s.home(), cookie)
			if p := s.comeBack(b, callback); !s.toProvider(p) {
				t.Errorf("without a session: status %d to %v, want a new sign-in", p.Status, p.Location())
			}
		})
	})

	t.Run("B3 the same callback 16 times at once", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		callback := s.callbackFor(b, "/page", "alice")
		before := s.provider.Count(oidctest.Token)
		var wait sync.WaitGroup
		for range 16 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				if p := s.comeBack(b, callback); p.Status != http.StatusFound {
					t.Errorf("status %d: %s", p.Status, p.Body)
				}
			}()
		}
		wait.Wait()
		if n := s.provider.Count(oidctest.Token) - before; n != 1 || s.provider.Count("code_reuse") != 0 {
			t.Errorf("%d calls to the token endpoint", n)
		}
	})

	t.Run("B5 a state of another middleware", func(t *testing.T) {
		two := newTwo(t, nil, nil)
		b := two.browser()
		callback := two.callbackFor(b, "/a/page", "alice")
		other := *callback
		other.Path, two.probe = "/b/callback", "/b/probe"
		two.denied(b, &other)
	})

	t.Run("B6 two tabs", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		a, c := b.Hop(s.url+"/first"), b.Hop(s.url+"/second")
		second := s.provided(b, c, "alice")
		first := s.provided(b, a, "alice")
		for _, tab := range []struct {
			callback *url.URL
			want     string
		}{{second, "/second"}, {first, "/first"}} {
			p := b.Do(browser.Request{URL: tab.callback.String(), From: s.parse(s.provider.URL())})
			if got := s.sees(p).URI; got != tab.want {
				t.Errorf("ended at %q, want %q", got, tab.want)
			}
		}
	})

	t.Run("B6 20 tabs at once", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		pages := make([]*browser.Page, 20)
		s.each(20, func(i int) { pages[i] = b.Hop(fmt.Sprintf("%s/tab/%d", s.url, i)) })
		s.each(20, func(i int) {
			p := b.Do(browser.Request{URL: s.atProvider(pages[i], "alice"), From: s.parse(s.provider.URL() + "/op/")})
			if got, want := s.sees(p).URI, fmt.Sprintf("/tab/%d", i); got != want {
				t.Errorf("ended at %q, want %q", got, want)
			}
		})
		if names := b.Jar.Names(s.home()); len(names) > 6 {
			t.Errorf("%d cookies left: %v", len(names), names)
		}
	})

	t.Run("B7 subresources start no sign-in", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		p := b.Hop(s.url + "/page")
		for i := range 50 {
			sub := b.Fetch(fmt.Sprintf("%s/image/%d", s.url, i))
			s.status(sub, http.StatusUnauthorized)
			if c := sub.Header.Values("Set-Cookie"); len(c) != 0 {
				t.Fatalf("a subresource set %v", c)
			}
		}
		callback := s.provided(b, p, "alice")
		if back := s.comeBack(b, callback); back.Header.Get("Location") != "/page" {
			t.Errorf("status %d to %q", back.Status, back.Header.Get("Location"))
		}
	})

	t.Run("B8 a code of another sign-in", func(t *testing.T) {
		for _, row := range []struct {
			name string
			pkce bool
		}{{"stopped by PKCE", true}, {"stopped by the nonce alone", false}} {
			t.Run(row.name, func(t *testing.T) {
				s := newSite(t, setup{options: map[string]any{"enablePKCE": row.pkce}})
				victim, attacker := s.browser(), s.browser()
				stolen := s.callbackFor(victim, "/v", "alice").Query().Get("code")
				own := edited(s.callbackFor(attacker, "/a", "bob"), func(q url.Values) { q.Set("code", stolen) })
				s.failed(attacker, s.comeBack(attacker, own))
			})
		}
	})

	t.Run("B9 B10 PKCE with S256, for every discovery document", func(t *testing.T) {
		for name, methods := range map[string]any{"S256": []any{"S256"}, "plain": []any{"plain"}, "none told": nil} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t, setup{})
				s.provider.Set(func(b *oidctest.Behaviour) {
					b.Discovery = func(doc map[string]any) {
						doc["code_challenge_methods_supported"] = methods
						if methods == nil {
							delete(doc, "code_challenge_methods_supported")
						}
					}
				})
				b := s.browser()
				callback := s.callbackFor(b, "/page", "alice")
				q := s.provider.Last(oidctest.Authorize).Form
				if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 {
					t.Errorf("challenge %q of method %q", q.Get("code_challenge"), q.Get("code_challenge_method"))
				}
				s.status(s.comeBack(b, callback), http.StatusFound)
				if v := s.provider.Last(oidctest.Token).Form.Get("code_verifier"); len(v) < 43 {
					t.Errorf("verifier %q", v)
				}
			})
		}
	})

	t.Run("B11 B12 B13 B14 the response's issuer and its parameters", func(t *testing.T) {
		s := whole.in(t)
		for _, row := range []struct {
			name string
			edit func(q url.Values)
		}{
			{"B11 other issuer", func(q url.Values) { q.Set("iss", "https://other.test") }},
			{"B11 empty issuer", func(q url.Values) { q.Set("iss", "") }},
			{"B12 no issuer", func(q url.Values) { q.Del("iss") }},
			{"B13 trailing slash", func(q url.Values) { q.Set("iss", q.Get("iss")+"/") }},
			{"B13 other case", func(q url.Values) { q.Set("iss", strings.Replace(q.Get("iss"), "http", "HTTP", 1)) }},
			{"B13 twice", func(q url.Values) { q.Add("iss", q.Get("iss")) }},
			{"B13 ours and another", func(q url.Values) { q.Add("iss", "https://other.test") }},
			{"B14 two codes", func(q url.Values) { q.Add("code", "other") }},
			{"B14 the same code twice", func(q url.Values) { q.Add("code", q.Get("code")) }},
			{"B14 two states", func(q url.Values) { q.Add("state", q.Get("state")) }},
			{"B14 no code", func(q url.Values) { q.Del("code") }},
			{"B14 empty code", func(q url.Values) { q.Set("code", "") }},
			{"B16 code and error", func(q url.Values) { q.Set("error", "access_denied") }},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.in(t)
				b := s.browser()
				s.denied(b, edited(s.callbackFor(b, "/page", "alice"), row.edit))
			})
		}
	})

	t.Run("B12 no issuer where the provider does not send it", func(t *testing.T) {
		s := newSite(t, setup{})
		s.provider.Set(func(b *oidctest.Behaviour) {
			b.Discovery = func(doc map[string]any) { delete(doc, "authorization_response_iss_parameter_supported") }
		})
		b := s.browser()
		p := s.comeBack(b, edited(s.callbackFor(b, "/page", "alice"), func(q url.Values) { q.Del("iss") }))
		s.status(p, http.StatusFound)
	})

	t.Run("B15 an error without a state of ours", func(t *testing.T) {
		s := whole.in(t)
		b := s.signedIn("alice")
		for _, query := range []string{
			"error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E", "error=x&state=", "error=x&state=forged",
			"error=%3Cscript%3E&state=%3Cscript%3E&iss=%3Cscript%3E",
		} {
			p := s.comeBack(b, s.parse(s.url+"/oidc/callback?"+query))
			s.status(p, http.StatusBadRequest)
			if strings.Contains(string(p.Body), "<script") {
				t.Errorf("%s: a script in the page", query)
			}
			s.status(b.Fetch(s.url+"/still"), http.StatusOK)
		}
	})

	t.Run("B15 an error of the provider", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		first := s.callbackFor(b, "/page", "alice")
		p := s.denied(b, edited(first, func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }))
		if strings.Contains(string(p.Body), "access_denied") {
			t.Errorf("the provider's text is in the page: %s", p.Body)
		}
	})

	t.Run("B17 login_required after prompt=none", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"authorizationParams": map[string]any{"prompt": "none"}}})
		b := s.browser()
		start := b.Hop(s.url + "/page")
		if got := start.Location().Query().Get("prompt"); got != "none" {
			t.Fatalf("prompt %q", got)
		}
		refusal := b.Do(browser.Request{URL: start.Location().String(), OneHop: true}).Location()
		if refusal.Query().Get("error") != "login_required" {
			t.Fatalf("the provider answered %s", refusal)
		}
		again := s.comeBack(b, refusal)
		if !s.toProvider(again) || again.Location().Query().Get("prompt") == "none" {
			t.Fatalf("status %d to %v, want an interactive sign-in", again.Status, again.Location())
		}
		if got := s.sees(b.Do(browser.Request{URL: s.atProvider(again, "alice")})).URI; got != "/page" {
			t.Errorf("ended at %q", got)
		}

		s.provider.Set(func(b *oidctest.Behaviour) { b.AuthorizeError = "login_required" })
		if p := s.browser().Open(s.url + "/page"); p.Status != http.StatusBadRequest || len(p.Hops) > 6 {
			t.Errorf("a provider that always refuses: status %d after %d answers", p.Status, len(p.Hops))
		}
	})

	t.Run("B18 a callback by POST", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		callback := s.callbackFor(b, "/page", "alice")
		s.withoutTokenCall(func() {
			for _, r := range []browser.Request{
				{Method: "POST", URL: callback.String(), OneHop: true},
				{Method: "POST", URL: s.url + "/oidc/callback", Body: callback.RawQuery, OneHop: true},
				{Method: "HEAD", URL: callback.String(), OneHop: true},
				{Method: "PUT", URL: callback.String(), OneHop: true},
			} {
				s.status(b.Do(r), http.StatusMethodNotAllowed)
			}
		})
		s.noSession(b)
	})

	t.Run("B19 sign-in cookies are SameSite=Lax", func(t *testing.T) {
		s := whole.in(t)
		for _, c := range s.browser().Hop(s.url + "/page").Header.Values("Set-Cookie") {
			if !strings.Contains(c, "; SameSite=Lax") {
				t.Errorf("%s", c)
			}
		}
	})

	// There are two defences for B20. Such options are refused at the start, as here, and
	// the authorization request leaves them out (internal/oidc).
	t.Run("B20 nobody replaces our parameters", func(t *testing.T) {
		s := whole.in(t)
		ours := []string{"redirect_uri", "client_id", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "response_type"}
		plain := s.browser().Hop(s.url + "/page").Location().Query()
		q := url.Values{"request": {"x"}, "request_uri": {"x"}, "response_mode": {"form_post"}}
		for _, name := range ours {
			q.Set(name, "evil")
		}
		to := s.browser().Hop(s.url + "/page?" + q.Encode()).Location().Query()
		if len(to) != len(plain) {
			t.Errorf("parameters %v, want those of %v", to, plain)
		}
		for name, values := range to {
			if len(values) != 1 || values[0] == "evil" {
				t.Errorf("%s: %v", name, values)
			}
		}
		for _, name := range append(ours, "request", "request_uri", "response_mode") {
			refusal := s.refusedOptions(map[string]any{"authorizationParams": map[string]any{name: "evil"}})
			if !strings.Contains(refusal, "authorizationParams") || !strings.Contains(refusal, name) {
				t.Errorf("%s: the refusal does not name it: %s", name, refusal)
			}
		}
	})

	t.Run("B21 B22 B23 expectations of the ID token", func(t *testing.T) {
		strict := newSite(t, setup{options: map[string]any{"authorizationParams": map[string]any{"max_age": "300"}}})
		if got := strict.browser().Hop(strict.url + "/").Location().Query().Get("max_age"); got != "300" {
			t.Fatalf("max_age %q", got)
		}
		old := ""
		for _, row := range []struct {
			name string
			edit func(claims map[string]any)
			good bool
		}{
			{"as it should be", func(c map[string]any) { old = c["nonce"].(string) }, true},
			{"B21 no nonce", func(c map[string]any) { delete(c, "nonce") }, false},
			{"B21 empty nonce", func(c map[string]any) { c["nonce"] = "" }, false},
			{"B22 another nonce", func(c map[string]any) { c["nonce"] = "other" }, false},
			{"B22 the nonce of an older sign-in", func(c map[string]any) { c["nonce"] = old }, false},
			{"B22 a number", func(c map[string]any) { c["nonce"] = 7 }, false},
			{"B22 a list", func(c map[string]any) { c["nonce"] = []any{c["nonce"]} }, false},
			{"B23 no auth_time", func(c map[string]any) { delete(c, "auth_time") }, false},
			{"B23 an old auth_time", func(c map[string]any) { c["auth_time"] = time.Now().Add(-time.Hour).Unix() }, false},
			{"B23 an auth_time of text", func(c map[string]any) { c["auth_time"] = "soon" }, false},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := strict.in(t)
				defer s.provider.Reset()
				s.provider.Set(func(b *oidctest.Behaviour) { b.IDTokenClaims = row.edit })
				b := s.browser()
				p := s.comeBack(b, s.callbackFor(b, "/page", "alice"))
				if row.good {
					s.status(p, http.StatusFound)
					return
				}
				s.failed(b, p)
			})
		}
	})

	t.Run("B25 no page of ours can be framed", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"allowedUsers": []any{"nobody@example.com"}}})
		b := s.browser()
		cross := browser.Request{URL: s.url + "/oidc/callback/logout", From: s.parse("https://evil.test/"), OneHop: true}
		for name, p := range map[string]*browser.Page{
			"callback":     s.browser().Hop(s.url + "/oidc/callback"),
			"not allowed":  s.signIn(b, "/", "alice"),
			"confirmation": b.Do(cross),
		} {
			csp := p.Header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") || p.Header.Get("X-Frame-Options") != "DENY" {
				t.Errorf("%s: status %d, policy %q, X-Frame-Options %q", name, p.Status, csp, p.Header.Get("X-Frame-Options"))
			}
		}
	})

	t.Run("B26 a browser that keeps no cookies", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		b.Jar.Refuse = func(u *url.URL, _ *http.Cookie) bool { return u.Host == appHost }
		p := s.signIn(b, "/page", "alice")
		if p.Status != http.StatusBadRequest || !strings.Contains(strings.ToLower(string(p.Body)), "cookie") {
			t.Errorf("status %d without a word of cookies: %s", p.Status, p.Body)
		}
		if len(p.Hops) > 12 {
			t.Errorf("explained after %d answers only", len(p.Hops))
		}
	})
}

func TestExpiredSignIn(t *testing.T) {
	plugin := loader.LoadAlone(t)
	for _, row := range []struct {
		name  string
		after time.Duration
		kept  bool // the browser still has the cookie
		good  bool
	}{
		{"B4 after nine minutes", 9 * time.Minute, true, true},
		{"B4 after eleven minutes", 11 * time.Minute, true, false},
		{"B4 after eleven minutes, the cookie gone with them", 11 * time.Minute, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{plugin: plugin, provider: oidctest.Options{Now: plugin.Clock.Now}})
			b := s.browser()
			if !row.kept {
				b.Jar.Now = plugin.Clock.Now
			}
			start := b.Hop(s.url + "/page")
			plugin.Clock.Pass(row.after)
			callback := s.provided(b, start, "alice")
			if row.good {
				s.status(s.comeBack(b, callback), http.StatusFound)
				return
			}
			s.withoutTokenCall(func() {
				p := s.comeBack(b, callback)
				if p.Status != http.StatusBadRequest && !s.toProvider(p) {
					t.Errorf("status %d to %q, want a word about it or a new sign-in", p.Status, p.Header.Get("Location"))
				}
			})
			s.noSession(b)
		})
	}
}

// failed fails the test unless p says that the sign-in failed, and there is no session.
func (s *site) failed(b *browser.Browser, p *browser.Page) {
	s.t.Helper()
	if p.Status < 400 || p.Status == http.StatusInternalServerError || p.Status > 502 {
		s.t.Errorf("status %d to %q, want a failed sign-in", p.Status, p.Header.Get("Location"))
	}
	s.noSession(b)
}

// refusedOptions returns the error for options that the plugin must not accept.
func (s *site) refusedOptions(more map[string]any) string {
	s.t.Helper()
	text, taken := s.tried(more)
	if taken {
		s.t.Errorf("options accepted: %v", more)
	}
	return text
}

// tried returns the error for the options on top of the usual ones, and whether the
// plugin accepts them.
func (s *site) tried(more map[string]any) (string, bool) {
	options := optionsFor(s.provider)
	maps.Copy(options, more)
	return s.plugin.Accepts(s.t.Name(), options)
}

// each calls f for 0 to n-1 at once and waits for all.
func (s *site) each(n int, f func(i int)) {
	var wait sync.WaitGroup
	for i := range n {
		wait.Add(1)
		go func() {
			defer wait.Done()
			f(i)
		}()
	}
	wait.Wait()
}

func flip(v string, i int) string {
	c := byte('A')
	if v[i] == c {
		c = 'B'
	}
	return v[:i] + string(c) + v[i+1:]
}

// newTwo returns one host with two middlewares of one provider and one key. a serves
// paths below /a/, and b those below /b/.
func newTwo(t testing.TB, a, b map[string]any) *site {
	t.Helper()
	return newTwoOn(t, loader.Load(t), a, b)
}

// newTwoOn is newTwo in an interpreter with the clock of the provider.
func newTwoOn(t testing.TB, plugin *loader.Plugin, a, b map[string]any) *site {
	t.Helper()
	s := &site{t: t, plugin: plugin, echo: &backend.Echo{}}
	s.provider = oidctest.New(oidctest.Options{
		SigningAlg: "ES256", Now: plugin.Clock.Now, Clients: []oidctest.Client{{ID: "other", Secret: "secret"}},
		Deliver: browser.Transport(func(address string) string { return s.network[address] }),
	})
	t.Cleanup(s.provider.Close)
	mux := http.NewServeMux()
	for name, more := range map[string]map[string]any{"a": a, "b": b} {
		options := optionsFor(s.provider)
		options["callbackURL"] = "/" + name + "/callback"
		for k, v := range more {
			options[k] = v
		}
		mux.Handle("/"+name+"/", s.plugin.New(t, s.echo, t.Name()+"-"+name, options))
	}
	s.serve(mux, false)
	return s
}
