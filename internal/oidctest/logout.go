package oidctest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// serveEndSession serves OpenID Connect RP-Initiated Logout 1.0.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	client, ok := p.clients[p.logoutClient(r)]
	target := r.Form.Get("post_logout_redirect_uri")
	if target != "" && (!ok || !allowed(client.PostLogoutRedirectURIs, target)) {
		page(w, http.StatusBadRequest, pageData{Title: "Sign-out", Text: "The post_logout_redirect_uri is not registered for this client."})
		return
	}
	if p.current().ConfirmLogout && r.Form.Get("confirm") == "" {
		page(w, http.StatusOK, pageData{Title: "Sign out of the provider too?", Button: "Sign out", Query: hidden(r.Form)})
		return
	}
	var frames []string
	if c, err := r.Cookie(cookieName); err == nil {
		frames = p.end(c.Value)
		http.SetCookie(w, &http.Cookie{Name: cookieName, Path: p.prefix + "/op", MaxAge: -1, HttpOnly: true})
	}
	if state := r.Form.Get("state"); state != "" && target != "" {
		target = withQuery(target, "state", state)
	}
	if target == "" || frames != nil {
		page(w, http.StatusOK, pageData{Title: "Signed out", Text: "You are signed out of the provider.", Frames: frames, Target: target})
		return
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusFound)
}

// end ends a session, sends logout tokens to its clients, and returns the front-channel
// URLs to open in frames.
func (p *Provider) end(cookie string) []string {
	p.mu.Lock()
	s := p.sessions[cookie]
	delete(p.sessions, cookie)
	sid := p.behaviour.sessionID(s)
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	var frames []string
	for _, id := range s.clients {
		client := p.clients[id]
		if client.BackchannelLogoutURI != "" {
			p.SendLogoutToken(client.BackchannelLogoutURI, p.ownLogoutToken(id, s.user.Sub, sid))
		}
		if client.FrontchannelLogoutURI != "" {
			pairs := []string{"iss", p.issuer, "sid", sid}
			if sid == "" {
				pairs = nil
			}
			frames = append(frames, withQuery(client.FrontchannelLogoutURI, pairs...))
		}
	}
	return frames
}

// withQuery adds parameters to an address, which may have a query already.
func withQuery(address string, pairs ...string) string {
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		address += sep + pairs[i] + "=" + encodeQuery(pairs[i+1])
		sep = "&"
	}
	return address
}

// logoutClient returns the id of the client of a request, from client_id or from its ID
// token; empty: unknown.
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
