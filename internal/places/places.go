// Package places shares a bounded number of places fairly among clients.
//
// A client may take a place while it holds fewer than a quarter of the number of free
// places. A single client thus gets a fifth of all places. If many clients take as many
// as they can, each gets fewer, and some places stay free for clients without any.
// No number of requests of one client can take all places.
package places

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// errFull is returned by [Places.Take] when too many requests wait already: of this
// client, or of all clients.
var errFull = errors.New("places: too many requests wait")

// part limits a client to one place for every part free places.
const part = 4

// Places is a set of places; New makes one. It is safe for concurrent use.
type Places struct {
	total int // number of places
	room  int // maximum number of waiters

	mu      sync.Mutex // guards the fields below
	taken   int
	held    map[string]int    // by client, without zeros
	waiting int               // number of waiters
	queues  map[string]*queue // by client, without empty ones
	turns   *list.List        // of queues; the client in front is the next to get a place
}

// A queue has the waiters of one client, the oldest in front.
type queue struct {
	client  string
	waiters *list.List    // of *waiter
	turn    *list.Element // in Places.turns
}

// New returns total places, all free, and room for so many waiters.
func New(total, room int) *Places {
	return &Places{total: total, room: room, held: map[string]int{}, queues: map[string]*queue{}, turns: list.New()}
}

// TryTake takes a place for client and reports true if the client may have one now. Then
// Leave must follow.
func (p *Places) TryTake(client string) bool {
	p.mu.Lock()
	ok := p.mayTakeLocked(client)
	if ok {
		p.takeLocked(client)
	}
	p.mu.Unlock()
	return ok
}

// Take waits until client may have a place, and takes it. Waiting clients get places in
// turn. Leave must follow if the error is nil. The error is errFull, or that of ctx if
// ctx is done first.
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
		return errFull
	}
	background.Done(ctx, w)
	if got := <-w.result; !got {
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

// enqueueLocked returns a new waiter at the end of the queue of client; q is that queue,
// or nil if there is none yet. The room is shared among clients like the places. It
// returns nil if client may not wait.
func (p *Places) enqueueLocked(q *queue, client string) *waiter {
	length := 0
	if q != nil {
		length = q.waiters.Len()
	}
	if length*part >= p.room-p.waiting {
		return nil
	}
	if q == nil {
		q = &queue{client: client, waiters: list.New()}
		q.turn = p.turns.PushBack(q)
		p.queues[client] = q
	}
	w := &waiter{places: p, queue: q, result: make(chan bool, 1)}
	w.at = q.waiters.PushBack(w)
	p.waiting++
	return w
}

// serveLocked gives places to waiters until no waiter may have one.
func (p *Places) serveLocked() {
	e := p.turns.Front()
	for e != nil && p.taken < p.total {
		q := e.Value.(*queue)
		if !p.mayTakeLocked(q.client) {
			e = e.Next()
			continue
		}
		w := q.waiters.Front().Value.(*waiter)
		p.turns.MoveToBack(e)
		p.dequeueLocked(w)
		p.takeLocked(q.client)
		w.result <- true
		e = p.turns.Front()
	}
}

func (p *Places) dequeueLocked(w *waiter) {
	q := w.queue
	q.waiters.Remove(w.at)
	w.at = nil
	p.waiting--
	if q.waiters.Len() == 0 {
		p.turns.Remove(q.turn)
		delete(p.queues, q.client)
	}
}

// A waiter waits for a place of one client.
type waiter struct {
	places *Places
	queue  *queue
	result chan bool     // receives once: true with a place, false without
	at     *list.Element // in queue.waiters, guarded by Places.mu; nil: the result was sent
}

// Run ends the wait without a place, because the context is done.
func (w *waiter) Run() {
	w.places.mu.Lock()
	waits := w.at != nil
	if waits {
		w.places.dequeueLocked(w)
	}
	w.places.mu.Unlock()
	if waits {
		w.result <- false
	}
}
