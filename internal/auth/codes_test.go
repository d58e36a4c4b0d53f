package auth

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestCodesAreDocumented compares the codes that the log can have with the rows of
// docs/troubleshooting.md.
func TestCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n## By code\n")
	section, _, ended := strings.Cut(after, "\n## ")
	if !found || !ended {
		t.Fatal("the document has no section By code")
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(section, -1) {
		if documented[row[1]] {
			t.Errorf("%s has two rows", row[1])
		}
		documented[row[1]] = true
	}
	codes := codesInSources(t)
	if len(codes) < 30 {
		t.Fatalf("found %d codes only: %v", len(codes), codes)
	}
	for code := range codes {
		if !documented[code] {
			t.Errorf("docs/troubleshooting.md has no row for the code %s", code)
		}
	}
	for code := range documented {
		if !codes[code] {
			t.Errorf("docs/troubleshooting.md has a row for %s, which is no code", code)
		}
	}
}

// codesInSources returns the codes of all failures, but of pages that report success.
func codesInSources(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			for _, code := range codesOf(t, n) {
				codes[code] = true
			}
			return true
		})
	}
	delete(codes, "callback_") // of badCallback itself
	delete(codes, "signed_out")
	return codes
}

// codesOf returns the codes that a node of the sources gives a failure.
func codesOf(t *testing.T, n ast.Node) []string {
	t.Helper()
	if literal, ok := n.(*ast.CompositeLit); ok {
		if name, ok := literal.Type.(*ast.Ident); ok && name.Name == "failure" && len(literal.Elts) > 0 {
			return []string{codeOf(t, literal)}
		}
	}
	if call, ok := n.(*ast.CallExpr); ok {
		if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "badCallback" {
			if problem, ok := call.Args[0].(*ast.BasicLit); ok {
				return []string{"callback_" + unquote(t, problem)}
			}
		}
	}
	if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "parseAnswer" {
		return problemsOf(t, f)
	}
	return nil
}

// codeOf returns the code of a literal of type failure.
func codeOf(t *testing.T, literal *ast.CompositeLit) string {
	t.Helper()
	for i, e := range literal.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			if pair.Key.(*ast.Ident).Name != "code" {
				continue
			}
			e = pair.Value
		} else if i != 1 {
			continue
		}
		if sum, ok := e.(*ast.BinaryExpr); ok {
			e = sum.X
		}
		if name, ok := e.(*ast.Ident); ok && name.Name == "callbackCode" {
			return callbackCode
		}
		return unquote(t, e)
	}
	t.Fatal("a failure has no code")
	return ""
}

// problemsOf returns the codes that parseAnswer returns: constants, or a constant
// before the name of each parameter of its loop.
func problemsOf(t *testing.T, f *ast.FuncDecl) []string {
	t.Helper()
	var names, codes []string
	ast.Inspect(f, func(n ast.Node) bool {
		if loop, ok := n.(*ast.RangeStmt); ok {
			for _, e := range loop.X.(*ast.CompositeLit).Elts {
				names = append(names, unquote(t, e))
			}
		}
		return true
	})
	ast.Inspect(f, func(n ast.Node) bool {
		out, ok := n.(*ast.ReturnStmt)
		if !ok {
			return true
		}
		problem := out.Results[1]
		if sum, ok := problem.(*ast.BinaryExpr); ok {
			for _, name := range names {
				codes = append(codes, "callback_"+unquote(t, sum.X)+name)
			}
		} else if text := unquote(t, problem); text != "" {
			codes = append(codes, "callback_"+text)
		}
		return true
	})
	return codes
}

func unquote(t *testing.T, e ast.Expr) string {
	t.Helper()
	literal, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("a code is no constant, but %T: teach this test to read it", e)
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
