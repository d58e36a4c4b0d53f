package oidc

import (
	"context"
	"net/http"
	"net/url"
)

// Revoke ends a token at the provider (RFC 7009). hint is access_token or
// refresh_token. It is nil too where the provider offers no revocation.
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

// An EndSession is what a sign-out says to the provider. Empty fields are left
// out.
type EndSession struct {
	IDTokenHint           string
	PostLogoutRedirectURI string
	State                 string
}

// EndSessionURL is where the browser goes to sign out at the provider too
// (OpenID Connect RP-Initiated Logout 1.0, section 2); empty: the provider has
// no such place. With Options.EndSessionURL it needs no discovery.
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
	for _, field := range []struct{ name, value string }{
		{"id_token_hint", e.IDTokenHint}, {redirect, e.PostLogoutRedirectURI}, {"state", e.State},
	} {
		if field.value != "" {
			q.Set(field.name, field.value)
		}
	}
	return withQuery(where, q)
}
