package hybrid

import (
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// rechecks are keys that were served from memory because reading Redis failed, outside of
// the fallback. They are announced again after L1TTL.
type rechecks struct {
	h    *hub
	keys map[string]bool // the lock of the Hybrid guards it
}

// A rechecking announces the keys. Readers take the values served for current, and Redis
// does not repeat an invalidation.
type rechecking struct {
	d *rechecks
}

// Run implements background.Runner.
func (x *rechecking) Run() {
	h := x.d.h
	h.mu.Lock()
	keys := x.d.keys
	x.d.keys = map[string]bool{}
	watchers := h.watchers
	h.mu.Unlock()
	if len(keys) >= maxChanges {
		cache.AnnounceAll(watchers)
		return
	}
	for key := range keys {
		cache.Announce(watchers, key)
	}
}

// add schedules the announcement of key. The lock is held.
func (d *rechecks) add(key string) {
	if d.h.worker.closed {
		return
	}
	if len(d.keys) == 0 {
		background.After(time.Duration(d.h.local.ttl), &rechecking{d: d})
	}
	if len(d.keys) < maxChanges {
		d.keys[key] = true
	}
}
