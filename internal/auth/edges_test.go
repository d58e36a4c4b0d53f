package auth

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// plain is a site of http only, where browsers send no Sec-Fetch headers.
func plain(o *Options) {
	o.ForceHTTPS = false
	o.Cookies = session.Cookies{Name: "oidc"}
}

func TestAConfirmedLogoutOverPlainHTTP(t *testing.T) {
	s := newSite(t, plain)
	b := s.signedIn("alice")
	cross := map[string]string{"Sec-Fetch-Site": "-", "Sec-Fetch-Mode": "-", "Referer": "http://evil.example/"}
	resp := b.send(s.handler, b.request("GET", logoutPath, cross))
	page := s.status(resp, http.StatusOK)
	if !strings.Contains(page, `method="post"`) || b.jar["oidc"] == "" {
		t.Fatal(page)
	}
	// Fetch, "append a request Origin header": null under the policy no-referrer.
	origin := "http://" + siteHost
	if resp.Header.Get("Referrer-Policy") == "no-referrer" {
		origin = "null"
	}
	confirmed := map[string]string{"Sec-Fetch-Site": "-", "Sec-Fetch-Mode": "-", "Origin": origin}
	if resp := b.send(s.handler, b.request("POST", logoutPath, confirmed)); resp.StatusCode != http.StatusFound || len(b.jar) != 0 {
		t.Errorf("I1: the confirmation is asked for again: status %d", resp.StatusCode)
	}
}

func TestASessionThatNobodyFindsAgain(t *testing.T) {
	s := newSite(t, nil)
	lost := s.another(func(o *Options) { o.Backend = cache.NewMemory(cache.MemoryOptions{}) })
	other := lost.Handler(http.HandlerFunc(s.backend)) // a replica that shares no store
	b := s.browser()
	resp := b.send(other, b.request("GET", "/page", nil))
	for i := 0; i < 6 && resp.StatusCode == http.StatusFound; i++ {
		s.leads(b.open(b.provided(resp, "alice")), "/page")
		resp = b.send(other, b.request("GET", "/page", nil))
	}
	s.says(resp, http.StatusBadGateway, "session_lost")
	s.turn(2 * time.Minute)
	s.leadsToProvider(b.send(other, b.request("GET", "/page", nil)), b)
}

func TestTheWayOnFromAPage(t *testing.T) {
	s := newSite(t, nil)
	b := s.signedIn("alice")
	s.store.failing("Get")
	if page := s.status(b.open("/deep?x=1"), 503); !strings.Contains(page, `href="/deep?x=1"`) {
		t.Errorf("no link to where the user wanted to go: %s", page)
	}
}

func TestOneCallbackForTheHostsOfADomain(t *testing.T) {
	s := newSite(t, func(o *Options) {
		o.CallbackURL = "https://login.example.com" + callbackPath
		o.Cookies = session.Cookies{Name: "__Secure-oidc", Domain: "example.com", Secure: true}
	})
	b := s.browser()
	at := func(host, target string) *http.Response {
		r := b.request("GET", target, nil)
		r.Host = host
		return b.send(s.handler, r)
	}
	s.leads(at("login.example.com", b.provided(at(siteHost, "/page?x=1"), "alice")), "https://"+siteHost+"/page?x=1")
	s.status(at(siteHost, "/page?x=1"), 200)
	for _, row := range []struct{ name, host, want string }{
		{"the callback's own", "login.example.com", "/page"},
		{"capitals", "APP.example.com", "https://" + siteHost + "/page"},
		{"a port", siteHost + ":8443", "https://" + siteHost + ":8443/page"},
		{"A5 userinfo", "evil.test@app.example.com", ""},
		{"A5 userinfo of ours", siteHost + "@evil.test", ""},
		{"A5 only a user's name", "a@example.com", ""},
		{"A6 elsewhere", "evil.test", ""},
		{"A6 a suffix", "evilexample.com", ""},
		{"A6 a prefix", "example.com.evil.test", ""},
		{"A6 a dot before the domain", ".example.com", ""},
		{"A6 a dot behind it", siteHost + ".", "https://" + siteHost + "/page"},
		{"A6 two dots", "evil..example.com", ""},
		{"A7 a port that is none", siteHost + ":8443.evil.test", ""},
		{"A7 a port with a name", siteHost + ":x", ""},
		{"A7 no port", siteHost + ":", "https://" + siteHost + "/page"},
		{"a slash", "a/example.com", ""},
		{"a slash below", "evil.test/.example.com", ""},
		{"an escape", "evil.test%2f.example.com", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := s.browser()
			r := b.request("GET", "/page", nil)
			r.Host = row.host
			resp := b.send(s.handler, r)
			if row.want == "" {
				if resp.StatusCode != http.StatusMisdirectedRequest || len(resp.Cookies()) != 0 {
					t.Errorf("%s: status %d, cookies %v", row.host, resp.StatusCode, resp.Cookies())
				}
				return
			}
			r = b.request("GET", b.provided(resp, "alice"), nil)
			r.Host = "login.example.com"
			if got := b.send(s.handler, r).Header.Get("Location"); got != row.want {
				t.Errorf("%s leads to %q, want %q", row.host, got, row.want)
			}
		})
	}
}

