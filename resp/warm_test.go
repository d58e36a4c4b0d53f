package resp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

func TestEveryMethodIsTouched(t *testing.T) {
	touched, err := os.ReadFile("warm.go")
	if err != nil {
		t.Fatal(err)
	}
	packages, err := parser.ParseDir(token.NewFileSet(), ".", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range packages["resp"].Files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil {
				continue
			}
			if n := strings.Count(string(touched), "."+f.Name.Name+",") + strings.Count(string(touched), "."+f.Name.Name+")"); n == 0 {
				t.Errorf("%s: method %s is missing in warm.go", name, f.Name.Name)
			}
		}
	}
}
