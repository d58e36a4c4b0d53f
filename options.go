package traefikoidc

import (
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/auth"
	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// options maps the settings to what the middleware takes.
func (b *middlewareBuilder) options() (auth.Options, error) {
	s := b.s
	rules, err := policy.NewRules(policy.Rules{
		Users: s.Access.Users, Domains: s.Access.Domains, RolesAndGroups: s.Access.RolesAndGroups,
		UserClaim: s.Access.UserClaim, GroupClaim: s.Access.GroupClaim, RoleClaim: s.Access.RoleClaim,
		EmailVerified: s.Access.EmailVerified,
	})
	if err != nil {
		return auth.Options{}, err
	}
	bypass, err := policy.NewBypass(s.Access.Excluded)
	if err != nil {
		return auth.Options{}, err
	}
	templates, err := headers.Compile(templatesOf(b.s.Headers.Templates))
	if err != nil {
		return auth.Options{}, err
	}
	keys, err := session.NewKeyring(s.Session.Keys)
	if err != nil {
		return auth.Options{}, err
	}
	o := auth.Options{
		Provider: b.provider, ClientID: s.Client.ID, Backend: b.backend, Keys: keys, Identity: b.identity(),
		CallbackURL: s.SignIn.CallbackURL, LogoutPath: s.Logout.Path, ForceHTTPS: s.Session.Secure,
		Cookies: session.Cookies{Name: s.Session.CookieName, Domain: s.Session.CookieDomain, Secure: s.Session.Secure},
		MaxAge:  s.Session.MaxAge, IdleTimeout: s.Session.IdleTimeout, StripCookies: s.Session.StripCookies,
		Scopes: s.SignIn.Scopes, AuthParams: s.SignIn.Params, WithoutPKCE: !s.SignIn.PKCE,
		MaxAuthAge: s.SignIn.MaxAge, UserInfo: userInfo[s.Provider.UserInfo], CheckReplays: s.SignIn.DetectReplay,
		Rules: rules, Bypass: bypass, Templates: templates, Minimal: s.Headers.Minimal,
		StripAuthorization: s.Bearer.StripAuthorization,
		Cleaner:            headers.NewCleaner(templates.Names()),
		PageTemplate:       s.Pages.Template,
		Rate:               s.Limits.Rate, TrustedProxies: s.Limits.TrustedProxies, Log: b.log,
	}
	if o.CallbackURL == "" {
		o.CallbackURL = s.SignIn.CallbackPath
	}
	if s.Logout.PostLogoutURI != "/" {
		o.PostLogoutURL = s.Logout.PostLogoutURI
	}
	return o, nil
}

var userInfo = map[string]auth.UserInfo{
	"auto": auth.UserInfoAuto, "always": auth.UserInfoAlways, "never": auth.UserInfoNever,
}

// identity binds sessions and sign-ins to an issuer, a relying party and a group:
// the middleware's name, unless the operator named a group to share sessions.
func (b *middlewareBuilder) identity() string {
	group := b.s.Session.Group
	if group == "" {
		group = b.name
	}
	return strings.Join([]string{b.s.Provider.Issuer, b.s.Client.ID, group}, "\n")
}

func templatesOf(configured []config.HeaderTemplate) []headers.Template {
	var ts []headers.Template
	for _, t := range configured {
		ts = append(ts, headers.Template{Name: t.Name, Value: t.Value})
	}
	return ts
}
