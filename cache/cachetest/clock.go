package cachetest

import (
	"sync"
	"time"
)

// A Clock is a time that tests move.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock returns a Clock at the present time that does not move by itself.
func NewClock() *Clock {
	return &Clock{t: time.Now()}
}

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Elapse moves the clock forward.
func (c *Clock) Elapse(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
