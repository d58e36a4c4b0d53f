package oidc

import (
	"context"
	"time"
)

// logoutEvent is the member of events that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// maxLogoutAge bounds the age of a logout token that is accepted.
const maxLogoutAge = time.Hour

// A LogoutToken reports that the session SessionID, or all sessions of Subject, ended
// at the provider. At least one of both is set.
type LogoutToken struct {
	Issuer    string
	Subject   string
	SessionID string
	Issued    time.Time // iat: sessions that began later are not meant
	ID        string    // jti: the caller must accept each only once
	Expiry    time.Time // the caller may forget ID after it
}

// VerifyLogoutToken does the checks of OpenID Connect Back-Channel Logout 1.0,
// section 2.6, except that of a repeated jti, which is the caller's. ErrInvalidToken:
// a check failed. ErrUnavailable: the keys could not be fetched.
func (p *Provider) VerifyLogoutToken(ctx context.Context, raw string) (LogoutToken, error) {
	claimed, err := claimedJWT(raw) // 1
	if err != nil {
		return LogoutToken{}, inToken("logout token", invalid(err.Error()))
	}
	m, err := p.Metadata(ctx)
	if err != nil {
		return LogoutToken{}, err
	}
	if err := p.checkDelivery(m, claimed); err != nil {
		return LogoutToken{}, inToken("logout token", err)
	}
	a, _ := p.algorithmOf(claimed, m.SigningAlgs)
	if err := p.verifySignature(ctx, m, claimed, a, p.keys.logouts); err != nil { // 2
		return LogoutToken{}, inToken("logout token", err)
	}
	t, err := parseJWT(raw)
	if err != nil {
		return LogoutToken{}, inToken("logout token", invalid(err.Error()))
	}
	if !t.matches(claimed) {
		return LogoutToken{}, inToken("logout token", invalid("its JSON is ambiguous"))
	}
	if err := p.checkDelivery(m, t); err != nil {
		return LogoutToken{}, inToken("logout token", err)
	}
	if err := p.checkLogout(t.claims); err != nil {
		return LogoutToken{}, inToken("logout token", err)
	}
	return p.logoutToken(t.claims), nil
}

// checkDelivery reports whether t may be a logout token of the provider for this
// client.
func (p *Provider) checkDelivery(m *Metadata, t *jwt) error {
	c := t.claims
	_, algAllowed := p.algorithmOf(t, m.SigningAlgs)
	switch {
	case !t.mayBeLogoutToken(p.options.RequireLogoutType):
		return invalid("it is a token of another type")
	case !m.isIssuer(c):
		return invalid("iss is not the provider")
	case !p.isAudience(c):
		return invalid("aud is not this client alone")
	case !p.isAuthorizedParty(c):
		return invalid("azp is not this client")
	case !algAllowed:
		return invalid("alg is not allowed")
	}
	return nil
}

// checkLogout checks the claims of a logout token with a verified signature.
func (p *Provider) checkLogout(c Claims) error {
	switch {
	case !p.isIssued(c) || !p.isRecentLogout(c): // 3
		return invalid("iat is missing, old or in the future (check the clocks)")
	case !p.isStarted(c):
		return invalid("nbf is in the future (check the clocks)")
	case !p.isLogoutUnexpired(c):
		return invalid("exp is past or missing (check the clocks)")
	case !namesSession(c): // 4
		return invalid("sub and sid are missing or malformed")
	case !isLogoutEvent(c): // 5
		return invalid("events is not that of a logout")
	case c.mentions("nonce"): // 6
		return invalid("it has a nonce")
	case !isBounded(c, "jti"): // 7
		return invalid("jti is missing or malformed")
	}
	return nil
}

func (t *jwt) mayBeLogoutToken(required bool) bool {
	switch t.typ {
	case "logout+jwt":
		return true
	case "", "jwt":
		return !required
	}
	return false
}

func (p *Provider) isRecentLogout(c Claims) bool {
	iat, _ := c.instant("iat")
	age := p.options.LogoutMaxAge
	if age == 0 || c.has("exp") {
		age = maxLogoutAge
	}
	return p.now().Sub(iat) <= age+p.options.Skew
}

// isLogoutUnexpired checks exp. With Options.LogoutMaxAge a token may have no exp,
// because some providers predate that requirement; then only its age limits it.
func (p *Provider) isLogoutUnexpired(c Claims) bool {
	if !c.has("exp") {
		return p.options.LogoutMaxAge > 0
	}
	return p.isUnexpired(c)
}

func namesSession(c Claims) bool {
	sub, sid := c.has("sub"), c.has("sid")
	return (sub || sid) && (!sub || isSubject(c)) && (!sid || isBounded(c, "sid"))
}

func isBounded(c Claims, name string) bool {
	s, _ := c.text(name)
	return s != "" && len(s) <= 1024
}

func isLogoutEvent(c Claims) bool {
	events, _ := c["events"].(map[string]any)
	_, ok := events[logoutEvent].(map[string]any)
	return ok && len(events) == 1
}

func (p *Provider) logoutToken(c Claims) LogoutToken {
	l := LogoutToken{}
	l.Issuer, _ = c.text("iss")
	l.Subject, _ = c.text("sub")
	l.SessionID, _ = c.text("sid")
	l.ID, _ = c.text("jti")
	l.Issued, _ = c.instant("iat")
	expiry, ok := c.instant("exp")
	if !ok {
		expiry = l.Issued.Add(p.options.LogoutMaxAge)
	}
	if latest := l.Issued.Add(maxLogoutAge); expiry.After(latest) {
		expiry = latest // at that age a token is refused, also if its exp is later
	}
	l.Expiry = expiry.Add(p.options.Skew)
	return l
}
