package policy_test

import (
	"flag"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/policy/policytest"
)

var cases = flag.Int("cases", 20000, "how many random cases of access rules TestAccessIsThePlainOne plays")

func TestAccessIsThePlainOne(t *testing.T) {
	seen := map[string]int{}
	for seed := 0; seed < *cases/policytest.CasesOfSite; seed++ {
		for _, c := range policytest.Play(int64(seed)) {
			seen[c.Plain]++
			if c.Verdict != c.Plain {
				t.Fatalf("%s:\n got %q\nwant %q", c.Text, c.Verdict, c.Plain)
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("the cases have only %d different verdicts: %v", len(seen), seen)
	}
	t.Log(seen)
}
