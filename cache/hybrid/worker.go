package hybrid

import (
	"errors"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// A worker has one background task done: at once when it is asked for, again while
// it is asked for, and after a pause when it failed or the journal has notes left.
type worker struct {
	mu      *sync.Mutex // of the Hybrid; guards the fields below
	task    task
	journal *journal
	running bool
	again   bool          // asked for while running
	urged   bool          // asked for while running, by something else than a note
	waiting bool          // the server refuses notes: another note changes nothing before the pause is over
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

// errRefused is returned by a task where the server serves and refuses what is carried to
// it.
var errRefused = errors.New("hybrid: the server refuses writes")

// urge asks for the task at once, because the server or the way to it may have changed.
func (w *worker) urge() {
	w.waiting = false
	w.urged = w.running
	w.kick()
}

// kick asks for the task, because there is something to carry.
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

// A working does the task until nobody asks for it any more.
type working struct {
	w     *worker
	ended bool
}

// Run implements background.Runner.
func (x *working) Run() {
	defer x.rest()
	for !x.ended {
		err := x.w.task.reconcile()
		x.ended = !x.w.askedAgain(err)
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

// askedAgain decides whether to go on at once. If not, and something is left to
// do, the work is taken up after a pause.
func (w *worker) askedAgain(err error) bool {
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
		return false // the breaker says when it closes
	}
	if err != nil || len(w.journal.notes) > 0 {
		w.schedule(pauseMax)
	}
	return false
}

// schedule asks for the task after a pause, twice as long as the one before and at most
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
