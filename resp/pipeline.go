package resp

import (
	"context"
	"fmt"
)

// Pipeline implements Doer. Commands that were sent and have no reply are sent
// again only if repeating does no harm to any of them.
func (c *Client) Pipeline(ctx context.Context, cmds []Command) ([]Reply, error) {
	b := &batch{replies: make([]Reply, len(cmds)), cmds: cmds}
	for _, cmd := range cmds {
		if len(cmd) == 0 {
			return nil, fmt.Errorf("%w: empty command", ErrTerminal)
		}
	}
	if len(cmds) == 0 {
		return b.replies, nil
	}
	if c.router != nil {
		s := c.scatter(ctx, cmds)
		s.inOrder()
		return s.replies, s.err
	}
	t := c.begin(ctx, c.only.now(), opPipeline, nil)
	err := t.attemptAll(b)
	for err != nil && t.again(err) {
		err = t.attemptAll(b)
	}
	t.p.count(t, err)
	for i := b.got; i < len(cmds); i++ {
		b.replies[i].err = err
	}
	return b.replies, err
}

// A batch is a pipeline under way.
type batch struct {
	cmds    []Command
	replies []Reply
	got     int // the number of cmds that have their reply
}

// attemptAll carries out the commands that have no reply.
func (t *task) attemptAll(b *batch) error {
	x, err := t.connect()
	if err != nil {
		return err
	}
	out := x.out[:0]
	for _, cmd := range b.cmds[b.got:] {
		out = appendCommand(out, cmd)
	}
	n, err := x.ask(out, b.replies[b.got:])
	from := b.got
	b.got += n
	if err != nil {
		t.repeatable = b.repeatable()
		return t.lost(x, err)
	}
	for i := from; i < b.got; i++ {
		if b.replies[i].Kind == Error && refused(string(b.replies[i].Str)).poison {
			t.p.drop(x, &t.p.stats.broken)
			return nil
		}
	}
	t.p.put(x)
	return nil
}

// repeatable reports whether the commands that have no reply may be sent again.
func (b *batch) repeatable() bool {
	for _, cmd := range b.cmds[b.got:] {
		if !isRepeatable(cmd) {
			return false
		}
	}
	return true
}
