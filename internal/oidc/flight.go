package oidc

import (
	"context"
	"fmt"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// maxWaiting bounds the requests that one slow answer of a provider holds. It is more
// than all clients of a few middlewares together may have under way.
const maxWaiting = 4096

// A flight lets a task run once at a time, whoever asks for it, and lets
// everybody wait for its end. The task outlives those who wait, and must end by
// itself. The zero value is ready.
type flight struct {
	mu      sync.Mutex // guards the fields below
	running bool
	waiting map[*waiter]bool
}

// start runs the task unless it runs already.
func (f *flight) start(r background.Runner) {
	f.mu.Lock()
	first := !f.running
	f.running = true
	f.mu.Unlock()
	if first {
		f.launch(r)
	}
}

func (f *flight) launch(r background.Runner) {
	background.Start(&flightTask{flight: f, task: r})
}

// wait starts the task unless it runs already, and returns when it is over.
// ErrUnavailable: ctx ended first, or too many wait.
func (f *flight) wait(ctx context.Context, r background.Runner) error {
	w := &waiter{done: make(chan bool, 1)}
	f.mu.Lock()
	if len(f.waiting) >= maxWaiting {
		f.mu.Unlock()
		return fmt.Errorf("oidc: too many requests wait for the provider: %w", ErrUnavailable)
	}
	if f.waiting == nil {
		f.waiting = map[*waiter]bool{}
	}
	f.waiting[w] = true
	first := !f.running
	f.running = true
	f.mu.Unlock()
	if first {
		f.launch(r)
	}
	background.Done(ctx, w)
	if finished := <-w.done; !finished {
		f.mu.Lock()
		delete(f.waiting, w)
		f.mu.Unlock()
		return fmt.Errorf("oidc: the request ended before the provider answered: %w", ErrUnavailable)
	}
	return nil
}

func (f *flight) inProgress() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running
}

func (f *flight) finish() {
	f.mu.Lock()
	waiting := f.waiting
	f.waiting = nil
	f.running = false
	f.mu.Unlock()
	for w := range waiting {
		w.tell(true)
	}
}

type flightTask struct {
	flight *flight
	task   background.Runner
}

// Run ends the flight also when the task panics.
func (t *flightTask) Run() {
	defer t.flight.finish()
	t.task.Run()
}

// A waiter is told once: by the end of the flight, or of its own context.
type waiter struct {
	done chan bool

	mu   sync.Mutex // guards told
	told bool
}

func (w *waiter) tell(finished bool) {
	w.mu.Lock()
	first := !w.told
	w.told = true
	w.mu.Unlock()
	if first {
		w.done <- finished
	}
}

// Run tells that the context ended.
func (w *waiter) Run() {
	w.tell(false)
}
