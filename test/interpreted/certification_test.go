package interpreted

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

var certify = flag.Bool("certify", false, "print the modules of the certification as a table")

// A module is one of the OpenID Foundation's conformance suite for relying parties,
// played by a provider of ours. It is no certificate. Only the suite itself gives one.
// If it allows two outcomes, the table has ours. Without a kid all keys that fit are
// tried, and an unsigned ID token is refused.
type module struct {
	plan, name string // without the prefix that all of them have
	provider   string // the behaviour of the provider
	change     func(p *oidctest.Provider, b *oidctest.Behaviour)
	run        func(s *site) string // returns the outcome; fails the test if that is wrong
}

const (
	basicPlan   = "Basic RP"
	configPlan  = "Config RP"
	logoutPlan  = "RP-Initiated RP"
	backPlan    = "Back-Channel RP"
	frontPlan   = "Front-Channel RP"
	refreshPlan = "Refresh tokens" // of no certification
)

func TestCertification(t *testing.T) {
	var lines []string
	if *certify {
		t.Cleanup(func() { printModules(lines) })
	}
	for _, m := range modules() {
		name := strings.TrimSuffix("oidcc-client-test-"+m.name, "-")
		t.Run(m.plan+"/"+name, func(t *testing.T) {
			result, came := "failed", ""
			defer func() {
				if !t.Failed() {
					result = "passed"
				}
				lines = append(lines, strings.Join([]string{m.plan, name, m.provider, came, result}, "\t"))
			}()
			s := newMovable(t, setup{
				options:  map[string]any{"userinfo": "always", "postLogoutRedirectURI": "/bye", "excludedURLs": []any{"/bye"}},
				provider: registered(m.plan),
			})
			behaviour := oidctest.Behaviour{Discovery: basicAlone}
			if m.change != nil {
				m.change(s.provider, &behaviour)
			}
			s.provider.Set(func(b *oidctest.Behaviour) { *b = behaviour })
			came = m.run(s)
		})
	}
}

// registered is the registration of the client at the plan's provider.
func registered(plan string) oidctest.Options {
	const app = "https://" + appHost
	o := oidctest.Options{
		SigningAlg: "RS256", RedirectURIs: []string{app + "/oidc/callback"}, PostLogoutRedirectURIs: []string{app + "/bye"},
	}
	switch plan {
	case backPlan:
		o.BackchannelLogoutURI = app + backPath
	case frontPlan:
		o.FrontchannelLogoutURI = app + frontPath
	}
	return o
}

func printModules(lines []string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "PLAN\tMODULE\tTHE PROVIDER\tWHAT CAME OF IT\tRESULT")
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	_ = w.Flush()
}

// basicAlone has the setting of the plans: the token endpoint accepts only
// client_secret_basic.
func basicAlone(doc map[string]any) {
	doc["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic"}
}

// accepts is the run of a module that ends at the userinfo request, and for the user at
// the requested page.
func accepts(s *site) string {
	s.t.Helper()
	before := s.provider.Count(oidctest.UserInfo)
	seen := s.sees(s.signIn(s.browser(), "/wanted", "alice"))
	if seen.URI != "/wanted" || seen.Header.Get("X-Forwarded-User") != "alice@example.com" {
		s.t.Errorf("the backend was asked for %s by %q", seen.URI, seen.Header.Get("X-Forwarded-User"))
	}
	if n := s.provider.Count(oidctest.UserInfo) - before; n != 1 {
		s.t.Errorf("%d userinfo requests", n)
	}
	s.keepsTheRules()
	return "signed in, userinfo asked"
}

// keepsTheRules checks the suite's rules for the requests of every run.
func (s *site) keepsTheRules() {
	s.t.Helper()
	asked := s.provider.Last(oidctest.Authorize).Form
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "client", "redirect_uri": s.url + "/oidc/callback", "response_mode": "", "code_challenge_method": "S256",
	} {
		if got := asked.Get(name); got != want {
			s.t.Errorf("the authorization request's %s is %q", name, got)
		}
	}
	if scope := " " + asked.Get("scope") + " "; !strings.Contains(scope, " openid ") || asked.Get("nonce") == "" || asked.Get("state") == "" {
		s.t.Errorf("the authorization request's scope is %q, nonce %q, state %q", asked.Get("scope"), asked.Get("nonce"), asked.Get("state"))
	}
	if s.provider.Count(oidctest.UserInfo) == 0 {
		return
	}
	told := s.provider.Last(oidctest.UserInfo)
	if !strings.HasPrefix(told.Header.Get("Authorization"), "Bearer ") || told.Form.Has("access_token") {
		s.t.Errorf("the userinfo request has Authorization %q and the parameters %v", told.Header.Get("Authorization"), told.Form)
	}
}

