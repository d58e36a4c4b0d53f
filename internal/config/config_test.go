package config

import (
	"strings"
	"testing"
)

const goodKey = "q3Zt8Lw0VxUeR5yHs1KdJm7CbPnGf2Ao"

// minimal returns the smallest configuration that is valid.
func minimal() *Config {
	c := New()
	c.ProviderURL = "https://id.example.com"
	c.ClientID = "app"
	c.ClientSecret = "client-secret-canary"
	c.CallbackURL = "/oauth2/callback"
	c.SessionEncryptionKey = goodKey
	return c
}

func TestMinimal(t *testing.T) {
	s, err := Parse(minimal(), Environment{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Logout.Path != "/oauth2/callback/logout" || s.Session.CookieName != "__Host-oidc" || len(s.Warnings) != 0 {
		t.Errorf("logout %q, cookie %q, %d warnings", s.Logout.Path, s.Session.CookieName, len(s.Warnings))
	}
	if got := strings.Join(s.SignIn.Scopes, " "); got != "openid profile email" {
		t.Errorf("scopes %q", got)
	}
}
