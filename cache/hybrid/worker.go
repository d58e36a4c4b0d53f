package hybrid

import (
	"errors"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// A worker runs one background task. It runs at once when it is requested, and again if
// it was requested meanwhile. It runs after a pause when it failed or the journal has
// notes left.
type worker struct {
	mu      *sync.Mutex // of the Hybrid; guards the fields below
	task    task
	journal *journal
	running bool
	again   bool          // requested while running
	urged   bool          // requested while running, by another cause than a note
	waiting bool          // Redis refuses notes: another note changes nothing before the pause is over
	pause   time.Duration // before the next attempt after a failure
	timer   *time.Timer
	closed  bool
}

// A task can be repeated from any point.
type task interface {
	reconcile() error
}

const (
	pauseMin     = 250 * time.Millisecond
	pauseMax     = time.Second
	pauseRefused = 30 * time.Second
)

// errRefused is returned by a task when Redis serves and refuses the writes.
var errRefused = errors.New("hybrid: Redis refuses writes")

// urge requests the task at once, because the server or the way to it may have changed.
func (w *worker) urge() {
	w.waiting = false
	w.urged = w.running
	w.kick()
}

// kick requests the task, because there is a note to send.
func (w *worker) kick() {
	if w.closed || w.waiting {
		return
	}
	if w.running {
		w.again = true
		return
	}
	w.running = true
	background.Start(&working{w: w})
}

// close ends the work.
func (w *worker) close() {
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

// A retry is a kick after a pause.
type retry struct {
	w *worker
}

// Run implements background.Runner.
func (r *retry) Run() {
	r.w.mu.Lock()
	r.w.urge()
	r.w.mu.Unlock()
}

// A working runs the task until no request for it is left.
type working struct {
	w     *worker
	ended bool
}

// Run implements background.Runner.
func (x *working) Run() {
	defer x.rest()
	for !x.ended {
		err := x.w.task.reconcile()
		x.ended = !x.w.goesOn(err)
	}
}

// rest lets the work be taken up again after a panic.
func (x *working) rest() {
	if x.ended {
		return
	}
	x.w.mu.Lock()
	x.w.running = false
	x.w.schedule(pauseMax)
	x.w.mu.Unlock()
}

// goesOn decides whether to go on at once. If not, and work is left, it schedules it
// after a pause.
func (w *worker) goesOn(err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	again := w.again && err == nil || w.urged && errors.Is(err, errRefused)
	w.again = false
	w.urged = false
	if err == nil {
		w.pause = 0
	}
	if again {
		return true
	}
	w.running = false
	if errors.Is(err, errRefused) {
		w.waiting = true
		w.schedule(pauseRefused)
		return false
	}
	if errors.Is(err, circuitbreaker.ErrOpen) {
		return false // the breaker reports when it closes
	}
	if err != nil || len(w.journal.notes) > 0 {
		w.schedule(pauseMax)
	}
	return false
}

// schedule requests the task after a pause, twice as long as the one before and at most
// longest.
func (w *worker) schedule(longest time.Duration) {
	if w.closed {
		return
	}
	w.pause *= 2
	if w.pause < pauseMin {
		w.pause = pauseMin
	}
	if w.pause > longest {
		w.pause = longest
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = background.After(w.pause, &retry{w: w})
}
