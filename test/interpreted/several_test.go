package interpreted

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// A pair is a site with two providers, red and blue. Both have the same users.
type pair struct {
	*site
	red, blue *oidctest.Provider
}

// oneProviderOnly are options that belong into the entries of providers.
var oneProviderOnly = []string{"providerURL", "clientID", "clientSecret"}

// newPair returns a site with two providers. The entries have the further options red
// and blue.
func newPair(t testing.TB, options, red, blue map[string]any) *pair {
	t.Helper()
	plugin := movable(t)
	p := &pair{}
	o := oidctest.Options{SigningAlg: "ES256", Now: plugin.Clock.Now, Deliver: browser.Transport(func(address string) string { return p.network[address] })}
	p.red, p.blue = oidctest.New(o), oidctest.New(o)
	t.Cleanup(p.red.Close)
	t.Cleanup(p.blue.Close)
	entry := func(name string, at *oidctest.Provider, more map[string]any) map[string]any {
		e := map[string]any{"name": name, "label": strings.ToUpper(name), "providerURL": at.URL(), "clientID": "client", "clientSecret": "secret"}
		maps.Copy(e, more)
		return e
	}
	all := map[string]any{
		"headers": []any{a{"name": "X-Sub", "value": "${claims.sub}"}, a{"name": "X-Iss", "value": "${claims.iss}"},
			a{"name": "X-Sid", "value": "${claims.sid}"}, a{"name": "X-Access", "value": "${accessToken}"}},
		"providers": []any{entry("red", p.red, red), entry("blue", p.blue, blue)},
	}
	maps.Copy(all, options)
	p.site = newMovable(t, setup{options: all, without: oneProviderOnly})
	return p
}

// choices returns the links of the page to choose, by the name of the provider.
func (s *pair) choices(p *browser.Page) map[string]string {
	s.t.Helper()
	links := map[string]string{}
	for _, m := range regexp.MustCompile(`<a href="([^"]*)">`).FindAllStringSubmatch(string(p.Body), -1) {
		link := strings.ReplaceAll(m[1], "&amp;", "&")
		links[s.parse(link).Query().Get("provider")] = link
	}
	if p.Status != http.StatusUnauthorized || links["red"] == "" || links["blue"] == "" {
		s.t.Fatalf("%s: status %d is no page to choose: %s", p.URL, p.Status, p.Body)
	}
	return links
}

// started is the first answer of a sign-in at a provider that the user chooses.
func (s *pair) started(b *browser.Browser, path, name string) *browser.Page {
	s.t.Helper()
	link := s.choices(b.Hop(s.url + path))[name]
	return b.Do(browser.Request{URL: s.url + link, From: s.home(), OneHop: true})
}

// sentTo returns the address of the authorization request that p leads to, at one of the
// providers.
func (s *pair) sentTo(p *browser.Page, at *oidctest.Provider, user string) string {
	s.t.Helper()
	to := p.Location()
	if to == nil || !strings.HasPrefix(to.String(), at.URL()) {
		s.t.Fatalf("%s: status %d, not sent to %s but to %v: %s", p.URL, p.Status, at.URL(), to, p.Body)
	}
	q := to.Query()
	q.Set("user", user)
	to.RawQuery = q.Encode()
	return to.String()
}

// through ends at a provider the sign-in that p starts.
func (s *pair) through(b *browser.Browser, p *browser.Page, at *oidctest.Provider, user string) *browser.Page {
	s.t.Helper()
	return b.Do(browser.Request{URL: s.sentTo(p, at, user), From: s.parse(at.URL() + "/op/")})
}

// back is the callback to which a provider sends the user who was sent there by p.
func (s *pair) back(b *browser.Browser, p *browser.Page, at *oidctest.Provider) *url.URL {
	s.t.Helper()
	to := b.Do(browser.Request{URL: s.sentTo(p, at, "alice"), OneHop: true}).Location()
	if to == nil {
		s.t.Fatal("the provider did not send the browser back")
	}
	return to
}

// of is a browser with a session of alice at a provider.
func (s *pair) of(name string, at *oidctest.Provider) *browser.Browser {
	s.t.Helper()
	b := s.browser()
	seen := s.sees(s.through(b, s.started(b, "/page?x=1", name), at, "alice"))
	if seen.URI != "/page?x=1" || seen.Header.Get("X-Iss") != at.URL() {
		s.t.Fatalf("the sign-in at %s ends at %s with iss %s", name, seen.URI, seen.Header.Get("X-Iss"))
	}
	return b
}

