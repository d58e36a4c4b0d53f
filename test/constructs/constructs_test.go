// Package constructs tests the Go constructs that the plugin uses. Each runs compiled,
// which shows that the test is right, and interpreted as in Traefik, in many goroutines.
// Before the plugin uses another construct, add it here.
package constructs

import (
	"os"
	"path/filepath"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"

	"github.com/traefikoidc/traefikoidc/test/constructs/concurrency"
	"github.com/traefikoidc/traefikoidc/test/constructs/crypto"
	"github.com/traefikoidc/traefikoidc/test/constructs/encoding"
	"github.com/traefikoidc/traefikoidc/test/constructs/language"
	"github.com/traefikoidc/traefikoidc/test/constructs/web"
)

const (
	module     = "github.com/traefikoidc/traefikoidc"
	goroutines = 8
	calls      = 200
	limit      = time.Minute // for all calls of one construct, so that one that blocks does not block the others
)

// tables has the constructs by package. Each takes a number and returns an error text;
// empty: the result was right.
var tables = map[string]map[string]func(g int) string{
	"concurrency": concurrency.Table,
	"crypto":      crypto.Table,
	"encoding":    encoding.Table,
	"language":    language.Table,
	"web":         web.Table,
}

func TestConstructs(t *testing.T) {
	for _, pkg := range sorted(tables) {
		table := tables[pkg]
		t.Run(pkg, func(t *testing.T) {
			for _, name := range sorted(table) {
				compiled := table[name]
				t.Run(name, func(t *testing.T) {
					t.Run("compiled", func(t *testing.T) { hammer(t, compiled) })
					t.Run("interpreted", func(t *testing.T) { hammer(t, interpreted(t, pkg, name)) })
				})
			}
		})
	}
}

func sorted[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// interpreted returns the construct as the interpreter runs it.
func interpreted(t *testing.T, pkg, name string) func(g int) string {
	t.Helper()
	v, err := interpreter(t, pkg).Eval(pkg + "." + name)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := v.Interface().(func(int) string)
	if !ok {
		t.Fatalf("%s.%s is a %s", pkg, name, v.Type())
	}
	return f
}

var (
	mu           sync.Mutex // guards interpreters
	interpreters = map[string]*interp.Interpreter{}
)

// interpreter returns an interpreter that has loaded the package and its imports, in the
// way in which Traefik loads plugins.
func interpreter(t *testing.T, pkg string) *interp.Interpreter {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if i := interpreters[pkg]; i != nil {
		return i
	}
	i := interp.New(interp.Options{GoPath: goPath(t)})
	if err := i.Use(stdlib.Symbols); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Eval(`import "` + module + "/test/constructs/" + pkg + `"`); err != nil {
		t.Fatal(err)
	}
	interpreters[pkg] = i
	return i
}

// goPath returns a GOPATH that contains the sources of this repository.
func goPath(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "src", filepath.FromSlash(module))
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	return dir
}

// hammer calls f from several goroutines, each time with another number.
func hammer(t *testing.T, f func(g int) string) {
	t.Helper()
	over := make(chan []string, 1)
	go func() { over <- wrongs(f) }()
	select {
	case wrong := <-over:
		if len(wrong) > 0 {
			t.Errorf("%d of %d calls went wrong, the first: %s", len(wrong), goroutines*calls, wrong[0])
		}
	case <-time.After(limit):
		t.Errorf("did not end within %v", limit)
	}
}

func wrongs(f func(g int) string) []string {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []string
	for n := 0; n < goroutines; n++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			for k := 0; k < calls; k++ {
				if wrong := guarded(f, n*calls+k+1); wrong != "" {
					mu.Lock()
					all = append(all, wrong)
					mu.Unlock()
				}
			}
		}(n)
	}
	wg.Wait()
	return all
}

func guarded(f func(g int) string, g int) (wrong string) {
	defer func() {
		if recover() != nil {
			wrong = "it panicked"
		}
	}()
	return f(g)
}
