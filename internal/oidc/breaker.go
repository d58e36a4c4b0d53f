package oidc

import (
	"sync"
	"time"
)

const (
	maxInFlight      = 128 // calls to one endpoint
	breakerThreshold = 5   // failures in a row
	breakerPause     = 10 * time.Second
)

// What a call says about its endpoint.
const (
	callAnswered  = iota // with a status below 500
	callFailed           // with 500 or more, or by timeout
	callUndecided        // the caller gave up, or there was no connection
)

// A breaker bounds the calls to an endpoint that are under way, and stops them
// for a while after failures in a row. Then one call at a time tries, and its
// outcome decides. An answer below 500 is never a failure, or one person's bad
// request would stop everybody.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex // guards the fields below
	inFlight int
	failures int
	pause    time.Time // no calls before; zero: closed
	trying   bool
}

// admit tells whether a call may be made. If so, done must follow.
func (b *breaker) admit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inFlight >= maxInFlight {
		return false
	}
	if !b.pause.IsZero() {
		if b.trying || b.now().Before(b.pause) {
			return false
		}
		b.trying = true
	}
	b.inFlight++
	return true
}

func (b *breaker) done(outcome int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight--
	b.trying = false
	switch outcome {
	case callAnswered:
		b.failures = 0
		b.pause = time.Time{}
	case callFailed:
		b.failures++
		if b.failures >= breakerThreshold {
			b.pause = b.now().Add(breakerPause)
		}
	}
}

// retryAt is zero while the breaker is closed.
func (b *breaker) retryAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pause
}
