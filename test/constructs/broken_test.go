package constructs

import (
	"testing"

	"github.com/traefikoidc/traefikoidc/test/constructs/broken"
)

// If the interpreter runs a construct correctly, the rule against it is not needed.
func TestBrokenConstructsAreStillBroken(t *testing.T) {
	for _, name := range sorted(broken.Table) {
		t.Run(name, func(t *testing.T) {
			if wrong := broken.Table[name](7); wrong != "" {
				t.Fatalf("wrong when compiled too: %s", wrong)
			}
			f := interpreted(t, "broken", name)
			wrong := guarded(f, 7)
			if wrong == "" {
				t.Fatal("right when interpreted: remove the rule that forbids it")
			}
			t.Log(wrong)
		})
	}
}
