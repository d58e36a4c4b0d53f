package traefikoidc_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The tests depend on no machine's speed. They wait until a condition is true, and
// assert orders and numbers. TestNoTestDependsOnSpeed refuses a sleep that is not the
// pause of a loop which checks a condition, and waits for an event that end within
// seconds. It refuses each comparison of a measured time: internal/eventually has the only
// loop that ends by one.

// paced are the exceptions, each with the reason: a file, or a function in a file.
var paced = map[string]string{
	"test/model":                               "its time is simulated, and passes at once",
	"test/bench":                               "make bench measures",
	"test/e2e/soak_test.go":                    "make soak: what comes between outages is time",
	"test/e2e/streams_test.go answers":         "the pace of a stream",
	"test/interpreted/cost_test.go costLittle": "the least of many tries is compared with the least of as many others: a busy machine makes it longer",
	"test/replicas/revocation_test.go BenchmarkALogoutIsKnownElsewhere":      "make bench-logout measures",
	"test/interpreted/limits_test.go TestLimits":                             "a rate lets more through the longer the test takes, and never less",
	"test/interpreted/backchannel_effect_test.go TestTheWayToTheBackChannel": "a rate lets more through the longer the test takes, and never less",
}

// leastEnd is the shortest time, in seconds, after which a wait for an event may end.
const leastEnd = 30

// A haste is a place in a test that depends on the speed of the machine.
type haste struct {
	pos  token.Pos
	text string
}

func TestNoTestDependsOnSpeed(t *testing.T) {
	fset := token.NewFileSet()
	folders := map[string][]*ast.File{}
	used := map[string]bool{}
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
		if !strings.HasSuffix(name, "_test.go") && !(strings.HasPrefix(name, "test/") && strings.HasSuffix(name, ".go")) {
			return nil
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		folders[filepath.Dir(name)] = append(folders[filepath.Dir(name)], f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, files := range folders {
		for _, h := range hastes(files) {
			at := fset.Position(h.pos)
			if place := excused(filepath.ToSlash(at.Filename), h.text); place != "" {
				used[place] = true
				continue
			}
			t.Errorf("%s:%d: %s", at.Filename, at.Line, h.text)
		}
	}
	for place, why := range paced {
		if !used[place] {
			t.Errorf("%s needs no excuse any more (%s)", place, why)
		}
	}
}

// excused returns the entry of paced for a place.
func excused(file, text string) string {
	function, _, _ := strings.Cut(text, ":")
	for _, place := range []string{file + " " + function, file, filepath.Dir(file)} {
		if paced[place] != "" {
			return place
		}
	}
	return ""
}

// hastes finds them in the files of a package.
func hastes(files []*ast.File) []haste {
	p := &pace{fields: map[string]bool{}, functions: map[string][]bool{}, variables: map[*ast.FuncDecl]map[string]bool{}}
	var all []*ast.FuncDecl
	for _, f := range files {
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
				all = append(all, d)
				p.variables[d] = map[string]bool{}
			}
		}
	}
	// A time that one function measures, another returns or compares.
	for known := -1; known != p.known; {
		known = p.known
		for _, d := range all {
			p.learn(d)
		}
	}
	for _, d := range all {
		p.search(d)
	}
	return p.found
}

// A pace has the names of a package with a measured time: its fields, the results of its
// functions and the variables of each function.
type pace struct {
	fields    map[string]bool
	functions map[string][]bool
	variables map[*ast.FuncDecl]map[string]bool
	known     int // how many names there are
	found     []haste
}

// learn adds the names of a function, and of the functions in it.
func (p *pace) learn(d *ast.FuncDecl) {
	in := p.variables[d]
	ast.Inspect(d.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key := ident(n.Key); key != nil && p.measured(n.Value, in) {
				p.holds(key, p.fields)
			}
		case *ast.AssignStmt:
			p.assigned(n.Lhs, n.Rhs, in)
		case *ast.ValueSpec:
			var names []ast.Expr
			for _, name := range n.Names {
				names = append(names, name)
			}
			p.assigned(names, n.Values, in)
		case *ast.RangeStmt:
			if n.Value != nil && p.measured(n.X, in) {
				p.holds(n.Value, in)
			}
		}
		return true
	})
	if p.functions[d.Name.Name] != nil || d.Type.Results == nil || !hasDuration(d.Type.Results) || !p.measured(d.Body, in) {
		return
	}
	var results []bool
	for _, r := range d.Type.Results.List {
		results = append(results, hasDuration(r.Type))
		for i := 1; i < len(r.Names); i++ {
			results = append(results, hasDuration(r.Type))
		}
	}
	p.functions[d.Name.Name] = results
	p.known++
}

// assigned gives the names on the left the measured times on the right.
func (p *pace) assigned(to, from []ast.Expr, in map[string]bool) {
	if len(from) == 1 && len(to) > 1 {
		call, ok := from[0].(*ast.CallExpr)
		if !ok {
			return
		}
		for i, isTime := range p.functions[called(call)] {
			if isTime && i < len(to) {
				p.holds(to[i], in)
			}
		}
		return
	}
	for i, e := range from {
		if holdsTime(e) && p.measured(e, in) {
			p.holds(to[i], in)
		}
	}
}

