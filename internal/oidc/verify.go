package oidc

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"
)

// Expect is what an ID token is compared with.
type Expect struct {
	// Nonce of the authorization request. Without Refreshed it is required.
	Nonce string
	// AccessToken, Code and State that came with the token. Where the token has
	// at_hash, c_hash or s_hash they must match; empty ones are not compared.
	AccessToken, Code, State string
	// MaxAge that was asked for; zero: that of the Options.
	MaxAge time.Duration

	// Refreshed says that the token comes from a refresh (OpenID Connect Core
	// 1.0, section 12.2): then Subject is required, the nonce may be absent, and
	// is Nonce if it is there.
	Refreshed bool
	Subject   string    // empty without Refreshed: any
	Issuer    string    // of the first token; empty: the provider's
	AuthTime  time.Time // of the first token; zero: not compared
}

// VerifyIDToken does every check of OpenID Connect Core 1.0, section 3.1.3.7,
// in its order. ErrInvalidToken: a check failed, which the error names.
// ErrUnavailable: the keys to check with could not be fetched.
func (p *Provider) VerifyIDToken(ctx context.Context, raw string, e Expect) (Claims, error) {
	m, err := p.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	t, err := parseJWT(raw)
	if err != nil {
		return nil, inToken("ID token", invalid(err.Error()))
	}
	if err := p.checkIDToken(ctx, m, t, e); err != nil {
		return nil, inToken("ID token", err)
	}
	return t.claims, nil
}

func (p *Provider) checkIDToken(ctx context.Context, m *Metadata, t *jwt, e Expect) error {
	c := t.claims
	a, algAllowed := p.algorithmOf(t, m.SigningAlgs)
	switch {
	case !t.mayBeIDToken():
		return invalid("it is a token of another type")
	case !m.isIssuer(c) || !equalIfSet(c, "iss", e.Issuer): // 2
		return invalid("iss is not the provider")
	case !p.isAudience(c): // 3
		return invalid("aud is not this client alone")
	case !p.isAuthorizedParty(c): // 4, 5
		return invalid("azp is not this client")
	case !algAllowed: // 7
		return invalid("alg is not allowed")
	}
	if err := p.verifySignature(ctx, m, t, a, p.keys.tokens); err != nil { // 6, 8
		return err
	}
	switch {
	case !p.isUnexpired(c): // 9
		return invalid("exp is past or missing (check the clocks)")
	case !p.isStarted(c):
		return invalid("nbf is in the future (check the clocks)")
	case !p.isIssued(c): // 10
		return invalid("iat is in the future or missing (check the clocks)")
	case !p.isNonce(c, e): // 11
		return invalid("nonce is not the one that was sent")
	case !p.isRecent(c, e): // 13
		return invalid("auth_time is older than asked for")
	case !isSubject(c) || !equalIfSet(c, "sub", e.Subject) || (e.Refreshed && e.Subject == ""):
		return invalid("sub is missing or another")
	case !isHashOf(c, "at_hash", a, e.AccessToken): // 3.1.3.8
		return invalid("at_hash is of another access token")
	case !isHashOf(c, "c_hash", a, e.Code) || !isHashOf(c, "s_hash", a, e.State): // 3.3.2.11
		return invalid("c_hash or s_hash is of another response")
	}
	return nil
}

// mayBeIDToken refuses what is known to be another kind of token, by its header
// (RFC 8725, section 3.11), by its payload as Keycloak types it, or because it
// tells an event.
func (t *jwt) mayBeIDToken() bool {
	inner, _ := t.claims.text("typ")
	switch inner {
	case "Bearer", "Refresh", "Offline", "Logout":
		return false
	}
	return !strings.HasSuffix(t.typ, "+jwt") && !t.claims.has("events")
}

// isAudience wants this client, and beside it only who is trusted.
func (p *Provider) isAudience(c Claims) bool {
	list, _ := texts(c["aud"])
	if !contains(list, p.options.ClientID) {
		return false
	}
	alone := true
	for _, one := range list {
		if one == p.options.ClientID {
			continue
		}
		alone = false
		if !contains(p.options.TrustedAudiences, one) {
			return false
		}
	}
	azp, _ := c.text("azp")
	return alone || azp != ""
}

func (p *Provider) isAuthorizedParty(c Claims) bool {
	azp, ok := optionalText(c, "azp")
	return ok && (azp == "" || azp == p.options.ClientID)
}

func (p *Provider) isUnexpired(c Claims) bool {
	exp, ok := c.instant("exp")
	return ok && p.now().Before(exp.Add(p.options.Skew))
}

func (p *Provider) isStarted(c Claims) bool {
	nbf, ok := c.instant("nbf")
	return !c.has("nbf") || (ok && !nbf.After(p.now().Add(p.options.Skew)))
}

func (p *Provider) isIssued(c Claims) bool {
	iat, ok := c.instant("iat")
	return ok && !iat.After(p.now().Add(p.options.Skew))
}

func (p *Provider) isNonce(c Claims, e Expect) bool {
	if (e.Refreshed || p.options.AllowMissingNonce) && !c.has("nonce") {
		return true
	}
	nonce, _ := c.text("nonce")
	return nonce != "" && subtle.ConstantTimeCompare([]byte(nonce), []byte(e.Nonce)) == 1
}

// isRecent compares auth_time with the age that was asked for, and after a
// refresh with that of the first token.
func (p *Provider) isRecent(c Claims, e Expect) bool {
	at, ok := c.instant("auth_time")
	if e.Refreshed {
		return !ok || e.AuthTime.IsZero() || at.Unix() >= e.AuthTime.Unix()
	}
	maxAge := e.MaxAge
	if maxAge == 0 {
		maxAge = p.options.MaxAge
	}
	return maxAge == 0 || (ok && p.now().Sub(at) <= maxAge+p.options.Skew)
}

// isSubject is OpenID Connect Core 1.0, section 2.
func isSubject(c Claims) bool {
	sub, _ := c.text("sub")
	return sub != "" && len(sub) <= 255 && !strings.ContainsAny(sub, controls)
}

const controls = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f" +
	"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"

func isHashOf(c Claims, name string, a algorithm, value string) bool {
	if !c.has(name) || value == "" {
		return true
	}
	claim, _ := c.text(name)
	return a.isHalfHash(claim, value)
}

func equalIfSet(c Claims, name, want string) bool {
	s, _ := c.text(name)
	return want == "" || s == want
}

func invalid(what string) error {
	return fmt.Errorf("%s: %w", what, ErrInvalidToken)
}

func inToken(name string, err error) error {
	return fmt.Errorf("oidc: %s: %w", name, err)
}
