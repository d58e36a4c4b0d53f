package traefikoidc_test

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/traefikoidc/traefikoidc"

// arrows has the packages of the plugin that each package may import; "." is the root,
// and every package may import internal/background. A folder that is not a key is no
// package of the plugin.
var arrows = map[string]string{
	".": "internal/config internal/registry internal/logfile internal/auth internal/admin internal/oidc internal/policy internal/headers internal/texts " +
		"session cache cache/redis cache/hybrid resp circuitbreaker",
	"internal/auth":       "session internal/policy internal/headers internal/oidc internal/places internal/texts cache internal/chain",
	"internal/admin":      "",
	"session":             "cache",
	"cache":               "",
	"cache/redis":         "cache resp circuitbreaker",
	"cache/hybrid":        "cache cache/redis resp circuitbreaker",
	"internal/policy":     "internal/oidc internal/spelling",
	"internal/headers":    "internal/oidc",
	"internal/registry":   "",
	"internal/config":     "internal/headers internal/texts internal/policy internal/oidc internal/spelling",
	"internal/spelling":   "",
	"internal/texts":      "",
	"resp":                "",
	"circuitbreaker":      "",
	"internal/oidc":       "internal/places",
	"internal/places":     "",
	"internal/logfile":    "",
	"internal/chain":      "",
	"internal/background": "",
}

// support has the packages of tests, examples and their servers. The plugin may not
// import them, and they need not load in the interpreter.
var support = []string{"internal/oidctest", "internal/resptest", "internal/traefiktest", "internal/firstuse", "internal/eventually", "internal/freeport", "cache/cachetest", "internal/policy/policytest", "examples", "test", "scripts"}

// quiet packages do not log; they return or count. Only the handler logs.
var quiet = strings.Fields("resp circuitbreaker cache cache/redis cache/hybrid session internal/oidc internal/policy internal/headers internal/places internal/background internal/chain internal/texts internal/spelling")

// theVariable is the one package variable that changes, because Traefik calls New
// again and again.
const theVariable = "internal/registry.Shared"

// A source has the files of one package, without the tests.
type source struct {
	path  string // below the module; "." is the root
	fset  *token.FileSet
	files []*ast.File

	pkg     *types.Package
	info    types.Info
	trouble []error // the reasons that it does not compile
}

func (s *source) plugin() bool {
	_, known := arrows[s.path]
	return known
}

// imports returns the paths that s imports, each with one place that does.
func (s *source) imports() map[string]token.Pos {
	m := map[string]token.Pos{}
	for _, f := range s.files {
		for _, i := range f.Imports {
			m[strings.Trim(i.Path.Value, `"`)] = i.Pos()
		}
	}
	return m
}

// at returns a position in a form that a reader can look up.
func (s *source) at(p token.Pos) string {
	q := s.fset.Position(p)
	return fmt.Sprintf("%s:%d", filepath.ToSlash(q.Filename), q.Line)
}

var (
	once   sync.Once
	loaded []*source
	failed error
)

// sources returns the packages of the module; those of the plugin are type-checked.
func sources(t *testing.T) []*source {
	t.Helper()
	once.Do(func() {
		if loaded, failed = readModule(); failed == nil {
			failed = checkTypes(loaded)
		}
	})
	if failed != nil {
		t.Fatal(failed)
	}
	return loaded
}

// readModule parses the files of this module's packages, without the tests.
func readModule() ([]*source, error) {
	fset := token.NewFileSet()
	byPath := map[string]*source{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipForeign(name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir := filepath.Dir(name)
		if ok, err := build.Default.MatchFile(dir, filepath.Base(name)); !ok || err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p := filepath.ToSlash(dir)
		if byPath[p] == nil {
			byPath[p] = &source{path: p, fset: fset}
		}
		byPath[p].files = append(byPath[p].files, f)
		return nil
	})
	var all []*source
	for _, s := range byPath {
		all = append(all, s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].path < all[j].path })
	return all, err
}

