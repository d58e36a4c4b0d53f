package resp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// Pauses between attempts are drawn from zero to a bound that doubles.
const (
	backoffBase = 8 * time.Millisecond
	backoffMost = 512 * time.Millisecond
)

// Every operation that succeeds earns one credit, and a retry costs retryCost, so
// that retries add a tenth to the load in the long run.
const (
	retryCost = 10
	maxCredit = 1000
)

// A task is one operation, with its attempts. p is the pool of the last one.
type task struct {
	c   *Client
	p   *pool
	ctx context.Context
	op  op

	out        []byte // the bytes to send
	repeatable bool   // sending it twice does no harm

	start    time.Duration
	deadline time.Duration
	tried    int   // attempts that failed
	held     *conn // for the first attempt; nil: none
	proof    bool  // the next connection must prove itself first

	// Of a cluster:
	slot      int    // that the node must have, or noSlot
	target    string // the address that a redirect named; empty: that of the slot
	asking    bool   // the node has not got the slot for good
	redirect  Reply  // of the last attempt
	redirects int
	uncounted bool // it is part of one that is counted
}

// begin returns the task of an operation that began at start and sends args.
func (c *Client) begin(ctx context.Context, start time.Duration, o op, args []string) *task {
	t := &task{c: c, p: c.only, ctx: ctx, op: o, start: start, deadline: start + c.budget, slot: noSlot}
	if len(args) > 0 {
		t.out = appendCommand(nil, args)
		t.repeatable = isRepeatable(args)
		if c.router != nil {
			t.slot = slotOfCommand(args)
		}
	}
	t.bound()
	return t
}

// bound ends the budget with the context.
func (t *task) bound() {
	d, ok := t.ctx.Deadline()
	if !ok {
		return
	}
	if end := d.Sub(t.p.epoch); end < t.deadline {
		t.deadline = end
	}
}

// extend sets another budget than the usual.
func (t *task) extend(d time.Duration) {
	t.deadline = t.start + d
	t.bound()
}

// run carries the operation out, in one attempt or several, and counts it.
func (t *task) run() (Reply, error) {
	r, err := t.attempt()
	return t.rest(r, err)
}

// resume goes on with an attempt that was begun on x. It failed with err, or n
// bytes of the reply are in x.in. With a negative n, x has sent nothing yet. A
// nil x has no attempt, and perhaps err.
func (t *task) resume(x *conn, n int, err error) (Reply, error) {
	if x == nil && err != nil {
		return t.rest(Reply{}, err)
	}
	if x == nil || n < 0 {
		t.held = x
		return t.run()
	}
	var r Reply
	if err == nil {
		r, err = x.resume(n)
	}
	if err != nil {
		return t.rest(r, t.lost(x, err))
	}
	return t.rest(r, t.done(x, r))
}

// rest makes the attempts after the first. The result is ambiguous if the reply to
// one was lost, even if the last one was not sent.
func (t *task) rest(r Reply, err error) (Reply, error) {
	unsure := errors.Is(err, ErrAmbiguous)
	for err != nil && t.again(err) {
		r, err = t.attempt()
		unsure = unsure || errors.Is(err, ErrAmbiguous)
	}
	if unsure && errors.Is(err, ErrNotSent) {
		err = fmt.Errorf("%w: %w", ErrAmbiguous, err)
	}
	if !t.uncounted {
		t.p.count(t, err)
	}
	return r, err
}

// attempt carries the operation out once.
func (t *task) attempt() (Reply, error) {
	x, err := t.connect()
	if err != nil {
		return Reply{}, err
	}
	if t.asking {
		return t.attemptAsking(x)
	}
	var got [1]Reply
	if _, err := x.ask(t.out, got[:]); err != nil {
		return Reply{}, t.lost(x, err)
	}
	return got[0], t.done(x, got[0])
}

// connect takes a connection for an attempt, if there is time left for one.
func (t *task) connect() (*conn, error) {
	x := t.held
	t.held = nil
	err := t.ctx.Err()
	if err == nil && t.deadline <= t.p.now() {
		err = context.DeadlineExceeded
	}
	if err != nil {
		if x != nil {
			t.p.put(x)
		}
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if x != nil {
		t.p.arm(x, t.deadline)
		return x, nil
	}
	if t.c.router != nil {
		if err := t.aim(); err != nil {
			return nil, err
		}
	}
	return t.p.take(t.ctx, t.deadline, t.proof)
}

// lost closes a connection that did not bring the reply.
func (t *task) lost(x *conn, err error) error {
	t.p.drop(x, &t.p.stats.broken)
	if errors.Is(err, ErrProtocol) && !errors.Is(err, errOutOfStep) {
		return err
	}
	if errors.Is(err, errOutOfStep) {
		t.p.manners.proof.Store(proofUnknown) // another server may be at the address
	}
	t.proof = true
	return fmt.Errorf("%w: %w", ErrAmbiguous, err)
}

// done gives a connection back after a reply.
func (t *task) done(x *conn, r Reply) error {
	if r.Kind != Error {
		t.p.put(x)
		return nil
	}
	t.redirected(r)
	why := refused(string(r.Str))
	if why.poison {
		t.p.drop(x, &t.p.stats.broken)
	} else {
		t.p.put(x)
	}
	return why.err
}

// again decides whether there is another attempt, and pauses before it.
func (t *task) again(err error) bool {
	if t.c.router != nil {
		if errors.Is(err, errMoved) || errors.Is(err, errAsk) {
			return t.follow(err)
		}
		t.suspect(err)
	}
	t.tried++
	if t.tried > t.c.o.MaxRetries || t.ctx.Err() != nil || !t.mayRepeat(err) {
		return false
	}
	if t.tried == 1 && (errors.Is(err, io.EOF) || errors.Is(err, errOutOfStep)) {
		return true // a connection that had died idle costs neither pause nor credit
	}
	return t.p.spend() && t.pause()
}

// mayRepeat reports whether a repetition does no harm and has a prospect.
func (t *task) mayRepeat(err error) bool {
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrPoolTimeout) || errors.Is(err, ErrTerminal) {
		return false
	}
	if errors.Is(err, ErrAmbiguous) {
		return t.repeatable
	}
	return errors.Is(err, ErrNotSent) || errors.Is(err, errPassing)
}

// pause waits for a random time that grows with the attempts. It returns false
// when the budget would be over by then, or the caller gave up.
func (t *task) pause() bool {
	most := backoffMost
	if t.tried < 6 {
		most = backoffBase << t.tried
	}
	d := time.Duration(rand.Int63n(int64(most))) + time.Millisecond
	if d >= t.deadline-t.p.now() {
		return false
	}
	return background.Pause(t.ctx, d)
}

// spend takes the cost of a retry from the credit.
func (p *pool) spend() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.credit < retryCost {
		return false
	}
	p.credit -= retryCost
	return true
}
