package traefikoidc

import (
	"fmt"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/auth"
	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// options maps the settings to the options of the middleware of a provider.
func (b *middlewareBuilder) options(s *config.Settings, provider *oidc.Provider) (auth.Options, error) {
	rules, err := policy.NewRules(policy.Rules{
		Users: s.Access.Users, Domains: s.Access.Domains, RolesAndGroups: s.Access.RolesAndGroups,
		UserClaim: s.Access.UserClaim, DomainClaim: s.Access.DomainClaim, GroupClaim: s.Access.GroupClaim, RoleClaim: s.Access.RoleClaim,
		EmailVerified: s.Access.EmailVerified,
	})
	if err != nil {
		return auth.Options{}, err
	}
	bypass, err := policy.NewBypass(s.Access.Excluded)
	if err != nil {
		return auth.Options{}, err
	}
	access, err := accessOf(s, rules, bypass)
	if err != nil {
		return auth.Options{}, err
	}
	templates, err := headers.Compile(s.Headers.Templates)
	if err != nil {
		return auth.Options{}, err
	}
	ruled, names, err := ruleTemplates(s, templates.Names())
	if err != nil {
		return auth.Options{}, err
	}
	keys, err := session.NewKeyring(s.Session.Keys)
	if err != nil {
		return auth.Options{}, err
	}
	security, cors, err := responseHeaders(s)
	if err != nil {
		return auth.Options{}, err
	}
	o := auth.Options{
		Provider: provider, ClientID: s.Client.ID, Keys: keys, Identity: b.identity(s),
		CallbackURL: s.SignIn.CallbackURL, LogoutPath: s.Logout.Path, ForceHTTPS: s.Session.Secure,
		BackchannelPath: s.Logout.BackchannelPath, FrontchannelPath: s.Logout.FrontchannelPath,
		Cookies: session.Cookies{Name: s.Session.CookieName, Domain: s.Session.CookieDomain, Secure: s.Session.Secure, SameSite: sameSite[s.Session.SameSite]},
		MaxAge:  s.Session.MaxAge, Ages: b.ages, IdleTimeout: s.Session.IdleTimeout, RefreshGrace: s.Session.RefreshGrace, AlwaysRead: s.Redis.Enabled && s.Redis.Mode == "redis",
		StripCookies: s.Session.StripCookies, CookieNames: b.names, Siblings: b.siblings, Name: b.name,
		Scopes: s.SignIn.Scopes, AuthParams: s.SignIn.Params, WithoutPKCE: !s.SignIn.PKCE,
		MaxAuthAge: s.SignIn.MaxAge, UserInfo: userInfo[s.Provider.UserInfo], CheckReplays: s.SignIn.DetectReplay, DenyReplays: s.SignIn.ReplayFallback == "deny",
		Rules: rules, Bypass: bypass, Access: access, Templates: templates, RuleTemplates: ruled, Minimal: s.Headers.Minimal,
		Cleaner:      headers.NewCleaner(names, s.Headers.Kept),
		PageTemplate: s.Pages.Template, Security: security, CORS: cors,
		PageTexts: s.Pages.Texts, Rate: s.Limits.Rate, TrustedProxies: s.Limits.TrustedProxies, Log: b.log,
	}
	if o.CallbackURL == "" {
		o.CallbackURL = s.SignIn.CallbackPath
	}
	if s.Logout.PostLogoutURI != "/" {
		o.PostLogoutURL = s.Logout.PostLogoutURI
	}
	return o, nil
}

// addEntry adds the options of the provider with an index among several.
func (b *middlewareBuilder) addEntry(o *auth.Options, i int) {
	e := b.s.Providers[i]
	o.Entry = e.Name
	o.Label = e.Label
	o.Name = b.name + " (provider " + e.Name + ")"
	o.ChoosePath = b.s.ChoosePath
	o.ListsClosed = e.Access.Closed
	for _, r := range e.Access.Rules {
		o.RuleProviders = append(o.RuleProviders, r.Provider)
	}
}

// accessOf returns the access rules, with the allowed lists and the public paths.
func accessOf(s *config.Settings, lists *policy.Rules, bypass *policy.Bypass) (*policy.Access, error) {
	o := policy.AccessOptions{Lists: lists, Bypass: bypass, Unauthenticated: s.Access.Unauthenticated}
	for _, r := range s.Access.Rules {
		o.Rules = append(o.Rules, policy.AccessRule{Paths: r.Paths, Methods: r.Methods, Hosts: r.Hosts, Require: r.Require, Unauthenticated: r.Unauthenticated})
	}
	a, problems := policy.NewAccess(o)
	if problems != nil {
		return nil, fmt.Errorf("accessRules[%d].%s: %s", problems[0].Rule, problems[0].Option, problems[0].Text)
	}
	return a, nil
}

// ruleTemplates returns the templates of each rule, or nil for a rule without headers.
// They are the general ones with the rule's own, which replace those of the same name.
// The second result is names and those of all rules.
func ruleTemplates(s *config.Settings, names []string) ([]*headers.Templates, []string, error) {
	list := make([]*headers.Templates, len(s.Access.Rules))
	for i, r := range s.Access.Rules {
		if r.Headers == nil {
			continue
		}
		t, err := headers.Compile(overlaid(s.Headers.Templates, r.Headers))
		if err != nil {
			return nil, nil, err
		}
		list[i] = t
		names = append(names[:len(names):len(names)], t.Names()...)
	}
	return list, names, nil
}

// overlaid returns own, after the headers of general with other names. Servers read -
// and _ in a name as the same character.
func overlaid(general, own []headers.Template) []headers.Template {
	names := map[string]bool{}
	for _, h := range own {
		names[plainName(h.Name)] = true
	}
	var list []headers.Template
	for _, h := range general {
		if !names[plainName(h.Name)] {
			list = append(list, h)
		}
	}
	return append(list, own...)
}

func plainName(header string) string {
	return strings.ReplaceAll(strings.ToLower(header), "_", "-")
}

var sameSite = map[string]session.SameSite{
	"lax": session.Lax, "strict": session.Strict, "none": session.None, "partitioned": session.Partitioned,
}

var userInfo = map[string]auth.UserInfo{
	"auto": auth.UserInfoAuto, "always": auth.UserInfoAlways, "never": auth.UserInfoNever,
}

// identity binds sessions and sign-ins to an issuer, a relying party and a group. The
// group is the middleware's name, unless the operator named one to share sessions.
func (b *middlewareBuilder) identity(s *config.Settings) string {
	group := s.Session.Group
	if group == "" {
		group = b.name
	}
	return strings.Join([]string{s.Provider.Issuer, s.Client.ID, group}, "\n")
}

// responseHeaders returns the headers of responses, and the responses to scripts of
// other origins. Each is nil if the operator has none.
func responseHeaders(s *config.Settings) (*headers.Security, *headers.CORS, error) {
	o := s.Security
	if !o.Enabled {
		return nil, nil, nil
	}
	set, err := headers.NewSecurity(o.Options)
	if err != nil || !o.CORSEnabled {
		return set, nil, err
	}
	cors, problems := headers.NewCORS(o.CORS)
	if problems != nil {
		return nil, nil, fmt.Errorf("securityHeaders: of the CORS %s, %s %s", problems[0].Field, problems[0].Value, problems[0].Text)
	}
	return set, cors, nil
}
