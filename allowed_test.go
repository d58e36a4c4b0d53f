package traefikoidc

import (
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/config"
)

func TestTheReadyLineSaysWhoIsAllowed(t *testing.T) {
	two := []string{"a", "b"}
	for _, c := range []struct {
		access config.Access
		want   string
	}{
		{config.Access{}, "everyone the provider signs in"},
		{config.Access{Users: two}, "allowedUsers (2)"},
		{config.Access{Domains: two}, "allowedUserDomains (2)"},
		{config.Access{RolesAndGroups: two}, "allowedRolesAndGroups (2)"},
		{config.Access{Users: two, Domains: two}, "allowedUsers (2) or allowedUserDomains (2)"},
		{config.Access{Users: two, Domains: two, RolesAndGroups: two}, "(allowedUsers (2) or allowedUserDomains (2)) and allowedRolesAndGroups (2)"},
		{config.Access{Rules: make([]config.AccessRule, 3)}, "accessRules (3), else everyone the provider signs in"},
	} {
		if got := allowedText(c.access); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
