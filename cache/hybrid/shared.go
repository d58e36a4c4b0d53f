package hybrid

import (
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// A doubting has keys asked again that were answered while L2 could not be asked: who
// was answered may take it for settled, and no word of a change comes twice.
type doubting struct {
	h *Hybrid
}

// Run implements background.Runner.
func (d *doubting) Run() {
	h := d.h
	h.mu.Lock()
	doubts := h.doubts
	h.doubts = map[string]bool{}
	watchers := h.watchers
	h.mu.Unlock()
	if len(doubts) >= maxChanges {
		cache.AnnounceAll(watchers)
		return
	}
	for key := range doubts {
		cache.Announce(watchers, key)
	}
}

func (h *Hybrid) doubtLocked(key string) {
	if h.closed {
		return
	}
	if len(h.doubts) == 0 {
		background.After(time.Duration(h.l1TTL), &doubting{h: h})
	}
	if len(h.doubts) < maxChanges {
		h.doubts[key] = true
	}
}

// refreshing asks again for records that somebody changed, so that a revocation is
// known here before L2 can fail.
type refreshing struct {
	h     *Hybrid
	ended bool
}

// refreshLocked has the record of key asked for again, if one is held here.
func (h *Hybrid) refreshLocked(key string) {
	e := h.l1.Entries[key]
	if e == nil || e.On == h.l1.Revoked || h.direct || h.closed || cache.KindOf(e.Value) != cache.LiveRecord || len(h.changes) >= maxChanges {
		return
	}
	h.changes = append(h.changes, key)
	if len(h.changes) == 1 && !h.refreshes {
		h.refreshes = true
		background.Start(&refreshing{h: h})
	}
}

// maxChanges bounds the records that wait to be asked for again. What is beyond is
// asked for when somebody needs it.
const maxChanges = 4096

// Run implements background.Runner.
func (r *refreshing) Run() {
	defer r.rest()
	for !r.ended {
		keys := r.h.takeChanges()
		for _, key := range keys {
			if r.h.isStale(key) {
				_, _ = r.h.ask(key)
			}
		}
		r.ended = len(keys) == 0
	}
}

// rest lets the work be taken up again after a panic.
func (r *refreshing) rest() {
	if r.ended {
		return
	}
	r.h.mu.Lock()
	r.h.refreshes = false
	r.h.mu.Unlock()
}

// takeChanges returns the records to ask for; none ends the refreshing.
func (h *Hybrid) takeChanges() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := h.changes
	h.changes = nil
	if len(keys) == 0 || h.fallback {
		h.refreshes = false
		return nil
	}
	return keys
}

func (h *Hybrid) isStale(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.l1.Entries[key]
	return e != nil && e.On != h.l1.Revoked && (e.Stale || e.Epoch != h.epoch)
}
