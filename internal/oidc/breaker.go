package oidc

import (
	"sync"
	"time"
)

const (
	breakerThreshold = 5 // failures without an answer between them
	breakerClients   = 3 // that they have to be of, where clients have a say in what is sent
	breakerTries     = 5 // at once, after the pause
	breakerPause     = 10 * time.Second
)

// What a call says about its endpoint.
const (
	callAnswered  = iota // with a status below 500
	callFailed           // with 500 or more, or by timeout
	callUndecided        // the caller gave up, or there was no connection
)

// A breaker stops the calls to an endpoint for a while after failures of several
// clients, so that a client that makes the endpoint fail for itself stops nobody
// else. After the pause each client may try, one call at a time. An answer closes
// the breaker; failures of several clients open it again. An answer below 500 is
// never a failure.
type breaker struct {
	now     func() time.Time
	clients int // whose failures open it

	mu       sync.Mutex // guards the fields below
	failures int        // since the latest answer
	failed   map[string]bool
	pause    time.Time // no calls before; zero: closed
	trying   map[string]bool
}

// newBreaker returns a closed breaker, which failures of so many clients open.
func newBreaker(now func() time.Time, clients int) *breaker {
	return &breaker{now: now, clients: clients, failed: map[string]bool{}, trying: map[string]bool{}}
}

// admit reports whether client may make a call. If so, done must follow.
func (b *breaker) admit(client string) bool {
	b.mu.Lock()
	ok := b.admitsLocked(client)
	if ok && !b.pause.IsZero() {
		b.trying[client] = true
	}
	b.mu.Unlock()
	return ok
}

// admits is admit for a caller that only asks.
func (b *breaker) admits(client string) bool {
	b.mu.Lock()
	ok := b.admitsLocked(client)
	b.mu.Unlock()
	return ok
}

func (b *breaker) admitsLocked(client string) bool {
	if b.pause.IsZero() {
		return true
	}
	return !b.now().Before(b.pause) && !b.trying[client] && len(b.trying) < breakerTries
}

func (b *breaker) done(client string, outcome int) {
	b.mu.Lock()
	delete(b.trying, client)
	switch outcome {
	case callAnswered:
		b.failures = 0
		b.failed = map[string]bool{}
		b.pause = time.Time{}
	case callFailed:
		b.failures++
		if len(b.failed) < b.clients {
			b.failed[client] = true
		}
		if b.failures >= breakerThreshold && len(b.failed) >= b.clients {
			b.pause = b.now().Add(breakerPause)
			b.failed = map[string]bool{}
		}
	}
	b.mu.Unlock()
}

// retryAt is zero while the breaker is closed.
func (b *breaker) retryAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pause
}
