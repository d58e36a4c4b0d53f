package interpreted

import (
	"strings"
	"testing"
)

// The log line of a refused user has the reason and its source. A user without a name
// for the backend has a line too.
func TestTheLogSaysWhy(t *testing.T) {
	s := newSite(t, setup{options: map[string]any{"allowedRolesAndGroups": []any{"board"}, "groupClaimName": "grups"}})
	s.status(s.signIn(s.browser(), "/", "alice"), 403)
	text := s.plugin.Log.String()
	line := ""
	for _, l := range strings.Split(text, "\n") {
		if strings.Contains(l, "code=not_allowed") && strings.Contains(l, "middleware="+t.Name()) {
			line = l
		}
	}
	for _, want := range []string{"reference=", "reason=", `claims="grups: missing; roles: `, "scopes="} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %q", want, line)
		}
	}
	logSays(t, text, `allowed="allowedRolesAndGroups (1)"`, "redirectURI=")
	open := newSite(t, setup{})
	before := open.plugin.Log.Len()
	open.signedIn("dave")
	logSays(t, open.plugin.Log.Since(before), "has no X-Forwarded-User", "emailVerified=deny")
}

func logSays(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("the log does not say %s: %s", w, text)
		}
	}
}
