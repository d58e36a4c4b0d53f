package interpreted

import (
	"sync"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/policy/policytest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// The interpreted access rules decide like their plain compiled implementation. Eight
// goroutines evaluate rules at once.
func TestRandomRules(t *testing.T) {
	const workers = 8
	seeds := 20000 / policytest.CasesOfSite / workers
	if raced || testing.Short() {
		seeds = 4
	}
	verdicts, ok := loader.Function(t, "internal/policy/policytest", "Verdicts").(func(int64, int) []string)
	if !ok {
		t.Fatal("Verdicts has another type")
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			first := int64(w * seeds)
			got := verdicts(first, seeds)
			for i := range seeds {
				for j, c := range policytest.Play(first + int64(i)) {
					if at := i*policytest.CasesOfSite + j; at >= len(got) || got[at] != c.Plain {
						t.Errorf("%s:\nwant %q", c.Text, c.Plain)
						return
					}
				}
			}
		}()
	}
	wg.Wait()
}
