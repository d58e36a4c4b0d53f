// Package background starts every goroutine and timer of the plugin.
//
// A panic in a goroutine would end the whole Traefik process, so each is
// recovered here. Tasks are handed over as a Runner, never as a function: the
// interpreter looks the receiver of a method value up when it runs, not when it
// is bound.
package background

import (
	"context"
	"sync"
	"time"
)

// A Runner is a task with a life of its own. Run returns when the task is over.
type Runner interface {
	Run()
}

// binding is held while a task's method is bound: at the first time for a type the
// interpreter computes the method's own type, unguarded.
var binding sync.Mutex

// Start runs r in a goroutine of its own. A panic of r ends r alone.
func Start(r Runner) {
	binding.Lock()
	t := &task{run: r.Run}
	binding.Unlock()
	go runRecovered(t)
}

// After runs r once, in a goroutine of its own, when d has passed, unless the
// returned timer is stopped before. A panic of r ends r alone.
func After(d time.Duration, r Runner) *time.Timer {
	binding.Lock()
	defer binding.Unlock()
	t := &task{run: r.Run}
	return time.AfterFunc(d, t.recovered)
}

// Done runs r once, in a goroutine of its own, when ctx is done. It never runs
// for a context that cannot be cancelled.
func Done(ctx context.Context, r Runner) {
	binding.Lock()
	defer binding.Unlock()
	t := &task{run: r.Run}
	context.AfterFunc(ctx, t.recovered)
}

type task struct {
	run func()
}

func (t *task) recovered() {
	runRecovered(t)
}

func runRecovered(t *task) {
	defer forget()
	t.run()
}

// forget ends a panic. What it was is not told: it may hold a secret.
func forget() {
	_ = recover()
}
