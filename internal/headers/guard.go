package headers

import (
	"errors"
	"fmt"
	"strings"
	"text/template/parse"
)

// A guard walks the parsed form of a template: it refuses what could run long or
// say more than the data, notes the claims that are read, and makes every value
// that is put out pass one of our functions, so that nothing reaches the header
// that could end it.
type guard struct {
	claims []string
	token  bool // the value that is being checked has a token in it
}

// scope says what surrounds a node.
type scope struct {
	moved   bool // the dot is no longer the data
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

// branch checks a condition, what follows it, and what follows its else, each in
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

// action checks a value that is put out and sends it through verbatim if it has a
// token in it, which must arrive as it is, else through encode or encodeElement.
// What urlquery and join made is encoded already.
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

// call appends a function of ours to a pipeline.
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

// noteFunction notes the claim that index, get or claim reads.
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
