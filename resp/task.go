package resp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"time"
)

const (
	backoffBase = 8 * time.Millisecond
	backoffMost = 512 * time.Millisecond
)

// A task is one operation on one server, with its attempts.
type task struct {
	c   *Client
	p   *pool
	ctx context.Context
	op  op

	out        []byte
	repeatable bool

	start    int64
	deadline int64
	tried    int  // attempts that failed
	proof    bool // the next connection must prove itself
}

// begin starts the budget of an operation.
func (c *Client) begin(ctx context.Context, o op, p *pool) *task {
	now := p.now()
	return &task{c: c, p: p, ctx: ctx, op: o, start: now, deadline: c.deadline(ctx, now)}
}

// deadline is the end of a budget that begins now.
func (c *Client) deadline(ctx context.Context, now int64) int64 {
	end := now + int64(c.o.OperationTimeout)
	if at, ok := ctx.Deadline(); ok {
		if d := int64(at.Sub(c.epoch)); d < end {
			return d
		}
	}
	return end
}

// run carries the command out, once or more often, and counts it.
func (t *task) run() (Reply, error) {
	for {
		r, err := t.attempt()
		if err == nil || !t.again(err) {
			t.p.count(t.op, t.start, t.tried, err)
			return r, err
		}
	}
}

// attempt carries the command out once.
func (t *task) attempt() (Reply, error) {
	if err := t.ctx.Err(); err != nil {
		return Reply{}, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	x, err := t.p.take(t.ctx, t.deadline, t.proof)
	if err != nil {
		return Reply{}, err
	}
	var got [1]Reply
	n, err := x.ask(t.out, got[:])
	if n == 0 {
		return Reply{}, t.lost(x, err)
	}
	return got[0], t.done(x, got[0])
}

// lost gives up a connection that brought no reply.
func (t *task) lost(x *conn, err error) error {
	t.p.drop(x, &t.p.stats.broken)
	if errors.Is(err, ErrProtocol) {
		return err
	}
	if errors.Is(err, io.EOF) {
		t.proof = true
	}
	return fmt.Errorf("%w: %w", ErrAmbiguous, err)
}

// done gives a connection back after a reply.
func (t *task) done(x *conn, r Reply) error {
	if r.Kind != Error {
		t.p.put(x)
		return nil
	}
	why := refused(string(r.Str))
	if why.poison {
		t.p.drop(x, &t.p.stats.broken)
	} else {
		t.p.put(x)
	}
	return why.err
}

// again decides whether the command is sent once more, and pauses before it.
func (t *task) again(err error) bool {
	t.tried++
	if t.tried > t.c.o.MaxRetries || t.ctx.Err() != nil || !t.mayRepeat(err) {
		return false
	}
	if t.proof && errors.Is(err, io.EOF) && t.tried == 1 {
		return true
	}
	if !t.c.spend() {
		return false
	}
	return t.pause()
}

// mayRepeat reports whether a repetition is safe and has a prospect.
func (t *task) mayRepeat(err error) bool {
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrPoolTimeout) {
		return false
	}
	if errors.Is(err, ErrNotSent) {
		return true
	}
	if errors.Is(err, ErrAmbiguous) {
		return t.repeatable
	}
	return errors.Is(err, ErrLoading) || errors.Is(err, ErrBusy) || errors.Is(err, ErrReadOnly) ||
		errors.Is(err, ErrMasterDown) || errors.Is(err, errClusterDown) || errors.Is(err, errTryAgain)
}

// pause waits a random while that grows with the attempts. It returns false
// when the budget would be over then, or the caller gave up.
func (t *task) pause() bool {
	most := backoffBase << t.tried
	if most > backoffMost {
		most = backoffMost
	}
	d := time.Duration(rand.Int63n(int64(most))) + time.Millisecond
	if int64(d) >= t.deadline-t.p.now() {
		return false
	}
	ctx, cancel := context.WithTimeout(t.ctx, d)
	<-ctx.Done()
	cancel()
	return t.ctx.Err() == nil
}

// spend takes the cost of a retry from the client's credit.
func (c *Client) spend() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.credit < retryCost {
		return false
	}
	c.credit -= retryCost
	return true
}
