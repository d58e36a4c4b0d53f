package auth

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// lines returns those of the log with a text.
func (s *site) lines(text string) []string {
	var found []string
	for _, line := range strings.Split(s.log.String(), "\n") {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// ruled applies rules.
func ruled(t *testing.T, o *Options, rules policy.Rules) {
	t.Helper()
	r, err := policy.NewRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	o.Rules = r
}

func TestRefusalSaysWhy(t *testing.T) {
	groups := policy.Rules{RolesAndGroups: []string{"board"}}
	for _, c := range []struct {
		name   string
		rules  policy.Rules
		claims func(claims map[string]any)
		scopes func(doc map[string]any)
		want   []string
		not    []string
	}{
		{"none of the groups", groups, func(c map[string]any) { c["groups"] = []any{"staff", "admins"}; delete(c, "roles") }, nil,
			[]string{`claims="groups: a list of 2, 2 usable; roles: missing"`, `scopes="openid email groups"`}, []string{"scopesNotOffered", "staff"}},
		{"a claim that is not there, and a scope that discovery does not offer", groups,
			func(c map[string]any) { delete(c, "groups"); delete(c, "roles") },
			func(doc map[string]any) { doc["scopes_supported"] = []string{"openid", "email"} },
			[]string{`claims="groups: missing; roles: missing"`, "scopesNotOffered=groups"}, nil},
		{"a misspelt claim", policy.Rules{RolesAndGroups: []string{"board"}, GroupClaim: "grups"}, nil, nil, []string{"grups: missing"}, nil},
		{"another user", policy.Rules{Users: []string{"carol@example.org"}}, nil, nil,
			[]string{"email: one text or number", "neither the user nor the domain is allowed"}, []string{"alice@example.com", "groups: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, func(o *Options) {
				ruled(t, o, c.rules)
				o.UserInfo = UserInfoNever
				o.Scopes = []string{"openid", "email", "groups"}
			})
			s.provider.Set(func(p *oidctest.Behaviour) { p.IDTokenClaims = c.claims; p.Discovery = c.scopes })
			b := s.signedIn("alice")
			body := s.status(b.open("/"), http.StatusForbidden)
			lines := s.lines("code=not_allowed")
			if len(lines) != 1 {
				t.Fatalf("%d lines: %s", len(lines), s.log.String())
			}
			_, after, _ := strings.Cut(lines[0], "reference=")
			reference, _, _ := strings.Cut(after, " ")
			for _, text := range append(c.want, "reason=", "subject=") {
				if !strings.Contains(lines[0], text) {
					t.Errorf("no %s in %s", text, lines[0])
				}
			}
			for _, text := range c.not {
				if strings.Contains(lines[0], text) {
					t.Errorf("%s in %s", text, lines[0])
				}
			}
			if reference == "" || !strings.Contains(body, reference) {
				t.Errorf("the reference %q of the log is not on the page", reference)
			}
		})
	}
}

func TestRefusalSaysValuesAtDebug(t *testing.T) {
	s := newSite(t, func(o *Options) { ruled(t, o, policy.Rules{RolesAndGroups: []string{"board"}}) })
	s.Middleware = s.another(func(o *Options) {
		ruled(t, o, policy.Rules{RolesAndGroups: []string{"board"}})
		o.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s.handler = s.Handler(http.HandlerFunc(s.backend))
	s.provider.Set(func(p *oidctest.Behaviour) {
		p.IDTokenClaims = func(c map[string]any) { c["groups"] = []any{"staff"} }
	})
	s.status(s.signedIn("alice").open("/"), http.StatusForbidden)
	if lines := s.lines("code=not_allowed"); len(lines) != 1 || !strings.Contains(lines[0], `[\"staff\"]`) {
		t.Errorf("the lines are %q", lines)
	}
}

func TestUserWithoutNameIsWarnedOfOnce(t *testing.T) {
	const text = "has no X-Forwarded-User"
	for _, c := range []struct {
		name   string
		rules  policy.Rules
		claims func(claims map[string]any)
		want   string // in the line; empty: there is none
	}{
		{"not verified", policy.Rules{}, func(c map[string]any) { c["email_verified"] = false }, "does not say that the e-mail address is verified"},
		{"not said", policy.Rules{EmailVerified: "require"}, func(c map[string]any) { delete(c, "email_verified") }, "email_verified=missing"},
		{"not there", policy.Rules{UserClaim: "login"}, nil, "claim=login"},
		{"ignored", policy.Rules{EmailVerified: "ignore"}, func(c map[string]any) { c["email_verified"] = false }, ""},
		{"verified", policy.Rules{}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, func(o *Options) { ruled(t, o, c.rules); o.UserInfo = UserInfoNever })
			s.provider.Set(func(p *oidctest.Behaviour) { p.IDTokenClaims = c.claims })
			for i := 0; i < 2; i++ {
				s.status(s.signedIn("alice").open("/"), http.StatusOK)
			}
			lines := s.lines(text)
			if c.want == "" {
				if len(lines) > 0 {
					t.Errorf("warned: %s", lines)
				}
				return
			}
			if len(lines) != 1 || !strings.Contains(lines[0], c.want) || strings.Contains(lines[0], "alice") {
				t.Fatalf("the lines are %q", lines)
			}
			s.status(s.signedIn("bob").open("/"), http.StatusOK)
			if lines := s.lines(text); len(lines) != 2 {
				t.Errorf("two users, and the lines are %q", lines)
			}
		})
	}
}

