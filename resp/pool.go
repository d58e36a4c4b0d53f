package resp

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

const (
	// freshPeriod is how long after its last use a connection carries a command
	// without a proof that it is in step with its server. A stray reply goes
	// unnoticed only if it comes within that time.
	freshPeriod = 5 * time.Millisecond
	// provedPeriod is how long a connection in steady use needs no proof, and
	// how much too early its deadline may be.
	provedPeriod = 50 * time.Millisecond
	// proofPeriod is how long a connection may idle and still be given a command
	// at once.
	proofPeriod = time.Second
	// sweepPeriod is the time between two checks of the idle connections.
	sweepPeriod = time.Second
	// maxDials is the most connections being opened at a time.
	maxDials = 4
	// dialPause is the pause after a failed dial while other connections serve.
	dialPause = 100 * time.Millisecond
)

// A pool keeps the connections to one server. Idle ones are used last in, first
// out, so that those not needed grow old. Waiters are served in order. An
// operation never opens a connection itself. One is opened in the background
// for the waiter that is first by then, so that giving up wastes nothing.
type pool struct {
	o        Options
	epoch    time.Time     // all times are offsets from it
	span     time.Duration // the usual time for an exchange
	window   time.Duration // how long a proof and a deadline hold
	patience time.Duration // how long to wait for a connection
	manners  *manners

	obsolete atomic.Int64 // connections opened before this time, by now, are too old

	mu        sync.Mutex // guards the fields below
	top       *conn      // the idle connection that was used last
	queue     []*waiter
	waiting   int  // length of queue
	patrolled bool // a patrol will come
	open      int  // connections that are idle, in use or being opened
	dialling  int
	latest    *stage        // of the opening that began last; nil: none did
	refused   time.Duration // when the last dial failed
	lastErr   error         // of the last dial; nil after one that succeeded
	sweeper   *time.Timer
	closed    bool
	odd       bool // a connection that is given back is not just pushed
	credit    int  // for retries
	stats     tally
	records   []*record // by op

	gets, sets, setNXs []uint64 // record.fine of these
}

// newPool returns a pool that counts times from epoch.
func newPool(o Options, epoch time.Time) *pool {
	p := &pool{o: o, epoch: epoch, credit: maxCredit, odd: o.Now != nil, manners: newManners()}
	p.span = o.budget()
	p.window = provedPeriod
	if p.window > p.span/8 {
		p.window = p.span / 8
	}
	p.patience = p.span
	if p.patience > o.PoolTimeout {
		p.patience = o.PoolTimeout
	}
	for i := 0; i < int(ops); i++ {
		p.records = append(p.records, newRecord())
	}
	p.gets, p.sets, p.setNXs = p.records[opGet].fine, p.records[opSet].fine, p.records[opSetNX].fine
	return p
}

// now is real time as an offset from epoch.
func (p *pool) now() time.Duration {
	return time.Since(p.epoch)
}

// clock is the time by which connections age.
func (p *pool) clock() time.Duration {
	if p.o.Now != nil {
		return p.o.Now().Sub(p.epoch)
	}
	return time.Since(p.epoch)
}

// take returns a connection that is armed until deadline. With proof, an idle
// one must prove itself however recently it was used. If one does not, all others
// are closed too, because they idled longer, and a new one is opened.
func (p *pool) take(ctx context.Context, deadline time.Duration, proof bool) (*conn, error) {
	for {
		x := p.pop()
		if x == nil {
			break
		}
		fit := p.examine(x, deadline, proof)
		if fit == fitForUse {
			return x, nil
		}
		p.drop(x, &p.stats.stale)
		if fit == unprovenConn {
			p.dropIdle()
		}
	}
	x, err := p.wait(ctx, deadline)
	if err != nil {
		return nil, err
	}
	if deadline <= p.now() {
		p.put(x)
		return nil, fmt.Errorf("%w: %w", ErrNotSent, context.DeadlineExceeded)
	}
	p.arm(x, deadline)
	return x, nil
}

// dropIdle closes the idle connections.
func (p *pool) dropIdle() {
	p.mu.Lock()
	x := p.top
	n := p.idleLocked()
	p.top = nil
	p.open -= n
	p.stats.stale += uint64(n)
	p.mu.Unlock()
	closeAll(x)
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.popLocked()
}

func (p *pool) idleLocked() int {
	n := 0
	for x := p.top; x != nil; x = x.next {
		n++
	}
	return n
}

func (p *pool) popLocked() *conn {
	x := p.top
	if x != nil {
		p.top = x.next
	}
	return x
}

