package constructs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/traefik/yaegi/stdlib"
)

// A library has the part of the standard library that the interpreter supports: the
// package name and the identifiers of each import path. Identifiers that were added after
// Go 1.22 compile with a newer compiler but do not load.
type library map[string]struct {
	name string
	has  map[string]bool
}

func newLibrary() library {
	l := library{}
	for key, symbols := range stdlib.Symbols {
		p := l[path.Dir(key)]
		p.name, p.has = path.Base(key), map[string]bool{}
		for name := range symbols {
			p.has[name] = true
		}
		l[path.Dir(key)] = p
	}
	return l
}

// missing returns the packages and identifiers that the file uses and the interpreter
// does not have.
func (l library) missing(f *ast.File) []string {
	names := map[string]string{} // import path by name in the file
	var wrong []string
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil || p == module || strings.HasPrefix(p, module+"/") {
			continue
		}
		if _, ok := l[p]; !ok {
			wrong = append(wrong, "the package "+p)
			continue
		}
		name := l[p].name
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok || id.Obj != nil || names[id.Name] == "" { // a local name, not a package
			return true
		}
		if p := names[id.Name]; !l[p].has[sel.Sel.Name] {
			wrong = append(wrong, p+"."+sel.Sel.Name)
		}
		return true
	})
	return wrong
}

// pluginFiles returns the files of the packages that Traefik loads: the root and all
// packages that it imports, directly or indirectly.
func pluginFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	root := filepath.Join("..", "..")
	files, seen := map[string]*ast.File{}, map[string]bool{}
	open := []string{module}
	for len(open) > 0 {
		pkg := open[0]
		open = open[1:]
		if seen[pkg] {
			continue
		}
		seen[pkg] = true
		dir := filepath.Join(root, filepath.FromSlash(strings.TrimPrefix(pkg, module)))
		found, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s has no sources: %v", pkg, err)
		}
		for _, name := range found {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = f
			for _, i := range f.Imports {
				if p := strings.Trim(i.Path.Value, `"`); strings.HasPrefix(p, module+"/") {
					open = append(open, p)
				}
			}
		}
	}
	return files
}

func TestTheInterpreterHasWhatThePluginUses(t *testing.T) {
	l, files := newLibrary(), pluginFiles(t)
	if len(files) < 20 {
		t.Errorf("only %d files were checked", len(files))
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, what := range l.missing(files[name]) {
			t.Errorf("%s: %s is not in the interpreter", name, what)
		}
	}
}

func TestWhatTheInterpreterLacksIsSeen(t *testing.T) {
	l := newLibrary()
	for text, want := range map[string]string{
		`import "strings"; var f = strings.Lines`:                                            "strings.Lines",
		`import "crypto/rand"; var f = rand.Text`:                                            "crypto/rand.Text",
		`import r "crypto/rand"; func f() string { return r.Text() }`:                        "crypto/rand.Text",
		`import "os"; func f(r *os.Root) {}`:                                                 "os.Root",
		`import "crypto/hkdf"; var f = hkdf.Extract[func() int]`:                             "the package crypto/hkdf",
		`import "unique"; var f int`:                                                         "the package unique",
		`import "math/rand/v2"; var n = rand.IntN(3)`:                                        "",
		`import "strings"; var f = strings.Cut`:                                              "",
		`import "strings"; func f(strings struct{ Lines int }) int { return strings.Lines }`: "",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", "package p; "+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(l.missing(f), ", "); got != want {
			t.Errorf("missing %q, want %q, in %s", got, want, text)
		}
	}
}
