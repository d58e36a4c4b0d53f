package traefikoidc_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const attackDocument = "docs/attacks.md"

var writeAttacks = flag.Bool("write-attacks", false, "write "+attackDocument+" anew")

// The document names the tests of each attack. It is generated from the names of
// subtests, which begin with their rows ("B14 two codes").
func TestAttackTable(t *testing.T) {
	made := attackTable(attackTests(t, "."))
	if *writeAttacks {
		if err := os.WriteFile(attackDocument, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(attackDocument)
	if err != nil || string(have) != made {
		t.Errorf("%s is out of date: go test -run TestAttackTable . -write-attacks (%v)", attackDocument, err)
	}
}

func TestAttackNames(t *testing.T) {
	dir := t.TempDir()
	text := `package p
func TestJ2Flushed(t *testing.T) {}
func TestIt(t *testing.T) {
	for _, row := range []struct{ name string; n int }{{"C1 one", 1}, {name: "C2 C3 two"}, {"C99 no such row", 2}} {
		t.Run(row.name, nil)
		t.Errorf("C4 %v", row)
	}
	t.Run("C5 "+x, nil)
	t.Run(fmt.Sprintf("C6 %d of %s", n, x), nil)
	for name := range map[string]int{"C7 key": 1} {
		fail(t, "C8", name)
	}
}
`
	if err := os.WriteFile(filepath.Join(dir, "p_test.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range attackTests(t, dir) {
		got = append(got, a.row+"|"+a.test+"|"+a.name)
	}
	sort.Strings(got)
	want := "C1|TestIt|one C2|TestIt|two C3|TestIt|two C5|TestIt|… C6|TestIt|… of … C7|TestIt|key J2|TestJ2Flushed|"
	if strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
}

// An attackTest is one subtest, or all subtests of one line of a table, for one row.
type attackTest struct {
	row, folder, test, name string
}

// attackGroups are the groups of attacks and how many rows each has.
var attackGroups = []struct {
	name, title string
	rows        int
}{
	{"A", "Redirect targets and URLs", 17},
	{"B", "Authorization request and response", 27},
	{"C", "ID tokens", 37},
	{"D", "Discovery and keys", 11},
	{"E", "Token endpoint, userinfo, token refresh", 17},
	{"F", "Sessions and cookies", 24},
	{"G", "Headers to the backend", 13},
	{"H", "Public paths and access rules", 21},
	{"I", "Logout", 7},
	{"BL", "Logout by the provider", 22},
	{"J", "Redis and replicas", 17},
	{"K", "Availability, leakage, bearer tokens", 19},
	{"L", "Found by trying", 51},
}

// Reasons that rows have no test.
const (
	noBearer = ": access tokens of other clients are not taken in this version"
)

// untested are rows without a test, each with its subject and the reason. A row that
// has a test by now needs no reason.
var untested = map[string]string{
	"K10": "any token accepted" + noBearer, "K11": "tokens of another kind" + noBearer, "K12": "tokens in the query" + noBearer,
	"K13": "a token and a session at once" + noBearer, "K14": "introspection that lies" + noBearer, "K15": "a flood of tokens" + noBearer,
	"K16": "tokens at the callback and the logout" + noBearer,
}

var (
	attackName = regexp.MustCompile(`^((?:(?:BL|[A-L])[0-9]+ )+)(.*)$`)
	attackFunc = regexp.MustCompile(`^Test((?:BL|[A-L])[0-9]+)[A-Z]`)
	verb       = regexp.MustCompile(`%[-+#0-9.]*[a-zA-Z]`)
)

// attackTests reads the tests below root.
func attackTests(t *testing.T, root string) []attackTest {
	t.Helper()
	known := map[string]bool{}
	for _, g := range attackGroups {
		for n := 1; n <= g.rows; n++ {
			known[g.name+strconv.Itoa(n)] = true
		}
	}
	var found []attackTest
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "build") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, a := range attacksOf(file) {
			a.folder = filepath.ToSlash(filepath.Dir(path))
			if known[a.row] {
				found = append(found, a)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func attacksOf(file *ast.File) []attackTest {
	var found []attackTest
	for _, d := range file.Decls {
		test := ""
		if f, ok := d.(*ast.FuncDecl); ok {
			test = f.Name.Name
			if m := attackFunc.FindStringSubmatch(test); m != nil {
				found = append(found, attackTest{row: m[1], test: test})
			}
		}
		var above []ast.Node
		ast.Inspect(d, func(n ast.Node) bool {
			if n == nil {
				above = above[:len(above)-1]
				return true
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && isName(lit, above) {
				for _, a := range namedAfter(lit, above) {
					a.test = test
					found = append(found, a)
				}
			}
			above = append(above, n)
			return true
		})
	}
	return found
}

// isName reports whether a text names a subtest: it is the first argument of Run, or an
// element of a table.
func isName(lit ast.Node, above []ast.Node) bool {
	for i := len(above) - 1; i >= 0; i-- {
		switch n := above[i].(type) {
		case *ast.BinaryExpr:
			if n.X != lit {
				return false
			}
		case *ast.KeyValueExpr, *ast.CompositeLit:
			return true
		case *ast.CallExpr:
			s, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || n.Args[0] != lit || s.Sel.Name != "Run" && s.Sel.Name != "Sprintf" {
				return false
			}
			if s.Sel.Name == "Run" {
				return true
			}
		default:
			return false
		}
		lit = above[i]
	}
	return false
}

// namedAfter returns the rows at the beginning of a name, each with the rest of it.
func namedAfter(lit *ast.BasicLit, above []ast.Node) []attackTest {
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return nil
	}
	if _, joined := above[len(above)-1].(*ast.BinaryExpr); joined {
		text += "…"
	}
	m := attackName.FindStringSubmatch(verb.ReplaceAllString(text, "…"))
	if m == nil {
		return nil
	}
	var found []attackTest
	for _, row := range strings.Fields(m[1]) {
		found = append(found, attackTest{row: row, name: m[2]})
	}
	return found
}

// interpretedTests has the tests that send HTTP requests to the plugin in the
// interpreter.
const interpretedTests = "test/interpreted"

func attackTable(tests []attackTest) string {
	byRow := map[string][]attackTest{}
	for _, a := range tests {
		byRow[a.row] = append(byRow[a.row], a)
	}
	var b, body strings.Builder
	total, plugin := 0, 0
	var apart, none []string
	for _, g := range attackGroups {
		fmt.Fprintf(&body, "\n## %s. %s\n\n| row | tests in | test | cases |\n|---|---|---|---|\n", g.name, g.title)
		for n := 1; n <= g.rows; n++ {
			row := g.name + strconv.Itoa(n)
			total++
			switch {
			case len(byRow[row]) == 0:
				none = append(none, row)
				fmt.Fprintf(&body, "| %s | none | | %s |\n", row, untested[row])
				continue
			case throughThePlugin(byRow[row]):
				plugin++
			default:
				apart = append(apart, row)
			}
			for _, line := range attackLines(byRow[row]) {
				fmt.Fprintf(&body, "| %s | %s |\n", row, line)
			}
		}
	}
	fmt.Fprintf(&b, `# Attacks and their tests

Each row lists the tests that fail without its defence. The defences themselves are in [security.md](security.md).

| rows | tests |
|---|---|
| %d of %d | requests to the plugin over HTTP, in the interpreter as Traefik runs it, under the race detector (%s) |
| %d | only elsewhere, in one package or in a real Traefik (`+"`test/e2e`"+`): %s |
| %d | none: %s |

This page is generated from the names of the tests by `+"`go test -run TestAttackTable . -write-attacks`"+`. A test fails when it is
out of date.
`, plugin, total, "`"+interpretedTests+"`", len(apart), "`"+strings.Join(apart, " ")+"`", len(none), "`"+strings.Join(none, " ")+"`")
	return b.String() + body.String()
}

func throughThePlugin(tests []attackTest) bool {
	for _, a := range tests {
		if a.folder == interpretedTests {
			return true
		}
	}
	return false
}

// attackLines returns a row's tests, those of the interpreted plugin first, with the
// cases of one function in one line.
func attackLines(tests []attackTest) []string {
	cases := map[string][]string{}
	for _, a := range tests {
		rank := "1"
		if a.folder == interpretedTests {
			rank = "0"
		}
		key := rank + "`" + a.folder + "` | " + a.test
		cases[key] = append(cases[key], strings.ReplaceAll(a.name, "|", `\|`))
	}
	var keys []string
	for k := range cases {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for i, k := range keys {
		keys[i] = k[1:] + " | " + strings.Join(cases[k], "<br>")
	}
	return keys
}
