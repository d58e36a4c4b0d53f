package hybrid

import (
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// doubts are keys that were answered from L1 because L2 could not be asked, outside of
// the fallback: they are asked again at L1TTL.
type doubts struct {
	h    *hub
	keys map[string]bool // the lock of the Hybrid guards it
}

// A doubting has keys asked again that were answered while L2 could not be asked: who
// was answered may take it for settled, and no word of a change comes twice.
type doubting struct {
	d *doubts
}

// Run implements background.Runner.
func (x *doubting) Run() {
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

// add has key asked again, and be announced. The lock is held.
func (d *doubts) add(key string) {
	if d.h.worker.closed {
		return
	}
	if len(d.keys) == 0 {
		background.After(time.Duration(d.h.local.ttl), &doubting{d: d})
	}
	if len(d.keys) < maxChanges {
		d.keys[key] = true
	}
}
