package oidc

import (
	"context"
	"mime"
	"net/http"
)

// UserInfo requests claims about the user (OpenID Connect Core 1.0, section 5.3). They
// come as JSON or as a signed JWT. subject is the sub of the ID token, which the response
// must repeat. The result has no claims about the token, the user's identity
// and the sign-in, so it has no sub. ErrInvalidToken: the response is unusable or about
// another user. ErrRejected: the provider refuses, or has no userinfo endpoint.
// ErrUnavailable: there is no response, or no metadata.
func (p *Provider) UserInfo(ctx context.Context, accessToken, subject string) (Claims, error) {
	m, err := p.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.UserinfoEndpoint == "" {
		return nil, p.userinfo.fail("is not offered: set userinfoURL, or userinfo: never", ErrRejected)
	}
	a, err := p.userinfo.get(ctx, subject, call{
		url:    m.UserinfoEndpoint,
		accept: "application/json, application/jwt", auth: "Bearer " + accessToken,
	})
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, p.userinfo.refused(a)
	}
	c, err := p.readUserInfo(ctx, m, a)
	if err != nil {
		return nil, err
	}
	if sub, _ := c.text("sub"); sub == "" || sub != subject {
		return nil, p.userinfo.fail("names another sub than the ID token, or none", ErrInvalidToken)
	}
	return withoutProtected(c), nil
}

func (p *Provider) readUserInfo(ctx context.Context, m *Metadata, a *answer) (Claims, error) {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if kind == "application/jwt" {
		return p.readSignedUserInfo(ctx, m, string(a.body))
	}
	c, err := decodeObject(a.body, maxBody)
	if err != nil {
		return nil, p.userinfo.failAt(a.url, "sent a response that could not be read: it is not one JSON object", ErrInvalidToken)
	}
	return c, nil
}

func (p *Provider) readSignedUserInfo(ctx context.Context, m *Metadata, raw string) (Claims, error) {
	t, err := parseJWT(raw)
	if err != nil {
		return nil, inToken("userinfo", invalid(err.Error()))
	}
	c := t.claims
	offered := append(append([]string{}, m.UserinfoAlgs...), m.SigningAlgs...)
	a, algAllowed := p.algorithmOf(t, offered)
	switch {
	case c.has("iss") && !m.isIssuer(c):
		return nil, inToken("userinfo", invalid("iss is not the provider"))
	case c.has("aud") && !p.isAudience(c):
		return nil, inToken("userinfo", invalid("aud is not this client alone"))
	case c.has("exp") && !p.isUnexpired(c):
		return nil, inToken("userinfo", invalid("exp is past (check the clocks)"))
	case !algAllowed:
		return nil, inToken("userinfo", invalid("alg is not allowed"))
	}
	if err := p.verifySignature(ctx, m, t, a, p.keys.tokens); err != nil {
		return nil, inToken("userinfo", err)
	}
	return c, nil
}
