package oidc

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// An AuthRequest is what an authorization request says beside the client.
type AuthRequest struct {
	RedirectURI string
	State       string
	Nonce       string
	Verifier    string            // of PKCE, sent as S256; empty: no PKCE
	Scopes      []string          // those that the provider does not offer are left out
	Extra       map[string]string // further parameters; they cannot replace ours
}

// AuthURL is where the browser goes to sign in (OpenID Connect Core 1.0, section
// 3.1.2.1). A query that the endpoint already has is kept, and each parameter
// stands once.
func (p *Provider) AuthURL(ctx context.Context, a AuthRequest) (string, error) {
	m, err := p.Metadata(ctx)
	if err != nil {
		return "", err
	}
	ours := url.Values{
		"response_type": {"code"},
		"client_id":     {p.options.ClientID},
		"redirect_uri":  {a.RedirectURI},
		"scope":         {strings.Join(offeredScopes(a.Scopes, m.ScopesSupported), " ")},
		"state":         {a.State},
		"nonce":         {a.Nonce},
	}
	if a.Verifier != "" {
		sum := sha256.Sum256([]byte(a.Verifier))
		ours.Set("code_challenge", encodeBase64(sum[:]))
		ours.Set("code_challenge_method", "S256")
	}
	for name, value := range a.Extra {
		if !isReserved(name) {
			ours.Set(name, value)
		}
	}
	if p.options.MaxAge > 0 {
		ours.Set("max_age", strconv.Itoa(int(p.options.MaxAge.Seconds())))
	}
	return withQuery(m.AuthorizationEndpoint, ours)
}

// isReserved names what only this package sets, and what would change the
// response or carry a second request.
func isReserved(name string) bool {
	switch name {
	case "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
		"code_challenge", "code_challenge_method", "request", "request_uri", "registration", "client_secret":
		return true
	}
	return false
}

// offeredScopes keeps the order, puts openid first if it is missing, and names
// each once. A provider that does not tell its scopes is asked for all.
func offeredScopes(asked, supported []string) []string {
	kept := []string{}
	if !contains(asked, "openid") {
		kept = append(kept, "openid")
	}
	for _, scope := range asked {
		offered := len(supported) == 0 || contains(supported, scope) || alwaysAsked(scope)
		if scope != "" && offered && !contains(kept, scope) {
			kept = append(kept, scope)
		}
	}
	return kept
}

// LeftOut returns those of scopes that an authorization request does not have, because
// the provider's discovery document does not offer them. It asks nothing of the
// network: before discovery was read, there are none.
func (p *Provider) LeftOut(scopes []string) []string {
	m, _, _ := p.discovery.state()
	if m == nil {
		return nil
	}
	kept := offeredScopes(scopes, m.ScopesSupported)
	var left []string
	for _, scope := range scopes {
		if scope != "" && !contains(kept, scope) && !contains(left, scope) {
			left = append(left, scope)
		}
	}
	return left
}

// withQuery sets parameters in the query of a URL.
func withQuery(raw string, set url.Values) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("oidc: an endpoint of the provider is no URL: %w", ErrUnavailable)
	}
	q := u.Query()
	for name, values := range set {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// CheckResponseIssuer compares the iss of an authorization response (RFC 9207,
// section 2.4). present is false where the response has none, which is an error
// if the provider says that it sends it. ErrInvalidToken: the response is of
// another provider.
func (p *Provider) CheckResponseIssuer(ctx context.Context, iss string, present bool) error {
	m, err := p.Metadata(ctx)
	switch {
	case err != nil:
		return err
	case !present && m.SendsIssuer:
		return inToken("authorization response", invalid("iss is missing"))
	case present && !m.isResponseIssuer(iss):
		return inToken("authorization response", invalid("iss is not the provider"))
	}
	return nil
}

// isResponseIssuer knows no tenant yet: it takes any that is allowed.
func (m *Metadata) isResponseIssuer(iss string) bool {
	if !m.issuerHasTenant {
		return iss == m.Issuer
	}
	before, after, _ := strings.Cut(m.Issuer, tenantPlace)
	tenant := strings.TrimSuffix(strings.TrimPrefix(iss, before), after)
	return m.allowsTenant(tenant) && iss == tenantIssuer(m.Issuer, tenant)
}
