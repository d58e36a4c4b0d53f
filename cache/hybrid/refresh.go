package hybrid

import (
	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// refreshes are records that others changed. They are read again, so that a revocation is
// known here before Redis can fail. The lock of the Hybrid guards the fields.
type refreshes struct {
	h       *hub
	reader  *reader
	keys    []string
	running bool
}

// A refreshing reads them.
type refreshing struct {
	r     *refreshes
	ended bool
}

// add schedules a read of the record of key, if one is held here. The lock is held.
func (r *refreshes) add(key string) {
	l := r.h.local
	e := l.l1.Entries[key]
	if e == nil || e.On == l.l1.Revoked || l.direct || r.h.worker.closed || cache.KindOf(e.Value) != cache.LiveRecord || len(r.keys) >= maxChanges {
		return
	}
	r.keys = append(r.keys, key)
	if len(r.keys) == 1 && !r.running {
		r.running = true
		background.Start(&refreshing{r: r})
	}
}

// Run implements background.Runner.
func (x *refreshing) Run() {
	defer x.rest()
	for !x.ended {
		keys := x.r.take()
		for _, key := range keys {
			if x.r.isStale(key) {
				_, _ = x.r.reader.load(key)
			}
		}
		x.ended = len(keys) == 0
	}
}

// rest lets the work be taken up again after a panic.
func (x *refreshing) rest() {
	if x.ended {
		return
	}
	x.r.h.mu.Lock()
	x.r.running = false
	x.r.h.mu.Unlock()
}

// take returns the records to read. None ends the refreshing.
func (r *refreshes) take() []string {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	keys := r.keys
	r.keys = nil
	if len(keys) == 0 || r.h.up.fallback {
		r.running = false
		return nil
	}
	return keys
}

func (r *refreshes) isStale(key string) bool {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	l := r.h.local
	e := l.l1.Entries[key]
	return e != nil && e.On != l.l1.Revoked && (e.Stale || e.Epoch != l.epoch)
}
