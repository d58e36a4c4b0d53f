package oidc

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"
)

// Expect holds the values that an ID token is compared with.
type Expect struct {
	// Nonce is that of the authorization request. It is required unless Refreshed.
	Nonce string
	// AccessToken, Code and State came with the token. They must match its at_hash,
	// c_hash and s_hash if it has them. Empty ones are not compared.
	AccessToken, Code, State string
	// MaxAge is the max_age of the request; zero: that of the Options.
	MaxAge time.Duration

	// Refreshed marks the token of a refresh (OpenID Connect Core 1.0, section
	// 12.2). Subject is then required. The nonce may be absent; if present, it must
	// be Nonce.
	Refreshed bool
	Subject   string    // empty without Refreshed: any
	Issuer    string    // of the first token; empty: the provider's
	AuthTime  time.Time // of the first token; zero: not compared
}

// VerifyIDToken does every check of OpenID Connect Core 1.0, section 3.1.3.7,
// in its order. ErrInvalidToken: a check failed; the error names it.
// ErrUnavailable: the keys could not be fetched.
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
		return invalid("aud is not this client alone: check clientID and trustedAudiences")
	case !p.isAuthorizedParty(c): // 4, 5
		return invalid("azp is not this client")
	case !algAllowed: // 7
		return invalid("alg is not allowed: check idTokenSigningAlgs, and the algorithm of this client at the provider")
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
		return invalid("nonce is missing or is not the one that was sent: only a provider that sends none needs allowMissingNonce")
	case !p.isRecent(c, e): // 13
		return invalid("auth_time is older than max_age permits")
	case !isSubject(c) || !equalIfSet(c, "sub", e.Subject) || (e.Refreshed && e.Subject == ""):
		return invalid("sub is missing or not the expected one")
	case !isHashOf(c, "at_hash", a, e.AccessToken): // 3.1.3.8
		return invalid("at_hash is of another access token")
	case !isHashOf(c, "c_hash", a, e.Code) || !isHashOf(c, "s_hash", a, e.State): // 3.3.2.11
		return invalid("c_hash or s_hash is of another response")
	}
	return nil
}

// mayBeIDToken refuses tokens of other kinds. It recognises them by the typ of the
// header (RFC 8725, section 3.11), by the typ that Keycloak writes into the payload,
// or by the claim events.
func (t *jwt) mayBeIDToken() bool {
	inner, _ := t.claims.text("typ")
	switch inner {
	case "Bearer", "Refresh", "Offline", "Logout":
		return false
	}
	return !strings.HasSuffix(t.typ, "+jwt") && !t.claims.has("events")
}

// isAudience requires this client in aud and permits only trusted audiences beside
// it. With others beside it, azp is required too.
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

// isRecent compares auth_time with max_age; after a refresh, with the auth_time of
// the first token.
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

// isSubject checks sub by OpenID Connect Core 1.0, section 2.
func isSubject(c Claims) bool {
	sub, _ := c.text("sub")
	return sub != "" && len(sub) <= 255 && !strings.ContainsAny(sub, controls)
}

const controls = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f" +
	"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"

// isHashOf reports whether the claim, if there is one, is the hash of value. An empty
// value is not compared.
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

func invalid(reason string) error {
	return fmt.Errorf("%s: %w", reason, ErrInvalidToken)
}

func inToken(name string, err error) error {
	return fmt.Errorf("oidc: %s: %w", name, err)
}