// skipForeign leaves out the directories that are not of this module.
func skipForeign(dir string) error {
	base := filepath.Base(dir)
	if dir == "." {
		return nil
	}
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" || base == "build" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// A checker type-checks packages of the plugin as they are imported.
type checker struct {
	byPath map[string]*source
	std    types.Importer
}

func checkTypes(all []*source) error {
	c := &checker{byPath: map[string]*source{}}
	std := map[string]bool{}
	for _, s := range all {
		if s.plugin() {
			c.byPath[full(s.path)] = s
			for p := range s.imports() {
				std[p] = !strings.HasPrefix(p, module)
			}
		}
	}
	var err error
	if c.std, err = compiled(std); err != nil {
		return err
	}
	for p := range c.byPath {
		c.check(p)
	}
	return nil
}

// compiled imports packages of the standard library from the compiler's cache. Reading
// their sources would take longer than the rest of the test.
func compiled(paths map[string]bool) (types.Importer, error) {
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for p, wanted := range paths {
		if wanted {
			args = append(args, p)
		}
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := map[string]string{}
	for _, line := range strings.Split(string(out), "\n") {
		if p, file, ok := strings.Cut(line, "\t"); ok {
			exports[p] = file
		}
	}
	lookup := func(p string) (io.ReadCloser, error) { return os.Open(exports[p]) }
	return importer.ForCompiler(token.NewFileSet(), "gc", lookup), nil
}

// Import implements types.Importer.
func (c *checker) Import(p string) (*types.Package, error) {
	if s := c.byPath[p]; s != nil {
		return c.check(p), nil
	}
	if strings.HasPrefix(p, module) {
		return nil, fmt.Errorf("%s is no package of the plugin", p)
	}
	return c.std.Import(p)
}

func (c *checker) check(p string) *types.Package {
	s := c.byPath[p]
	if s.pkg == nil {
		s.typeCheck(p, c)
	}
	return s.pkg
}

func (s *source) typeCheck(p string, from types.Importer) {
	s.info = types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{}, Instances: map[*ast.Ident]types.Instance{},
	}
	conf := types.Config{Importer: from, Error: func(err error) { s.trouble = append(s.trouble, err) }}
	s.pkg, _ = conf.Check(p, s.fset, s.files, &s.info) // the errors are in s.trouble
}

func TestEveryPackageHasItsPlace(t *testing.T) {
	for _, s := range sources(t) {
		if !s.plugin() && !isSupport(s.path) {
			t.Errorf("%s: this package is neither in the table of arrows nor test support", s.path)
		}
	}
}

func isSupport(p string) bool {
	for _, dir := range support {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, s := range sources(t) {
		for p, at := range s.imports() {
			if wrong := wrongArrow(s.path, p); wrong != "" {
				t.Errorf("%s: %s imports %s: %s", s.at(at), s.path, p, wrong)
			}
		}
	}
}

// wrongArrow returns the reason that the package from may not import p.
func wrongArrow(from, p string) string {
	to, ours := below(p)
	allowed, plugin := arrows[from]
	switch {
	case to == ".":
		return "nobody imports the root"
	case !plugin:
		return ""
	case !ours && strings.Contains(strings.Split(p, "/")[0], "."):
		return "the plugin has the standard library alone"
	case ours && isSupport(to):
		return "the plugin does not import test support"
	case ours && to != "internal/background" && !contains(strings.Fields(allowed), to):
		return "the design has no such arrow"
	case contains(quiet, from) && (p == "log" || strings.HasPrefix(p, "log/")):
		return "the handler logs, this package returns"
	}
	return ""
}

// below returns the path of one of the module's packages, below the module.
func below(p string) (string, bool) {
	if p == module {
		return ".", true
	}
	rest := strings.TrimPrefix(p, module+"/")
	return rest, rest != p
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

func TestAWrongArrowIsSeen(t *testing.T) {
	for _, row := range []struct {
		from, to string
		ok       bool
	}{
		{".", module + "/internal/config", true},
		{".", module + "/internal/oidctest", false},
		{"internal/auth", module + "/session", true},
		{"internal/auth", module + "/internal/config", false},
		{"session", module + "/internal/auth", false},
		{"session", module + "/resp", false},
		{"cache/redis", module + "/resp", true},
		{"cache", module + "/resp", false},
		{"cache/redis", module + "/cache/hybrid", false},
		{"cache", module + "/cache/cachetest", false},
		{"resp", module + "/internal/background", true},
		{"resp", module + "/cache", false},
		{"resp", "log/slog", false},
		{"session", "log", false},
		{"internal/auth", "log/slog", true},
		{"internal/registry", module, false},
		{"examples/demo", module, false},
		{"examples/demo", module + "/internal/oidctest", true},
		{"resp", "golang.org/x/net/proxy", false},
		{"resp", "crypto/tls", true},
	} {
		if wrong := wrongArrow(row.from, row.to); (wrong == "") != row.ok {
			t.Errorf("%s imports %s: %q", row.from, row.to, wrong)
		}
	}
}

func TestGoModRequiresNothing(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(strings.Fields(string(b)), " "), "module "+module+" go 1.20"; got != want {
		t.Errorf("go.mod says %q, want %q: Traefik gives the plugin its sources and nothing else", got, want)
	}
}

func TestOnePackageVariableChanges(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if !s.plugin() {
			continue
		}
		for _, f := range changes(s) {
			if seen[f.what] = true; f.what != theVariable {
				t.Errorf("%s: the package variable %s %s", s.at(f.pos), f.what, f.text)
			}
		}
	}
	if !seen[theVariable] {
		t.Errorf("%s is not there, or not seen to change", theVariable)
	}
}

// A change is a place where a package variable is or may be changed.
type change struct {
	pos        token.Pos
	what, text string
}

// changes finds the package variables of s with a type that can hold changing state. It
// also finds all writes in s to package variables of any package.
func changes(s *source) []change {
	var found []change
	for id, o := range s.info.Defs {
		if v, ok := o.(*types.Var); ok && isPackageVar(v) && v.Name() != "_" {
			if why := changeable(v.Type(), map[types.Type]bool{}); why != "" {
				found = append(found, change{id.Pos(), nameOf(v), "holds " + why})
			}
		}
	}
	for _, f := range s.files {
		ast.Inspect(f, func(n ast.Node) bool {
			for text, targets := range written(s, n) {
				for _, e := range targets {
					if v := s.packageVar(e); v != nil {
						found = append(found, change{n.Pos(), nameOf(v), text})
					}
				}
			}
			return true
		})
	}
	return found
}

// written returns the expressions that the node n writes to, by the kind of write.
func written(s *source, n ast.Node) map[string][]ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		return map[string][]ast.Expr{"is assigned to": n.Lhs}
	case *ast.IncDecStmt:
		return map[string][]ast.Expr{"is counted": {n.X}}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return map[string][]ast.Expr{"is assigned to": {n.Key, n.Value}}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return map[string][]ast.Expr{"has its address taken": {n.X}}
		}
	case *ast.CallExpr:
		return writtenByCall(s, n)
	}
	return nil
}

