package oidctest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// part decodes the header of a JWT, with index 0, or its claims, with index 1.
func part(t *testing.T, token string, index int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[index])
	m := map[string]any{}
	if err != nil || json.Unmarshal(raw, &m) != nil {
		t.Fatalf("%q: %v", token, err)
	}
	return m
}

func TestLogoutTokens(t *testing.T) {
	now := time.Unix(1800000000, 0)
	p := New(Options{SigningAlg: "ES256", Now: func() time.Time { return now }})
	defer p.Close()
	token := p.LogoutToken("client", "alice", "s", func(h, c map[string]any) { h["x"] = "y"; c["unknown"] = true })
	head, claims := part(t, token, 0), part(t, token, 1)
	events, _ := claims["events"].(map[string]any)
	if head["typ"] != "logout+jwt" || head["x"] != "y" || claims["unknown"] != true || len(events) != 1 || claims["exp"].(float64)-claims["iat"].(float64) != 120 {
		t.Errorf("%v %v", head, claims)
	}
	unsigned := p.LogoutTokenBy(NewKey("none"), "client", "", "s", nil)
	if head := part(t, unsigned, 0); head["alg"] != "none" || head["kid"] != nil || !strings.HasSuffix(unsigned, ".") {
		t.Errorf("unsigned: %v %s", head, unsigned)
	}
	if _, has := part(t, unsigned, 1)["sub"]; has {
		t.Error("a sub that was not requested")
	}
}

// The clients of a session learn of its end by a POST and by frames of the page that
// ends it.
func TestClientsLearnOfTheEndOfASession(t *testing.T) {
	posted := make(chan string, 4)
	rp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		posted <- r.Method + " " + r.Header.Get("Content-Type") + " " + r.PostFormValue("logout_token")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "no")
	}))
	defer rp.Close()
	for _, row := range []struct {
		name string
		ids  SessionIDPolicy
		sid  any
	}{
		{"a sid of the session", SessionIDs, "any"}, {"no sid", NoSessionIDs, nil}, {"a sid of the user", PersonalSessionIDs, "sid-of-alice"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := New(Options{SigningAlg: "ES256", BackchannelLogoutURI: rp.URL + "/back", FrontchannelLogoutURI: "https://app.example/front?x=1"})
			defer p.Close()
			p.Set(func(b *Behaviour) { b.SessionIDs = row.ids })
			browser := p.Client()
			browser.Jar, _ = cookiejar.New(nil)
			back, err := browser.Get(authURL(p, func(q url.Values) { q.Set("user", "alice") }))
			if err != nil {
				t.Fatal(err)
			}
			to, _ := back.Location()
			_, tokens := post(t, p, Token, redeemForm(to.Query().Get("code")))
			sid := part(t, tokens["id_token"].(string), 1)["sid"]
			if row.sid != "any" && sid != row.sid || row.sid == "any" && sid == nil {
				t.Fatalf("the sid is %v", sid)
			}
			end, err := browser.Get(p.Endpoint(EndSession) + "?client_id=client&post_logout_redirect_uri=https%3A%2F%2Fapp.example%2Fbye")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(end.Body)
			end.Body.Close()
			got, _ := strings.CutPrefix(<-posted, "POST application/x-www-form-urlencoded ")
			if claims := part(t, got, 1); claims["sid"] != sid || claims["sub"] != "alice" || claims["aud"] != "client" {
				t.Errorf("the logout token has %v", claims)
			}
			sent := p.Deliveries()
			if len(sent) != 1 || sent[0].Status != http.StatusBadRequest || sent[0].Body != "no" || sent[0].Header.Get("Cache-Control") != "no-store" {
				t.Errorf("deliveries %+v", sent)
			}
			frame := "https://app.example/front?x=1"
			if text, ok := sid.(string); ok {
				frame += "&amp;iss=" + url.QueryEscape(p.URL()) + "&amp;sid=" + text
			}
			for _, want := range []string{`<iframe src="` + frame + `"`, `content="2;url=https://app.example/bye"`} {
				if !strings.Contains(string(body), want) {
					t.Errorf("no %s in %s", want, body)
				}
			}
		})
	}
}

func TestAnAdministratorEndsTheSessionsOfAUser(t *testing.T) {
	posted := make(chan string, 4)
	rp := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { posted <- r.PostFormValue("logout_token") }))
	defer rp.Close()
	p := New(Options{SigningAlg: "ES256", BackchannelLogoutURI: rp.URL})
	defer p.Close()
	_, tokens := post(t, p, Token, redeemForm(code(t, p)))
	p.Set(func(b *Behaviour) {
		b.LogoutToken = func(_, c map[string]any) { c["unknown"] = true }
		b.LogoutSignWith = NewKey("none")
	})
	p.SignOut("bob")
	p.SignOut("alice")
	token := <-posted
	if claims := part(t, token, 1); claims["sub"] != "alice" || claims["sid"] != nil || claims["unknown"] != true || len(p.Deliveries()) != 1 {
		t.Errorf("sent %v, %d times", claims, len(p.Deliveries()))
	}
	if !strings.HasSuffix(token, ".") {
		t.Error("signed with another key than the one that was set")
	}
	if status, m := post(t, p, Token, refreshForm(tokens)); status != http.StatusBadRequest || m["error"] != "invalid_grant" {
		t.Errorf("a refresh afterwards: %d %v", status, m)
	}
}
