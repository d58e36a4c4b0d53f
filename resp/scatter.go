package resp

import (
	"context"
	"errors"
	"fmt"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// Phases carries out the commands of each phase in any order, and the phases one after the
// other. There is one Reply per command, as of Pipeline. One server gets all in one write.
// In a cluster each node gets its share of a phase in one.
func (c *Client) Phases(ctx context.Context, phases [][]Command) ([]Reply, error) {
	var all []Command
	for _, cmds := range phases {
		all = append(all, cmds...)
	}
	if c.router == nil {
		return c.Pipeline(ctx, all)
	}
	for _, cmd := range all {
		if len(cmd) == 0 {
			return nil, fmt.Errorf("%w: empty command", ErrTerminal)
		}
	}
	s := c.scatter(ctx, all)
	from := 0
	for _, cmds := range phases {
		s.carryOut(from, from+len(cmds))
		from += len(cmds)
	}
	return s.replies, s.err
}

// A scatter is commands for several nodes under way.
type scatter struct {
	c       *Client
	t       *task // has the context and the budget of all
	cmds    []Command
	slots   []int
	replies []Reply
	askedAt []*pool // of the node that each command was sent to
	err     error   // the first reason why a command has no reply
}

func (c *Client) scatter(ctx context.Context, cmds []Command) *scatter {
	s := &scatter{c: c, cmds: cmds, replies: make([]Reply, len(cmds)), askedAt: make([]*pool, len(cmds)), slots: slotsOf(cmds)}
	s.t = c.begin(ctx, c.only.now(), opPipeline, nil)
	return s
}

// slotsOf returns the slots of commands. One without a key goes where the next one with a
// key goes, or else the last.
func slotsOf(cmds []Command) []int {
	slots := make([]int, len(cmds))
	next := noSlot
	for i := len(cmds) - 1; i >= 0; i-- {
		slots[i] = slotOfCommand(cmds[i])
		if slots[i] == noSlot {
			slots[i] = next
		}
		next = slots[i]
	}
	for i := 1; i < len(slots); i++ {
		if slots[i] == noSlot {
			slots[i] = slots[i-1]
		}
	}
	return slots
}

// inOrder carries out the commands in their order: those of a slot that follow each other
// in one write, because only these move to another node together.
func (s *scatter) inOrder() {
	from := 0
	for i := 1; i <= len(s.cmds); i++ {
		if i == len(s.cmds) || s.slots[i] != s.slots[from] {
			s.carryOut(from, i)
			from = i
		}
	}
}

// carryOut carries out the commands from one to before another, in any order but for those
// of one slot.
func (s *scatter) carryOut(from, to int) {
	groups := s.group(from, to)
	out := make(chan *share, len(groups))
	for _, g := range groups {
		if len(groups) == 1 {
			g.out = out
			g.Run()
			continue
		}
		s.send(g, out)
	}
	for range groups {
		<-out
	}
	for _, g := range groups {
		for k, i := range g.places {
			s.replies[i] = g.reply(k)
			s.askedAt[i] = g.t.p
		}
	}
	for i := from; i < to; i++ {
		s.finish(i)
	}
}

func (s *scatter) send(g *share, out chan *share) {
	g.out = out
	background.Start(g)
}

// group sorts the commands by the node that has their slot now.
func (s *scatter) group(from, to int) []*share {
	m, err := s.t.locate()
	byNode := map[string]*share{}
	var groups []*share
	for i := from; i < to; i++ {
		address := ""
		if err == nil {
			address = m.master(s.slots[i])
		}
		if s.slots[i] == noSlot {
			address = "any"
		}
		g := byNode[address]
		if g == nil {
			g = s.share(s.slots[i])
			byNode[address] = g
			groups = append(groups, g)
		}
		g.places = append(g.places, i)
		g.b.cmds = append(g.b.cmds, s.cmds[i])
	}
	for _, g := range groups {
		g.b.replies = make([]Reply, len(g.b.cmds))
	}
	return groups
}

// share returns an empty share for the node of slot.
func (s *scatter) share(slot int) *share {
	t := s.c.begin(s.t.ctx, s.t.start, opPipeline, nil)
	t.deadline = s.t.deadline
	t.slot = slot
	return &share{t: t, b: &batch{}}
}

// A share is the commands for one node.
type share struct {
	t      *task
	b      *batch
	places []int // of the commands in the scatter
	out    chan *share
	err    error // why commands have no reply
}

// reply returns the reply to command k, or why there is none.
func (g *share) reply(k int) Reply {
	if k < g.b.got {
		return g.b.replies[k]
	}
	return Reply{err: g.err}
}

// Run implements background.Runner.
func (g *share) Run() {
	defer g.deliver()
	g.run()
}

func (g *share) deliver() {
	g.out <- g
}

// run carries out the commands once.
func (g *share) run() {
	g.err = ErrAmbiguous
	err := g.t.attemptAll(g.b)
	if err != nil {
		g.err = err
		g.t.suspect(err)
	}
	g.t.p.count(g.t, err)
}

// finish carries out only command i again, if it was redirected or not carried out.
func (s *scatter) finish(i int) {
	r := s.replies[i]
	err := r.Err()
	redirected := errors.Is(err, errMoved) || errors.Is(err, errAsk)
	if err == nil || r.err == nil && !redirected && !errors.Is(err, errPassing) {
		return
	}
	t := s.c.begin(s.t.ctx, s.t.start, opPipeline, s.cmds[i])
	t.deadline = s.t.deadline
	t.slot = s.slots[i]
	t.uncounted = true
	t.redirected(r)
	t.p = s.askedAt[i]
	if t.again(err) {
		r, err = t.run()
	}
	if err != nil && r.Kind != Error {
		r = Reply{err: err}
	}
	s.replies[i] = r
	if r.err != nil && s.err == nil {
		s.err = r.err
	}
}
