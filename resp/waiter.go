package resp

import (
	"container/list"
	"context"
	"errors"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// A grant is what a waiter gets: a connection, an error, or nothing in time.
type grant struct {
	x       *conn
	err     error
	expired bool
}

// A waiter waits for a connection, on a channel that it shares with nobody.
type waiter struct {
	p *pool
	c chan grant // of size one: whoever serves never blocks

	place  *list.Element // guarded by p.mu
	served bool          // guarded by p.mu
}

func (w *waiter) deliver(x *conn, err error) {
	w.c <- grant{x: x, err: err}
}

// expire ends the wait, unless it was served.
func (w *waiter) expire() {
	w.p.mu.Lock()
	served := w.served
	if !served {
		w.served = true
		w.p.queue.Remove(w.place)
		w.p.waitLocked(-1)
	}
	w.p.mu.Unlock()
	if !served {
		w.c <- grant{expired: true}
	}
}

// An opening opens one connection, for whoever waits first when it is done.
type opening struct {
	p *pool
}

// Run implements background.Runner.
func (o *opening) Run() {
	p := o.p
	ctx, cancel := context.WithTimeout(context.Background(), p.o.DialTimeout)
	x, err := dial(ctx, &p.o, 2, p.epoch)
	cancel()
	if err != nil {
		p.opened(nil, err)
		return
	}
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
	p.releaseLocked(x)
	p.dialLocked()
	p.mu.Unlock()
}

func (p *pool) failedLocked(err error) {
	p.open--
	p.stats.dialFailures++
	p.lastErr, p.refused = err, p.now()
	hopeless := p.open == 0 || errors.Is(err, ErrTerminal)
	for hopeless && p.waiting > 0 {
		p.nextLocked().deliver(nil, err)
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
	return now >= x.retires || p.o.IdleTimeout > 0 && now-x.used >= p.o.IdleTimeout
}
