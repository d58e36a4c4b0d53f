package hybrid

// messages receives the keys that other replicas publish, where Redis refuses tracking.
// Each replica publishes the keys that it writes. Expired keys and keys that an operator
// deletes are not published, and a message can be lost, so that L1TTL stays in force.
type messages struct {
	l *link
}

// Up implements resp.Invalidations. Messages may have been missed until now, and the
// Redis server may be another one.
func (w *messages) Up() {
	h := w.l.h
	h.mu.Lock()
	h.up.checked = false
	h.local.stale()
	h.mu.Unlock()
	h.announceAll()
	h.kick()
}

// Down implements resp.Invalidations.
func (w *messages) Down(err error) {
	h := w.l.h
	h.mu.Lock()
	h.up.checked = false
	h.mu.Unlock()
	h.kick()
}

// Invalidate implements resp.Invalidations.
func (w *messages) Invalidate(keys []string) {
	w.l.Invalidate(keys)
}
