package policy

import (
	"regexp"
	"testing"
)

// A shortcut has no place for a request, or the one that Choose finds.
func TestShortcutsAreTheLongWay(t *testing.T) {
	var rules []AccessRule
	for _, p := range []string{"/café", "/menü/", "/a.b", "/plain", "/x..y", "/tilde~", "/ends.", "/日本"} {
		rules = append(rules, AccessRule{Paths: []string{p}})
	}
	for i := range rules {
		t.Run("L40 what continues "+rules[i].Paths[0], func(t *testing.T) { compareShortcut(t, append(rules[i:i+1:i+1], rules...)) })
	}
}

func compareShortcut(t *testing.T, rules []AccessRule) {
	t.Helper()
	a, problems := NewAccess(AccessOptions{Lists: lists(t, Rules{}), Rules: rules})
	if problems != nil {
		t.Fatal(problems)
	}
	s := a.Shortcut("GET", noHost)
	begins := regexp.MustCompile(s.Begins)
	found := 0
	for _, r := range rules {
		for _, more := range []string{"", "/", "/x", "-admin", "secret/x", "/../other", "//x", "/.x", "%41", ";x", "\x80", "é"} {
			uri := r.Paths[0] + more
			q := request(t, "GET", "/")
			q.URL.Path, q.RequestURI = uri, uri
			place, has := s.Places[begins.FindString(uri)]
			if !has {
				continue
			}
			found++
			if c := a.Choose(q); c.Place != place || len(c.Also) != 0 {
				t.Errorf("%q: the shortcut has place %d, Choose %d and %v", uri, place, c.Place, c.Also)
			}
		}
	}
	if found == 0 {
		t.Error("no request has a shortcut")
	}
}
