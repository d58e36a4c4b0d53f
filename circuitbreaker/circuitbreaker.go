// Package circuitbreaker refuses calls to a server that does not respond.
//
// A Breaker is closed while calls go through. It opens after a number of failures in a
// row, or when too large a part of the calls in a window failed. While it is open or
// half-open, every call is refused at once, and only background probes reach the
// server. The first probe that succeeds makes the breaker half-open. It closes when
// enough probes in a row succeeded, and opens again when one fails.
package circuitbreaker

import (
	"errors"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// ErrOpen is returned when the breaker refuses a call.
var ErrOpen = errors.New("circuitbreaker: open")

// State decides whether a breaker permits calls.
type State int

// A breaker permits calls when it is Closed. It refuses them when it is Open, and when
// it is HalfOpen: a probe succeeded, but not yet Options.Successes of them in a row.
const (
	Closed State = iota
	Open
	HalfOpen
)

// Outcome is the result of a call or a probe. The caller decides which outcome an error
// of its own is.
type Outcome int

const (
	// Success: the server responded, also if it responded with an error.
	Success Outcome = iota
	// Failure: the server did not respond, or cannot serve at present.
	Failure
	// Denied is a failure that only an operator can end, such as a wrong password.
	// The pause after a probe with this outcome is longer.
	Denied
	// Ignored is an outcome without information about the server: for example, the caller
	// gave up. It does not change the breaker. A probe that is ignored is a failed one.
	Ignored
)

// A Prober tests whether the server responds.
type Prober interface {
	// Probe must limit its own duration. It is called by one goroutine at a time.
	Probe() Outcome
}

// A Listener receives the transitions of a breaker.
type Listener interface {
	// BreakerChanged is called once for each transition, in order, without a lock held.
	// It may call methods of the breaker. It must not wait for another transition.
	BreakerChanged(from, to State)
}

// Options configure a Breaker. Prober is required.
type Options struct {
	Prober   Prober
	Listener Listener // nil: none

	Threshold int           // failures in a row that open the breaker; zero: 5
	Window    time.Duration // duration over which Rate is computed; zero: 10 s
	MinCalls  int           // calls in the window that Rate needs to apply; zero: 20
	Rate      float64       // part of failed calls in the window, 0 to 1, that opens the breaker; zero: 0.5

	ProbeMin    time.Duration // pause before the first probe, doubled after each failed one; zero: 250 ms
	ProbeMax    time.Duration // maximum pause between probes, plus or minus a fifth; zero: 1 s
	DeniedPause time.Duration // minimum pause after a probe that was Denied; zero: 5 s
	Successes   int           // successful probes in a row that close the breaker; zero: 2

	Now func() time.Time // nil: time.Now
}

// A Breaker is a circuit breaker; New makes one. It is safe for concurrent use.
type Breaker struct {
	o     Options
	after func(d time.Duration, r background.Runner) *time.Timer

	mu         sync.Mutex // guards the fields below
	state      State
	generation uint64 // counts transitions; results of an earlier generation are ignored
	failures   int    // in a row
	window     *window
	probes     probes
	pending    []transition // not yet given to the listener
	notifying  bool         // a goroutine calls the listener
	opened     uint64
	closed     bool // by Close
}

type transition struct {
	from, to State
}

// New returns a Breaker in the state Closed. It starts no goroutine and no timer before
// the breaker opens.
func New(o Options) *Breaker {
	if o.Threshold <= 0 {
		o.Threshold = 5
	}
	if o.Window <= 0 {
		o.Window = 10 * time.Second
	}
	if o.MinCalls <= 0 {
		o.MinCalls = 20
	}
	if o.Rate <= 0 {
		o.Rate = 0.5
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Breaker{o: withProbeDefaults(o), after: background.After, window: &window{}}
}

// Allow reports whether a call may be made: nil or ErrOpen. After the call, its outcome
// and the generation that Allow returned must be given to Done.
func (b *Breaker) Allow() (uint64, error) {
	b.mu.Lock()
	if b.state != Closed {
		b.mu.Unlock()
		return 0, ErrOpen
	}
	generation := b.generation
	b.mu.Unlock()
	return generation, nil
}

// Done records the outcome of a call. A call that was allowed in an earlier generation
// changes nothing.
func (b *Breaker) Done(generation uint64, o Outcome) {
	if o == Ignored {
		return
	}
	now := b.o.Now()
	b.mu.Lock()
	if generation != b.generation || b.state != Closed {
		b.mu.Unlock()
		return
	}
	failed := o != Success
	b.window.count(now, b.o.Window, failed)
	if !failed {
		b.failures = 0
		b.mu.Unlock()
		return
	}
	b.failures++
	if b.failures >= b.o.Threshold || b.window.exceeds(b.o.MinCalls, b.o.Rate) {
		b.openLocked()
	}
	b.mu.Unlock()
	b.notify()
}

// Trip opens the breaker if it is closed: for example, when the first connection fails.
func (b *Breaker) Trip() {
	b.mu.Lock()
	if b.state == Closed && !b.closed {
		b.openLocked()
	}
	b.mu.Unlock()
	b.notify()
}

// Close ends probing for good. The breaker keeps its state.
func (b *Breaker) Close() {
	b.mu.Lock()
	b.closed = true
	if b.probes.timer != nil {
		b.probes.timer.Stop()
	}
	b.mu.Unlock()
}

// State returns the present state.
func (b *Breaker) State() State {
	b.mu.Lock()
	s := b.state
	b.mu.Unlock()
	return s
}

// Stats are counters of a Breaker at one time.
type Stats struct {
	State    State
	Failures int    // in a row
	Calls    int    // that ended within the window
	Failed   int    // of Calls
	Opened   uint64 // number of transitions from Closed to Open since New
}

func (b *Breaker) Stats() Stats {
	now := b.o.Now()
	b.mu.Lock()
	b.window.advance(now, b.o.Window)
	calls, failed := b.window.sum()
	s := Stats{State: b.state, Failures: b.failures, Calls: calls, Failed: failed, Opened: b.opened}
	b.mu.Unlock()
	return s
}

func (b *Breaker) openLocked() {
	b.setLocked(Open)
	b.opened++
	b.probes = probes{pause: b.o.ProbeMin}
	b.scheduleLocked(false)
}

// setLocked changes the state and begins a new generation.
func (b *Breaker) setLocked(to State) {
	b.pending = append(b.pending, transition{from: b.state, to: to})
	b.state = to
	b.generation++
	b.failures = 0
	b.window = &window{}
}

// notify gives the pending transitions to the listener. One goroutine at a time does
// so, which keeps their order. Other goroutines leave their transitions to it.
func (b *Breaker) notify() {
	b.mu.Lock()
	if b.notifying {
		b.mu.Unlock()
		return
	}
	b.notifying = true
	for len(b.pending) > 0 {
		t := b.pending[0]
		b.pending = b.pending[1:]
		b.mu.Unlock()
		if b.o.Listener != nil {
			b.o.Listener.BreakerChanged(t.from, t.to)
		}
		b.mu.Lock()
	}
	b.notifying = false
	b.mu.Unlock()
}
