package cache_test

import (
	"testing"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		c := cachetest.NewClock()
		return cachetest.Subject{Backend: cache.NewMemory(cache.MemoryOptions{Now: c.Now}), Elapse: c.Elapse}
	})
}
