package oidctest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// serveEndSession is RP-Initiated Logout 1.0.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	client, ok := p.clients[p.logoutClient(r)]
	target := r.Form.Get("post_logout_redirect_uri")
	if target != "" && (!ok || !allowed(client.PostLogoutRedirectURIs, target)) {
		page(w, http.StatusBadRequest, pageData{Title: "Sign-out", Text: "The post_logout_redirect_uri is not registered for this client."})
		return
	}
	if p.current().ConfirmLogout && r.Form.Get("confirm") == "" {
		page(w, http.StatusOK, pageData{Title: "Sign out here too?", Button: "Sign out", Query: hidden(r.Form)})
		return
	}
	if c, err := r.Cookie(cookieName); err == nil {
		p.mu.Lock()
		delete(p.sessions, c.Value)
		p.mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: cookieName, Path: p.prefix + "/op", MaxAge: -1, HttpOnly: true})
	}
	if target == "" {
		page(w, http.StatusOK, pageData{Title: "Signed out", Text: "You are signed out of the provider."})
		return
	}
	if state := r.Form.Get("state"); state != "" {
		sep := "?"
		if strings.Contains(target, "?") {
			sep = "&"
		}
		target += sep + "state=" + encodeQuery(state)
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusFound)
}

// logoutClient is the client that asks, by client_id or by its ID token.
func (p *Provider) logoutClient(r *http.Request) string {
	if id := r.Form.Get("client_id"); id != "" {
		return id
	}
	parts := strings.Split(r.Form.Get("id_token_hint"), ".")
	if len(parts) != 3 {
		return ""
	}
	var claims struct {
		Aud string `json:"aud"`
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	_ = json.Unmarshal(payload, &claims)
	return claims.Aud
}
