package oidctest

import (
	"net/http"
	"strings"
)

func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	b := p.current()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	g := p.access[token]
	p.mu.Unlock()
	if g == nil || g.revoked {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	claims := p.latest(g.user).claims()
	if b.UserInfo != nil {
		b.UserInfo(claims)
	}
	kind, body := "application/json", mustJSON(claims)
	if b.UserInfoSigned {
		claims["iss"], claims["aud"] = p.issuer, g.client
		key := b.SignWith
		if key == nil {
			key = p.SigningKey()
		}
		kind, body = "application/jwt", []byte(key.SignClaims(claims, b.IDTokenHeader))
	}
	if b.UserInfoBody != nil {
		body = b.UserInfoBody
	}
	if b.UserInfoType != "" {
		kind = b.UserInfoType
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body)
}

// serveRevocation revokes a token (RFC 7009). An unknown token is not an error.
func (p *Provider) serveRevocation(w http.ResponseWriter, r *http.Request) {
	client, ok := p.authenticate(r)
	if r.Method != http.MethodPost || !ok {
		tokenError(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	token := r.PostForm.Get("token")
	g := p.access[token]
	if one := p.refresh[token]; one != nil {
		g = one.grant
	}
	if g != nil && g.client == client.ID {
		g.revoked = true
	}
	w.WriteHeader(http.StatusOK)
}
