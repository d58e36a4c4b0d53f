package auth

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/session"
)

// claimsOf returns the claims of a session. Those of its ID token were verified when
// the token came. Those of userinfo replace them only where they are newer.
func claimsOf(s *session.Session) oidc.Claims {
	if s.UserInfoNew {
		return oidc.Update(oidc.VerifiedClaims(s.IDToken), s.UserInfo)
	}
	return oidc.Merge(oidc.VerifiedClaims(s.IDToken), s.UserInfo)
}

// digest names a subject in the log without revealing it.
func digest(subject string) string {
	sum := sha256.Sum256([]byte("subject " + subject))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// neededClaims returns the claims that a rule or a header requires.
func (m *Middleware) neededClaims() []string {
	rules := m.o.Rules
	needed := []string{rules.UserClaim}
	if len(rules.Domains) > 0 {
		needed = append(needed, rules.DomainClaim)
	}
	if rules.NeedsEmail() && rules.EmailVerified == "require" {
		needed = append(needed, "email_verified")
	}
	if m.o.Templates != nil {
		needed = append(needed, m.o.Templates.Claims()...)
	}
	for _, t := range m.o.RuleTemplates {
		if t != nil {
			needed = append(needed, t.Claims()...)
		}
	}
	return append(needed, m.access.Needed()...)
}

// asksUserInfo reports whether the userinfo endpoint has to be requested.
func (m *Middleware) asksUserInfo(claims oidc.Claims) bool {
	switch m.o.UserInfo {
	case UserInfoAlways:
		return true
	case UserInfoNever:
		return false
	}
	for _, name := range m.needed {
		if _, ok := claims.Lookup(name); !ok {
			return true
		}
	}
	rules := m.o.Rules
	if len(rules.RolesAndGroups) == 0 {
		return false
	}
	_, groups := claims.Lookup(rules.GroupClaim)
	_, roles := claims.Lookup(rules.RoleClaim)
	return !groups && !roles
}

// headersFor returns the headers that describe a session to the backend. A value that
// would make a request too large for a backend is left out, and the log names its
// header.
func (m *Middleware) headersFor(s *session.Session, claims oidc.Claims, templates *headers.Templates) []session.Field {
	rules := m.o.Rules
	set, dropped := headers.Build(headers.User{
		Name: rules.User(claims), Groups: rules.Groups(claims), Roles: rules.Roles(claims), Minimal: m.o.Minimal,
	}, templates, headers.Data{
		Claims: claims, AccessToken: s.AccessToken, IDToken: s.IDToken, RefreshToken: s.RefreshToken,
	})
	for _, name := range dropped {
		m.o.Log.Warn("header left out: its value is too large", "header", name, "subject", digest(claims.Text("sub")))
	}
	fields := make([]session.Field, 0, len(set))
	for _, h := range set {
		fields = append(fields, session.Field{Name: h.Name, Value: h.Value})
	}
	return fields
}

// warnNameless logs, once for each user, that the backend gets no X-Forwarded-User, and
// why.
func (m *Middleware) warnNameless(claims oidc.Claims) {
	rules := m.o.Rules
	if rules.User(claims) != "" {
		return
	}
	subject := digest(claims.Text("sub"))
	if !m.nameless.add(subject) {
		return
	}
	reason := "the claim of userIdentifierClaim is missing or is not a text: check the scopes, or name another claim"
	if claims.Text(rules.UserClaim) != "" {
		reason = "the provider does not say that the e-mail address is verified: verify it there, name another claim in userIdentifierClaim, or set emailVerified"
	}
	m.o.Log.Warn("a signed-in user has no X-Forwarded-User", "subject", subject, "reason", reason, "claim", rules.UserClaim,
		"emailVerified", rules.EmailVerified, "email_verified", claims.Shape("email_verified"))
}
