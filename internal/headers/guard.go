package headers

import (
	"errors"
	"fmt"
	"strings"
	"text/template/parse"
)

// A guard walks the parsed form of a template. It refuses actions that could run long
// or put out more than the data, and records the claims that are read. It passes every
// value of the output through a function of this package, so that no value can end the
// header.
type guard struct {
	claims []string
	token  bool // the value being checked contains a token
}

// scope describes the surroundings of a node.
type scope struct {
	moved   bool // the dot is not the data
	looping bool
}

func (g *guard) list(l *parse.ListNode, s scope) error {
	if l == nil {
		return nil
	}
	for _, n := range l.Nodes {
		if err := g.node(n, s); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) node(n parse.Node, s scope) error {
	switch n.Type() {
	case parse.NodeText:
		if !printable(string(n.(*parse.TextNode).Text)) {
			return errors.New("has a line break or other characters than printable ASCII outside its templates")
		}
	case parse.NodeComment, parse.NodeBreak, parse.NodeContinue:
	case parse.NodeAction:
		return g.action(n.(*parse.ActionNode), s)
	case parse.NodeIf:
		b := n.(*parse.IfNode)
		return g.branch(b.Pipe, b.List, b.ElseList, []scope{s, s, s})
	case parse.NodeWith:
		b := n.(*parse.WithNode)
		return g.branch(b.Pipe, b.List, b.ElseList, []scope{s, {moved: true, looping: s.looping}, s})
	case parse.NodeRange:
		if s.looping {
			return errors.New("has a range within a range")
		}
		b := n.(*parse.RangeNode)
		if err := g.branch(b.Pipe, b.List, b.ElseList, []scope{s, {moved: true, looping: true}, s}); err != nil {
			return err
		}
		call(b.Pipe, "elements")
	default:
		return errors.New("includes a template")
	}
	return nil
}

// branch checks a condition, the part after it, and the part after its else, each in
// its scope.
func (g *guard) branch(p *parse.PipeNode, then, otherwise *parse.ListNode, s []scope) error {
	if err := g.pipe(p, s[0]); err != nil {
		return err
	}
	if err := g.list(then, s[1]); err != nil {
		return err
	}
	return g.list(otherwise, s[2])
}

// action checks a value of the output. A value with a token in it must stay as it is,
// and goes through verbatim. Any other goes through encode or encodeElement, unless
// urlquery or join encoded it already.
func (g *guard) action(a *parse.ActionNode, s scope) error {
	g.token = false
	if err := g.pipe(a.Pipe, s); err != nil {
		return err
	}
	if len(a.Pipe.Decl) > 0 {
		return nil
	}
	final := a.Pipe.Cmds[len(a.Pipe.Cmds)-1].Args[0].String()
	if g.token || final == "urlquery" || final == "join" {
		call(a.Pipe, "verbatim")
		return nil
	}
	if s.looping {
		call(a.Pipe, "encodeElement")
		return nil
	}
	call(a.Pipe, "encode")
	return nil
}

// call appends a function of this package to a pipeline.
func call(p *parse.PipeNode, function string) {
	p.Cmds = append(p.Cmds, &parse.CommandNode{
		NodeType: parse.NodeCommand, Pos: p.Pos, Args: []parse.Node{parse.NewIdentifier(function).SetPos(p.Pos)},
	})
}

func (g *guard) pipe(p *parse.PipeNode, s scope) error {
	for _, c := range p.Cmds {
		g.noteFunction(c)
		for _, arg := range c.Args {
			if err := g.arg(arg, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *guard) arg(n parse.Node, s scope) error {
	switch n.Type() {
	case parse.NodeIdentifier:
		if name := n.(*parse.IdentifierNode).Ident; !allowedFunctions[name] {
			return fmt.Errorf("calls %s, which is not allowed here", name)
		}
	case parse.NodeField:
		if !s.moved {
			return g.field(n.(*parse.FieldNode).Ident)
		}
	case parse.NodeVariable:
		if v := n.(*parse.VariableNode).Ident; v[0] == "$" && len(v) > 1 {
			return g.field(v[1:])
		}
	case parse.NodeChain:
		return g.arg(n.(*parse.ChainNode).Node, s)
	case parse.NodePipe:
		return g.pipe(n.(*parse.PipeNode), s)
	}
	return nil
}

// field checks a path that begins at the data.
func (g *guard) field(path []string) error {
	switch path[0] {
	case "Claims":
		if len(path) > 1 {
			g.claims = append(g.claims, strings.Join(path[1:], "."))
		}
	case "AccessToken", "IDToken", "IdToken", "RefreshToken":
		g.token = true
		if len(path) > 1 {
			return fmt.Errorf("asks a token for %s", path[1])
		}
	default:
		return fmt.Errorf("reads .%s: known are .Claims, .AccessToken, .IDToken, .RefreshToken", path[0])
	}
	return nil
}

// noteFunction records the claim that index, get or claim reads.
func (g *guard) noteFunction(c *parse.CommandNode) {
	if len(c.Args) < 3 || c.Args[2].Type() != parse.NodeString {
		return
	}
	name := c.Args[2].(*parse.StringNode).Text
	switch c.Args[0].String() + " " + c.Args[1].String() {
	case "claim $", "index .Claims", "get .Claims", "index $.Claims", "get $.Claims":
		g.claims = append(g.claims, name)
	}
}
