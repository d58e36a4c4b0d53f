package oidctest

import (
	"net/http"
	"net/url"
	"testing"
)

func refreshForm(tokens map[string]any) url.Values {
	token, _ := tokens["refresh_token"].(string)
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// Deviations for refresh requests do not affect requests with a code.
func TestResponsesToRefreshTokens(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(b *Behaviour)
		status int
		check  func(response, claims map[string]any) bool
	}{
		{"by the rules", func(*Behaviour) {}, 200, func(_, c map[string]any) bool { return c["nonce"] == nil && c["sub"] == "alice" }},
		{"with the nonce", func(b *Behaviour) { b.RefreshNonce = true }, 200, func(_, c map[string]any) bool { return c["nonce"] == "no" }},
		{"another sub", func(b *Behaviour) { b.RefreshClaims = func(c map[string]any) { c["sub"] = "bob" } }, 200, func(_, c map[string]any) bool { return c["sub"] == "bob" }},
		{"without an ID token", func(b *Behaviour) { b.RefreshResponse = func(r map[string]any) { delete(r, "id_token") } }, 200, func(a, _ map[string]any) bool { return a["id_token"] == nil }},
		{"an error", func(b *Behaviour) { b.RefreshError = "invalid_grant" }, 400, nil},
		{"a fault", func(b *Behaviour) { b.Faults[Refresh] = Fault{Status: 503} }, 503, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := New(Options{SigningAlg: "ES256"})
			defer p.Close()
			p.Set(row.change)
			status, first := post(t, p, Token, redeemForm(code(t, p)))
			if status != http.StatusOK || part(t, first["id_token"].(string), 1)["sub"] != "alice" {
				t.Fatalf("the code: %d %v", status, first)
			}
			status, again := post(t, p, Token, refreshForm(first))
			claims := map[string]any{}
			if raw, ok := again["id_token"].(string); ok {
				claims = part(t, raw, 1)
			}
			if status != row.status || row.check != nil && !row.check(again, claims) {
				t.Errorf("%d %v %v", status, again, claims)
			}
			if p.Count(Refresh) != 1 || p.Count(Token) != 2 || p.Last(Refresh).Form.Get("refresh_token") != first["refresh_token"] {
				t.Errorf("counted %d and %d", p.Count(Refresh), p.Count(Token))
			}
		})
	}
}

// The refresh token is used up, and the client does not get its successor.
func TestALostResponseToARefreshToken(t *testing.T) {
	p := New(Options{SigningAlg: "ES256"})
	defer p.Close()
	_, first := post(t, p, Token, redeemForm(code(t, p)))
	p.Set(func(b *Behaviour) { b.Faults[Refresh] = Fault{DropDone: true, Times: 1} })
	lost := refreshForm(first)
	lost.Set("client_id", "client")
	lost.Set("client_secret", "secret")
	if _, err := p.Client().PostForm(p.Endpoint(Token), lost); err == nil {
		t.Fatal("a response came")
	}
	if status, m := post(t, p, Token, refreshForm(first)); status != http.StatusBadRequest || m["error"] != "invalid_grant" || p.Count("refresh_reuse") != 1 {
		t.Errorf("sent again: %d %v", status, m)
	}
}

// A held response is that of the time at which the request was handled.
func TestAHeldResponse(t *testing.T) {
	p := New(Options{SigningAlg: "ES256"})
	defer p.Close()
	form := redeemForm(code(t, p))
	handled, release := make(chan struct{}), make(chan struct{})
	p.Set(func(b *Behaviour) {
		b.Faults[Token] = Fault{HoldDone: release, Times: 1}
		b.TokenResponse = func(map[string]any) { close(handled) }
	})
	done := make(chan map[string]any)
	go func() {
		_, m := post(t, p, Token, form)
		done <- m
	}()
	<-handled
	if status, m := post(t, p, Token, form); status != http.StatusBadRequest {
		t.Errorf("the same code meanwhile: %d %v", status, m)
	}
	close(release)
	if m := <-done; m["id_token"] == nil {
		t.Errorf("released: %v", m)
	}
}

// Change affects claims in tokens of earlier sign-ins.
func TestAUserChanges(t *testing.T) {
	p := New(Options{SigningAlg: "ES256"})
	defer p.Close()
	_, first := post(t, p, Token, redeemForm(code(t, p)))
	p.Change("alice", func(q *User) { q.Groups = []string{"others"} })
	_, again := post(t, p, Token, refreshForm(first))
	if got := part(t, again["id_token"].(string), 1)["groups"]; len(got.([]any)) != 1 || got.([]any)[0] != "others" {
		t.Errorf("groups %v", got)
	}
}
