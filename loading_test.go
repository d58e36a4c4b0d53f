package traefikoidc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMethodsAreKnownAtLoad: in every package of the plugin whose types have
// methods, yaegi.go is the last file that the interpreter reads, and converts each
// of those types to an interface, and each type of a deferred method's arguments.
func TestMethodsAreKnownAtLoad(t *testing.T) {
	for _, dir := range []string{
		".", "resp", "circuitbreaker", "cache", "session", "internal/auth", "internal/background", "internal/config",
		"internal/headers", "internal/oidc", "internal/places", "internal/policy", "internal/registry",
	} {
		for _, problem := range unknownAtLoad(t, dir) {
			t.Errorf("%s: %s", dir, problem)
		}
	}
}

func TestAMethodUnknownAtLoadIsFound(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("package p\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.go", "type A struct{}\nfunc (a *A) M() {}\ntype B int\nfunc (b B) M() {}\n")
	if got := unknownAtLoad(t, dir); len(got) != 2 {
		t.Errorf("without a list: %q", got)
	}
	write("yaegi.go", "var (\n_ any = (*A)(nil)\n_ any = B(0)\n)\n")
	if got := unknownAtLoad(t, dir); len(got) != 0 {
		t.Errorf("with a list: %q", got)
	}
	write("b.go", "type C struct{}\nfunc (a *A) end(c *C, n int) {}\nfunc (a *A) N() { defer a.end(nil, 1) }\n")
	if got := unknownAtLoad(t, dir); len(got) != 1 {
		t.Errorf("with a deferred argument: %q", got)
	}
	write("b.go", "")
	write("z.go", "type Z struct{}\nfunc (z *Z) M() {}\n")
	if got := unknownAtLoad(t, dir); len(got) != 2 {
		t.Errorf("with a file behind the list: %q", got)
	}
}

func unknownAtLoad(t *testing.T, dir string) []string {
	t.Helper()
	noTests := func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), dir, noTests, 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(dir, "yaegi.go"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var problems []string
	seen := map[string]bool{}
	for _, p := range packages {
		for path, file := range p.Files {
			if name := filepath.Base(path); list != nil && name > "yaegi.go" {
				problems = append(problems, name+" is read after yaegi.go")
			}
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || f.Recv == nil {
					continue
				}
				wanted := []string{conversion(f.Recv.List[0].Type)}
				if deferred(p)[f.Name.Name] {
					wanted = append(wanted, conversions(p, f.Type.Params)...)
				}
				for _, want := range wanted {
					if !seen[want] && !strings.Contains(string(list), want) {
						problems = append(problems, "yaegi.go does not say"+want)
					}
					seen[want] = true
				}
			}
		}
	}
	return problems
}

// deferred are the names of the methods that are deferred with arguments, whose types
// the interpreter computes at the first call.
func deferred(p *ast.Package) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(p, func(n ast.Node) bool {
		if d, ok := n.(*ast.DeferStmt); ok && len(d.Call.Args) > 0 {
			if s, ok := d.Call.Fun.(*ast.SelectorExpr); ok {
				names[s.Sel.Name] = true
			}
		}
		return true
	})
	return names
}

// conversions are those of the parameters whose types p declares.
func conversions(p *ast.Package, params *ast.FieldList) []string {
	own := map[string]bool{}
	ast.Inspect(p, func(n ast.Node) bool {
		if t, ok := n.(*ast.TypeSpec); ok {
			own[t.Name.Name] = true
		}
		return true
	})
	var all []string
	for _, field := range params.List {
		name := field.Type
		if star, ok := name.(*ast.StarExpr); ok {
			name = star.X
		}
		if id, ok := name.(*ast.Ident); ok && own[id.Name] {
			all = append(all, conversion(field.Type))
		}
	}
	return all
}

// conversion is how the list names a receiver's type.
func conversion(receiver ast.Expr) string {
	if star, ok := receiver.(*ast.StarExpr); ok {
		return " = (*" + star.X.(*ast.Ident).Name + ")(nil)"
	}
	return " = " + receiver.(*ast.Ident).Name
}
