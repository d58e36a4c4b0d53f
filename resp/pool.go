package resp

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

const (
	// proofPeriod is how long a connection is trusted to be in step with its
	// server before it must prove it.
	proofPeriod = int64(time.Second)
	// sweepPeriod is how often idle connections are looked through.
	sweepPeriod = time.Second
	// maxDials is the most connections being opened at a time.
	maxDials = 4
	// dialPause is how long after a failed dial none is tried as long as other
	// connections serve.
	dialPause = int64(100 * time.Millisecond)
	// maxSlack is how much earlier than asked a deadline may strike at most, so
	// that it need not be set for every exchange.
	maxSlack = int64(50 * time.Millisecond)
)

// A pool keeps the connections to one server. Idle ones are used last in, first
// out, so that those not needed grow old; whoever waits is served in order. An
// operation never opens a connection itself: one is opened in the background
// for whoever waits first by then, so that giving up wastes nothing.
type pool struct {
	o     Options
	epoch time.Time // all times are nanoseconds since then
	slack int64     // how much earlier than asked a deadline may strike

	mu       sync.Mutex // guards the fields below
	top      *conn      // the idle connection that was used last
	idle     int
	queue    *list.List // of *waiter
	waiting  int        // length of queue
	open     int        // turns taken: idle, in use, being opened
	dialling int
	refused  int64 // when the last dial failed
	lastErr  error // of the last dial; nil after one that succeeded
	sweeper  *time.Timer
	closed   bool
	odd      bool // what giveBack does is not enough
	credit   int  // for retries
	stats    tally
	records  []*record // by op
}

func newPool(o Options) *pool {
	p := &pool{o: o, epoch: time.Now(), queue: list.New(), credit: maxCredit, odd: o.Now != nil}
	p.slack = int64(o.budget() / 8)
	if p.slack > maxSlack {
		p.slack = maxSlack
	}
	for i := 0; i < int(ops); i++ {
		p.records = append(p.records, &record{buckets: make([]uint64, 65)})
	}
	return p
}

// now is real time as an offset from epoch.
func (p *pool) now() int64 {
	return int64(time.Since(p.epoch))
}

// clock is the time by which connections age.
func (p *pool) clock() int64 {
	if p.o.Now != nil {
		return int64(p.o.Now().Sub(p.epoch))
	}
	return int64(time.Since(p.epoch))
}

// take returns a connection that is armed until deadline. With proof, an idle
// one must prove itself however recently it was used.
func (p *pool) take(ctx context.Context, deadline int64, proof bool) (*conn, error) {
	for {
		x := p.pop()
		if x == nil {
			break
		}
		if p.examine(x, deadline, proof) {
			return x, nil
		}
		p.drop(x, &p.stats.stale)
	}
	x, err := p.wait(ctx, deadline)
	if err != nil {
		return nil, err
	}
	x.arm(deadline)
	return x, nil
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.popLocked()
}

func (p *pool) popLocked() *conn {
	x := p.top
	if x != nil {
		p.top = x.next
		p.idle--
	}
	return x
}

// examine reports whether x may be used, after asking it where that is due.
func (p *pool) examine(x *conn, deadline int64, proof bool) bool {
	if p.aged(x, p.clock()) {
		return false
	}
	x.arm(deadline)
	if !x.clean() {
		return false
	}
	if p.now() < x.due && !proof {
		return true
	}
	if x.prove() != nil {
		return false
	}
	p.trust(x)
	return true
}

// trust sets when x must prove itself again.
func (p *pool) trust(x *conn) {
	x.used = p.clock()
	x.due = p.now() + proofPeriod
}

// put takes x back after an exchange that went well.
func (p *pool) put(x *conn) {
	p.mu.Lock()
	if p.closed || !x.clean() {
		p.mu.Unlock()
		p.drop(x, &p.stats.broken)
		return
	}
	x.used = p.clock()
	x.fresh = p.now() + trustPeriod
	p.releaseLocked(x)
	p.mu.Unlock()
}

// releaseLocked gives x to whoever waits first, or lets it idle.
func (p *pool) releaseLocked(x *conn) {
	if p.waiting > 0 {
		p.nextLocked().deliver(x, nil)
		return
	}
	x.next = p.top
	p.top = x
	p.idle++
}

// drop closes x and frees its turn.
func (p *pool) drop(x *conn, counter *uint64) {
	x.close()
	p.mu.Lock()
	*counter++
	p.open--
	p.dialLocked()
	p.mu.Unlock()
}

// wait queues until a connection is handed over, at most until deadline and at
// most Options.PoolTimeout.
func (p *pool) wait(ctx context.Context, deadline int64) (*conn, error) {
	limit := time.Duration(deadline - p.now())
	if limit > p.o.PoolTimeout {
		limit = p.o.PoolTimeout
	}
	w := &waiter{p: p, c: make(chan grant, 1)}
	if err := p.enqueue(w); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(bounded, w.expire)
	g := <-w.c
	stop()
	if g.expired {
		return nil, p.expired(ctx)
	}
	return g.x, g.err
}

// enqueue makes w wait, and has a connection opened for it where there is a turn.
func (p *pool) enqueue(w *waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.waiting >= p.o.MaxWaiting {
		return fmt.Errorf("%w: %d operations wait already", ErrPoolTimeout, p.waiting)
	}
	p.startLocked()
	w.place = p.queue.PushBack(w)
	p.waiting++
	if x := p.popLocked(); x != nil {
		p.nextLocked().deliver(x, nil)
		return nil
	}
	p.dialLocked()
	return nil
}

// expired says why a waiter got nothing.
func (p *pool) expired(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.timeouts++
	state := fmt.Sprintf("%d open, %d idle, %d waiting", p.open, p.idle, p.waiting)
	if p.lastErr != nil {
		return fmt.Errorf("%w (%s): last dial: %w", ErrPoolTimeout, state, p.lastErr)
	}
	return fmt.Errorf("%w (%s)", ErrPoolTimeout, state)
}

// nextLocked takes the first waiter out of the queue, which is not empty.
func (p *pool) nextLocked() *waiter {
	w := p.queue.Remove(p.queue.Front()).(*waiter)
	w.served = true
	p.waiting--
	return w
}

// dialLocked opens connections while there are waiters without a prospect and
// turns to take.
func (p *pool) dialLocked() {
	for !p.closed && p.dialling < p.waiting && p.dialling < maxDials && p.open < p.o.PoolSize {
		if p.lastErr != nil && p.open > p.dialling && p.now()-p.refused < dialPause {
			return
		}
		p.openLocked()
	}
}

func (p *pool) openLocked() {
	p.open++
	p.dialling++
	background.Start(&opening{p: p})
}

// close ends the pool. Connections in use are closed when they come back.
func (p *pool) close() {
	p.mu.Lock()
	x := p.top
	p.top = nil
	p.open -= p.idle
	p.idle = 0
	p.closed, p.odd = true, true
	for p.waiting > 0 {
		p.nextLocked().deliver(nil, ErrClosed)
	}
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	p.mu.Unlock()
	closeAll(x)
}

// closeAll closes x and the connections below it.
func closeAll(x *conn) {
	for x != nil {
		x.close()
		x = x.next
	}
}
