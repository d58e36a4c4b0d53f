package config

import (
	"reflect"
	"strings"
	"testing"
)

// pair is a configuration with two providers.
func pair() *Config {
	c := minimal()
	c.ProviderURL = ""
	c.ClientID = ""
	c.ClientSecret = nil
	c.Providers = []ProviderOptions{
		{Name: "red", ProviderURL: "https://red.example.com", ClientID: "a", ClientSecret: "secret-of-red-1"},
		{Name: "blue", Label: "Blue", ProviderURL: "https://blue.example.com", ClientID: "b", ClientSecret: "secret-of-blue-1"},
	}
	return c
}

func TestProviders(t *testing.T) {
	c := pair()
	c.UserIdentifierClaim = "sub"
	c.Scopes = []string{"groups"}
	c.Providers[1].UserIdentifierClaim = "upn"
	c.Providers[1].EnablePKCE = "false"
	s, err := Parse(c, Environment{})
	if err != nil {
		t.Fatal(err)
	}
	red, blue := For(s, 0), For(s, 1)
	for _, row := range []struct{ have, want any }{
		{s.DefaultProvider, -1},
		{red.Provider.Issuer, "https://red.example.com"}, {blue.Provider.Issuer, "https://blue.example.com"},
		{red.Client.Secret, "secret-of-red-1"}, {blue.Client.ID, "b"},
		{red.SignIn.CallbackPath, s.ChoosePath + "/red"}, {blue.SignIn.CallbackPath, s.ChoosePath + "/blue"},
		{red.Logout.Path, blue.Logout.Path},
		{red.Session.CookieName, "__Host-oidc.red"}, {blue.Session.CookieName, "__Host-oidc.blue"},
		{red.Access.UserClaim, "sub"}, {blue.Access.UserClaim, "upn"},
		{red.SignIn.PKCE, true}, {blue.SignIn.PKCE, false},
		{strings.Join(blue.SignIn.Scopes, " "), "openid profile email groups"},
		{s.Providers[0].Label, "red"}, {s.Providers[1].Label, "Blue"},
	} {
		if !reflect.DeepEqual(row.have, row.want) {
			t.Errorf("%v, want %v", row.have, row.want)
		}
	}
	if c.Providers[0].UserIdentifierClaim != "" || len(c.Providers) != 2 {
		t.Error("the configuration was changed")
	}
}

func TestListsOfProviders(t *testing.T) {
	c := pair()
	c.DefaultProvider = "red"
	c.AllowedUsers = []string{"a@example.com"}
	c.AccessRules = []AccessRuleOptions{{Paths: []string{"/x"}, Provider: "blue"}}
	s, err := Parse(c, Environment{})
	if err != nil {
		t.Fatal(err)
	}
	red, blue := For(s, 0).Access, For(s, 1).Access
	if s.DefaultProvider != 0 || red.Closed || len(red.Users) != 1 || !blue.Closed || blue.Users != nil || blue.Rules[0].Provider != "blue" {
		t.Errorf("%d %+v %+v", s.DefaultProvider, red, blue)
	}
	for _, require := range []string{"Provider(`blue`)", `!Provider("https://blue.example.com") || Group("a")`} {
		c.AccessRules = []AccessRuleOptions{{Paths: []string{"/x"}, Require: require}}
		if _, err := Parse(c, Environment{}); err != nil {
			t.Errorf("%s: %v", require, err)
		}
	}
	c.AccessRules = nil
	c.Providers[1].AllowedUserDomains = []string{"example.org"}
	s, err = Parse(c, Environment{})
	if err != nil || For(s, 1).Access.Closed || len(For(s, 1).Access.Domains) != 1 {
		t.Errorf("%v", err)
	}
}

