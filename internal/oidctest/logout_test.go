package oidctest

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// A signed-in browser is redirected without a page. After the sign-out the page asks
// again.
func TestASignOutEndsTheSessionHere(t *testing.T) {
	p := New(Options{SigningAlg: "ES256", PostLogoutRedirectURIs: []string{"https://app.example/bye"}})
	defer p.Close()
	browser := p.Client()
	browser.Jar, _ = cookiejar.New(nil)
	asksForUser := func() bool {
		resp, err := browser.Get(authURL(p, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	if !asksForUser() {
		t.Fatal("the page did not ask")
	}
	if resp, err := browser.Get(authURL(p, func(q url.Values) { q.Set("user", "alice") })); err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("%v %v", resp, err)
	}
	if asksForUser() {
		t.Fatal("the page asked a user who is signed in")
	}
	end := func(q url.Values) (int, string) {
		resp, err := browser.Get(p.Endpoint(EndSession) + "?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header.Get("Location") + string(body)
	}
	if status, _ := end(url.Values{"client_id": {"client"}, "post_logout_redirect_uri": {"https://evil.example/"}}); status != http.StatusBadRequest {
		t.Fatalf("an unregistered target: %d", status)
	}
	p.Set(func(b *Behaviour) { b.ConfirmLogout = true })
	if status, body := end(url.Values{"client_id": {"client"}}); status != http.StatusOK || !strings.Contains(body, "Sign out of the provider too?") || asksForUser() {
		t.Fatalf("the confirmation: %d %s", status, body)
	}
	hint := p.IDToken("client", "alice", "", nil)
	status, where := end(url.Values{
		"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {"a b"}, "confirm": {"yes"},
	})
	if status != http.StatusFound || where != "https://app.example/bye?state=a+b" {
		t.Fatalf("%d %s", status, where)
	}
	if !asksForUser() {
		t.Fatal("still signed in")
	}
}
