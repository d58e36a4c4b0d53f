package constructs

import (
	"sync"
	"testing"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"

	"github.com/traefikoidc/traefikoidc/internal/firstuse"
	"github.com/traefikoidc/traefikoidc/test/constructs/late"
)

// fresh returns constructs of package late, and the types of their new interpreter, in
// which none of them was executed yet.
func fresh(t *testing.T, names []string) (*firstuse.Types, map[string]func()) {
	t.Helper()
	i := interp.New(interp.Options{GoPath: goPath(t)})
	if err := i.Use(stdlib.Symbols); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Eval(`import "` + module + `/test/constructs/late"`); err != nil {
		t.Fatal(err)
	}
	found := map[string]func(){}
	for _, name := range names {
		v, err := i.Eval("late." + name)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = v.Interface().(func())
	}
	return firstuse.Of(i), found
}

// If the types of a construct are computed at its load, the rule against it is not
// needed.
func TestLateConstructsAreStillLate(t *testing.T) {
	for _, name := range sorted(late.Late) {
		t.Run(name, func(t *testing.T) {
			late.Late[name]()
			types, f := fresh(t, []string{name})
			f[name]()
			computed := types.Computed()
			if len(computed) == 0 {
				t.Fatal("no type is computed at its first use: remove the rule that forbids it")
			}
			t.Log(computed)
		})
	}
}

func TestFirstUsesAreKnown(t *testing.T) {
	names := sorted(late.Early)
	types, f := fresh(t, names)
	for _, name := range names {
		late.Early[name]()
		f[name]()
		for _, text := range types.Computed() {
			t.Errorf("%s: computed at its first use: %s", name, text)
		}
	}
}

// TestConcurrentFirstUses is for the race detector. Several goroutines execute a construct
// for the first time at the same time.
func TestConcurrentFirstUses(t *testing.T) {
	names := sorted(late.Early)
	for round := 0; round < 4; round++ {
		_, f := fresh(t, names)
		for _, name := range names {
			call := f[name]
			var start, end sync.WaitGroup
			start.Add(1)
			for g := 0; g < goroutines; g++ {
				end.Add(1)
				go func() {
					defer end.Done()
					start.Wait()
					call()
				}()
			}
			start.Done()
			end.Wait()
		}
	}
}
