package oidc

import (
	"sync"
	"time"
)

const (
	breakerThreshold = 5 // failures without a response below 500 between them
	breakerClients   = 3 // that must have failed, at endpoints where clients choose the data sent
	breakerTries     = 5 // at the same time, after the pause
	breakerPause     = 10 * time.Second
)

// The outcomes of a call.
const (
	callAnswered  = iota // status below 500
	callFailed           // status 500 or more, or a timeout
	callUndecided        // the caller gave up, or there was no connection
)

// A breaker stops the calls to an endpoint for breakerPause after failures of several
// clients. A single client that makes the endpoint fail does not open it, and so does not
// stop the others. After the pause each client may try, one call at a
// time. A response below 500 closes the breaker and is never a failure. Failures of
// several clients open it again.
type breaker struct {
	now     func() time.Time
	clients int // different clients that must fail before it opens

	mu       sync.Mutex // guards the fields below
	failures int        // since the latest response below 500
	failed   map[string]bool
	pause    time.Time // no calls before; zero: closed
	trying   map[string]bool
}

// newBreaker returns a closed breaker that opens when so many clients failed.
func newBreaker(now func() time.Time, clients int) *breaker {
	return &breaker{now: now, clients: clients, failed: map[string]bool{}, trying: map[string]bool{}}
}

// admit reports whether client may make a call. If it may, done must follow.
func (b *breaker) admit(client string) bool {
	b.mu.Lock()
	ok := b.admitsLocked(client)
	if ok && !b.pause.IsZero() {
		b.trying[client] = true
	}
	b.mu.Unlock()
	return ok
}

// admits is admit without the start of a call: done must not follow.
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

// done records the outcome of a call that was admitted.
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

// retryAt returns the end of the pause; zero: the breaker is closed.
func (b *breaker) retryAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pause
}
