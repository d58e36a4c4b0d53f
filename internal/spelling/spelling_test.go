package spelling

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"allowedUsers", "logLevel", "Group", "Claim", "ClaimRegexp", "warn", "providerURL", "providers"}
	for name, want := range map[string]string{
		"allowed_users": "allowedUsers", "alowedUsers": "allowedUsers", "Gruop": "Group", "Claims": "Claim", "warning": "warn", "providerUrll": "providerURL", "claimregex": "ClaimRegexp",
		"loglevle": "logLevel", "x": "", "": "", "Path": "", "grp": "",
	} {
		if got := Nearest(name, names); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