// signedInAt fails the test unless a script of b has a session of that provider.
func (s *pair) signedInAt(b *browser.Browser, path string, at *oidctest.Provider) backend.Seen {
	s.t.Helper()
	seen := s.sees(b.Fetch(s.url + path))
	if got := seen.Header.Get("X-Iss"); got != at.URL() {
		s.t.Errorf("%s: the session is of %s, want %s", path, got, at.URL())
	}
	return seen
}

func TestSeveralProviders(t *testing.T) {
	whole := newPair(t, nil, nil, nil)
	in := func(t *testing.T) *pair { return &pair{site: whole.in(t), red: whole.red, blue: whole.blue} }

	t.Run("users choose, and the choice is remembered until they sign out", func(t *testing.T) {
		s := in(t)
		b := s.of("blue", s.blue)
		s.signedInAt(b, "/x", s.blue)
		value, ok := b.Jar.Get(s.home(), cookie+".blue")
		if !ok {
			t.Fatal("no session cookie of blue")
		}
		b.Jar.Set(s.home(), cookie+".blue", value[:10]) // the session is lost
		if p := b.Hop(s.url + "/y"); !strings.HasPrefix(p.Header.Get("Location"), s.blue.URL()) {
			t.Errorf("status %d, to %s: the choice is not remembered", p.Status, p.Header.Get("Location"))
		}
		b = s.of("blue", s.blue)
		b.Do(browser.Request{URL: s.url + "/oidc/callback/logout", Method: http.MethodPost, From: s.home(), OneHop: true})
		s.choices(b.Hop(s.url + "/y"))
	})
	t.Run("a script gets 401, and a backend no cookie of the plugin", func(t *testing.T) {
		s := in(t)
		s.status(s.browser().Fetch(s.url+"/x"), http.StatusUnauthorized)
		for _, name := range []string{"red", "blue"} {
			b := s.of(name, map[string]*oidctest.Provider{"red": s.red, "blue": s.blue}[name])
			b.Jar.Set(s.home(), "theme", "dark")
			if got := s.sees(b.Fetch(s.url + "/x")).Header.Get("Cookie"); got != "theme=dark" {
				t.Errorf("%s: the backend gets the cookies %q", name, got)
			}
		}
	})
	t.Run("L43 a code of one provider with the sign-in of another", func(t *testing.T) {
		s := in(t)
		b := s.browser()
		red := s.back(b, s.started(b, "/", "red"), s.red)
		b.Jar.Set(s.home(), cookie+".red-s-provider", "")
		b2 := s.browser()
		blue := s.back(b2, s.started(b2, "/", "blue"), s.blue)
		q := blue.Query()
		q.Set("code", red.Query().Get("code"))
		q.Del("iss")
		blue.RawQuery = q.Encode()
		before := s.red.Count(oidctest.Token)
		s.untouched(func() {
			if p := b2.Do(browser.Request{URL: blue.String(), From: s.parse(s.red.URL()), OneHop: true}); p.Status < 400 {
				t.Errorf("status %d", p.Status)
			}
			s.status(b2.Fetch(s.url+"/x"), http.StatusUnauthorized)
		})
		if s.red.Count(oidctest.Token) != before {
			t.Error("a code was sent to the other provider")
		}
	})
	t.Run("L44 a callback of one provider at the path of another", func(t *testing.T) {
		s := in(t)
		b := s.browser()
		to := s.back(b, s.started(b, "/", "blue"), s.blue)
		if to.Path != "/oidc/callback/blue" {
			t.Errorf("the callback is %s", to.Path)
		}
		to.Path = "/oidc/callback/red"
		n := s.red.Count(oidctest.Token) + s.blue.Count(oidctest.Token)
		s.status(b.Do(browser.Request{URL: to.String(), From: s.parse(s.blue.URL()), OneHop: true}), http.StatusBadRequest)
		if s.red.Count(oidctest.Token)+s.blue.Count(oidctest.Token) != n {
			t.Error("the code was sent")
		}
		s.status(b.Fetch(s.url+"/x"), http.StatusUnauthorized)
	})
	t.Run("L45 the session cookie of one provider under the name of another", func(t *testing.T) {
		s := in(t)
		b := s.of("blue", s.blue)
		value, _ := b.Jar.Get(s.home(), cookie+".blue")
		s.untouched(func() {
			for _, header := range []string{cookie + ".red=" + value, cookie + "=" + value, cookie + ".blue.red=" + value} {
				s.status(s.withCookies(header), http.StatusUnauthorized)
			}
		})
		for _, header := range []string{cookie + ".blue=" + value, cookie + ".red=" + value + "; " + cookie + ".blue=" + value, cookie + ".red=x; " + cookie + ".blue=" + value} {
			s.status(s.withCookies(header), http.StatusOK)
		}
	})
	t.Run("L49 an issuer in the response that is the other provider", func(t *testing.T) {
		s := in(t)
		b := s.browser()
		to := s.back(b, s.started(b, "/", "blue"), s.blue)
		q := to.Query()
		q.Set("iss", s.red.URL())
		to.RawQuery = q.Encode()
		n := s.blue.Count(oidctest.Token)
		s.status(b.Do(browser.Request{URL: to.String(), From: s.parse(s.blue.URL()), OneHop: true}), http.StatusBadRequest)
		if s.blue.Count(oidctest.Token) != n {
			t.Error("the code was sent")
		}
	})
	t.Run("L49 no other site chooses the provider", func(t *testing.T) {
		s := in(t)
		b := s.browser()
		link := s.url + "/oidc/callback?provider=blue&target=%2Fx"
		s.choices(b.Do(browser.Request{URL: link, From: s.parse("https://evil.test/"), OneHop: true}))
		s.choices(b.Do(browser.Request{URL: s.url + "/oidc/callback?provider=green&target=%2Fx", OneHop: true}))
		for _, target := range []string{"https%3A%2F%2Fevil.test%2F", "%2Foidc%2Fcallback%2Fred%3Fcode%3Dx", "%2Foidc%2Fcallback%2Fblue", "%2Foidc%2Fcallback%3Fprovider%3Dred"} {
			p := b.Do(browser.Request{URL: s.url + "/oidc/callback?provider=blue&target=" + target, OneHop: true})
			if seen := s.sees(s.through(b, p, s.blue, "alice")); seen.URI != "/" {
				t.Errorf("%s: the sign-in ends at %s", target, seen.URI)
			}
		}
	})
}

