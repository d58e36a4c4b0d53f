package cache_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"

	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
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
	each(t, 64, 1, eval[func(int) string](t, interpreter(t), "drive.Memory"))
}

func TestInterpretedStores(t *testing.T) {
	s := startServer(t)
	i := interpreter(t)
	if wrong := eval[func(string) string](t, i, "drive.Open")(s.Address()); wrong != "" {
		t.Fatal(wrong)
	}
	defer eval[func()](t, i, "drive.Close")()
	t.Run("redis", func(t *testing.T) {
		each(t, 64, 1, eval[func(int) string](t, i, "drive.Redis"))
	})
	t.Run("hybrid", func(t *testing.T) {
		each(t, 64, 1, eval[func(int) string](t, i, "drive.Hybrid"))
	})
	t.Run("a settled key costs no command", func(t *testing.T) {
		settled := eval[func() int](t, i, "drive.Settled")
		eventually.True(t, "settled", func() bool { return settled() == 100 })
	})
	t.Run("own values in an outage", func(t *testing.T) {
		ownInOutage(t, s, i)
	})
}

func ownInOutage(t *testing.T, s *server, i *interp.Interpreter) {
	same := eval[func(int) string](t, i, "drive.Same")
	fallback, tracking := eval[func() bool](t, i, "drive.Fallback"), eval[func() bool](t, i, "drive.Tracking")
	journal := eval[func() int](t, i, "drive.Journal")
	each(t, 64, 1, same)
	each(t, 64, 1, eval[func(int) string](t, i, "drive.Prepare"))
	s.Kill()
	eventually.True(t, "fallen back", func() bool {
		each(t, 64, 1, same)
		return fallback()
	})
	each(t, 64, 1, same)
	each(t, 64, 1, eval[func(int) string](t, i, "drive.Outage"))
	s.Start()
	eventually.True(t, "restored", func() bool {
		each(t, 64, 1, same)
		return !fallback() && tracking() && journal() == 0
	})
	each(t, 64, 1, same)
	each(t, 64, 1, eval[func(int) string](t, i, "drive.Outcome"))
	reported := eval[func(string) int](t, i, "drive.Reported")
	for _, e := range []hybrid.Event{hybrid.Connected, hybrid.BreakerOpened, hybrid.FellBack, hybrid.Restored, hybrid.DataLost} {
		if reported(e.Text()) != 1 {
			t.Errorf("%q was reported %d times", e.Text(), reported(e.Text()))
		}
	}
}