func TestRedirectURIIsLoggedOnce(t *testing.T) {
	s := newSite(t, nil)
	s.signedIn("alice")
	s.signedIn("bob")
	lines := s.lines("redirectURI=")
	if len(lines) != 1 || !strings.Contains(lines[0], "redirectURI=https://"+siteHost+callbackPath+" ") || !strings.Contains(lines[0], "level=INFO") {
		t.Errorf("the lines are %q", lines)
	}
}

// A scope that discovery does not offer is left out of the request, and the log says so.
func TestScopesThatAreNotOfferedAreLogged(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Scopes = []string{"openid", "email", "offline_acess"} })
	s.provider.Set(func(p *oidctest.Behaviour) {
		p.Discovery = func(doc map[string]any) { doc["scopes_supported"] = []string{"openid", "email", "offline_access"} }
	})
	s.signedIn("alice")
	if lines := s.lines("redirectURI="); len(lines) != 1 || !strings.Contains(lines[0], "scopesNotOffered=offline_acess") {
		t.Errorf("the lines are %q", lines)
	}
}

// The line of an error of the provider has its remedy.
func TestErrorsOfTheProviderHaveARemedy(t *testing.T) {
	for code, want := range map[string]string{
		"invalid_scope": "check scopes", "unauthorized_client": "authorization code flow", "unsupported_response_type": "authorization code flow",
		"invalid_request": "authorizationParams", "quota_exceeded": "the provider's log",
		"invalid_target": "error: invalid_target", "insufficient_scope": "error: insufficient_scope", "unmet_authentication_requirements": "error: unmet_",
	} {
		s := newSite(t, nil)
		b := s.browser()
		s.provider.Set(func(p *oidctest.Behaviour) { p.AuthorizeError = code })
		b.open(b.callbackFor("/page", ""))
		if lines := s.lines("code=sign_in_refused"); len(lines) != 1 || !strings.Contains(lines[0], want) {
			t.Errorf("%s: the lines are %q", code, lines)
		}
	}
}

// The warning of a foreign cookie names the middleware that signs in at the same host,
// however many others have the cookie's name.
func TestAForeignCookieIsTracedToItsHost(t *testing.T) {
	siblings := &Siblings{}
	named := func(name string) func(o *Options) {
		return func(o *Options) { o.Siblings, o.Name, o.Identity = siblings, name, name }
	}
	s := newSite(t, named("this"))
	this := s.handler
	s.handler = s.another(named("culprit")).Handler(http.HandlerFunc(s.backend))
	b := s.signedIn("alice")
	for i := 0; i < 2*siblingsNamed; i++ {
		s.another(named("of another host " + strconv.Itoa(i)))
	}
	s.handler = this
	b.open("/")
	if lines := s.lines("a session cookie is ignored"); len(lines) != 1 || !strings.Contains(lines[0], "middlewaresWithThisCookie=culprit ") {
		t.Errorf("the lines are %q", lines)
	}
}

func TestFirstsAreBounded(t *testing.T) {
	f := newFirsts(3)
	news := 0
	for i := 0; i < 1000; i++ {
		if f.add(strconv.Itoa(i % 100)) {
			news++
		}
	}
	if news != 3 || len(f.seen) != 3 {
		t.Errorf("%d are new, %d are remembered", news, len(f.seen))
	}
}