// The results of examine.
const (
	fitForUse    = iota
	agedConn     // too old, or out of step
	unprovenConn // it did not prove itself
)

// examine says whether x may be used. It requests a proof where that is due. It waits
// for one a quarter of an operation's time at most, so that the rest suffices for another
// connection.
func (p *pool) examine(x *conn, deadline time.Duration, proof bool) int {
	if p.aged(x, p.clock()) || !x.clean() {
		return agedConn
	}
	now := p.now()
	if now < x.due && !proof {
		p.arm(x, deadline)
		return fitForUse
	}
	at := now + p.span/4
	if at > deadline {
		at = deadline
	}
	p.arm(x, at)
	if x.prove() != nil {
		p.manners.proof.Store(proofUnknown)
		return unprovenConn
	}
	p.arm(x, deadline)
	return fitForUse
}

// arm gives x the deadline of the command that it is about to carry.
func (p *pool) arm(x *conn, deadline time.Duration) {
	now := p.now()
	window := p.window
	if usual := now + p.span; deadline > usual || deadline < usual-window {
		window = 0 // too late or too soon for the operations that follow
	}
	x.used = p.clock()
	x.arm(deadline, now, window)
}

// put takes x back after an exchange that went well.
func (p *pool) put(x *conn) {
	p.mu.Lock()
	if p.closed || !x.clean() {
		p.mu.Unlock()
		p.drop(x, &p.stats.broken)
		return
	}
	old := p.releaseLocked(x)
	p.mu.Unlock()
	closeAll(old)
}

// settle counts an operation that took so long and left nothing unread, and takes
// its connection back.
func settle(p *pool, x *conn, o op, took time.Duration) {
	p.mu.Lock()
	p.records[o].add(took)
	x.fresh = p.now() + freshPeriod
	if p.closed {
		p.mu.Unlock()
		p.drop(x, &p.stats.retired)
		return
	}
	old := p.releaseLocked(x)
	p.mu.Unlock()
	closeAll(old)
}

// releaseLocked gives x to the first waiter, or lets it idle. It returns x if it is
// too old to be handed on. The caller closes it, and another one is being opened.
func (p *pool) releaseLocked(x *conn) *conn {
	if p.waiting == 0 {
		x.next = p.top
		p.top = x
		return nil
	}
	if p.clock() >= x.retires || int64(x.opened) < p.obsolete.Load() {
		x.next = nil
		p.open--
		p.stats.retired++
		p.dialLocked()
		return x
	}
	p.grantLocked(grant{x: x})
	return nil
}

// drop closes x and frees its place.
func (p *pool) drop(x *conn, counter *uint64) {
	x.close()
	p.mu.Lock()
	*counter++
	p.open--
	p.dialLocked()
	p.mu.Unlock()
}

// wait queues until a connection is handed over, at most until deadline and at
// most Options.PoolTimeout, and has one opened where there is a place.
func (p *pool) wait(ctx context.Context, deadline time.Duration) (*conn, error) {
	w := &waiter{ctx: ctx, until: p.now() + p.o.PoolTimeout, c: make(chan grant, 1)}
	if deadline < w.until {
		w.until = deadline
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	if p.waiting >= p.o.MaxWaiting {
		p.mu.Unlock()
		return nil, fmt.Errorf("%w: %d operations wait already", ErrPoolTimeout, p.o.MaxWaiting)
	}
	p.startLocked()
	if x := p.popLocked(); x != nil {
		p.mu.Unlock()
		return x, nil
	}
	p.queueLocked(w)
	p.dialLocked()
	p.mu.Unlock()
	g := <-w.c
	return g.x, g.err
}

// dialLocked opens connections while there are more waiters than connections being
// opened, and free places.
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
	p.latest = &stage{}
	background.Start(&opening{p: p, stage: p.latest})
}

// reconnect replaces the connections that are open, because the name of the server may
// lead elsewhere. Those in use are closed when they come back.
func (p *pool) reconnect() {
	p.mu.Lock()
	p.obsolete.Store(int64(p.now()))
	x := p.top
	n := p.idleLocked()
	p.top = nil
	p.open -= n
	p.stats.retired += uint64(n)
	p.mu.Unlock()
	closeAll(x)
}

// close ends the pool. Connections in use are closed when they come back.
func (p *pool) close() {
	p.mu.Lock()
	p.open -= p.idleLocked()
	x := p.top
	p.top = nil
	p.closed = true
	for p.waiting > 0 {
		p.grantLocked(grant{err: ErrClosed})
	}
	p.odd = true
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
