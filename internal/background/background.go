// Package background starts every goroutine and timer of the plugin, and waits for a
// time to pass.
//
// A panic in a goroutine would end the whole Traefik process, so this package recovers
// it. A task is a Runner, never a function, because the interpreter evaluates the
// receiver of a method value when it is called, not when it is made.
package background

import (
	"context"
	"time"
)

// A Runner is a task. Run returns when the task has ended.
type Runner interface {
	Run()
}

// Start runs r in a goroutine of its own. A panic of r ends only r.
func Start(r Runner) {
	go runRecovered(r)
}

// After runs r once, in a goroutine of its own, when d has passed. Stopping the returned
// timer before that prevents it. A panic of r ends only r.
func After(d time.Duration, r Runner) *time.Timer {
	t := &task{r: r}
	return time.AfterFunc(d, t.run)
}

// Done runs r once, in a goroutine of its own, when ctx is done. If ctx cannot be
// canceled, r never runs. A panic of r ends only r.
func Done(ctx context.Context, r Runner) {
	t := &task{r: r}
	context.AfterFunc(ctx, t.run)
}

// Pause returns after d, or earlier when ctx is done. It reports whether ctx goes on. It
// starts no goroutine.
func Pause(ctx context.Context, d time.Duration) bool {
	timed, cancel := context.WithTimeout(ctx, d)
	<-timed.Done()
	cancel()
	return ctx.Err() == nil
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
