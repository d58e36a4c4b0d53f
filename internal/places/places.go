// Package places shares a bounded number of places among clients.
//
// A client may take a place while it holds less than a quarter of those that are
// free. A client alone takes a fifth of all. Where many take what they can, each has
// less, and some stay free: a client that holds none finds one. So no client shuts
// others out, whatever number of requests it has.
package places

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// ErrFull is returned by [Places.Take] when too many wait already: of this client, or
// in all.
var ErrFull = errors.New("places: too many requests wait")

// part is how much of what is free a client may hold: one of so many.
const part = 4

// Places is safe for concurrent use.
type Places struct {
	total int // places
	room  int // for those that wait

	mu      sync.Mutex // guards the fields below
	taken   int
	held    map[string]int // by client, without zeros
	waiting int
	queues  map[string]*queue // by client, without empty ones
	turns   *list.List        // of the queues; the next one is in front
}

// A queue is what of one client waits, the first that came in front.
type queue struct {
	client  string
	waiting *list.List    // of waiters
	turn    *list.Element // in Places.turns
}

// New returns so many places, and room for so many that wait for one.
func New(total, room int) *Places {
	return &Places{total: total, room: room, held: map[string]int{}, queues: map[string]*queue{}, turns: list.New()}
}

// TryTake takes a place for client, if it may have one now. Leave must follow then.
func (p *Places) TryTake(client string) bool {
	p.mu.Lock()
	ok := p.mayTakeLocked(client)
	if ok {
		p.takeLocked(client)
	}
	p.mu.Unlock()
	return ok
}

// Take takes a place for client. It waits until the client may have one, and clients
// that wait have their turns one after the other. Leave must follow unless it returns
// ErrFull, or ctx is done and it returns the error of that.
func (p *Places) Take(ctx context.Context, client string) error {
	p.mu.Lock()
	q := p.queues[client]
	if q == nil && p.mayTakeLocked(client) {
		p.takeLocked(client)
		p.mu.Unlock()
		return nil
	}
	w := p.enqueueLocked(q, client)
	p.mu.Unlock()
	if w == nil {
		return ErrFull
	}
	background.Done(ctx, w)
	if got := <-w.told; !got {
		return ctx.Err()
	}
	return nil
}

// Leave gives back a place of client.
func (p *Places) Leave(client string) {
	p.mu.Lock()
	p.taken--
	p.held[client]--
	if p.held[client] == 0 {
		delete(p.held, client)
	}
	p.serveLocked()
	p.mu.Unlock()
}

func (p *Places) mayTakeLocked(client string) bool {
	return p.held[client]*part < p.total-p.taken
}

func (p *Places) takeLocked(client string) {
	p.taken++
	p.held[client]++
}

// enqueueLocked returns a waiter at the end of q, the queue of client, if there is
// one. The room is shared like the places. It returns nil if client may not wait.
func (p *Places) enqueueLocked(q *queue, client string) *waiter {
	length := 0
	if q != nil {
		length = q.waiting.Len()
	}
	if length*part >= p.room-p.waiting {
		return nil
	}
	if q == nil {
		q = &queue{client: client, waiting: list.New()}
		q.turn = p.turns.PushBack(q)
		p.queues[client] = q
	}
	w := &waiter{places: p, queue: q, told: make(chan bool, 1)}
	w.at = q.waiting.PushBack(w)
	p.waiting++
	return w
}

// serveLocked gives places to waiters as long as there is one that may have it.
func (p *Places) serveLocked() {
	e := p.turns.Front()
	for e != nil && p.taken < p.total {
		q := e.Value.(*queue)
		if !p.mayTakeLocked(q.client) {
			e = e.Next()
			continue
		}
		w := q.waiting.Front().Value.(*waiter)
		p.turns.MoveToBack(e)
		p.dequeueLocked(w)
		p.takeLocked(q.client)
		w.told <- true
		e = p.turns.Front()
	}
}

func (p *Places) dequeueLocked(w *waiter) {
	q := w.queue
	q.waiting.Remove(w.at)
	w.at = nil
	p.waiting--
	if q.waiting.Len() == 0 {
		p.turns.Remove(q.turn)
		delete(p.queues, q.client)
	}
}

// A waiter is told once whether it has got a place.
type waiter struct {
	places *Places
	queue  *queue
	told   chan bool
	at     *list.Element // in queue; nil: it was told. Guarded by Places.mu
}

// Run ends the wait.
func (w *waiter) Run() {
	w.places.mu.Lock()
	waits := w.at != nil
	if waits {
		w.places.dequeueLocked(w)
	}
	w.places.mu.Unlock()
	if waits {
		w.told <- false
	}
}
