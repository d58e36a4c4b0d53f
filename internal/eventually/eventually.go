// Package eventually waits in tests for a condition that another goroutine, process or
// server makes true. It is the only wait of the tests that asks again and again.
package eventually

import (
	"testing"
	"time"
)

// Limit is how long True waits. It is no measure of speed: a busy machine may need most
// of it.
const Limit = time.Minute

// leastPause and mostPause bound the pause between two calls of a condition. It doubles
// from one to the other.
const leastPause, mostPause = time.Millisecond, 20 * time.Millisecond

// True calls is until it returns true. It fails the test with condition when that takes
// longer than Limit.
func True(t testing.TB, condition string, is func() bool) {
	t.Helper()
	within(t, Limit, condition, is)
}

func within(t testing.TB, limit time.Duration, condition string, is func() bool) {
	t.Helper()
	if !Within(limit, is) {
		t.Fatalf("not within %s: %s", limit, condition)
	}
}

// Within calls is until it returns true, and reports whether it did so by the limit. It
// calls is at least once, also with a limit of zero.
func Within(limit time.Duration, is func() bool) bool {
	pause := leastPause
	for start := time.Now(); !is(); time.Sleep(pause) {
		if time.Since(start) >= limit {
			return false
		}
		if pause *= 2; pause > mostPause {
			pause = mostPause
		}
	}
	return true
}
