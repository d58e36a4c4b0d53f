package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/session"
)

const (
	// keyAttempts is how often the keys that a refreshed ID token is checked with are
	// requested, keysPause apart, before the tokens that came are discarded.
	keyAttempts = 3
	keysPause   = time.Second
	// throttledAttempts is keyAttempts where they were only fetched too often: within
	// refetchInterval of package oidc they may be fetched again.
	throttledAttempts = 15
)

// A renewer gets new tokens for sessions (OpenID Connect Core 1.0, section 12).
type renewer struct {
	m *Middleware
}

// Renew implements session.Renewer. What came is adopted as a whole or not at all: an
// ID token that does not hold leaves the session as it is, with a refresh token that
// is not sent again.
func (n *renewer) Renew(ctx context.Context, s *session.Session) (*session.Session, error) {
	t, err := n.m.o.Provider.Refresh(ctx, s.RefreshToken)
	if err != nil {
		return nil, renewalError(err)
	}
	next := successor(s, t)
	claims, err := n.claims(ctx, s, t, next)
	if err != nil {
		n.Discard(next)
		return nil, fmt.Errorf("%w: %w", session.ErrGrantSpent, err)
	}
	next.AccessExpiry = renewedExpiry(s, t, claims, n.m.o.Now())
	n.askUserInfo(ctx, t, claims, next)
	return next, nil
}

// Discard implements session.Renewer.
func (n *renewer) Discard(s *session.Session) {
	background.Start(&revocation{m: n.m, session: s})
}

// retryAfter is how long the provider has to be left alone.
func (n *renewer) retryAfter() time.Duration {
	return n.m.o.Provider.RefreshRetryAfter()
}

// renewalError tells by an error of the provider what it means to the grant.
func renewalError(err error) error {
	switch {
	case errors.Is(err, oidc.ErrInvalidGrant):
		return fmt.Errorf("%w: %w", session.ErrGrantEnded, err)
	case errors.Is(err, oidc.ErrLost) || errors.Is(err, oidc.ErrInvalidToken):
		return fmt.Errorf("%w: %w", session.ErrGrantSpent, err)
	}
	return err
}

// successor is s with the tokens that came. Those that did not come stay.
func successor(s *session.Session, t *oidc.Tokens) *session.Session {
	next := *s
	next.AccessToken = t.AccessToken
	if t.RefreshToken != "" {
		next.RefreshToken = t.RefreshToken
	}
	if t.IDToken != "" {
		next.IDToken = t.IDToken
	}
	return &next
}

// claims returns those of the ID token that next has: verified, if it came now. Where
// it does not tell the nonce or auth_time any more, next remembers it.
func (n *renewer) claims(ctx context.Context, s *session.Session, t *oidc.Tokens, next *session.Session) (oidc.Claims, error) {
	before := tokenClaims(s.IDToken)
	if t.IDToken == "" {
		return before, nil
	}
	e := oidc.Expect{
		Refreshed: true, Subject: before.Text("sub"), Issuer: before.Text("iss"), Nonce: before.Text("nonce"),
		AccessToken: t.AccessToken,
	}
	if e.Nonce == "" {
		e.Nonce = s.Nonce
	}
	at, known := before.Instant("auth_time")
	if !known {
		at = s.AuthTime
	}
	e.AuthTime = at
	claims, err := n.verify(ctx, t.IDToken, e)
	if err != nil {
		return nil, err
	}
	next.Nonce = ""
	if claims.Text("nonce") == "" {
		next.Nonce = e.Nonce
	}
	next.AuthTime = time.Time{}
	if _, known := claims.Instant("auth_time"); !known {
		next.AuthTime = e.AuthTime
	}
	return claims, nil
}

