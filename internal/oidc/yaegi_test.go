package oidc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestMethodsAreKnownAtLoad: yaegi.go is the last file that the interpreter
// reads, and names each type that has methods.
func TestMethodsAreKnownAtLoad(t *testing.T) {
	noTests := func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), ".", noTests, 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("yaegi.go")
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range packages["oidc"].Files {
		if name > "yaegi.go" {
			t.Errorf("%s is read after yaegi.go", name)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil {
				continue
			}
			typ, pointer := f.Recv.List[0].Type, false
			if star, is := typ.(*ast.StarExpr); is {
				typ, pointer = star.X, true
			}
			ident := typ.(*ast.Ident).Name
			want := "_ any = (*" + ident + ")(nil)"
			if !pointer {
				want = "_ any = " + ident
			}
			if !strings.Contains(string(list), want) {
				t.Errorf("yaegi.go does not say: %s", want)
			}
		}
	}
}
