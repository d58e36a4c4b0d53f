package config

import (
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// A list in the notation of another place is refused, because its elements would match
// no user.
func TestListsInBrackets(t *testing.T) {
	const refused = ": is a text with brackets or quotes around it"
	for _, option := range []string{"allowedRolesAndGroups", "allowedUsers", "allowedUserDomains", "scopes", "excludedURLs", "trustedAudiences", "trustedProxies", "idTokenSigningAlgs"} {
		for _, text := range []string{"[user,admin]", "[user]", " [ user , admin ] ", `["user","admin"]`, "{user,admin}", "(user,admin)", `"user,admin"`, `"user","admin"`, "'user'", "[]"} {
			c := minimal()
			set(t, c, option, text)
			wantProblem(t, c, Environment{}, option+refused)
		}
	}
	for _, list := range [][]string{{"[A] x", "y [B]"}, {"[A] x"}, {"x (staff)"}, {"(A) x", "(B) y (C)"}, {"it's", "o'"}, {"a"}, {"CN=[x],OU=y"}} {
		c := minimal()
		c.AllowedRolesAndGroups = list
		if _, err := Parse(c, Environment{}); err != nil {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func warnings(t *testing.T, change func(c *Config)) string {
	t.Helper()
	c := minimal()
	change(c)
	s, err := Parse(c, Environment{})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(s.Warnings, "\n")
}

// A distinguished name that was split at its commas causes a warning.
func TestDistinguishedNames(t *testing.T) {
	const want = "allowedRolesAndGroups: has an element that is one part of a distinguished name"
	for text, warned := range map[string]bool{
		"CN=Admins,OU=Groups,DC=example,DC=com":    true,
		"cn=admins, ou=groups, dc=example, dc=com": true,
		"CN=Admins,CN=Staff":                       false,
		"staff,a=b":                                false,
	} {
		if got := warnings(t, func(c *Config) { c.AllowedRolesAndGroups = strings.Split(text, ",") }); strings.Contains(got, want) != warned {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := warnings(t, func(c *Config) { c.AllowedRolesAndGroups = []string{"CN=Admins,OU=Groups,DC=example"} }); got != "" {
		t.Errorf("a whole name: %q", got)
	}
}

func TestRoundedNumbers(t *testing.T) {
	for text, warned := range map[string]bool{
		"123456789012345680":          true, // the rounded form of 123456789012345678
		"230394758234234560":          true,
		"9007199254740992":            true,
		"100000000000000000000000":    true,
		"123456789012345678":          false,
		"9007199254740991":            false,
		"1234567890":                  false,
		"123456789012345680@projects": false,
	} {
		for option, change := range map[string]func(c *Config){
			"clientID":              func(c *Config) { c.ClientID = text },
			"allowedUsers":          func(c *Config) { c.AllowedUsers = []string{"ann", text} },
			"allowedTenants":        func(c *Config) { c.AllowedTenants = []string{text} },
			"trustedAudiences":      func(c *Config) { c.TrustedAudiences = []string{text} },
			"allowedRolesAndGroups": func(c *Config) { c.AllowedRolesAndGroups = []string{text} },
			"sessionGroup":          func(c *Config) { c.SessionGroup = text },
		} {
			got := warnings(t, change)
			if said := strings.Contains(got, option+": a number this long is rounded"); said != warned || strings.Contains(got, text) {
				t.Errorf("%s: %s: %q", option, text, got)
			}
		}
	}
}

// Each type is one that Traefik's decoders produce for a number or a text.
func TestSessionMaxAge(t *testing.T) {
	for want, values := range map[time.Duration][]any{
		24 * time.Hour:                {nil, "24h", 86400, int64(86400), 86400.0, "86400", " 24h ", "1440m"},
		90 * time.Second:              {90, "90", "90s", "1m30s", "1.5m"},
		400 * 24 * time.Hour:          {"9600h", maxSeconds},
		2*time.Hour + 500*time.Minute: {"2h500m"},
	} {
		for _, value := range values {
			c := minimal()
			c.SessionMaxAge = value
			s, err := Parse(c, Environment{})
			if err != nil || s.Session.MaxAge != want {
				t.Errorf("%v (%T) is not %s: %v", value, value, want, err)
			}
		}
	}
}

// A text with several keys would be one, and every session would end.
func TestKeysInOneText(t *testing.T) {
	a, b := oidctest.NewSecret(), oidctest.NewSecret()
	for _, text := range []string{"[" + a + "," + b + "]", `["` + a + `", "` + b + `"]`} {
		c := minimal()
		c.SessionEncryptionKey = text
		wantProblem(t, c, Environment{}, "sessionEncryptionKey: is a text with a list in brackets")
		if _, err := Parse(c, Environment{}); err == nil || strings.Contains(err.Error(), a) {
			t.Errorf("the error shows a key, or there is none: %v", err)
		}
	}
	for text, want := range map[any]string{a + "," + b: "sessionEncryptionKey: is one key with a comma in it", a: ""} {
		got := warnings(t, func(c *Config) { c.SessionEncryptionKey = text })
		if !strings.Contains(got, want) || (want == "") != (got == "") || strings.Contains(got, a) {
			t.Errorf("the warning is %q, want %q", got, want)
		}
	}
}
