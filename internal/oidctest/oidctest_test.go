package oidctest

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const callback = "https://app.example/callback?x=1"

func authURL(p *Provider, change func(url.Values)) string {
	sum := sha256.Sum256([]byte("verifier"))
	q := url.Values{
		"response_type": {"code"}, "client_id": {"client"}, "redirect_uri": {callback}, "scope": {"openid"},
		"state": {"st"}, "nonce": {"no"}, "code_challenge": {encode(sum[:])}, "code_challenge_method": {"S256"},
	}
	if change != nil {
		change(q)
	}
	return p.Endpoint(Authorize) + "?" + q.Encode()
}

func post(t *testing.T, p *Provider, endpoint string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, _ := http.NewRequest("POST", p.Endpoint(endpoint), strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("client", "secret")
	resp, err := p.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	m := map[string]any{}
	_ = json.NewDecoder(resp.Body).Decode(&m)
	return resp.StatusCode, m
}

func code(t *testing.T, p *Provider) string {
	t.Helper()
	back, err := p.Visit(authURL(p, nil), "alice")
	if err != nil {
		t.Fatal(err)
	}
	q := back.Query()
	if q.Get("state") != "st" || q.Get("iss") != p.URL() || q.Get("x") != "1" {
		t.Fatalf("sent back to %s", back)
	}
	return q.Get("code")
}

func redeemForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {"verifier"}}
}

func TestACodeIsRedeemedOnceAndRefreshTokensRotate(t *testing.T) {
	p := New(Options{SigningAlg: "ES256"})
	defer p.Close()
	c := code(t, p)
	status, first := post(t, p, Token, redeemForm(c))
	if status != 200 || first["id_token"] == "" || first["refresh_token"] == "" {
		t.Fatalf("%d %v", status, first)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first["refresh_token"].(string)}}
	status, second := post(t, p, Token, refresh)
	if status != 200 || second["refresh_token"] == first["refresh_token"] {
		t.Fatalf("%d %v", status, second)
	}
	if status, m := post(t, p, Token, refresh); status != 400 || m["error"] != "invalid_grant" || p.Count("refresh_reuse") != 1 {
		t.Fatalf("a used refresh token: %d %v", status, m)
	}
	refresh.Set("refresh_token", second["refresh_token"].(string))
	if status, _ := post(t, p, Token, refresh); status != 400 {
		t.Fatalf("the grant is valid after a reuse: %d", status)
	}
	if status, _ := post(t, p, Token, redeemForm(c)); status != 400 || p.Count("code_reuse") != 1 {
		t.Fatalf("a used code: %d", status)
	}
}

func TestRefusalsOfTheTokenEndpoint(t *testing.T) {
	p := New(Options{SigningAlg: "ES256"})
	defer p.Close()
	for _, c := range []struct{ name, key, value, want string }{
		{"other verifier", "code_verifier", "other", "invalid_grant"},
		{"other redirect_uri", "redirect_uri", callback + "&y", "invalid_grant"},
		{"other code", "code", "other", "invalid_grant"},
		{"other grant", "grant_type", "password", "unsupported_grant_type"},
	} {
		form := redeemForm(code(t, p))
		form.Set(c.key, c.value)
		if status, m := post(t, p, Token, form); status != 400 || m["error"] != c.want {
			t.Errorf("%s: %d %v", c.name, status, m)
		}
	}
}

func TestResponsesOfTheAuthorizationEndpoint(t *testing.T) {
	p := New(Options{SigningAlg: "ES256", RedirectURIs: []string{callback}})
	defer p.Close()
	for _, c := range []struct{ name, key, value, want string }{
		{"no user chosen", "x", "", "200 Who are you?"},
		{"unknown client", "client_id", "x", "400 not known"},
		{"foreign redirect_uri", "redirect_uri", "https://evil.example/", "400 not registered"},
		{"prompt=none", "prompt", "none", "302 error=login_required"},
		{"plain PKCE", "code_challenge_method", "plain", "302 error=invalid_request"},
		{"login_hint", "login_hint", "bob@example.com", "302 code="},
	} {
		resp, err := p.Client().Get(authURL(p, func(q url.Values) { q.Set(c.key, c.value) }))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		got := resp.Status[:3] + string(body) + resp.Header.Get("Location")
		if !strings.HasPrefix(got, c.want[:3]) || !strings.Contains(got, c.want[4:]) {
			t.Errorf("%s: %.300s", c.name, got)
		}
	}
}

func TestFaultsApplyAsOftenAsSet(t *testing.T) {
	p := New(Options{SigningAlg: "ES256"})
	defer p.Close()
	p.Set(func(b *Behaviour) { b.Faults[JWKS] = Fault{Status: 503, Times: 2} })
	for i, want := range []int{503, 503, 200} {
		resp, err := p.Client().Get(p.Endpoint(JWKS))
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%d: %v %v", i, resp, err)
		}
		resp.Body.Close()
	}
	p.Set(func(b *Behaviour) { b.Faults[JWKS] = Fault{DropDone: true} })
	if _, err := p.Client().Get(p.Endpoint(JWKS)); err == nil {
		t.Fatal("the connection was not dropped")
	}
	if p.Count(JWKS) != 4 {
		t.Fatalf("counted %d", p.Count(JWKS))
	}
}
