package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/session"
)

// serveLogout ends the session here, then at the provider (OpenID Connect RP-Initiated
// Logout 1.0 section 2). The user confirms a sign-out that another site requests. A
// request that no user made, such as a prefetch or an image, signs nobody out. A
// sign-out works while the provider is down.
func serveLogout(m *Middleware, w http.ResponseWriter, r *http.Request) {
	if m.unvisited(w, r) {
		return
	}
	v := m.admit(r)
	if v == nil {
		m.fail(w, r, tooMany, nil)
		return
	}
	defer v.leave()
	if fromElsewhere(r) || m.unsaid(r) {
		m.confirmLogout(w, r)
		return
	}
	if m.several != nil && !m.several.endOthers(m, w, r) {
		return
	}
	ended, err := m.sessions.End(r.Context(), r)
	if err != nil {
		m.fail(w, r, storeDown, err)
		return
	}
	m.o.Cookies.Send(w, m.o.Cookies.Delete(m.o.Cookies.Name))
	if m.logins.Completed(r) > 0 {
		m.o.Cookies.Send(w, m.logins.ResetCompleted())
	}
	if ended != nil {
		m.log(r, slogInfo, "signed out", "subject", digest(claimsOf(ended).Text("sub")))
		background.Start(&revocation{m: m, session: ended})
	}
	target, another := m.accountTarget(r)
	to, err := m.endSessionURL(r, ended)
	if err != nil {
		m.log(r, slogWarn, "signed out here only: the provider's logout address could not be requested", "error", err.Error())
	}
	switch {
	case to != "":
		m.redirect(w, to)
	case another:
		m.signIn(w, r, journey{target: target, account: session.ChosenAccount})
	case m.o.PostLogoutURL != "":
		m.redirect(w, m.afterLogout(r))
	default:
		m.signedOut(w, r, goodbye{target: "/"})
	}
}

// endSessionTimeout bounds the wait of a sign-out for the provider's metadata.
const endSessionTimeout = 3 * time.Second

// revokeTimeout bounds the revocation of a session's tokens.
const revokeTimeout = 30 * time.Second

// A revocation revokes the tokens of an ended session at the provider (RFC 7009). The
// user does not wait for it, because the session ended here with any response of the
// provider.
type revocation struct {
	m       *Middleware
	session *session.Session
}

// Run revokes the refresh token, which ends the grant, or else the access token.
func (v *revocation) Run() {
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	token, hint := v.session.RefreshToken, "refresh_token"
	if token == "" {
		token, hint = v.session.AccessToken, "access_token"
	}
	if token == "" {
		return
	}
	if err := v.m.o.Provider.Revoke(ctx, token, hint); err != nil {
		v.m.o.Log.Warn("the tokens of an ended session could not be revoked", "error", err.Error())
	}
}

// endSessionURL returns the address at which the provider ends its own session. It is
// "" if the provider has none.
func (m *Middleware) endSessionURL(r *http.Request, ended *session.Session) (string, error) {
	e := oidc.EndSession{PostLogoutRedirectURI: m.absolute(r, m.postLogout()), State: m.goodbyeState(endedThere)}
	if ended != nil {
		e.IDTokenHint = ended.IDToken
		e.LogoutHint = logoutHint(oidc.VerifiedClaims(ended.IDToken))
	}
	ctx, cancel := context.WithTimeout(r.Context(), endSessionTimeout)
	defer cancel()
	return m.o.Provider.EndSessionURL(ctx, e)
}

// logoutHint returns the provider's name for the user (OpenID Connect RP-Initiated
// Logout 1.0, section 2). It is login_hint, which Entra supplies for this use, or
// another name.
func logoutHint(c oidc.Claims) string {
	for _, name := range []string{"login_hint", "preferred_username", "email", "sub"} {
		if hint := c.Text(name); hint != "" && len(hint) <= 255 {
			return hint
		}
	}
	return ""
}

func (m *Middleware) postLogout() string {
	if m.o.PostLogoutURL == "" {
		return "/"
	}
	return m.o.PostLogoutURL
}
