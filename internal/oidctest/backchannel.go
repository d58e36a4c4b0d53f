package oidctest

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// logoutEvent is the member of the claim events of a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// deliveryTimeout bounds the delivery of one logout token.
const deliveryTimeout = 10 * time.Second

// A Delivery is a logout token that was sent to a client, and the response.
type Delivery struct {
	URL    string
	Token  string
	Status int // zero: no response
	Header http.Header
	Body   string
}

// LogoutToken signs a logout token for a client (OpenID Connect Back-Channel Logout 1.0,
// section 2.4). edit may change its header and claims; nil: they are not changed.
func (p *Provider) LogoutToken(client, sub, sid string, edit func(header, claims map[string]any)) string {
	return p.LogoutTokenBy(p.SigningKey(), client, sub, sid, edit)
}

// LogoutTokenBy is LogoutToken with any key. A key of the algorithm none leaves the token
// unsigned.
func (p *Provider) LogoutTokenBy(key *Key, client, sub, sid string, edit func(header, claims map[string]any)) string {
	now := p.now()
	claims := map[string]any{
		"iss": p.issuer, "aud": client, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"jti": randomText(16), "events": map[string]any{logoutEvent: map[string]any{}},
	}
	if sub != "" {
		claims["sub"] = sub
	}
	if sid != "" {
		claims["sid"] = sid
	}
	return key.SignClaims(claims, func(header map[string]any) {
		header["typ"] = "logout+jwt"
		if edit != nil {
			edit(header, claims)
		}
	})
}

// ownLogoutToken makes a logout token that the provider sends by itself. It has the
// deviations of its Behaviour.
func (p *Provider) ownLogoutToken(client, sub, sid string) string {
	b := p.current()
	key := b.LogoutSignWith
	if key == nil {
		key = p.SigningKey()
	}
	return p.LogoutTokenBy(key, client, sub, sid, b.LogoutToken)
}

// SendLogoutToken sends a logout token to the URL of a client once (OpenID Connect
// Back-Channel Logout 1.0, section 2.5). [Provider.Deliveries] has the result too.
func (p *Provider) SendLogoutToken(address, token string) Delivery {
	d := Delivery{URL: address, Token: token}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	form := url.Values{"logout_token": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		d.send(p.options.Deliver, req)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delivered = append(p.delivered, d)
	return d
}

func (d *Delivery) send(transport http.RoundTripper, req *http.Request) {
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	d.Status, d.Header, d.Body = resp.StatusCode, resp.Header, string(body)
}

// Deliveries returns all deliveries so far.
func (p *Provider) Deliveries() []Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Delivery(nil), p.delivered...)
}

// SignOut ends all sessions and grants of a user, like an administrator. The clients
// receive a logout token with a sub and without a sid.
func (p *Provider) SignOut(sub string) {
	p.mu.Lock()
	var clients []string
	for id, s := range p.sessions {
		if s.user.Sub == sub {
			clients = with(clients, s.clients...)
			delete(p.sessions, id)
		}
	}
	for _, g := range p.grants {
		if g.user.Sub == sub {
			g.revoked = true
		}
	}
	p.mu.Unlock()
	for _, id := range clients {
		if to := p.clients[id].BackchannelLogoutURI; to != "" {
			p.SendLogoutToken(to, p.ownLogoutToken(id, sub, ""))
		}
	}
}

// sessionID returns the claim sid of a session; empty: it has none.
func (b Behaviour) sessionID(s *session) string {
	switch {
	case s == nil || b.SessionIDs == NoSessionIDs:
		return ""
	case b.SessionIDs == PersonalSessionIDs:
		return "sid-of-" + s.user.Sub
	}
	return s.sid
}

// with returns list with those of more that it lacks.
func with(list []string, more ...string) []string {
	for _, one := range more {
		if !contains(list, one) {
			list = append(list, one)
		}
	}
	return list
}

func contains(list []string, one string) bool {
	for _, other := range list {
		if other == one {
			return true
		}
	}
	return false
}
