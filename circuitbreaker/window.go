package circuitbreaker

import "time"

const buckets = 10

// window counts calls by when they ended. The zero value is empty.
type window struct {
	bucket [buckets]tally
	turned int64 // number of the latest bucket since 1970
}

type tally struct {
	calls, failed int
}

// count adds a call that ended now to a window of that width.
func (w *window) count(now time.Time, width time.Duration, failed bool) {
	w.turn(now, width)
	t := &w.bucket[w.turned%buckets]
	t.calls++
	if failed {
		t.failed++
	}
}

// turn empties the buckets that now has left behind. A clock that goes back
// counts into the latest bucket.
func (w *window) turn(now time.Time, width time.Duration) {
	latest := now.UnixNano() / (int64(width)/buckets + 1)
	if latest-w.turned >= buckets {
		*w = window{turned: latest}
		return
	}
	for w.turned < latest {
		w.turned++
		w.bucket[w.turned%buckets] = tally{}
	}
}

// sum counts the calls of the window, and those that failed.
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
