package traefikoidc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// tables has the lists of names that internal/oidc owns. A copy elsewhere drifts.
var tables = []struct {
	name string
	has  func(string) bool
}{
	{"signature algorithms: call oidc.Algorithms or oidc.AssertionAlgorithms", func(s string) bool { return contains(oidc.Algorithms(), s) }},
	{"reserved parameters: call oidc.IsReserved", oidc.IsReserved},
	{"error codes: call oidc.KnownError or oidc.NeedsInteraction", func(s string) bool { return oidc.KnownError(s) != "" }},
}

// copied is the number of names of a table in one list that make it a copy.
const copied = 3

func TestTheTablesOfTheProtocolHaveOneOwner(t *testing.T) {
	for _, s := range sources(t) {
		if !s.plugin() || s.path == "internal/oidc" {
			continue
		}
		for _, f := range s.files {
			for pos, table := range copies(f) {
				t.Errorf("%s: a copy of the %s", s.at(pos), table)
			}
		}
	}
}

// copies returns the literals and cases of f that repeat a table. A map from names to
// texts is no copy.
func copies(f *ast.File) map[token.Pos]string {
	found := map[token.Pos]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		var list []ast.Expr
		switch x := n.(type) {
		case *ast.CompositeLit:
			list = x.Elts
		case *ast.CaseClause:
			list = x.List
		default:
			return true
		}
		for _, table := range tables {
			if namesIn(list, table.has) >= copied {
				found[n.Pos()] = table.name
			}
		}
		return true
	})
	return found
}

func namesIn(list []ast.Expr, has func(string) bool) int {
	n := 0
	for _, e := range list {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			if _, isText := pair.Value.(*ast.BasicLit); isText {
				continue
			}
			e = pair.Key
		}
		if text, ok := e.(*ast.BasicLit); ok && text.Kind == token.STRING {
			if s, err := strconv.Unquote(text.Value); err == nil && has(s) {
				n++
			}
		}
	}
	return n
}

func TestACopyOfATableIsFound(t *testing.T) {
	for _, row := range []struct {
		text  string
		found int
	}{
		{`var a = []string{"RS256", "ES256", "EdDSA"}`, 1},
		{`var a = map[string]bool{"login_required": true, "access_denied": true, "server_error": true}`, 1},
		{`func f(s string) bool { switch s { case "state", "nonce", "scope": return true }; return false }`, 1},
		{`var a = map[string]string{"invalid_scope": "a", "invalid_request": "b", "access_denied": "c"}`, 0},
		{`var a = []string{"state", "nonce"}`, 0},
		{`var a = []string{"openid", "profile", "email"}`, 0},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+row.text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := copies(f); len(got) != row.found {
			t.Errorf("%s: %v, want %d", row.text, got, row.found)
		}
	}
}

// Only internal/oidc reads a token: a second reader would be laxer or stricter.
func TestTokensAreReadByOnePackage(t *testing.T) {
	for _, s := range sources(t) {
		if !s.plugin() || s.path == "internal/oidc" {
			continue
		}
		for _, f := range s.files {
			for _, pos := range splits(f) {
				t.Errorf("%s: this reads the parts of a token: call a function of internal/oidc", s.at(pos))
			}
		}
	}
}

// splits returns the calls of package strings in f that cut a text at full stops, in a
// function that also decodes base64.
func splits(f *ast.File) []token.Pos {
	var found []token.Pos
	for _, d := range f.Decls {
		decodes := false
		var cuts []token.Pos
		ast.Inspect(d, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			decodes = decodes || s.Sel.Name == "DecodeString"
			if id := ident(s.X); id != nil && id.Name == "strings" && len(call.Args) > 1 {
				if sep, ok := call.Args[1].(*ast.BasicLit); ok && (sep.Value == `"."` || sep.Value == `'.'`) {
					cuts = append(cuts, call.Pos())
				}
			}
			return true
		})
		if decodes {
			found = append(found, cuts...)
		}
	}
	return found
}

func TestASecondReaderIsFound(t *testing.T) {
	const before = `func claims(token string) []byte {
	parts := strings.Split(token, ".")
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return b
}`
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+before, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if got := splits(f); len(got) != 1 {
		t.Errorf("found %v", got)
	}
}
