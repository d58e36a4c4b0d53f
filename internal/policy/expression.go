package policy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strconv"
	"strings"
)

const (
	// maxExpression bounds an expression, in bytes.
	maxExpression = 4096
	// maxNesting bounds the depth of parentheses and of ! in an expression.
	maxNesting = 32
)

// A truth is the value of an expression. A matcher is unknown if its claim is absent. So
// is every expression that depends on it; a ! does not change that.
type truth int

const (
	unknown truth = iota
	no
	yes
)

// Steps of an expression that are not matchers.
const (
	stepNot = -1 - iota
	stepAnd
	stepOr
)

// An expression is the compiled text of a rule's require: its matchers and operators in
// postfix order. A step from 0 on is the index of a matcher in the language.
type expression struct {
	steps []int
}

// A language holds the matchers that expressions use, each once, so that 200 rules that
// ask for the same group evaluate it once for each session.
type language struct {
	rules     *Rules
	providers []string // that Provider may name; nil: any
	matchers  []*matcher
	sources   map[string]*source
	index     map[string]int // of a matcher, by its kind and values
}

// A parsing is the parsing of one expression.
type parsing struct {
	l     *language
	file  *token.FileSet
	out   *expression
	fault string // the first one
}

// parse compiles an expression. The second result is empty, or names an error in the text
// and its byte, counted from 1.
//
// The syntax is that of Go expressions (go/parser): calls of matchers with strings,
// joined by &&, || and !, where && binds tighter than ||.
func (l *language) parse(text string) (*expression, string) {
	if len(text) > maxExpression {
		return nil, fmt.Sprintf("is longer than %d bytes", maxExpression)
	}
	p := &parsing{l: l, file: token.NewFileSet(), out: &expression{}}
	tree, err := parser.ParseExprFrom(p.file, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, syntaxFault(err)
	}
	p.compile(tree, 0)
	if p.fault != "" {
		return nil, p.fault
	}
	return p.out, ""
}

// syntaxFault describes an error of the standard library's parser.
func syntaxFault(err error) string {
	list, ok := err.(scanner.ErrorList)
	if !ok || len(list) == 0 {
		return "is no expression"
	}
	first := list[0]
	text := strings.ReplaceAll(first.Msg, "'EOF'", "the end")
	if strings.Contains(text, "rune literal") || strings.Contains(text, "string literal") || strings.Contains(text, "escape") {
		text += "; write a value between backquotes, such as Group(`admins`)"
	}
	return fmt.Sprintf("at byte %d: %s", first.Pos.Column, text)
}

// fail records the first error, with its position.
func (p *parsing) fail(at token.Pos, text string) {
	if p.fault == "" {
		p.fault = fmt.Sprintf("at byte %d: %s", p.file.Position(at).Column, text)
	}
}

const expressionHint = "an expression has matchers such as Group(`admins`), joined by && and ||, with ! and parentheses"

// compile appends the steps of a tree. Depth counts the parentheses and ! around it.
func (p *parsing) compile(tree ast.Expr, depth int) {
	if p.fault != "" {
		return
	}
	if depth > maxNesting {
		p.fail(tree.Pos(), fmt.Sprintf("is nested more than %d deep", maxNesting))
		return
	}
	if inner, ok := tree.(*ast.ParenExpr); ok {
		p.compile(inner.X, depth+1)
		return
	}
	if call, ok := tree.(*ast.CallExpr); ok {
		p.call(call)
		return
	}
	if not, ok := tree.(*ast.UnaryExpr); ok && not.Op == token.NOT {
		p.compile(not.X, depth+1)
		p.out.steps = append(p.out.steps, stepNot)
		return
	}
	two, ok := tree.(*ast.BinaryExpr)
	if !ok {
		p.fail(tree.Pos(), expressionHint)
		return
	}
	step := stepAnd
	if two.Op == token.LOR {
		step = stepOr
	} else if two.Op != token.LAND {
		p.fail(two.OpPos, two.Op.String()+" is no operator here: "+expressionHint)
		return
	}
	p.compile(two.X, depth)
	p.compile(two.Y, depth)
	p.out.steps = append(p.out.steps, step)
}

// call appends the step of a matcher.
func (p *parsing) call(call *ast.CallExpr) {
	name, ok := call.Fun.(*ast.Ident)
	if !ok {
		p.fail(call.Pos(), expressionHint)
		return
	}
	if fault := matcherFault(name.Name); fault != "" {
		p.fail(call.Pos(), fault)
		return
	}
	if call.Ellipsis != token.NoPos {
		p.fail(call.Ellipsis, "... is not known here")
		return
	}
	var values []string
	for _, arg := range call.Args {
		literal, ok := arg.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			p.fail(arg.Pos(), "a value of "+name.Name+" must be a text between backquotes or double quotes")
			return
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			p.fail(arg.Pos(), "a value of "+name.Name+" is no text")
			return
		}
		if strings.TrimSpace(value) == "" {
			p.fail(arg.Pos(), "a value of "+name.Name+" is empty, and would match nothing")
			return
		}
		values = append(values, value)
	}
	m, bad, fault := p.l.matcher(name.Name, values)
	if fault != "" {
		at := call.Rparen
		if bad < len(call.Args) {
			at = call.Args[bad].Pos()
		}
		p.fail(at, fault)
		return
	}
	p.out.steps = append(p.out.steps, m)
}

// value returns the value of the expression, given those of the language's matchers.
func (e *expression) value(matchers []truth) truth {
	if len(e.steps) == 1 {
		return matchers[e.steps[0]]
	}
	var stack []truth
	for _, step := range e.steps {
		if step >= 0 {
			stack = append(stack, matchers[step])
			continue
		}
		last := len(stack) - 1
		top := stack[last]
		if step == stepNot {
			stack[last] = opposite(top)
			continue
		}
		stack = stack[:last]
		stack[last-1] = join(step, stack[last-1], top)
	}
	return stack[0]
}

// join returns the value of a && b or a || b in three-valued logic. It is unknown only if
// an unknown operand could change it.
func join(step int, a, b truth) truth {
	decisive := no
	if step == stepOr {
		decisive = yes
	}
	if a == decisive || b == decisive {
		return decisive
	}
	if a == unknown || b == unknown {
		return unknown
	}
	return opposite(decisive)
}

func opposite(t truth) truth {
	if t == unknown {
		return unknown
	}
	return yes + no - t
}
