package oidctest

import "net/http"

func paths() map[string]string {
	return map[string]string{
		Discovery:  "/.well-known/openid-configuration",
		JWKS:       "/jwks",
		Authorize:  "/op/authorize",
		Token:      "/token",
		UserInfo:   "/userinfo",
		Revocation: "/revoke",
		EndSession: "/op/end_session",
	}
}

func (p *Provider) routes() {
	p.mux = http.NewServeMux()
	p.handle(Discovery, p.serveDiscovery)
	p.handle(JWKS, p.serveJWKS)
	p.handle(Authorize, p.serveAuthorize)
	p.handle(Token, p.serveToken)
	p.handle(UserInfo, p.serveUserInfo)
	p.handle(Revocation, p.serveRevocation)
	p.handle(EndSession, p.serveEndSession)
}

func (p *Provider) handle(name string, h http.HandlerFunc) {
	p.mux.HandleFunc(p.prefix+paths()[name], p.counted(name, h))
}

func (p *Provider) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	b := p.current()
	if b.DiscoveryBody != nil {
		writeBytes(w, http.StatusOK, b.DiscoveryBody)
		return
	}
	doc := map[string]any{
		"issuer":                                         p.issuer,
		"jwks_uri":                                       p.Endpoint(JWKS),
		"authorization_endpoint":                         p.Endpoint(Authorize),
		"token_endpoint":                                 p.Endpoint(Token),
		"userinfo_endpoint":                              p.Endpoint(UserInfo),
		"revocation_endpoint":                            p.Endpoint(Revocation),
		"end_session_endpoint":                           p.Endpoint(EndSession),
		"scopes_supported":                               []string{"openid", "profile", "email", "groups", "offline_access"},
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{p.options.SigningAlg},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"frontchannel_logout_supported":                  true,
		"frontchannel_logout_session_supported":          true,
	}
	if b.Discovery != nil {
		b.Discovery(doc)
	}
	writeJSON(w, http.StatusOK, doc)
}

func (p *Provider) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	b := p.current()
	if b.JWKSBody != nil {
		writeBytes(w, http.StatusOK, b.JWKSBody)
		return
	}
	p.mu.Lock()
	keys := []map[string]any{}
	for _, k := range p.keys {
		if jwk := k.JWK(); jwk != nil {
			keys = append(keys, jwk)
		}
	}
	p.mu.Unlock()
	if b.JWKS != nil {
		keys = b.JWKS(keys)
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": keys})
}

func writeJSON(w http.ResponseWriter, status int, v any) { writeBytes(w, status, mustJSON(v)) }

func writeBytes(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
