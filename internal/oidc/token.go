package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// An Exchange is an authorization code and the parameters that redeem it.
type Exchange struct {
	Code        string
	Verifier    string // of PKCE; empty: the request had no code_challenge
	RedirectURI string
	Turn        *Turn // from AwaitTurn; nil: Redeem awaits one
}

// AwaitTurn waits for the next turn of client to redeem a code. End must follow.
//
// client names the network that the code comes from. Each client gets at most a part
// of the places at the token endpoint, and its failures do not stop other clients.
// Callers that record the codes they send do so after AwaitTurn, so that codes that
// are never sent are not recorded.
//
// ErrUnavailable: the breaker of the endpoint is open, or no turn came in time.
func (p *Provider) AwaitTurn(ctx context.Context, client string) (*Turn, error) {
	return p.token.await(ctx, client)
}

// Tokens are a response of the token endpoint. Nothing in them is verified.
type Tokens struct {
	IDToken      string // empty only after a refresh: the earlier one stays valid
	AccessToken  string
	RefreshToken string    // empty: none; after a refresh, the earlier one stays valid
	Scope        string    // empty: as requested
	Expiry       time.Time // of the access token; zero: unknown
}

// maxLifetime is the upper limit for expires_in.
const maxLifetime = 365 * 24 * time.Hour

// Redeem exchanges a code for tokens (OpenID Connect Core 1.0, section 3.1.3). It
// sends the code at most once. The caller may redeem it again only after
// ErrUnavailable. ErrInvalidGrant, ErrRejected: the provider refuses.
// ErrInvalidToken: the response has no ID token or is unusable. ErrLost: no readable
// response came.
func (p *Provider) Redeem(ctx context.Context, x Exchange) (*Tokens, error) {
	form := url.Values{
		"grant_type":   {"authorization_code"},
		"code":         {x.Code},
		"redirect_uri": {x.RedirectURI},
	}
	if x.Verifier != "" {
		form.Set("code_verifier", x.Verifier)
	}
	turn := x.Turn
	if turn == nil {
		var err error
		turn, err = p.AwaitTurn(ctx, "")
		if err != nil {
			return nil, err
		}
	}
	defer turn.End()
	t, err := p.grant(ctx, turn, form)
	if err != nil {
		return nil, err
	}
	if t.IDToken == "" {
		return nil, p.token.fail("gave no ID token", ErrInvalidToken)
	}
	return t, nil
}

// Refresh exchanges a refresh token for new tokens (OpenID Connect Core 1.0, section
// 12). After ErrLost and ErrInvalidToken the refresh token must not be sent again.
// After ErrInvalidGrant it is no longer valid. After ErrUnavailable and ErrRejected
// it may be sent later.
func (p *Provider) Refresh(ctx context.Context, refreshToken string) (*Tokens, error) {
	if _, err := p.Metadata(ctx); err != nil {
		return nil, err
	}
	turn, err := p.refresh.await(ctx, clientOf(refreshToken))
	if err != nil {
		return nil, err
	}
	defer turn.End()
	return p.grant(ctx, turn, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {refreshToken},
	})
}

// clientOf names the client of calls that carry token. Each token is one client.
func clientOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return string(sum[:12])
}

// grant sends a form to the token endpoint and uses up turn.
func (p *Provider) grant(ctx context.Context, turn *Turn, form url.Values) (*Tokens, error) {
	m, err := p.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	c, err := p.authenticated(m, m.TokenEndpoint, form)
	if err != nil {
		return nil, err
	}
	a, err := turn.do(ctx, c)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, turn.endpoint.oauthError(a)
	}
	return p.readTokens(a)
}

func (p *Provider) readTokens(a *answer) (*Tokens, error) {
	doc, err := decodeObject(a.body, maxBody)
	if err != nil {
		return nil, p.token.failAt(a.url, "sent a response that could not be read: it is not one JSON object", ErrLost)
	}
	c := Claims(doc)
	t := &Tokens{Expiry: p.expiry(c["expires_in"])}
	kind, okType := optionalText(c, "token_type")
	if !okType || (kind != "" && !strings.EqualFold(kind, "Bearer")) {
		return nil, p.token.fail("gave tokens that are not of type Bearer", ErrInvalidToken)
	}
	t.Scope, _ = c.text("scope")
	t.IDToken, _ = c.text("id_token")
	t.RefreshToken, _ = c.text("refresh_token")
	t.AccessToken, _ = c.text("access_token")
	if t.AccessToken == "" {
		return nil, p.token.fail("gave no access token", ErrInvalidToken)
	}
	if len(t.AccessToken) > maxToken || len(t.RefreshToken) > maxToken || len(t.IDToken) > maxToken {
		return nil, p.token.fail("gave tokens that are too long", ErrInvalidToken)
	}
	return t, nil
}

// expiry reads expires_in. Some providers send it as a string. A value that is
// missing, not a number, or not positive gives the zero time.
func (p *Provider) expiry(v any) time.Time {
	s, _ := v.(string)
	if n, ok := v.(json.Number); ok {
		s = string(n)
	}
	seconds, _ := strconv.ParseFloat(s, 64) // out of range: an infinity
	if !(seconds > 0) {
		return time.Time{}
	}
	seconds = math.Min(seconds, maxLifetime.Seconds())
	return p.now().Add(time.Duration(seconds * float64(time.Second)))
}

// oauthError makes an error of an error response (RFC 6749, section 5.2). The error
// contains the code if it is a known one, and no other text of the response.
func (e *endpoint) oauthError(a *answer) error {
	switch {
	case a.status == http.StatusGatewayTimeout:
		return e.fail("answered with status 504: a gateway in front of it timed out", ErrLost)
	case a.status < 400:
		return e.fail(fmt.Sprintf("answered with status %d", a.status), ErrRejected)
	}
	doc, _ := decodeObject(a.body, maxBody)
	code, _ := Claims(doc).text("error")
	code = KnownError(code)
	switch code {
	case "":
		return e.refused(a)
	case "invalid_grant":
		return e.fail("says invalid_grant: the code or refresh token is too old or used, or the redirect URI differs", ErrInvalidGrant)
	case "invalid_client":
		return e.fail("says invalid_client: check clientID, clientSecret and clientAuthMethod", fmt.Errorf("%w: %w", ErrClientRefused, ErrRejected))
	case "unauthorized_client", "unsupported_grant_type":
		return e.fail("says "+code+": check which grants the client is registered for", fmt.Errorf("%w: %w", ErrClientRefused, ErrRejected))
	case "server_error", "temporarily_unavailable":
		return e.fail("says "+code, ErrUnavailable)
	}
	return e.fail("says "+code, ErrRejected)
}