// verify is patient with keys that cannot be fetched, or not yet: the refresh token is
// used up, and nothing is wrong with what came for it.
func (n *renewer) verify(ctx context.Context, raw string, e oidc.Expect) (oidc.Claims, error) {
	for i := 1; ; i++ {
		claims, err := n.m.o.Provider.VerifyIDToken(ctx, raw, e)
		attempts := keyAttempts
		if errors.Is(err, oidc.ErrKeysThrottled) {
			attempts = throttledAttempts
		}
		if err == nil || !errors.Is(err, oidc.ErrUnavailable) || i >= attempts {
			return claims, err
		}
		pause, cancel := context.WithTimeout(ctx, n.m.keysPause)
		<-pause.Done()
		cancel()
	}
}

// askUserInfo asks for userinfo again, by the same rule as at the sign-in. What it
// told before stays when it does not answer; an ID token that came now is newer
// than that.
func (n *renewer) askUserInfo(ctx context.Context, t *oidc.Tokens, claims oidc.Claims, next *session.Session) {
	if t.IDToken != "" {
		next.UserInfoNew = false
	}
	if !n.m.asksUserInfo(claims) || !n.m.offersUserInfo(ctx) {
		next.UserInfo = nil
		next.UserInfoNew = false
		return
	}
	info, err := n.m.o.Provider.UserInfo(ctx, t.AccessToken, claims.Text("sub"))
	if err != nil {
		n.m.o.Log.Warn("userinfo could not be fetched at a token refresh; what it told before stays",
			"subject", digest(claims.Text("sub")), "error", err.Error())
		return
	}
	next.UserInfo = info
	next.UserInfoNew = t.IDToken == ""
}

// expiryOf is when what the provider said expires: with the access token, or, where it
// does not say, with the ID token.
func expiryOf(t *oidc.Tokens, claims oidc.Claims) time.Time {
	if !t.Expiry.IsZero() {
		return t.Expiry
	}
	exp, _ := claims.Instant("exp")
	return exp
}

// renewedExpiry is expiryOf after a renewal. An answer that says nothing is taken to
// hold for as long as the one before.
func renewedExpiry(s *session.Session, t *oidc.Tokens, claims oidc.Claims, now time.Time) time.Time {
	if t.IDToken != "" || !t.Expiry.IsZero() {
		return expiryOf(t, claims)
	}
	since := s.Renewed
	if since.IsZero() {
		since = s.Created
	}
	return now.Add(s.AccessExpiry.Sub(since))
}

// Observe implements session.Observer with a line in the log.
func (n *renewer) Observe(e session.Event, subject string, cause error) {
	level := slogWarn
	text := ""
	switch e {
	case session.Renewed:
		level = slogDebug
		text = "session renewed"
	case session.RenewalLost:
		text = "the answer to a renewal was lost; the session goes on without renewals, to its end"
	case session.RenewalRefused:
		level = slogInfo
		text = "signed out: the provider does not renew the session any more"
	case session.RenewalTooLate:
		level = slogInfo
		text = "the session ended while it was being renewed"
	case session.NeverRefreshed:
		level = slogDebug
		text = neverRefreshed(cause)
	case session.RenewalPutOff:
		text = "the session could not be renewed now; what is known serves on"
	}
	if cause == nil {
		n.m.o.Log.Log(context.Background(), level, text, "subject", subject)
		return
	}
	n.m.o.Log.Log(context.Background(), level, text, "subject", subject, "error", cause.Error())
}

// neverRefreshed returns the text of the log for a session that is never refreshed,
// with the remedy.
func neverRefreshed(cause error) string {
	switch {
	case errors.Is(cause, session.ErrNoRefreshToken):
		return "the session is never refreshed: there is no refresh token. Most providers give one for the scope offline_access; see the option scopes"
	case errors.Is(cause, session.ErrNoExpiry):
		return "the session is never refreshed: the provider gave neither expires_in nor an ID token with exp. Set a token lifetime at the provider"
	}
	return "the session is never refreshed: it ends before its tokens are due. The option sessionMaxAge is shorter than the lifetime of the tokens, or nearly over"
}
