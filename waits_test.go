package traefikoidc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// ownWaits has the loops of tests that sleep and compare the time for another reason
// than to wait for a condition.
var ownWaits = map[string]string{
	"test/e2e/soak_test.go": "make soak: what comes between outages is time",
}

// TestTestsWaitByOnePackage refuses a loop that sleeps until a condition is true or a
// time is over. internal/eventually has the only one.
func TestTestsWaitByOnePackage(t *testing.T) {
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := filepath.Base(name); base == "node_modules" || base == "build" || base != "." && strings.HasPrefix(base, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "cache/cachetest/") || ownWaits[filepath.ToSlash(name)] != "" {
			return nil
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, p := range waits(f) {
			t.Errorf("%s: this loop waits by itself: call eventually.True, or eventually.Within with a text of your own", fset.Position(p))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// waits returns the loops of f that sleep and ask the clock.
func waits(f *ast.File) []token.Pos {
	var found []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		loop, ok := n.(*ast.ForStmt)
		if !ok {
			return true
		}
		sleeps, asks := false, false
		ast.Inspect(loop, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.CallExpr:
				sleeps = sleeps || isNamed(x.Fun, "time", "Sleep")
				asks = asks || isNamed(x.Fun, "time", "Now") || isNamed(x.Fun, "time", "Since")
			}
			return true
		})
		if sleeps && asks {
			found = append(found, loop.Pos())
		}
		return true
	})
	return found
}

func TestALoopThatWaitsIsFound(t *testing.T) {
	for _, row := range []struct {
		text  string
		found int
	}{
		{`for end := time.Now().Add(limit); !is(); time.Sleep(1) { if time.Now().After(end) { t.Fatal() } }`, 1},
		{`start := time.Now(); for !is() { if time.Since(start) > limit { t.Fatal() }; time.Sleep(1) }`, 1},
		{`for i := 0; i < 20; i++ { if is() { t.Fatal() }; time.Sleep(1) }`, 0},
		{`eventually.True(t, "it is", func() bool { return time.Now().After(end) })`, 0},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\nfunc f() {"+row.text+"}", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := waits(f); len(got) != row.found {
			t.Errorf("%s: %d found, want %d", row.text, len(got), row.found)
		}
	}
}
