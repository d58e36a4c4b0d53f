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
	// keyAttempts is how often the keys for a refreshed ID token are requested,
	// keysPause apart. After that the new tokens are discarded.
	keyAttempts = 3
	keysPause   = time.Second
	// throttledAttempts replaces keyAttempts after too many recent fetches. They may be
	// fetched again within refetchInterval of package oidc.
	throttledAttempts = 15
)

// A refresher refreshes the tokens of sessions (OpenID Connect Core 1.0, section 12).
type refresher struct {
	m *Middleware
}

// Refresh implements session.Refresher. The new tokens are adopted as a whole or not at
// all. If their ID token is invalid, the session stays as it is, and its refresh token
// is not sent again.
func (n *refresher) Refresh(ctx context.Context, s *session.Session) (*session.Session, error) {
	t, err := n.m.o.Provider.Refresh(ctx, s.RefreshToken)
	if err != nil {
		return nil, refreshError(err)
	}
	next := successor(s, t)
	claims, err := n.claims(ctx, s, t, next)
	if err != nil {
		n.Discard(next)
		return nil, fmt.Errorf("%w: %w", session.ErrGrantSpent, err)
	}
	next.AccessExpiry = refreshedExpiry(s, t, claims, n.m.o.Now())
	n.askUserInfo(ctx, t, claims, next)
	return next, nil
}

// Discard implements session.Refresher.
func (n *refresher) Discard(s *session.Session) {
	background.Start(&revocation{m: n.m, session: s})
}

// retryAfter returns how long the provider must not be requested.
func (n *refresher) retryAfter() time.Duration {
	return n.m.o.Provider.RefreshRetryAfter()
}

// refreshError classifies an error of the provider by its effect on the grant.
func refreshError(err error) error {
	switch {
	case errors.Is(err, oidc.ErrInvalidGrant):
		return fmt.Errorf("%w: %w", session.ErrGrantEnded, err)
	case errors.Is(err, oidc.ErrLost) || errors.Is(err, oidc.ErrInvalidToken):
		return fmt.Errorf("%w: %w", session.ErrGrantSpent, err)
	}
	return err
}

// successor returns s with the new tokens. Tokens that the provider did not send stay.
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

// claims returns the claims of the ID token of next. A new ID token is verified. If it
// lacks the nonce or auth_time, next keeps the known ones.
func (n *refresher) claims(ctx context.Context, s *session.Session, t *oidc.Tokens, next *session.Session) (oidc.Claims, error) {
	before := oidc.VerifiedClaims(s.IDToken)
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

// verify retries while the keys cannot be fetched. The refresh token is used up, and
// the new tokens are not at fault.
func (n *refresher) verify(ctx context.Context, raw string, e oidc.Expect) (oidc.Claims, error) {
	for i := 1; ; i++ {
		claims, err := n.m.o.Provider.VerifyIDToken(ctx, raw, e)
		attempts := keyAttempts
		if errors.Is(err, oidc.ErrKeysThrottled) {
			attempts = throttledAttempts
		}
		if err == nil || !errors.Is(err, oidc.ErrUnavailable) || i >= attempts {
			return claims, err
		}
		background.Pause(ctx, n.m.keysPause)
	}
}

// askUserInfo requests userinfo again, by the same rule as at the sign-in. If that
// fails, the former userinfo stays. A new ID token is newer than it.
func (n *refresher) askUserInfo(ctx context.Context, t *oidc.Tokens, claims oidc.Claims, next *session.Session) {
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
		n.m.o.Log.Warn("userinfo could not be fetched at a token refresh; its former claims stay",
			"subject", digest(claims.Text("sub")), "error", err.Error())
		return
	}
	next.UserInfo = info
	next.UserInfoNew = t.IDToken == ""
}

// expiryOf returns the expiry of the access token. If the provider did not send one, it
// is that of the ID token.
func expiryOf(t *oidc.Tokens, claims oidc.Claims) time.Time {
	if !t.Expiry.IsZero() {
		return t.Expiry
	}
	exp, _ := claims.Instant("exp")
	return exp
}

// refreshedExpiry is expiryOf after a token refresh. If the response has no expiry, the
// lifetime of the tokens before applies.
func refreshedExpiry(s *session.Session, t *oidc.Tokens, claims oidc.Claims, now time.Time) time.Time {
	if t.IDToken != "" || !t.Expiry.IsZero() {
		return expiryOf(t, claims)
	}
	since := s.Refreshed
	if since.IsZero() {
		since = s.Created
	}
	return now.Add(s.AccessExpiry.Sub(since))
}

// Observe implements session.Observer with a line in the log.
func (n *refresher) Observe(e session.Event, subject string, cause error) {
	level := slogWarn
	text := ""
	switch e {
	case session.Refreshed:
		level = slogDebug
		text = "session refreshed"
	case session.RefreshLost:
		text = "the response to a token refresh was lost; the session continues without token refresh, to its end"
	case session.RefreshRefused:
		level = slogInfo
		text = "signed out: the provider does not refresh the session any more"
	case session.RefreshTooLate:
		level = slogInfo
		text = "the session ended during its token refresh"
	case session.NeverRefreshed:
		level = slogDebug
		text = neverRefreshed(cause)
	case session.RefreshPutOff:
		text = "the session could not be refreshed now; it continues with its known tokens"
	}
	if cause == nil {
		n.m.o.Log.Log(context.Background(), level, text, "subject", subject)
		return
	}
	n.m.o.Log.Log(context.Background(), level, text, "subject", subject, "error", cause.Error())
}

// neverRefreshed returns the log text for a session that is never refreshed, with the
// remedy.
func neverRefreshed(cause error) string {
	switch {
	case errors.Is(cause, session.ErrNoRefreshToken):
		return "the session is never refreshed: there is no refresh token. Most providers give one for the scope offline_access; see the option scopes"
	case errors.Is(cause, session.ErrNoExpiry):
		return "the session is never refreshed: the provider gave neither expires_in nor an ID token with exp. Set a token lifetime at the provider"
	}
	return "the session is never refreshed: it ends before its tokens are due. The option sessionMaxAge is shorter than the lifetime of the tokens, or nearly over"
}
