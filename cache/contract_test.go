package cache_test

import (
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock {
	return &clock{t: time.Now()}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) elapse(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func TestMemoryKeepsTheContract(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		c := newClock()
		return cachetest.Subject{Backend: cache.NewMemory(cache.MemoryOptions{Now: c.now}), Elapse: c.elapse}
	})
}
