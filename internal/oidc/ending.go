package oidc

import (
	"context"
	"net/http"
	"net/url"
)

// Revoke revokes a token at the provider (RFC 7009). hint is access_token or
// refresh_token; empty: none is sent. Revoke does nothing and returns nil if the
// token is empty or the provider has no revocation endpoint.
func (p *Provider) Revoke(ctx context.Context, token, hint string) error {
	m, err := p.Metadata(ctx)
	if err != nil {
		return err
	}
	where := p.options.RevocationURL
	if where == "" {
		where = m.RevocationEndpoint
	}
	if where == "" || token == "" {
		return nil
	}
	form := url.Values{"token": {token}}
	if hint != "" {
		form.Set("token_type_hint", hint)
	}
	c, err := p.authenticated(m, where, form)
	if err != nil {
		return err
	}
	a, err := p.revocation.do(ctx, clientOf(token), c)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return p.revocation.oauthError(a)
	}
	return nil
}

// An EndSession has the parameters of a sign-out at the provider. Empty fields are
// omitted.
type EndSession struct {
	IDTokenHint           string
	LogoutHint            string // names the user; sent only if IDTokenHint is too long to send
	PostLogoutRedirectURI string
	State                 string
}

// EndSessionURL returns the URL at which the browser signs out at the provider
// (OpenID Connect RP-Initiated Logout 1.0, section 2); empty: the provider has no
// end_session_endpoint. With Options.EndSessionURL it needs no discovery.
// ErrUnavailable: there is no metadata.
func (p *Provider) EndSessionURL(ctx context.Context, e EndSession) (string, error) {
	where := p.options.EndSessionURL
	if where == "" {
		m, err := p.Metadata(ctx)
		if err != nil || m.EndSessionEndpoint == "" {
			return "", err
		}
		where = m.EndSessionEndpoint
	}
	redirect := quirkOf(p.options.Issuer).logoutParameter
	if redirect == "" {
		redirect = "post_logout_redirect_uri"
	}
	q := url.Values{"client_id": {p.options.ClientID}}
	setIfAny(q, redirect, e.PostLogoutRedirectURI)
	setIfAny(q, "state", e.State)
	setIfAny(q, "id_token_hint", e.IDTokenHint)
	to, err := withQuery(where, q)
	if err != nil || len(to) <= maxLocation {
		return to, err
	}
	q.Del("id_token_hint")
	setIfAny(q, "logout_hint", e.LogoutHint)
	return withQuery(where, q)
}

// maxLocation is the maximum length in bytes of a sign-out URL with an id_token_hint.
// Servers refuse longer ones, and the user would stay signed in at the provider. IIS
// refuses queries over 2 KB by default, other servers request lines over 4 or 8 KB.
const maxLocation = 2048

func setIfAny(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}
