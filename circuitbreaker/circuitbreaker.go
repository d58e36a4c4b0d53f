// Package circuitbreaker keeps callers away from a server that does not answer.
//
// A Breaker is closed while calls go through. It opens after so many failures in
// a row, or when too large a part of the calls of a window failed, and then every
// call is refused at once. Only a background probe asks the server from then on,
// never a caller. The first probe that succeeds makes the breaker half-open; when
// enough have succeeded in a row it closes.
package circuitbreaker

import (
	"errors"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// ErrOpen is returned when the breaker refuses a call.
var ErrOpen = errors.New("circuitbreaker: open")

// State is what a breaker does with calls.
type State int

// A breaker lets calls through when it is Closed. It refuses them when it is Open,
// and when it is HalfOpen: the server answers probes again, but not often enough yet.
const (
	Closed State = iota
	Open
	HalfOpen
)

// Outcome is what a call or a probe says about the server. What a caller's error
// means is for the caller to decide.
type Outcome int

const (
	// Success: the server answered, whatever it answered.
	Success Outcome = iota
	// Failure: the server did not answer, or cannot serve at present.
	Failure
	// Denied is a failure that only an operator mends, such as a wrong
	// password: probes that end so come at long intervals.
	Denied
	// Ignored says nothing about the server, as when the caller gave up. A
	// probe that is ignored counts as failed.
	Ignored
)

// A Prober asks the server whether it serves.
type Prober interface {
	// Probe returns within a time of its own. There is one call at a time.
	Probe() Outcome
}

// A Listener is told of transitions, in their order, outside of any lock. It may
// ask the breaker, but must not wait for it to change.
type Listener interface {
	BreakerChanged(from, to State)
}

// Options configure a Breaker. Prober is required.
type Options struct {
	Prober   Prober
	Listener Listener // nil: nobody is told

	Threshold int           // failures in a row that open; zero: 5
	Window    time.Duration // the window of the failure rate; zero: 10 s
	MinCalls  int           // calls in the window below which the rate says nothing; zero: 20
	Rate      float64       // part of the calls that failed, from which it opens; zero: 0.5

	ProbeMin    time.Duration // pause before the first probe, doubled by each that fails; zero: 250 ms
	ProbeMax    time.Duration // longest pause between probes, give or take a fifth; zero: 1 s
	DeniedPause time.Duration // shortest pause after a probe that was Denied; zero: 5 s
	Successes   int           // probes in a row that close; zero: 2

	Now func() time.Time // zero: time.Now
}

// Breaker is safe for concurrent use by multiple goroutines.
type Breaker struct {
	o     Options
	after func(d time.Duration, r background.Runner) *time.Timer

	mu         sync.Mutex // guards the fields below
	state      State
	generation uint64 // counts eras: what began in an earlier one says nothing
	row        int    // failures in a row
	window     *window
	probes     probes
	news       []transition // not yet told
	telling    bool         // somebody is at it
	opened     uint64
	closed     bool // by Close
}

type transition struct {
	from, to State
}

// New returns a closed Breaker. It starts nothing until the breaker opens.
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

// Allow asks for leave to call the server. Whoever has it reports the outcome by
// Done, with the generation that Allow returned. Otherwise the error is ErrOpen.
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

// Done reports the outcome of a call. One that was allowed before the breaker
// last opened changes nothing.
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
		b.row = 0
		b.mu.Unlock()
		return
	}
	b.row++
	if b.row >= b.o.Threshold || b.window.exceeds(b.o.MinCalls, b.o.Rate) {
		b.openLocked()
	}
	b.mu.Unlock()
	b.tell()
}

// Trip opens the breaker, as when the first contact fails.
func (b *Breaker) Trip() {
	b.mu.Lock()
	if b.state == Closed && !b.closed {
		b.openLocked()
	}
	b.mu.Unlock()
	b.tell()
}

// Close ends probing for good. The breaker stays in its state.
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

// Stats are a snapshot of a Breaker.
type Stats struct {
	State    State
	Failures int    // in a row
	Calls    int    // that ended within the window
	Failed   int    // of those
	Opened   uint64 // times that it opened, ever
}

// Stats returns a snapshot.
func (b *Breaker) Stats() Stats {
	now := b.o.Now()
	b.mu.Lock()
	b.window.turn(now, b.o.Window)
	calls, failed := b.window.sum()
	s := Stats{State: b.state, Failures: b.row, Calls: calls, Failed: failed, Opened: b.opened}
	b.mu.Unlock()
	return s
}

func (b *Breaker) openLocked() {
	b.setLocked(Open)
	b.opened++
	b.probes = probes{pause: b.o.ProbeMin}
	b.scheduleLocked(false)
}

// setLocked begins a new era.
func (b *Breaker) setLocked(to State) {
	b.news = append(b.news, transition{from: b.state, to: to})
	b.state = to
	b.generation++
	b.row = 0
	b.window = &window{}
}

// tell hands the news to the listener. One goroutine at a time does, so that they
// arrive in order; others leave theirs to it.
func (b *Breaker) tell() {
	b.mu.Lock()
	if b.telling {
		b.mu.Unlock()
		return
	}
	b.telling = true
	for len(b.news) > 0 {
		n := b.news[0]
		b.news = b.news[1:]
		b.mu.Unlock()
		if b.o.Listener != nil {
			b.o.Listener.BreakerChanged(n.from, n.to)
		}
		b.mu.Lock()
	}
	b.telling = false
	b.mu.Unlock()
}