// holds adds the name on the left of an assignment: a variable, a field, or an element of
// one.
func (p *pace) holds(to ast.Expr, in map[string]bool) {
	switch x := to.(type) {
	case *ast.Ident:
		if x.Name != "_" && !in[x.Name] {
			in[x.Name] = true
			p.known++
		}
	case *ast.SelectorExpr:
		p.holds(x.Sel, p.fields)
	case *ast.IndexExpr:
		p.holds(x.X, in)
	case *ast.StarExpr:
		p.holds(x.X, in)
	}
}

// search examines a function.
func (p *pace) search(d *ast.FuncDecl) {
	in := p.variables[d]
	var around []ast.Node
	say := func(n ast.Node, text string) {
		p.found = append(p.found, haste{n.Pos(), d.Name.Name + ": " + text})
	}
	ast.Inspect(d, func(n ast.Node) bool {
		if n == nil {
			around = around[:len(around)-1]
			return true
		}
		switch x := n.(type) {
		case *ast.CallExpr:
			if isNamed(x.Fun, "time", "Sleep") && !isPause(around) {
				say(x, "a sleep waits for nothing: ask until it is so")
			}
		case *ast.BinaryExpr:
			if isOrder(x.Op) && (p.measured(x.X, in) || p.measured(x.Y, in)) {
				say(x, "how long something takes is for make bench and make soak: assert order and counts")
			}
		case *ast.UnaryExpr:
			if call, ok := x.X.(*ast.CallExpr); ok && x.Op == token.ARROW && isNamed(call.Fun, "time", "After") && !isPause(around) && !endsLate(around, call) {
				say(x, fmt.Sprintf("a wait that ends within %d s ends too early on a busy machine", leastEnd))
			}
		}
		around = append(around, n)
		return true
	})
}

// measured reports whether n contains a measured time: from the clock, or from a name
// that holds one.
func (p *pace) measured(n ast.Node, in map[string]bool) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.CallExpr:
			if id := ident(x.Fun); id != nil && (id.Name == "len" || id.Name == "cap") {
				return false
			}
			found = found || isNamed(x.Fun, "time", "Since") || isNamed(x.Fun, "time", "Until") || p.functions[called(x)] != nil
			if s, ok := x.Fun.(*ast.SelectorExpr); ok {
				now, isCall := s.X.(*ast.CallExpr)
				found = found || s.Sel.Name == "Sub" && isCall && isNamed(now.Fun, "time", "Now")
			}
		case *ast.KeyValueExpr: // its key is no variable
			found = found || p.measured(x.Value, in)
			return false
		case *ast.SelectorExpr:
			found = found || p.fields[x.Sel.Name] || p.measured(x.X, in)
			return false
		case *ast.Ident:
			found = found || in[x.Name]
		}
		return !found
	})
	return found
}

// called is the name of the function or method of a call.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// hasDuration reports whether a type is or contains time.Duration.
func hasDuration(t ast.Node) bool {
	found := false
	ast.Inspect(t, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && isNamed(e, "time", "Duration") {
			found = true
		}
		return !found
	})
	return found
}

// holdsTime reports whether e is still a time, rather than the result of a call with
// one.
func holdsTime(e ast.Expr) bool {
	_, isLiteral := e.(*ast.FuncLit)
	_, isComposite := e.(*ast.CompositeLit)
	return !isLiteral && !isComposite
}

// isPause reports whether the inside of around is in a loop that checks a condition.
// Such a loop ends when the condition is true, and not after a number of rounds.
func isPause(around []ast.Node) bool {
	for i := len(around) - 1; i >= 0; i-- {
		switch x := around[i].(type) {
		case *ast.FuncLit, *ast.FuncDecl, *ast.RangeStmt:
			return false
		case *ast.ForStmt:
			return leaves(x)
		}
	}
	return false
}

// leaves reports whether a loop ends when a condition is true.
func leaves(loop *ast.ForStmt) bool {
	_, counts := loop.Post.(*ast.IncDecStmt)
	found := loop.Cond != nil && !(counts && isCount(loop.Cond)) && !isClock(loop.Cond)
	ast.Inspect(loop.Body, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			found = true
		case *ast.BranchStmt:
			found = found || x.Tok == token.BREAK
		}
		return true
	})
	return found
}

// isCount reports whether a condition is only a bound of rounds.
func isCount(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && isOrder(b.Op)
}

// isClock reports whether a condition only compares the time.
func isClock(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && (s.Sel.Name == "Before" || s.Sel.Name == "After")
}

// endsLate reports whether time.After is one of several events, and comes late.
func endsLate(around []ast.Node, call *ast.CallExpr) bool {
	for i := len(around) - 1; i >= 0; i-- {
		if _, ok := around[i].(*ast.CommClause); ok {
			seconds, known := inSeconds(call.Args[0])
			return !known || seconds >= leastEnd
		}
		if _, ok := around[i].(*ast.BlockStmt); ok {
			return false
		}
	}
	return false
}

