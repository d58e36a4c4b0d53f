package constructs

import (
	"testing"

	"github.com/traefikoidc/traefikoidc/test/constructs/broken"
)

// A construct that the interpreter runs rightly needs no rule any more.
func TestBrokenConstructsAreStillBroken(t *testing.T) {
	for _, name := range sorted(broken.Table) {
		t.Run(name, func(t *testing.T) {
			if wrong := broken.Table[name](7); wrong != "" {
				t.Fatalf("wrong when compiled, too: %s", wrong)
			}
			f := interpreted(t, "broken", name)
			wrong := guarded(f, 7)
			if wrong == "" {
				t.Fatal("right when interpreted: the rule that forbids it may go")
			}
			t.Log(wrong)
		})
	}
}