func TestWhoLeavesHasSignedOut(t *testing.T) {
	s := newSite(t, nil)
	b := s.signedIn("alice")
	copied := b.jar[cookieName]
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b.send(s.handler, b.request("GET", logoutPath, nil).WithContext(ctx))
	b.jar[cookieName] = copied
	s.status(b.script("/"), http.StatusUnauthorized)
}

func TestAReloadDuringASignIn(t *testing.T) {
	s := newSite(t, nil)
	b := s.browser()
	callback := b.callbackFor("/page", "alice")
	s.Middleware.Close()
	after := s.another(func(o *Options) {
		o.Rules, _ = policy.NewRules(policy.Rules{Domains: []string{"example.com"}})
	}).Handler(http.HandlerFunc(s.backend))
	s.leads(b.send(after, b.request("GET", callback, nil)), "/page")
	s.status(b.send(after, b.request("GET", "/page", nil)), 200)
}

func TestTwoRoutersOfOneMiddleware(t *testing.T) {
	s := newSite(t, nil)
	b := s.signedIn("alice")
	other := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("the other")) }))
	if body := s.status(b.send(other, b.request("GET", "/", nil)), 200); body != "the other" {
		t.Error(body)
	}
	if resp := b.open(logoutPath); resp.StatusCode != http.StatusFound {
		t.Errorf("status %d", resp.StatusCode)
	}
	s.leadsToProvider(b.send(other, b.request("GET", "/", nil)), b)
}

func TestProgramsAreToldByTheStatus(t *testing.T) {
	s := newSite(t, func(o *Options) { o.PostLogoutURL = "/bye" })
	b := s.signedIn("alice")
	head := map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site"}
	s.status(b.send(s.handler, b.request("POST", logoutPath, head)), http.StatusForbidden)
	s.status(b.open("/"), 200)
}

// One user cannot fill the store, because a sign-in beyond the bound ends the oldest
// session.
func TestTooManySessionsOfOneUser(t *testing.T) {
	s := newSite(t, nil)
	first := s.signedIn("alice")
	s.turn(10 * time.Second)
	bob := s.signedIn("bob")
	for i := 2; i < session.MaxSessions; i++ {
		s.signedIn("alice")
	}
	second := s.signedIn("alice")
	t.Run("L10 F24 as many as there may be", func(t *testing.T) {
		s.status(first.open("/"), 200)
		if strings.Contains(s.log.String(), "too many") {
			t.Error("the log tells of an end")
		}
	})
	third := s.signedIn("alice")
	t.Run("L10 F24 one more ends the oldest, with a line", func(t *testing.T) {
		s.leadsToProvider(first.open("/"), first)
		for _, b := range []*browser{second, third, bob} {
			s.status(b.open("/"), 200)
		}
		if line := s.log.String(); strings.Count(line, "too many") != 1 || !strings.Contains(line, "ended=1 most=500") || strings.Contains(line, "alice") {
			t.Error("the log does not say so")
		}
	})
}

// A store that cannot count lets users in, and the log says so once.
func TestSessionsThatCannotBeCounted(t *testing.T) {
	s := newSite(t, nil)
	s.store.failing("Trim")
	for _, who := range []string{"alice", "bob"} {
		s.status(s.signedIn(who).open("/"), 200)
	}
	if n := strings.Count(s.log.String(), "could not be counted"); n != 1 {
		t.Errorf("L10: %d lines", n)
	}
}

// max_age applies to a request for a session, from the time of the user's
// authentication.
func TestMaxAgeOfWhoServes(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(p *oidctest.Behaviour)
		after  time.Duration
		lives  bool
	}{
		{"L7 B23 before it", nil, 9 * time.Minute, true},
		{"L7 B23 within the skew", nil, 10*time.Minute + 50*time.Second, true},
		{"L7 B23 after it", nil, 11*time.Minute + 10*time.Second, false},
		{"L7 B23 an authentication without a time", func(p *oidctest.Behaviour) {
			p.IDTokenClaims = func(c map[string]any) { delete(c, "auth_time") }
		}, 9 * time.Minute, false},
		{"L7 B23 before it, and a token refresh without it", func(p *oidctest.Behaviour) {
			p.RefreshClaims = func(c map[string]any) { delete(c, "auth_time") }
		}, 9 * time.Minute, true},
		{"L7 B23 after it, and a token refresh without it", func(p *oidctest.Behaviour) {
			p.RefreshClaims = func(c map[string]any) { delete(c, "auth_time") }
		}, 11*time.Minute + 10*time.Second, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, tellingTokens)
			if row.change != nil {
				s.provider.Set(row.change)
			}
			strict := s.another(func(o *Options) {
				tellingTokens(o)
				o.MaxAuthAge = 10 * time.Minute
			}).Handler(http.HandlerFunc(s.backend))
			b := s.signedIn("alice")
			s.status(b.open("/"), 200)
			s.turn(6 * time.Minute)
			s.status(b.open("/"), 200) // with other tokens
			s.turn(row.after - 6*time.Minute)
			resp := b.send(strict, b.request("GET", "/", nil))
			if row.lives {
				s.status(resp, 200)
			} else {
				s.leadsToProvider(resp, b)
			}
			s.status(b.open("/"), 200)
		})
	}
}