func TestProviderProblems(t *testing.T) {
	for _, row := range []struct {
		set  func(c *Config)
		want string
	}{
		{func(c *Config) { c.Providers[1].Name = "" }, "providers[1].name: is required"},
		{func(c *Config) { c.Providers[1].Name = "a/b" }, "providers[1].name: must be 1 to 32 of a-z"},
		{func(c *Config) { c.Providers[1].Name = "red" }, "providers[1].name: is the name of another entry"},
		{func(c *Config) { c.Providers[1].Name = "logout" }, "providers[1].name: makes the path "},
		{func(c *Config) { c.Providers[1].ProviderURL = "" }, "providers[1].providerURL: is required"},
		{func(c *Config) { c.Providers[1].ClientID = "" }, "providers[1].clientID: is required"},
		{func(c *Config) { c.Providers[1].ClientSecret = "" }, "providers[1].clientSecret: is empty"},
		{func(c *Config) { c.Providers[0].TokenURL = "x" }, "providers[0].tokenURL: "},
		{func(c *Config) { c.Providers[0].EnablePKCE = "maybe" }, "providers[0].enablePKCE: must be true or false"},
		{func(c *Config) { c.Providers[0].Extra = map[string]any{"clientld": 1} }, "providers[0].clientld: there is no such option; did you mean providers[0].clientID?"},
		{func(c *Config) {
			c.Providers[1].ProviderURL = c.Providers[0].ProviderURL
			c.Providers[1].ClientID = "a"
		}, "providers[1].clientID: is that of providers[0]"},
		{func(c *Config) { c.ProviderURL = "https://id.example.com" }, "providerURL: belongs into the entries of providers"},
		{func(c *Config) { c.ClientSecret = "x" }, "clientSecret: belongs into the entries of providers"},
		{func(c *Config) { c.InsecureSkipVerify = true }, "insecureSkipVerify: belongs into the entries of providers"},
		{func(c *Config) { c.DefaultProvider = "rad" }, "defaultProvider: is none of red, blue; did you mean red?"},
		{func(c *Config) { c.AllowedUsers = []string{"a@example.com"} }, "allowedUsers: applies to defaultProvider only"},
		{func(c *Config) {
			c.DefaultProvider = "red"
			c.AllowedUsers = []string{"a@example.com"}
		}, "providers[1]: the allowed lists of the top level apply to defaultProvider only, so every user of this provider would pass"},
		{func(c *Config) {
			c.DefaultProvider = "red"
			c.AllowedUsers = []string{"a@example.com"}
			c.Providers[0].AllowedUserDomains = []string{"example.com"}
		}, "providers[0].allowedUserDomains: the top level has allowed lists for this provider, too"},
		{func(c *Config) { c.AccessRules = []AccessRuleOptions{{Paths: []string{"/x"}, Provider: "green"}} }, "accessRules[0].provider: is none of red, blue"},
		{func(c *Config) { c.AccessRules = []AccessRuleOptions{{Require: "Provider(`green`)"}} }, "accessRules[0].require: at byte 10: the value of Provider is not"},
		{func(c *Config) { c.Providers = []ProviderOptions{} }, "providers: is empty"},
		{func(c *Config) { c.PostLogoutRedirectURI = c.CallbackURL + "/blue" }, "postLogoutRedirectURI: is a path of providers[1].name"},
		{func(c *Config) { c.CallbackURL = "" }, "callbackURL: is required"},
	} {
		c := pair()
		row.set(c)
		wantProblem(t, c, Environment{}, row.want)
		if _, err := Parse(c, Environment{}); err != nil && strings.Count(err.Error(), row.want) != 1 {
			t.Errorf("the problem is there twice: %v", err)
		}
	}
	c := minimal()
	c.DefaultProvider = "red"
	wantProblem(t, c, Environment{}, "defaultProvider: names an entry of providers")
	c = minimal()
	c.AccessRules = []AccessRuleOptions{{Paths: []string{"/x"}, Provider: "red"}}
	wantProblem(t, c, Environment{}, "accessRules[0].provider: names an entry of providers")
}