func TestSeveralProvidersSignOut(t *testing.T) {
	s := newPair(t, nil, nil, nil)
	b := s.of("blue", s.blue)
	p := b.Do(browser.Request{URL: s.url + "/oidc/callback?provider=red", OneHop: true})
	s.through(b, p, s.red, "alice")
	s.signedInAt(b, "/x", s.red) // chosen last
	b.Do(browser.Request{URL: s.url + "/oidc/callback/logout", Method: http.MethodPost, From: s.home(), OneHop: true})
	s.untouched(func() {
		s.status(b.Fetch(s.url+"/x"), http.StatusUnauthorized)
		s.choices(b.Hop(s.url + "/x"))
	})
	for _, at := range []*oidctest.Provider{s.red, s.blue} {
		eventually.True(t, "a revocation at each provider", func() bool { return at.Count(oidctest.Revocation) > 0 })
	}
}

func TestRuleForOneProvider(t *testing.T) {
	s := newPair(t, map[string]any{"accessRules": []any{
		a{"paths": "/staff", "provider": "red"},
		a{"paths": "/guests", "provider": "blue", "unauthenticated": "pass"},
		a{"paths": "/named", "require": "Provider(`blue`)"},
	}}, nil, nil)
	t.Run("L46 a session of one provider where the rule asks for another", func(t *testing.T) {
		s := &pair{site: s.in(t), red: s.red, blue: s.blue}
		b := s.of("blue", s.blue)
		s.signedInAt(b, "/named", s.blue)
		s.untouched(func() {
			s.status(b.Fetch(s.url+"/staff"), http.StatusUnauthorized)
			s.status(b.Fetch(s.url+"/Staff"), http.StatusUnauthorized)
		})
		seen := s.sees(s.through(b, b.Hop(s.url+"/staff/x"), s.red, "bob"))
		if seen.URI != "/staff/x" || seen.Header.Get("X-Iss") != s.red.URL() || seen.Header.Get("X-Sub") != "bob" {
			t.Errorf("%s: %v", seen.URI, seen.Header)
		}
		s.signedInAt(b, "/page", s.blue) // the user chose blue
		s.signedInAt(b, "/staff", s.red)
		s.signedInAt(b, "/guests", s.blue)
	})
	t.Run("L46 no identity of another provider where the rule lets all pass", func(t *testing.T) {
		s := &pair{site: s.in(t), red: s.red, blue: s.blue}
		b := s.of("red", s.red)
		seen := s.sees(b.Fetch(s.url + "/guests"))
		if seen.Header.Get("X-Sub") != "" || seen.Header.Get("X-Forwarded-User") != "" {
			t.Errorf("the backend sees %v", seen.Header)
		}
		s.status(b.Fetch(s.url+"/named"), http.StatusForbidden)
	})
}

