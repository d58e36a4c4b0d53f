package oidctest

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// TestASignOutEndsTheSessionHere: signed in, the browser is sent on without a
// page; signed out, the page asks again.
func TestASignOutEndsTheSessionHere(t *testing.T) {
	p := New(Options{SigningAlg: "ES256", PostLogoutRedirectURIs: []string{"https://app.example/bye"}})
	defer p.Close()
	browser := p.Client()
	browser.Jar, _ = cookiejar.New(nil)
	asksWho := func() bool {
		resp, err := browser.Get(authURL(p, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	if !asksWho() {
		t.Fatal("nobody was asked")
	}
	if resp, err := browser.Get(authURL(p, func(q url.Values) { q.Set("person", "alice") })); err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("%v %v", resp, err)
	}
	if asksWho() {
		t.Fatal("asked although signed in")
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
	if status, body := end(url.Values{"client_id": {"client"}}); status != http.StatusOK || !strings.Contains(body, "Sign out here too?") || asksWho() {
		t.Fatalf("the confirmation: %d %s", status, body)
	}
	hint := p.IDToken("client", "alice", "", nil)
	status, where := end(url.Values{
		"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {"a b"}, "confirm": {"yes"},
	})
	if status != http.StatusFound || where != "https://app.example/bye?state=a+b" {
		t.Fatalf("%d %s", status, where)
	}
	if !asksWho() {
		t.Fatal("still signed in")
	}
}
