package cache_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"
)

// interpreter loads the plugin's sources as Traefik does, and the driver.
func interpreter(t *testing.T) *interp.Interpreter {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	link(t, root, filepath.Join(path, "src/github.com/traefikoidc/traefikoidc"))
	link(t, filepath.Join(root, "test/cache/testdata/src/drive"), filepath.Join(path, "src/drive"))
	i := interp.New(interp.Options{GoPath: path})
	if err := i.Use(stdlib.Symbols); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Eval(`import "drive"`); err != nil {
		t.Fatal(err)
	}
	return i
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func eval[T any](t *testing.T, i *interp.Interpreter, name string) T {
	t.Helper()
	v, err := i.Eval(name)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := v.Interface().(T)
	if !ok {
		t.Fatalf("%s is %T", name, v.Interface())
	}
	return f
}

// each calls f from n goroutines, rounds times each, with a number of its own.
func each(t *testing.T, n, rounds int, f func(g int) string) {
	t.Helper()
	var wg sync.WaitGroup
	for g := range n {
		wg.Go(func() {
			for r := range rounds {
				if wrong := f(g*rounds + r); wrong != "" {
					t.Errorf("%s", wrong)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestInterpretedMemory(t *testing.T) {
	each(t, 64, 3, eval[func(int) string](t, interpreter(t), "drive.Memory"))
}
