// Package background starts every goroutine and timer of the plugin.
//
// A panic in a goroutine would end the whole Traefik process, so each is
// recovered here. Tasks are handed over as a Runner, never as a function: the
// interpreter looks the receiver of a method value up when it runs, not when it
// is bound.
package background

import (
	"context"
	"time"
)

// A Runner is a task with a life of its own. Run returns when the task is over.
type Runner interface {
	Run()
}

// Start runs r in a goroutine of its own. A panic of r ends r alone.
func Start(r Runner) {
	go runRecovered(r)
}

// After runs r once, in a goroutine of its own, when d has passed, unless the
// returned timer is stopped before. A panic of r ends r alone.
func After(d time.Duration, r Runner) *time.Timer {
	t := &task{r: r}
	return time.AfterFunc(d, t.run)
}

// Done runs r once, in a goroutine of its own, when ctx is done. It never runs
// for a context that cannot be cancelled.
func Done(ctx context.Context, r Runner) {
	t := &task{r: r}
	context.AfterFunc(ctx, t.run)
}

type task struct {
	r Runner
}

func (t *task) run() {
	runRecovered(t.r)
}

func runRecovered(r Runner) {
	defer recovered()
	r.Run()
}

func recovered() {
	_ = recover()
}
