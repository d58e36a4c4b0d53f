package traefikoidc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMethodsAreKnownAtLoad checks every package of the plugin with methods. The
// interpreter must read yaegi.go as the last file. That file converts each type with
// methods to an interface, and each type of a deferred method's arguments.
func TestMethodsAreKnownAtLoad(t *testing.T) {
	for _, dir := range []string{
		".", "resp", "circuitbreaker", "cache", "cache/redis", "cache/hybrid", "session", "internal/auth", "internal/background", "internal/config",
		"internal/headers", "internal/logfile", "internal/oidc", "internal/places", "internal/policy", "internal/policy/policytest", "internal/registry", "internal/texts",
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

// deferred returns the names of the methods that are deferred with arguments. The
// interpreter computes the types of the arguments at the first call.
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

// conversions returns those of the parameters with a type that p declares.
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

// conversion returns the form in which the list names a receiver's type.
func conversion(receiver ast.Expr) string {
	if star, ok := receiver.(*ast.StarExpr); ok {
		return " = (*" + star.X.(*ast.Ident).Name + ")(nil)"
	}
	return " = " + receiver.(*ast.Ident).Name
}

// isLateFunction finds functions that the interpreter reads later than their use as a
// value, or as a deferred call with arguments. It computes their type only then. It
// reads the files of a package in the order of their names.
func isLateFunction(c *code, n ast.Node) string {
	if send, ok := n.(*ast.SendStmt); ok {
		if _, ok := unparen(send.Value).(*ast.FuncLit); ok {
			return "send a variable that has the literal"
		}
		return ""
	}
	id, ok := n.(*ast.Ident)
	if !ok {
		return ""
	}
	f, ok := c.info.Uses[id].(*types.Func)
	if !ok || f.Pkg() != c.pkg || f.Type().(*types.Signature).Recv() != nil {
		return ""
	}
	if call, ok := c.parent[n].(*ast.CallExpr); ok && call.Fun == id {
		if _, deferred := c.parent[call].(*ast.DeferStmt); !deferred || len(call.Args) == 0 {
			return ""
		}
	}
	use, declaration := c.fset.Position(id.Pos()), c.fset.Position(f.Pos())
	if use.Filename > declaration.Filename || use.Filename == declaration.Filename && use.Offset > declaration.Offset {
		return ""
	}
	return f.Name() + " is declared at " + c.at(f.Pos()) + ": declare it before"
}

// isLateSwitch finds cases of type switches that the interpreter computes when they are
// first reached: types without a name.
func isLateSwitch(c *code, n ast.Node) string {
	clause, ok := n.(*ast.CaseClause)
	if !ok {
		return ""
	}
	s, ok := c.parent[c.parent[n]].(*ast.TypeSwitchStmt)
	if !ok {
		return ""
	}
	if _, binds := s.Assign.(*ast.AssignStmt); !binds {
		return ""
	}
	for _, e := range clause.List {
		switch c.typeOf(e).(type) {
		case *types.Basic, *types.Named:
		default:
			return "ask for " + types.ExprString(e) + " by if x, ok := v.(T)"
		}
	}
	return ""
}

// isInterfaceGiven finds fields, elements and package variables of the plugin's
// interfaces that the standard library gets. Where one is nil, the interpreter writes
// another nil to it, unguarded.
func isInterfaceGiven(c *code, n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || c.info.Types[call.Fun].IsType() {
		return ""
	}
	sel, ok := unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	o := c.info.Uses[sel.Sel]
	if o == nil || o.Pkg() == nil {
		return ""
	}
	if _, ours := below(o.Pkg().Path()); ours {
		return ""
	}
	for _, a := range call.Args {
		if t := c.typeOf(a); types.IsInterface(t) && isOurs(t) && c.outlives(a) {
			return "take " + types.ExprString(a) + " into a variable first"
		}
	}
	return ""
}

// outlives reports whether e is a place that other calls can reach, too.
func (c *code) outlives(e ast.Expr) bool {
	switch x := unparen(e).(type) {
	case *ast.SelectorExpr, *ast.IndexExpr, *ast.StarExpr:
		return true
	case *ast.Ident:
		v, ok := c.info.Uses[x].(*types.Var)
		return ok && isPackageVar(v)
	}
	return false
}

// isSharedReceiver finds methods with a pointer receiver that are called on a struct in
// a field, an element or a package variable. At each call the interpreter reads all of
// it, although a lock may guard its fields.
func isSharedReceiver(c *code, n ast.Node) string {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok || c.info.Selections[sel] == nil || c.info.Selections[sel].Kind() != types.MethodVal {
		return ""
	}
	method := c.info.Selections[sel].Obj().(*types.Func)
	_, byPointer := method.Type().(*types.Signature).Recv().Type().(*types.Pointer)
	if t := c.typeOf(sel.X); !byPointer || !isOurs(t) || isPointer(t) || !c.outlives(sel.X) {
		return ""
	}
	return "let " + types.ExprString(sel.X) + " be a pointer"
}

func isPointer(t types.Type) bool {
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}
