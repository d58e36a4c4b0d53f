package policy

import (
	"regexp"
	"regexp/syntax"
	"testing"
)

// A shortcut has no place for a request, or the one that Choose finds.
func TestShortcutsAreTheLongWay(t *testing.T) {
	var rules []AccessRule
	for _, p := range []string{"/café", "/menü/", "/a.b", "/plain", "/x..y", "/tilde~", "/ends.", "/日本"} {
		rules = append(rules, AccessRule{Paths: []string{p}})
	}
	for i := range rules {
		t.Run("L40 continuations of "+rules[i].Paths[0], func(t *testing.T) { compareShortcut(t, append(rules[i:i+1:i+1], rules...)) })
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

// An expression that a path is compared with looks at its beginning only.
func TestExpressionsOfPathsAreAnchored(t *testing.T) {
	for name, rules := range map[string][]AccessRule{
		"L50 one rule":               {{Paths: []string{"/a"}}},
		"L50 several rules":          {{Paths: []string{"/a", "/b"}}, {Paths: []string{"/c"}}, {Paths: []string{"/c/d"}}},
		"L50 a rule for every path":  {{Paths: []string{"/a"}}, {}},
		"L50 a rule with characters": {{Paths: []string{"/a.b|c"}}, {Paths: []string{"/é"}}},
	} {
		t.Run(name, func(t *testing.T) {
			a, problems := NewAccess(AccessOptions{Lists: lists(t, Rules{}), Rules: rules})
			if problems != nil {
				t.Fatal(problems)
			}
			mustBeAnchored(t, a.Shortcut("GET", noHost).Begins)
			for _, rule := range a.rules {
				if rule.exact != nil {
					mustBeAnchored(t, rule.exact.String())
					mustBeAnchored(t, rule.folded.String())
				}
			}
			mustBeAnchored(t, newBypass(t, "/a", "/b/").Begins().String())
		})
	}
}

// mustBeAnchored fails the test if Go looks for matches of an expression elsewhere than at
// the beginning of a text.
func mustBeAnchored(t *testing.T, text string) {
	t.Helper()
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		t.Fatal(err)
	}
	if program.StartCond()&syntax.EmptyBeginText == 0 {
		t.Errorf("%s is tried at each byte", text)
	}
}