// stops is the run of a module with an invalid ID token. There is no userinfo request
// and no session.
func stops(s *site) string { return s.stopped(0) }

// stopsAfterUserInfo is the run of a module with invalid userinfo.
func stopsAfterUserInfo(s *site) string { return s.stopped(1) }

func (s *site) stopped(userinfo int) string {
	s.t.Helper()
	b := s.browser()
	var page *browser.Page
	s.untouched(func() {
		page = s.comeBack(b, s.callbackFor(b, "/wanted", "alice"))
		if page.Status < 400 {
			s.t.Errorf("the callback's status is %d", page.Status)
		}
		s.noSession(b)
	})
	if n := s.provider.Count(oidctest.Token); n != 1 {
		s.t.Errorf("%d token requests", n)
	}
	if n := s.provider.Count(oidctest.UserInfo); n != userinfo {
		s.t.Errorf("%d userinfo requests, want %d", n, userinfo)
	}
	s.keepsTheRules()
	asked := "userinfo not asked"
	if userinfo > 0 {
		asked = "userinfo refused"
	}
	return fmt.Sprintf("stopped with status %d, no session, %s", page.Status, asked)
}

// discoveryRefused is the run of a module with a provider that must not be used at all.
func discoveryRefused(s *site) string {
	s.t.Helper()
	page := s.browser().Hop(s.url + "/wanted")
	s.status(page, http.StatusServiceUnavailable)
	for _, endpoint := range []string{oidctest.Authorize, oidctest.Token, oidctest.UserInfo} {
		if n := s.provider.Count(endpoint); n != 0 {
			s.t.Errorf("%d requests to %s", n, endpoint)
		}
	}
	return fmt.Sprintf("stopped with status %d before the authorization request", page.Status)
}

// rotated is the run of a module with another key of the provider by the second sign-in.
// The key changes before it, or while the user is at the provider.
func rotated(late bool) func(s *site) string {
	return func(s *site) string {
		s.t.Helper()
		accepts(s)
		if late {
			b := s.browser()
			callback := s.callbackFor(b, "/wanted", "alice")
			s.provider.Rotate()
			s.status(s.comeBack(b, callback), http.StatusFound)
			s.sees(b.Open(s.url + "/wanted"))
		} else {
			s.provider.Rotate()
			accepts(s)
		}
		if n := s.provider.Count(oidctest.JWKS); n != 2 {
			s.t.Errorf("the keys were fetched %d times, want once more for the new one", n)
		}
		if n := s.provider.Count(oidctest.UserInfo); n != 2 {
			s.t.Errorf("%d userinfo requests", n)
		}
		return "keys fetched again, signed in, userinfo asked"
	}
}

// logsOut is the run of an RP-initiated logout. edit changes the state on the way
// back. A nil edit leaves it.
func logsOut(edit func(q url.Values)) func(s *site) string {
	return func(s *site) string {
		s.t.Helper()
		b := s.signedIn("alice")
		to := b.Hop(s.url + logoutPath).Location()
		if to == nil || !strings.HasPrefix(to.String(), s.provider.Endpoint(oidctest.EndSession)+"?") {
			s.t.Fatalf("sent to %v", to)
		}
		q := to.Query()
		if strings.Count(q.Get("id_token_hint"), ".") != 2 || q.Get("post_logout_redirect_uri") != s.url+"/bye" {
			s.t.Errorf("the logout request's parameters are %v", q)
		}
		back := b.Do(browser.Request{URL: to.String(), From: s.home(), OneHop: true}).Location()
		if back == nil || back.Path != "/bye" || back.Host != appHost {
			s.t.Fatalf("the provider sent the browser to %v", back)
		}
		if edit != nil {
			back = edited(back, edit)
		}
		s.status(b.Do(browser.Request{URL: back.String(), From: s.parse(s.provider.URL() + "/")}), http.StatusOK)
		s.noSession(b)
		came := "signed out here and there, back at the agreed page"
		if edit != nil && q.Get("state") == "" {
			return came + "; no state was sent, so that the suite skips this"
		}
		return came
	}
}
