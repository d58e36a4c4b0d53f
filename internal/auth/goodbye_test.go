package auth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// withoutEndSession makes the provider one without a sign-out of its own.
func withoutEndSession(s *site) {
	s.provider.Set(func(b *oidctest.Behaviour) {
		b.Discovery = func(doc map[string]any) { delete(doc, "end_session_endpoint") }
	})
}

// signsOut returns the provider's address to which a browser is redirected after a
// sign-out.
func (b *browser) signsOut() string {
	b.Helper()
	q := b.query(b.open(logoutPath))
	return strings.TrimPrefix(q.Get("post_logout_redirect_uri"), "https://"+siteHost) + "?state=" + url.QueryEscape(q.Get("state"))
}

func (b *browser) query(resp *http.Response) url.Values {
	b.Helper()
	b.status(resp, http.StatusFound)
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		b.Fatal(err)
	}
	return u.Query()
}

func TestTheWayBackFromASignOut(t *testing.T) {
	const said = "<h1>You are signed out</h1>"
	s := newSite(t, nil)
	b := s.signedIn("alice")
	back := b.signsOut()

	t.Run("I1 it says so, and leads to a sign-in without the state", func(t *testing.T) {
		resp := b.open(back)
		page := s.status(resp, http.StatusOK)
		if !strings.Contains(page, said) || !strings.Contains(page, `<a href="/">Sign in again</a>`) || strings.Contains(page, "Try again") || strings.Contains(page, "may still") {
			t.Error(page)
		}
		if !strings.Contains(resp.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("headers %v", resp.Header)
		}
	})
	t.Run("I1 other parameters stay", func(t *testing.T) {
		if page := s.status(b.open(back+"&x=1%26y"), http.StatusOK); !strings.Contains(page, `<a href="/?x=1%26y">`) {
			t.Error(page)
		}
	})
	t.Run("I1 a script gets the status", func(t *testing.T) {
		s.status(b.script(back), http.StatusUnauthorized)
	})
	state := strings.TrimPrefix(back, "/?state=")
	another := newSite(t, func(o *Options) { o.Identity = "another" })
	login := b.query(b.open("/")).Get("state")
	for _, row := range []struct{ name, target string }{
		{"I3 at another path", "/other?state=" + state},
		{"I3 twice", back + "&state=" + state},
		{"I3 altered", back[:len(back)-2] + "AA"},
		{"I3 empty", "/?state="},
		{"I3 made up", "/?state=0123456789"},
		{"I3 of another middleware", another.signedIn("alice").signsOut()},
		{"I3 of a sign-in", "/?state=" + url.QueryEscape(login)},
		{"I3 among a hundred parameters", back + strings.Repeat("&a=b", 100)},
		{"I3 in a long query", back + "&a=" + strings.Repeat("b", 9000)},
	} {
		t.Run(row.name, func(t *testing.T) {
			if resp := b.open(row.target); !b.toProvider(resp) {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	t.Run("I3 a state of a sign-out ends no sign-in", func(t *testing.T) {
		s.says(b.open(callbackPath+"?code=x&state="+state), http.StatusBadRequest, "callback_foreign_state")
	})
	t.Run("I1 with a session the page is the backend's", func(t *testing.T) {
		if body := s.status(s.signedIn("bob").open(back), http.StatusOK); !strings.HasPrefix(body, "backend ") {
			t.Error(body)
		}
	})
	t.Run("I3 too late", func(t *testing.T) {
		s.turn(goodbyeLifetime + time.Second)
		if resp := b.open(back); !b.toProvider(resp) {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

func TestSignOutWithoutTheProvider(t *testing.T) {
	t.Run("I4 a protected page at the end", func(t *testing.T) {
		s := newSite(t, func(o *Options) { o.PostLogoutURL = "/bye?x=1" })
		withoutEndSession(s)
		b := s.signedIn("alice")
		to := b.open(logoutPath).Header.Get("Location")
		if page := s.status(b.open(strings.TrimPrefix(to, "https://"+siteHost)), http.StatusOK); !strings.Contains(page, `href="/bye?x=1"`) || !strings.Contains(page, "may still be signed in") {
			t.Error(page)
		}
	})
	t.Run("I4 a page of another site gets no state", func(t *testing.T) {
		s := newSite(t, func(o *Options) { o.PostLogoutURL = "https://www.example.com/bye" })
		withoutEndSession(s)
		s.leads(s.signedIn("alice").open(logoutPath), "https://www.example.com/bye")
	})
	t.Run("I4 a page of ours", func(t *testing.T) {
		s := newSite(t, nil)
		withoutEndSession(s)
		if page := s.status(s.signedIn("alice").open(logoutPath), http.StatusOK); !strings.Contains(page, ">Sign in again<") || strings.Contains(page, "Try again") {
			t.Error(page)
		}
	})
}

func TestTheConfirmationHasBothButtons(t *testing.T) {
	s := newSite(t, nil)
	b := s.signedIn("alice")
	page := s.status(b.send(s.handler, b.request("GET", logoutPath, map[string]string{"Sec-Fetch-Site": "cross-site"})), http.StatusOK)
	for _, want := range []string{`<form method="post" action="` + logoutPath + `"><button type="submit">Sign out</button>`, `<a href="/">Stay signed in</a>`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in %s", want, page)
		}
	}
}

// refusing admits only alice.
func refusing(o *Options) {
	o.Rules, _ = policy.NewRules(policy.Rules{Users: []string{"alice@example.com"}})
}

func TestAnotherAccount(t *testing.T) {
	prompt := func(b *browser, resp *http.Response) string {
		b.Helper()
		if !b.toProvider(resp) {
			b.Fatalf("status %d to %q", resp.StatusCode, resp.Header.Get("Location"))
		}
		return b.query(resp).Get("prompt")
	}
	refusedAt := func(s *site, target string) *browser {
		s.Helper()
		b := s.browser()
		s.leads(b.open(b.callbackFor(target, "bob")), target)
		return b
	}
	const another = logoutPath + "?another=%2Fpage%3Fx%3D1"
	s := newSite(t, refusing)
	withoutEndSession(s)

	t.Run("K7 the page names the signed-in user, to that user only", func(t *testing.T) {
		b := refusedAt(s, "/page?x=1")
		resp := b.open("/page?x=1")
		page := s.status(resp, http.StatusForbidden)
		for _, want := range []string{"You are signed in as <bdi>bob@example.com</bdi>.", `href="` + another + `"`, `<a href="/">Back</a>`} {
			if !strings.Contains(page, want) {
				t.Errorf("no %s in %s", want, page)
			}
		}
		if !strings.Contains(resp.Header.Get("Cache-Control"), "no-store") || strings.Contains(s.log.String(), "bob@") {
			t.Errorf("headers %v, log %s", resp.Header, s.log.String())
		}
		if body := s.status(b.script("/page"), http.StatusForbidden); strings.Contains(body, "bob@") {
			t.Errorf("an API client is told %s", body)
		}
		if page := s.status(s.browser().open(callbackPath+"?state=x"), http.StatusBadRequest); strings.Contains(page, "bob@") {
			t.Error(page)
		}
		t.Log("the name is kept when the store is asked again")
		s.turn(4 * time.Minute)
		if page := s.status(b.open("/page"), http.StatusForbidden); !strings.Contains(page, "bob@example.com") {
			t.Error(page)
		}
	})
	t.Run("I1 another account is requested once", func(t *testing.T) {
		b := refusedAt(s, "/page?x=1")
		resp := b.open(another)
		if got := prompt(b, resp); got != "select_account" || b.jar[cookieName] != "" {
			t.Errorf("prompt %q", got)
		}
		s.leads(b.open(b.provided(resp, "alice")), "/page?x=1")
		s.status(b.open("/page?x=1"), http.StatusOK)
		if got := prompt(b, s.browser().open("/")); got != "" {
			t.Errorf("the next sign-in asks for %q", got)
		}
	})
	t.Run("I1 a provider that refuses select_account gets one request with prompt=login", func(t *testing.T) {
		for _, code := range []string{"invalid_request", "account_selection_required", "server_error"} {
			b := refusedAt(s, "/page")
			resp := b.open(another)
			s.provider.Set(func(p *oidctest.Behaviour) { p.AuthorizeError = code })
			resp = b.open(b.provided(resp, "alice"))
			if got := prompt(b, resp); got != "login" {
				t.Errorf("%s: prompt %q", code, got)
			}
			resp = b.open(b.provided(resp, "alice"))
			if resp.StatusCode < 400 {
				t.Errorf("%s: a loop: status %d to %q", code, resp.StatusCode, resp.Header.Get("Location"))
			}
			withoutEndSession(s)
			s.provider.Set(func(p *oidctest.Behaviour) { p.AuthorizeError = "" })
		}
	})
	t.Run("I1 a user who declines gets no second request", func(t *testing.T) {
		b := refusedAt(s, "/page")
		resp := b.open(another)
		s.provider.Set(func(p *oidctest.Behaviour) { p.AuthorizeError = "access_denied" })
		s.says(b.open(b.provided(resp, "alice")), http.StatusForbidden, "access_denied")
		s.provider.Set(func(p *oidctest.Behaviour) { p.AuthorizeError = "" })
	})
	t.Run("I1 a sign-in that starts again asks again", func(t *testing.T) {
		b := refusedAt(s, "/page")
		callback := b.provided(b.open(another), "alice")
		b.jar = map[string]string{}
		if got := prompt(b, b.open(callback)); got != "select_account" {
			t.Errorf("prompt %q", got)
		}
	})
	t.Run("I1 another site cannot sign out by it", func(t *testing.T) {
		b := refusedAt(s, "/page")
		page := s.status(b.send(s.handler, b.request("GET", another, map[string]string{"Sec-Fetch-Site": "cross-site"})), http.StatusOK)
		if !strings.Contains(page, `method="post"`) || b.jar[cookieName] == "" {
			t.Error(page)
		}
	})
	for _, row := range []struct{ name, value, want string }{
		{"A16 another site", "another=https://evil.example/", "/"}, {"A16 two slashes", "another=//evil.example", "/evil.example"},
		{"A16 a line break", "another=/a%0d%0aX:y", "/"}, {"A16 our own sign-out", "another=" + logoutPath, "/"}, {"A16 nothing", "another=", "/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := refusedAt(s, "/page")
			s.leads(b.open(b.provided(b.open(logoutPath+"?"+row.value), "alice")), row.want)
		})
	}
	t.Run("I1 twice is nothing", func(t *testing.T) {
		s.status(refusedAt(s, "/page").open(another+"&another=/x"), http.StatusOK)
	})
	t.Run("I1 the operator's prompt applies", func(t *testing.T) {
		s := newSite(t, func(o *Options) { o.AuthParams = map[string]string{"prompt": "consent"}; refusing(o) })
		withoutEndSession(s)
		b := refusedAt(s, "/page")
		if got := prompt(b, b.open(another)); got != "consent" {
			t.Errorf("prompt %q", got)
		}
	})
	t.Run("I1 a provider with a sign-out of its own", func(t *testing.T) {
		s := newSite(t, refusing)
		if to := refusedAt(s, "/page").open(another).Header.Get("Location"); !strings.HasPrefix(to, s.provider.Endpoint(oidctest.EndSession)) {
			t.Error(to)
		}
	})
}

func TestBack(t *testing.T) {
	s := newSite(t, refusing)
	b := s.browser()
	s.leads(b.open(b.callbackFor("/page", "bob")), "/page")
	for _, row := range []struct{ name, at, from, want string }{
		{"no page before", "/page", "-", `<a href="/">Back</a>`},
		{"a page of this site", "/page", "https://" + siteHost + "/a?b=1", `<a href="/a?b=1">Back</a>`},
		{"the page itself", "/page", "https://" + siteHost + "/page", `<a href="/">Back</a>`},
		{"A16 another site", "/page", "https://evil.example/a", `<a href="/">Back</a>`},
		{"A16 a script", "/page", "javascript:alert(1)", `<a href="/">Back</a>`},
		{"A16 two slashes", "/page", "https://" + siteHost + "//evil.example/", `<a href="/evil.example/">Back</a>`},
		{"A16 our own sign-out", "/page", "https://" + siteHost + logoutPath, `<a href="/">Back</a>`},
		{"A16 a referrer of a megabyte", "/page", "https://" + siteHost + "/" + strings.Repeat("a", 1<<20), `<a href="/">Back</a>`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if page := s.status(b.send(s.handler, b.request("GET", row.at, map[string]string{"Referer": row.from})), http.StatusForbidden); !strings.Contains(page, row.want) {
				t.Errorf("no %s in %s", row.want, page)
			}
		})
	}
	if page := s.status(b.open("/"), http.StatusForbidden); strings.Contains(page, ">Back<") {
		t.Errorf("the start page leads back to itself: %s", page)
	}
}

func TestNamesOnPages(t *testing.T) {
	for _, row := range []struct{ name, given, want string }{
		{"K7 markup", `<b onclick="x">Bob</b>`, "<bdi>&lt;b onclick=&#34;x&#34;&gt;Bob&lt;/b&gt;</bdi>"},
		{"K7 control characters", "Bo\x00\x1b[31m\r\nb", "<bdi>Bo[31mb</bdi>"},
		{"K7 text that runs backwards", "Bob\u202e\u2066gnp", "<bdi>Bobgnp</bdi>"},
		{"K7 an endless name", strings.Repeat("\u00fc", 5000), "<bdi>" + strings.Repeat("\u00fc", 100) + "</bdi>"},
		{"K7 a template", "{{.Style}}{user}", "<bdi>{{.Style}}{user}</bdi>"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, func(o *Options) {
				o.Rules, _ = policy.NewRules(policy.Rules{Users: []string{"nobody"}, UserClaim: "name"})
			})
			s.provider.Set(func(p *oidctest.Behaviour) {
				p.IDTokenClaims = func(c map[string]any) { c["name"] = row.given }
			})
			b := s.signedIn("bob")
			if page := s.status(b.open("/"), http.StatusForbidden); !strings.Contains(page, row.want) {
				t.Errorf("no %s in %s", row.want, page)
			}
		})
	}
}
