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

// An Exchange is an authorization code and what belongs to it.
type Exchange struct {
	Code        string
	Verifier    string // of PKCE; empty: none was used
	RedirectURI string
	Turn        *Turn // to send it; nil: Redeem awaits one
}

// AwaitTurn returns the next turn of client to redeem a code, and waits for it. End
// must follow. client names the network that the code comes from: it has a part of the
// places at the token endpoint, whatever it sends, and its failures alone stop nobody
// else. A caller that notes down which codes it sends does so after AwaitTurn, so that
// nothing is noted of those that are not sent. ErrUnavailable: the endpoint is left
// alone, or there was no turn in time.
func (p *Provider) AwaitTurn(ctx context.Context, client string) (*Turn, error) {
	return p.token.await(ctx, client)
}

// Tokens are what the token endpoint gave. Nothing about them is verified.
type Tokens struct {
	IDToken      string // empty only after a refresh: the earlier one stays
	AccessToken  string
	RefreshToken string // empty: none; after a refresh, the earlier one stays
	TokenType    string // Bearer
	Scope        string // empty: as asked for
	Expiry       time.Time
}

// maxLifetime is what a longer expires_in is cut to.
const maxLifetime = 365 * 24 * time.Hour

// Redeem exchanges a code (OpenID Connect Core 1.0, section 3.1.3). It is sent
// at most once; only after ErrUnavailable may the caller redeem it again.
// ErrInvalidGrant, ErrRejected: the provider refuses. ErrInvalidToken: what came
// lacks an ID token or is unusable. ErrLost: nothing usable came.
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

// Refresh renews tokens (OpenID Connect Core 1.0, section 12). After ErrLost and
// ErrInvalidToken the refresh token must not be sent again, after
// ErrInvalidGrant it is dead; after ErrUnavailable and ErrRejected it may be
// sent later.
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

// clientOf names whoever has a token. Failures of one token are those of one client.
func clientOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return string(sum[:12])
}

// grant sends a form to the token endpoint in a turn of it.
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
	return p.readTokens(a.body)
}

func (p *Provider) readTokens(body []byte) (*Tokens, error) {
	doc, err := decodeObject(body, maxBody)
	if err != nil {
		return nil, p.token.fail("gave no readable answer", ErrLost)
	}
	c := Claims(doc)
	t := &Tokens{TokenType: "Bearer", Expiry: p.expiry(c["expires_in"])}
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

// expiry reads expires_in, which some providers send as a string. What is
// missing, no number, or not positive says nothing.
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

// oauthError reads an error response (RFC 6749, section 5.2). Of its texts only
// the code survives, and that only where it is a known one.
func (e *endpoint) oauthError(a *answer) error {
	switch {
	case a.status == http.StatusGatewayTimeout:
		return e.fail("is behind a gateway that did not wait for it", ErrLost)
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
		return e.fail("says invalid_grant", ErrInvalidGrant)
	case "invalid_client":
		return e.fail("says invalid_client: check clientID, clientSecret and clientAuthMethod", fmt.Errorf("%w: %w", ErrClientRefused, ErrRejected))
	case "unauthorized_client", "unsupported_grant_type":
		return e.fail("says "+code+": check which grants the client is registered for", fmt.Errorf("%w: %w", ErrClientRefused, ErrRejected))
	case "server_error", "temporarily_unavailable":
		return e.fail("says "+code, ErrUnavailable)
	}
	return e.fail("says "+code, ErrRejected)
}

// KnownError is an OAuth or OpenID Connect error code, or empty for a text that
// is none, so that it may be shown and logged.
func KnownError(code string) string {
	switch code {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", // RFC 6749
		"unsupported_grant_type", "invalid_scope", "access_denied", "unsupported_response_type",
		"server_error", "temporarily_unavailable",
		"unsupported_token_type",              // RFC 7009
		"invalid_token", "insufficient_scope", // RFC 6750
		"interaction_required", "login_required", "account_selection_required", "consent_required", // Core 3.1.2.6
		"invalid_request_uri", "invalid_request_object", "request_not_supported",
		"request_uri_not_supported", "registration_not_supported":
		return code
	}
	return ""
}
