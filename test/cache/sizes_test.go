package cache_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/test/cache/testdata/src/fill"
)

var sizes = flag.Bool("sizes", false, "measure the sizes of 10,000 and 100,000 sessions, compiled and interpreted")

// Bounds of a session's size beyond its tokens, in bytes.
const (
	memoryBound = 1536
	redisBound  = 1024
)

// A filler makes sessions.
type filler struct {
	name  string
	start func(address, prefix string, groups int) string
	make  func(from, to int) (int, string)
	held  func() (int, int)
	stop  func()
}

func compiledFiller() filler {
	return filler{"compiled", fill.Start, fill.Make, fill.Held, fill.Stop}
}

func interpretedFiller(t *testing.T) filler {
	i := interpreterWith(t, "fill")
	return filler{
		"interpreted", eval[func(string, string, int) string](t, i, "fill.Start"), eval[func(int, int) (int, string)](t, i, "fill.Make"),
		eval[func() (int, int)](t, i, "fill.Held"), eval[func()](t, i, "fill.Stop"),
	}
}

// interpreterWith loads a driver of testdata, and its imports from the plugin.
func interpreterWith(t *testing.T, driver string) *interp.Interpreter {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	link(t, root, filepath.Join(path, "src/github.com/traefikoidc/traefikoidc"))
	link(t, filepath.Join(root, "test/cache/testdata/src", driver), filepath.Join(path, "src", driver))
	i := interp.New(interp.Options{GoPath: path})
	if err := i.Use(stdlib.Symbols); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Eval("import " + strconv.Quote(driver)); err != nil {
		t.Fatal(err)
	}
	return i
}

// A taking is the size of one session beyond its tokens, in bytes.
type taking struct {
	memory, redis float64
}

// TestSizes fails when a session with ten groups is too large. With more sessions, also
// in the interpreter, it prints their sizes:
//
//	go test -timeout 30m -run TestSizes -v . -sizes
func TestSizes(t *testing.T) {
	t.Run("compiled", func(t *testing.T) {
		counts := []int{1000}
		if *sizes {
			counts = []int{10000, 100000}
		}
		for _, n := range counts {
			compiledFiller().check(t, n)
		}
	})
	t.Run("interpreted", func(t *testing.T) {
		if !*sizes {
			t.Skip("beside few sessions the interpreter itself shows")
		}
		interpretedFiller(t).check(t, 10000)
	})
}

func (f filler) check(t *testing.T, n int) {
	t.Helper()
	got := f.measure(t, n, 10)
	if *sizes {
		fmt.Printf("%-12s %6d sessions with 10 groups, beyond the tokens of each: %5.0f bytes in memory, %5.0f in Redis\n",
			f.name, n, got.memory, got.redis)
	}
	if got.memory > memoryBound || got.redis > redisBound {
		t.Errorf("%d sessions, beyond the tokens of each: %.0f bytes in memory, at most %d; %.0f in Redis, at most %d",
			n, got.memory, memoryBound, got.redis, redisBound)
	}
}

func (f filler) measure(t *testing.T, n, groups int) taking {
	t.Helper()
	s := startServer(t)
	if wrong := f.start(s.Address(), "traefikoidc", groups); wrong != "" {
		t.Fatal(wrong)
	}
	defer f.stop()
	const warm = 200
	if _, wrong := f.make(0, warm); wrong != "" {
		t.Fatal(wrong)
	}
	f.settle(t, warm)
	heap, used := heapInUse(), usedMemory(s)
	tokens, wrong := f.make(warm, warm+n)
	if wrong != "" {
		t.Fatal(wrong)
	}
	f.settle(t, warm+n)
	return taking{
		memory: float64(heapInUse()-heap-tokens) / float64(n),
		redis:  float64(usedMemory(s)-used-tokens) / float64(n),
	}
}

// settle waits until memory holds every session, sealed and opened.
func (f filler) settle(t *testing.T, n int) {
	t.Helper()
	eventually.True(t, "everything is held", func() bool {
		sealed, opened := f.held()
		return sealed == n && opened == n
	})
}

func heapInUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func usedMemory(s *server) int {
	n := 0
	fmt.Sscanf(info(s, "memory", "used_memory:"), "%d", &n)
	return n
}
