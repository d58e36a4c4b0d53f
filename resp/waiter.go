package resp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// patrolPeriod is the time between two checks for waiters without time left. A
// timer for each would cost more than most of them wait.
const patrolPeriod = 5 * time.Millisecond

// A grant is given to a waiter: a connection, or an error.
type grant struct {
	x   *conn
	err error
}

// A waiter waits for a connection, on a channel of its own.
type waiter struct {
	ctx   context.Context
	until time.Duration
	c     chan grant // of size one, so that the sender never blocks
}

// queueUp waits for a connection where all are in use and no more may be
// opened, and returns nil at once where not. The number is negative where the
// connection is not fresh for an operation that began now.
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

// grantLocked gives g to the first waiter. There must be one.
func (p *pool) grantLocked(g grant) {
	w := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.waiting--
	p.odd = p.waiting > 0 || p.closed || p.o.Now != nil
	w.c <- g
}

// A patrol ends the waits that are over, and opens connections that a failed dial left
// unopened. It runs again while there are other waiters.
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

// An opening opens one connection, for the waiter that is first when it is done.
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

// opened ends an opening. Its failure is given to all waiters when it is final, or
// when there is no other connection that could serve them.
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

// A sweep checks the idle connections once and schedules itself again.
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
// opens as many as MinIdle requires.
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

// agedLocked removes from the idle connections those that are too old or were too
// long idle, and returns them.
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
	return now >= x.retires || int64(x.opened) < p.obsolete.Load() || p.o.IdleTimeout > 0 && now-x.used >= p.o.IdleTimeout
}
