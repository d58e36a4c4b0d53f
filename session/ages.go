package session

import (
	"sync/atomic"
	"time"
)

// Ages are the MaxAge of all managers of a process. Managers that no longer serve are
// included, because replicas may be about to change their configuration. The zero value
// has none. Ages are safe for concurrent use.
type Ages struct {
	longest atomic.Int64 // in ns
}

// Add adds the MaxAge of a manager.
func (a *Ages) Add(age time.Duration) {
	for {
		longest := a.longest.Load()
		if int64(age) <= longest || a.longest.CompareAndSwap(longest, int64(age)) {
			return
		}
	}
}

// longestAge returns the longest of them; zero: there is none.
func (a *Ages) longestAge() time.Duration {
	return time.Duration(a.longest.Load())
}
