package oidc

import (
	"context"
	"fmt"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// maxWaiting is the maximum of requests that wait for one slow response of a provider.
// It exceeds the calls that a few middlewares together may have in progress.
const maxWaiting = 4096

// A flight runs a task once at a time and lets all callers wait for its end. The task
// goes on when the callers are gone, and must end by itself. The zero value is ready.
type flight struct {
	mu      sync.Mutex // guards the fields below
	running bool
	waiting map[*waiter]bool
}

// start runs the task in the background unless it runs already.
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

// wait starts the task unless it runs already, and returns when it has ended.
// ErrUnavailable: ctx ended first, or maxWaiting callers wait already.
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
		w.notify(true)
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

// A waiter is notified once: at the end of the flight or of its own context.
type waiter struct {
	done chan bool

	mu       sync.Mutex // guards notified
	notified bool
}

func (w *waiter) notify(finished bool) {
	w.mu.Lock()
	first := !w.notified
	w.notified = true
	w.mu.Unlock()
	if first {
		w.done <- finished
	}
}

// Run notifies the waiter that its context ended.
func (w *waiter) Run() {
	w.notify(false)
}
