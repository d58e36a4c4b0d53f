package auth

import (
	"net/http"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// ruledSite returns a site whose rules keep alice from /admin.
func ruledSite(t *testing.T) *site {
	t.Helper()
	return newSite(t, func(o *Options) {
		o.Bypass, _ = policy.NewBypass([]string{"/public"})
		access, problems := policy.NewAccess(policy.AccessOptions{Lists: o.Rules, Bypass: o.Bypass, Rules: []policy.AccessRule{
			{Paths: []string{"/admin"}, Require: "User(`carol@example.com`)"},
			{Paths: []string{"/team", "/other"}},
		}})
		if problems != nil {
			t.Fatal(problems)
		}
		o.Access = access
	})
}

// Go must look at the beginning of a path only, however long the path is.
func TestL50ExpressionsOfPathsAreAnchored(t *testing.T) {
	plain := newSite(t, func(o *Options) { o.Bypass, _ = policy.NewBypass([]string{"/public"}) })
	ruled := ruledSite(t)
	all := []*regexp.Regexp{plain.special, ruled.special}
	for _, s := range ruled.shortcuts {
		all = append(all, s.begins)
	}
	if len(all) != 3 {
		t.Fatalf("there are %d expressions, want 3", len(all))
	}
	for _, x := range all {
		tree, err := syntax.Parse(x.String(), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		program, err := syntax.Compile(tree.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if program.StartCond()&syntax.EmptyBeginText == 0 {
			t.Errorf("%s is tried at each byte", x)
		}
	}
}

func TestLongPathsOfASession(t *testing.T) {
	s := ruledSite(t)
	b := s.signedIn("alice")
	for _, row := range []struct {
		name, path string
		want       int
	}{
		{"a path with rules", "/team", http.StatusOK},
		{"a path without", "/x", http.StatusOK},
		{"a path that the rules refuse", "/admin", http.StatusForbidden},
		{"L50 the longest path", "/" + strings.Repeat("a", policy.MaxPath-1), http.StatusOK},
		{"L50 a longer path needs every rule", "/" + strings.Repeat("a", policy.MaxPath), http.StatusForbidden},
		{"L50 a longer path below a rule needs every rule", "/team/" + strings.Repeat("a", policy.MaxPath), http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			for i := 0; i < 2; i++ {
				r := b.request(http.MethodGet, row.path, nil)
				r.RequestURI = row.path
				s.status(b.send(s.handler, r), row.want)
			}
		})
	}
}
