package interpreted

import (
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

// Labels and Kubernetes resources hand options on as texts, and every number as a
// float64.
func TestOptionsOfLabelsAndResources(t *testing.T) {
	s := newSite(t, setup{})
	for _, row := range []struct {
		name    string
		options map[string]any
		refused string // empty: accepted
		warned  string // empty: no warning
	}{
		{"a list in brackets", map[string]any{"allowedRolesAndGroups": "[user,admin]"}, "allowedRolesAndGroups: is a text with brackets", ""},
		{"keys in brackets", map[string]any{"sessionEncryptionKey": "[" + key + "," + key + "]"}, "sessionEncryptionKey: is a text with a list in brackets", ""},
		{"a list", map[string]any{"allowedRolesAndGroups": "user,admin"}, "", ""},
		{"a distinguished name as a text", map[string]any{"allowedRolesAndGroups": "CN=Admins,OU=Groups,DC=example"}, "", "allowedRolesAndGroups: has an element that is one part"},
		{"a distinguished name in a list", map[string]any{"allowedRolesAndGroups": []any{"CN=Admins,OU=Groups,DC=example"}}, "", ""},
		{"a duration", map[string]any{"sessionMaxAge": "24h"}, "", ""},
		{"a number of seconds as a text", map[string]any{"sessionMaxAge": "86400"}, "", ""},
		{"a number of seconds of a resource", map[string]any{"sessionMaxAge": 86400.0}, "", ""},
		{"a duration in days", map[string]any{"sessionMaxAge": "7d"}, "sessionMaxAge: must be a duration", ""},
		{"an ID of a resource, without quotes", map[string]any{"clientID": float64(123456789012345678)}, "", "clientID: a number this long is rounded"},
		{"an ID of a resource, in quotes", map[string]any{"clientID": "123456789012345678"}, "", ""},
		{"users of a resource, without quotes", map[string]any{"allowedUsers": []any{float64(230394758234234567)}}, "", "allowedUsers: a number this long is rounded"},
		{"a misspelled option", map[string]any{"sesionMaxAge": 60}, "sesionMaxAge: there is no such option; did you mean sessionMaxAge?", ""},
		{"a misspelled option of a section", map[string]any{"redis": map[string]any{"tls": map[string]any{"certfil": "/x"}}}, "did you mean redis.tls.certFile?", ""},
		{"an option of another level", map[string]any{"poolSize": 5}, "did you mean redis.poolSize?", ""},
		{"a callback without a slash", map[string]any{"callbackURL": "oauth2/callback"}, "callbackURL: must begin with /: /oauth2/callback", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := s.plugin.Log.Len()
			text, taken := s.in(t).tried(row.options)
			if taken != (row.refused == "") || !strings.Contains(text, row.refused) {
				t.Errorf("accepted: %t: %q, want %q", taken, text, row.refused)
			}
			log := s.plugin.Log.Since(before)
			if warned := strings.Contains(log, "level=WARN"); warned != (row.warned != "") || !strings.Contains(log, row.warned) {
				t.Errorf("the log says %q, want %q", log, row.warned)
			}
		})
	}
}

// A duration in words ends a session like a number of seconds.
func TestSessionMaxAgeOfAText(t *testing.T) {
	s := newSite(t, setup{options: map[string]any{"sessionMaxAge": "1s"}})
	b := s.browser()
	s.signIn(b, "/", "alice")
	eventually.True(t, "the session ends", func() bool { return b.Fetch(s.url+"/x").Status == http.StatusUnauthorized })
}

// An absolute logoutURL on the host of callbackURL is served.
func TestLogoutURLOfTheSite(t *testing.T) {
	s := newSite(t, setup{options: map[string]any{"callbackURL": "https://" + appHost + "/oidc/callback", "logoutURL": "https://" + appHost + "/bye"}})
	b := s.signedIn("alice")
	s.untouched(func() { b.Hop(s.url + "/bye") })
	if s.refusedOptions(map[string]any{"callbackURL": "https://*.example.test/oidc/callback"}) == "" {
		t.Error("a wildcard in callbackURL is accepted")
	}
}