// inSeconds returns the value of a time that is written as a number of units.
func inSeconds(e ast.Expr) (float64, bool) {
	units := map[string]float64{"Microsecond": 1e-6, "Millisecond": 1e-3, "Second": 1, "Minute": 60, "Hour": 3600}
	switch x := e.(type) {
	case *ast.SelectorExpr:
		unit, ok := units[x.Sel.Name]
		return unit, ok
	case *ast.BinaryExpr:
		n, isNumber := x.X.(*ast.BasicLit)
		unit, ok := inSeconds(x.Y)
		if !isNumber || !ok || x.Op != token.MUL {
			return 0, false
		}
		value, err := strconv.ParseFloat(n.Value, 64)
		return value * unit, err == nil
	}
	return 0, false
}

func isOrder(op token.Token) bool {
	return op == token.LSS || op == token.LEQ || op == token.GTR || op == token.GEQ
}

func isNamed(e ast.Expr, from, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id := ident(s.X)
	return id != nil && id.Name == from && s.Sel.Name == name
}

func TestWhatDependsOnSpeedIsFound(t *testing.T) {
	for _, row := range []struct {
		name, text string
		found      int
	}{
		{"a sleep", `func f() { time.Sleep(time.Second) }`, 1},
		{"a sleep between rounds", `func f() { for i := 0; i < 3; i++ { g(); time.Sleep(1) } }`, 1},
		{"a sleep in a range", `func f() { for range 20 { g(); time.Sleep(1) } }`, 1},
		{"a sleep in a goroutine of a loop", `func f() { for { go func() { time.Sleep(1) }(); if g() { break } } }`, 1},
		{"a loop that asks", `func f() { for !g() { time.Sleep(1) } }`, 0},
		{"a loop that asks, with an end of its own", `func f() { for { if g() { return }; if time.Since(a) > limit { t.Fatal() }; time.Sleep(1) } }`, 1},
		{"a bound that is tried again", `func f() { for { if h() < limit { return }; if g() { break } } }; func h() time.Duration { return time.Since(a) }`, 1},
		{"a bound of what a goroutine measures", `func f() time.Duration { s := x; together(func() { s = min(s, time.Since(a)) }); return s }; func h() { if f() < bound { t.Error() } }`, 1},
		{"a bound of a list of a field", `func f() { k.lives = append(k.lives, time.Since(a)) }; func l() []time.Duration { return append([]time.Duration(nil), k.lives...) }; func h() { for _, life := range l() { if life < bound { return } } }`, 1},
		{"a bound of one of two results", `func f() (time.Duration, int) { return time.Since(a), 1 }; func h() { took, status := f(); if took > bound || status > 200 { t.Error() } }`, 1},
		{"how many times were measured", `func f() { for g() { took = append(took, time.Since(a)) }; if len(took) > 3 { t.Error() } }`, 0},
		{"a loop that asks, and ends by itself", `func f() { for i := 0; i < 9; i++ { if g() { t.Fatal(); return }; time.Sleep(1) } }`, 0},
		{"a loop that asks the time alone", `func f() { for time.Now().Before(end) { g(); time.Sleep(1) } }`, 1},
		{"a loop that asks so often", `func f() { for i := 0; i < 9 && !g(); i++ { time.Sleep(1) } }`, 0},
		{"a bound", `func f() { if time.Since(a) > time.Second { t.Error() } }`, 1},
		{"a bound of a variable", `func f() { took := time.Since(a); t.Log(took); if took >= limit { t.Error() } }`, 1},
		{"a bound of a list", `func f() { for g() { took = append(took, time.Since(a)) }; if took[1] > bound { t.Error() } }`, 1},
		{"a bound of a field", `func f() *s { return &s{took: time.Since(a)} }; func h(x *s) bool { return x.took < bound }`, 1},
		{"a bound of a result", `func f() time.Duration { return time.Since(a) }; func h() { if f() < bound { t.Error() } }`, 1},
		{"a bound of a difference", `func f() { if time.Now().Sub(a) < bound { t.Error() } }`, 1},
		{"a measured time in the log", `func f() { t.Log(time.Since(a)); n := g(); if n > 3 { t.Error() } }`, 0},
		{"times of a clock that a test turns", `func f() { if b.Sub(a) < bound { t.Error() } }`, 0},
		{"a wait", `func f() { <-time.After(time.Minute) }`, 1},
		{"a wait for an event that ends early", `func f() { select { case <-c: case <-time.After(5 * time.Second): t.Fatal() } }`, 1},
		{"a wait for an event", `func f() { select { case <-c: case <-time.After(time.Minute): t.Fatal() } }`, 0},
		{"a wait for an event, with a name", `func f() { select { case <-c: case <-time.After(limit): t.Fatal() } }`, 0},
		{"a loop that asks and hears", `func f() { for !g() { select { case <-c: case <-time.After(time.Millisecond): } } }`, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\n"+row.text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if got := hastes([]*ast.File{f}); len(got) != row.found {
				t.Errorf("found %v, want %d", got, row.found)
			}
		})
	}
}
