package oidc

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// An AuthRequest has the parameters of an authorization request, except those of the
// client.
type AuthRequest struct {
	RedirectURI string
	State       string
	Nonce       string
	Verifier    string            // of PKCE, sent as S256; empty: no PKCE
	Scopes      []string          // scopes that the provider does not offer are omitted
	Extra       map[string]string // further parameters; reserved names are ignored
}

// AuthURL returns the URL of an authorization request (OpenID Connect Core 1.0, section
// 3.1.2.1). It keeps the query of the endpoint. Each parameter is in it once.
// ErrUnavailable: there is no metadata.
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
		if !IsReserved(name) {
			ours.Set(name, value)
		}
	}
	if p.options.MaxAge > 0 {
		ours.Set("max_age", strconv.Itoa(int(p.options.MaxAge.Seconds())))
	}
	return withQuery(m.AuthorizationEndpoint, ours)
}

// IsReserved reports whether an operator must not set a parameter of the authorization
// request, in any case of its letters. This package sets it, or it would change the kind
// of response. Others carry a second request or a secret.
func IsReserved(name string) bool {
	switch strings.ToLower(name) {
	case "response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope", "state", "nonce",
		"code_challenge", "code_challenge_method", "request", "request_uri", "registration", "id_token_hint":
		return true
	}
	return false
}

// offeredScopes returns the wanted scopes that the provider supports, in their order,
// without repetitions. It puts openid first if it is missing. If supported is empty,
// all are returned.
func offeredScopes(wanted, supported []string) []string {
	kept := []string{}
	if !contains(wanted, "openid") {
		kept = append(kept, "openid")
	}
	for _, scope := range wanted {
		offered := len(supported) == 0 || contains(supported, scope) || alwaysRequested(scope)
		if scope != "" && offered && !contains(kept, scope) {
			kept = append(kept, scope)
		}
	}
	return kept
}

// LeftOut returns the scopes that authorization requests omit because the discovery
// document does not offer them. It sends no request; nil: the document was not fetched
// yet, or offers all of them.
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
		return "", fmt.Errorf("oidc: an endpoint of the provider is not a URL: %w", ErrUnavailable)
	}
	q := u.Query()
	for name, values := range set {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// CheckResponseIssuer checks the iss of an authorization response (RFC 9207, section
// 2.4). present is false for a response without iss. Such a response is an error if the
// provider announces that it sends iss. ErrInvalidToken: iss is missing, or the response is of
// another provider. ErrUnavailable: there is no metadata.
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

// isResponseIssuer accepts the issuer of any allowed tenant, because the user's tenant
// is not known yet.
func (m *Metadata) isResponseIssuer(iss string) bool {
	if !m.issuerHasTenant {
		return iss == m.Issuer
	}
	before, after, _ := strings.Cut(m.Issuer, tenantPlace)
	tenant := strings.TrimSuffix(strings.TrimPrefix(iss, before), after)
	return m.allowsTenant(tenant) && iss == tenantIssuer(m.Issuer, tenant)
}
