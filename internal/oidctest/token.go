package oidctest

import (
	"crypto/sha256"
	"net/http"
	"net/url"
)

// A refresh is a refresh token, which is valid for one use.
type refresh struct {
	grant *grant
	used  bool
}

func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	b := p.current()
	if b.TokenError != "" {
		tokenError(w, http.StatusBadRequest, b.TokenError)
		return
	}
	client, ok := p.authenticate(r)
	if r.Method != http.MethodPost || !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="oidctest"`)
		tokenError(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	var g *grant
	e := "unsupported_grant_type"
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		g, e = p.redeem(client, r.PostForm)
	case "refresh_token":
		g, e = p.useRefreshToken(client, r.PostForm, b)
	}
	if e != "" {
		tokenError(w, http.StatusBadRequest, e)
		return
	}
	refreshed := r.PostForm.Get("grant_type") == "refresh_token"
	response := p.issue(g, b, refreshed)
	if b.TokenResponse != nil {
		b.TokenResponse(response)
	}
	if refreshed && b.RefreshResponse != nil {
		b.RefreshResponse(response)
	}
	if b.TokenBody != nil {
		writeBytes(w, http.StatusOK, b.TokenBody)
		return
	}
	writeJSON(w, http.StatusOK, response)
}

// authenticate checks client_secret_basic, client_secret_post or none.
func (p *Provider) authenticate(r *http.Request) (Client, bool) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		if secret != "" {
			return Client{}, false // two methods at once: RFC 6749, section 2.3
		}
		var err1, err2 error
		id, err1 = url.QueryUnescape(user)
		secret, err2 = url.QueryUnescape(password)
		if err1 != nil || err2 != nil {
			return Client{}, false
		}
	}
	client, ok := p.clients[id]
	if ok && r.PostForm.Get("client_assertion") != "" {
		return client, p.checkAssertion(client, r.PostForm)
	}
	return client, ok && client.Secret == secret
}

func (p *Provider) redeem(client Client, form url.Values) (*grant, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.grants[form.Get("code")]
	if g == nil || g.client != client.ID {
		return nil, "invalid_grant"
	}
	if g.redeemed {
		p.counts["code_reuse"]++
		g.revoked = true
		return nil, "invalid_grant"
	}
	g.redeemed = true
	if p.now().After(g.expiry) || g.redirectURI != form.Get("redirect_uri") || !verifies(g.challenge, form.Get("code_verifier")) {
		return nil, "invalid_grant"
	}
	return g, ""
}

// verifies checks a PKCE verifier with S256 (RFC 7636, section 4.6).
func verifies(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return encode(sum[:]) == challenge
}

// useRefreshToken returns the grant of a refresh token, or an OAuth error. A token that
// was used before revokes its grant.
func (p *Provider) useRefreshToken(client Client, form url.Values, b Behaviour) (*grant, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.refresh[form.Get("refresh_token")]
	if r == nil || r.grant.client != client.ID {
		return nil, "invalid_grant"
	}
	if r.used {
		p.counts["refresh_reuse"]++
		r.grant.revoked = true
	}
	if r.grant.revoked {
		return nil, "invalid_grant"
	}
	if b.RefreshError != "" {
		return nil, b.RefreshError
	}
	r.used = !b.NoRotation
	return r.grant, ""
}

func (p *Provider) issue(g *grant, b Behaviour, refreshed bool) map[string]any {
	access := p.newAccessToken(g)
	response := map[string]any{
		"access_token": access, "token_type": "Bearer", "scope": g.scope,
		"expires_in": int(p.options.AccessLifetime.Seconds()),
		"id_token":   p.newIDToken(g, b, access, refreshed),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.access[access] = g
	if b.grantsRefresh(g) && !(refreshed && b.NoRotation) {
		token := randomText(24)
		p.refresh[token] = &refresh{grant: g}
		response["refresh_token"] = token
	}
	return response
}

func (b Behaviour) grantsRefresh(g *grant) bool {
	switch b.RefreshTokens {
	case RefreshNever:
		return false
	case RefreshOffline:
		return hasWord(g.scope, "offline_access")
	case RefreshConsent:
		return g.consent
	}
	return true
}

func tokenError(w http.ResponseWriter, status int, code string) {
	writeJSON(w, status, map[string]any{"error": code, "error_description": "canary-description of " + code})
}
