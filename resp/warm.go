package resp

import "github.com/traefikoidc/traefikoidc/internal/background"

// The interpreter works the type of a method out when the method is first made
// a value, or called through an interface, and keeps it without a lock. Here
// that happens once, before there is a second goroutine.
func init() {
	w := &waiter{}
	expire := w.expire
	_ = expire
	first(&opening{})
	first(&sweep{})
}

func first(r background.Runner) {
	run := r.Run
	_ = run
}