func writtenByCall(s *source, call *ast.CallExpr) map[string][]ast.Expr {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		if _, ok := s.info.Uses[fun].(*types.Builtin); ok && contains([]string{"delete", "copy", "clear"}, fun.Name) {
			return map[string][]ast.Expr{"is changed by " + fun.Name: call.Args[:1]}
		}
	case *ast.SelectorExpr:
		sel := s.info.Selections[fun]
		if sel == nil || sel.Kind() != types.MethodVal {
			return nil
		}
		_, byPointer := sel.Obj().Type().(*types.Signature).Recv().Type().(*types.Pointer)
		if _, isPointer := sel.Recv().(*types.Pointer); byPointer && !isPointer {
			return map[string][]ast.Expr{"has its address taken by " + fun.Sel.Name: {fun.X}}
		}
	}
	return nil
}

// packageVar returns the package variable that e is, or is a part of.
func (s *source) packageVar(e ast.Expr) *types.Var {
	for e != nil {
		switch x := e.(type) {
		case *ast.Ident:
			return isOne(s.info.Uses[x])
		case *ast.SelectorExpr:
			if s.info.Selections[x] == nil { // a variable of another package
				return isOne(s.info.Uses[x.Sel])
			}
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
	return nil
}

func isOne(o types.Object) *types.Var {
	if v, ok := o.(*types.Var); ok && isPackageVar(v) {
		return v
	}
	return nil
}

func isPackageVar(v *types.Var) bool {
	return v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
}

func nameOf(v *types.Var) string {
	p, _ := below(v.Pkg().Path())
	return p + "." + v.Name()
}

// constant are types of the standard library that do not change once made.
var constant = regexp.MustCompile(`^(regexp\.Regexp|(text|html)/template\.Template|encoding/base(32|64)\.Encoding|math/big\.Int|strings\.Replacer|` +
	`net/url\.URL|net\.IPNet|net/netip\.\w+|time\.(Time|Location)|crypto/elliptic\.\w+)$`)

// changeable returns the part of a variable of type t that may change while others read
// it. A map or a slice is a table unless code writes to it.
func changeable(t types.Type, seen map[types.Type]bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if n, ok := t.(*types.Named); ok && n.Obj().Pkg() != nil {
		full := n.Obj().Pkg().Path() + "." + n.Obj().Name()
		if constant.MatchString(full) {
			return ""
		}
		if _, ours := below(n.Obj().Pkg().Path()); !ours && !types.IsInterface(t) && holdsState(t.Underlying()) {
			return "a " + full
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		return "a channel"
	case *types.Pointer:
		return changeable(u.Elem(), seen)
	case *types.Map:
		return changeable(u.Elem(), seen)
	case *types.Slice:
		return changeable(u.Elem(), seen)
	case *types.Array:
		return changeable(u.Elem(), seen)
	case *types.Struct:
		for i := 0; i < u.NumFields(); i++ {
			if why := changeable(u.Field(i).Type(), seen); why != "" {
				return why
			}
		}
	}
	return ""
}

// holdsState reports whether a type of the standard library is more than a value.
func holdsState(t types.Type) bool {
	_, isStruct := t.(*types.Struct)
	_, isChan := t.(*types.Chan)
	return isStruct || isChan
}
