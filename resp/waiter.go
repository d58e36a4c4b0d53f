package resp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// patrolPeriod is how often waiters are looked through for those whose time is
// over: a timer for each would cost more than most of them wait.
const patrolPeriod = 5 * time.Millisecond

// A grant is what a waiter gets: a connection, or an error.
type grant struct {
	x   *conn
	err error
}

// A waiter waits for a connection, on a channel that it shares with nobody.
type waiter struct {
	ctx   context.Context
	until time.Duration
	c     chan grant // of size one: whoever serves never blocks
}

// queueUp waits for a connection where all are in use and no more may be
// opened, and returns nil at once where not. An operation that began now and
// gets a connection that is not fresh is told so by a negative number.
func queueUp(p *pool, ctx context.Context, now time.Duration) (*conn, int, error) {
	p.mu.Lock()
	if p.top != nil || p.open < p.o.PoolSize || p.closed || p.waiting >= p.o.MaxWaiting {
		p.mu.Unlock()
		return nil, 0, nil
	}
	w := &waiter{ctx: ctx, until: now + p.patience, c: make(chan grant, 1)}
	p.queueLocked(w)
	p.mu.Unlock()
	g := <-w.c
	if g.err == nil && g.x.proved <= time.Since(p.epoch) {
		return g.x, -1, nil
	}
	return g.x, 0, g.err
}

// queueLocked puts w behind the other waiters.
func (p *pool) queueLocked(w *waiter) {
	p.queue = append(p.queue, w)
	p.waiting++
	p.odd = true
	if !p.patrolled {
		p.patrolled = true
		background.After(patrolPeriod, &patrol{p: p})
	}
}

// grantLocked gives the first waiter, of which there is one, what it waits for.
func (p *pool) grantLocked(g grant) {
	w := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.waiting--
	p.odd = p.waiting > 0 || p.closed || p.o.Now != nil
	w.c <- g
}

// A patrol ends the waits that are over, opens connections that a failed dial left
// unopened, and comes again while there are others.
type patrol struct {
	p *pool
}

// Run implements background.Runner.
func (r *patrol) Run() {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var queue []*waiter
	for _, w := range p.queue {
		if now < w.until && w.ctx.Err() == nil {
			queue = append(queue, w)
			continue
		}
		p.waiting--
		w.c <- grant{err: p.overdueLocked(w)}
	}
	p.queue = queue
	p.odd = p.waiting > 0 || p.closed || p.o.Now != nil
	p.patrolled = p.waiting > 0
	p.dialLocked()
	if p.patrolled {
		background.After(patrolPeriod, r)
	}
}

// overdueLocked says why w gets nothing.
func (p *pool) overdueLocked(w *waiter) error {
	if err := w.ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	p.stats.timeouts++
	state := fmt.Sprintf("%d open, %d idle, %d waiting", p.open, p.idleLocked(), p.waiting)
	if p.lastErr != nil {
		return fmt.Errorf("%w (%s): last dial: %w", ErrPoolTimeout, state, p.lastErr)
	}
	if p.dialling > 0 && p.dialling == p.open {
		return fmt.Errorf("%w (%s): %s", ErrPoolTimeout, state, stageText(p.latest.at.Load(), &p.o))
	}
	return fmt.Errorf("%w (%s)", ErrPoolTimeout, state)
}

// An opening opens one connection, for whoever waits first when it is done.
type opening struct {
	p     *pool
	stage *stage
}

// Run implements background.Runner.
func (o *opening) Run() {
	p := o.p
	began := p.now()
	ctx, cancel := context.WithTimeout(context.Background(), p.o.DialTimeout)
	x, err := dial(ctx, &p.o, 2, p.epoch, p.manners, o.stage)
	cancel()
	if err != nil {
		p.opened(nil, err)
		return
	}
	x.opened = began
	x.retires = p.clock() + p.o.age()
	x.used = p.clock()
	p.opened(x, nil)
}

// opened ends an opening. A failure is told to all who wait when no other
// connection could serve them, and else to the first when it is final.
func (p *pool) opened(x *conn, err error) {
	p.mu.Lock()
	p.dialling--
	if err != nil {
		p.failedLocked(err)
		p.mu.Unlock()
		return
	}
	p.stats.dials++
	p.lastErr = nil
	if p.closed {
		p.open--
		p.mu.Unlock()
		x.close()
		return
	}
	old := p.releaseLocked(x)
	p.dialLocked()
	p.mu.Unlock()
	closeAll(old)
}

func (p *pool) failedLocked(err error) {
	p.open--
	p.stats.dialFailures++
	p.lastErr = err
	p.refused = p.now()
	hopeless := p.open == 0 || errors.Is(err, ErrTerminal)
	for hopeless && p.waiting > 0 {
		p.grantLocked(grant{err: err})
	}
}

// A sweep goes through the idle connections once and has itself run again.
type sweep struct {
	p *pool
}

// Run implements background.Runner.
func (s *sweep) Run() {
	s.p.sweep()
}

// startLocked starts the sweeping with the first use.
func (p *pool) startLocked() {
	if p.sweeper != nil {
		return
	}
	p.sweeper = background.After(sweepPeriod, &sweep{p: p})
}

// sweep closes idle connections that are too old or were too long idle, and
// opens what MinIdle asks for.
func (p *pool) sweep() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	old := p.agedLocked()
	for n := p.idleLocked() + p.dialling; n < p.o.MinIdle && p.open < p.o.PoolSize && p.dialling < maxDials; n++ {
		p.openLocked()
	}
	p.sweeper = background.After(sweepPeriod, &sweep{p: p})
	p.mu.Unlock()
	closeAll(old)
}

// agedLocked takes the connections out of the idle ones that are too old or
// were too long idle.
func (p *pool) agedLocked() *conn {
	now := p.clock()
	var old, keep, last *conn
	x := p.top
	for x != nil {
		next := x.next
		x.next = nil
		if p.aged(x, now) {
			x.next = old
			old = x
			p.open--
			p.stats.retired++
		} else {
			if last == nil {
				keep = x
			} else {
				last.next = x
			}
			last = x
		}
		x = next
	}
	p.top = keep
	return old
}

// aged reports whether x is too old or was too long idle.
func (p *pool) aged(x *conn, now time.Duration) bool {
	return now >= x.retires || int64(x.opened) < p.renewed.Load() || p.o.IdleTimeout > 0 && now-x.used >= p.o.IdleTimeout
}
