package circuitbreaker

import "time"

const buckets = 10

// window counts calls by the time at which they ended. The zero value is empty.
type window struct {
	bucket [buckets]tally
	latest int64 // number of the latest bucket since 1970
}

type tally struct {
	calls, failed int
}

// count adds a call that ended now. width is the duration of the whole window.
func (w *window) count(now time.Time, width time.Duration, failed bool) {
	w.advance(now, width)
	t := &w.bucket[w.latest%buckets]
	t.calls++
	if failed {
		t.failed++
	}
}

// advance moves the window to now and empties the buckets that are now too old. If the
// clock goes back, calls count in the latest bucket.
func (w *window) advance(now time.Time, width time.Duration) {
	latest := now.UnixNano() / (int64(width)/buckets + 1)
	if latest-w.latest >= buckets {
		*w = window{latest: latest}
		return
	}
	for w.latest < latest {
		w.latest++
		w.bucket[w.latest%buckets] = tally{}
	}
}

// sum returns the number of calls in the window, and of those that failed.
func (w *window) sum() (int, int) {
	calls := 0
	failed := 0
	for i := range w.bucket {
		calls += w.bucket[i].calls
		failed += w.bucket[i].failed
	}
	return calls, failed
}

func (w *window) exceeds(minCalls int, rate float64) bool {
	calls, failed := w.sum()
	return calls >= minCalls && float64(failed) >= rate*float64(calls)
}