func TestListsOfProviders(t *testing.T) {
	s := newPair(t, map[string]any{"defaultProvider": "red", "allowedUsers": "bob@example.com", "accessRules": []any{
		a{"paths": "/blue", "require": "Provider(`blue`)"},
	}}, nil, nil)
	b := s.browser()
	seen := s.sees(s.through(b, b.Hop(s.url+"/x"), s.red, "bob")) // without a page
	if seen.Header.Get("X-Iss") != s.red.URL() {
		t.Errorf("signed in at %s", seen.Header.Get("X-Iss"))
	}
	b = s.browser()
	p := b.Do(browser.Request{URL: s.url + "/oidc/callback?provider=blue&target=/blue", OneHop: true})
	s.sees(s.through(b, p, s.blue, "bob"))
	s.signedInAt(b, "/blue", s.blue)
	s.untouched(func() {
		s.status(b.Fetch(s.url+"/x"), http.StatusForbidden)
		s.status(b.Fetch(s.url+"/"), http.StatusForbidden)
	})
}

func TestChannelsOfProviders(t *testing.T) {
	s := newPair(t, nil, nil, nil)
	t.Run("L47 a logout token of one provider and a session of another with its sub and sid", func(t *testing.T) {
		s := &pair{site: s.in(t), red: s.red, blue: s.blue}
		red, blue := s.of("red", s.red), s.of("blue", s.blue)
		sid := s.signedInAt(blue, "/x", s.blue).Header.Get("X-Sid")
		for _, path := range []string{backPath, backPath + "/blue"} {
			d := s.red.SendLogoutToken(s.url+path, s.red.LogoutToken("client", "alice", sid, nil))
			if d.Status < 400 || d.Status > 499 {
				t.Errorf("%s takes the token of the other provider", path)
			}
		}
		s.taken(s.red.SendLogoutToken(s.url+backPath+"/red", s.red.LogoutToken("client", "alice", "", without("sid"))))
		s.status(red.Fetch(s.url+"/x"), http.StatusUnauthorized)
		s.signedInAt(blue, "/x", s.blue)
		frame := s.url + frontPath + "/red?" + url.Values{"iss": {s.blue.URL()}, "sid": {sid}}.Encode()
		s.status(s.browser().Open(frame), http.StatusBadRequest)
		s.signedInAt(blue, "/x", s.blue)
		s.taken(s.blue.SendLogoutToken(s.url+backPath+"/blue", s.blue.LogoutToken("client", "alice", sid, nil)))
		s.status(blue.Fetch(s.url+"/x"), http.StatusUnauthorized)
	})
	t.Run("L48 a token refresh at the provider of the session only", func(t *testing.T) {
		s := &pair{site: s.in(t), red: s.red, blue: s.blue}
		s.pass(2e9)
		b := s.of("blue", s.blue)
		before := s.signedInAt(b, "/x", s.blue).Header.Get("X-Access")
		red := s.red.Count(oidctest.Token)
		s.expire()
		eventually.True(t, "a token refresh", func() bool {
			return s.signedInAt(b, "/x", s.blue).Header.Get("X-Access") != before
		})
		if s.red.Count(oidctest.Token) != red || s.blue.Count(oidctest.Refresh) == 0 {
			t.Error("the refresh token was sent to the other provider")
		}
	})
}

// TestBudgetOfSeveral counts the cost of the choice between providers for a signed-in
// request.
func TestBudgetOfSeveral(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates on its own")
	}
	s := newPair(t, nil, nil, nil)
	value, _ := s.of("blue", s.blue).Jar.Get(s.home(), cookie+".blue")
	one := newMovable(t, setup{})
	bare := func(s *site, line string) int {
		return allocations(t, s.server.Config.Handler, request("GET /x", line), http.StatusOK)
	}
	single := bare(one, "Cookie: "+cookie+"="+one.value(one.signedIn("alice")))
	several := bare(s.site, "Cookie: "+cookie+".blue="+value)
	t.Logf("%d allocations with one provider, %d with two", single, several)
	if several > single+costOfChoice {
		t.Errorf("%d allocations with one provider, %d with two: make the choice cheaper", single, several)
	}
}

// costOfChoice is the most that a signed-in request may allocate for the choice between
// providers.
const costOfChoice = 60
