package hybrid

// whisper is how replicas tell each other of changes where the server refuses to:
// each publishes the keys that it writes. Nobody publishes what expires or what an
// operator deletes, and a message can be lost, so that L1TTL stays in force.
type whisper struct {
	l *link
}

// Up implements resp.Invalidations. Messages may have been missed until now, and the
// server may be another one.
func (w *whisper) Up() {
	h := w.l.h
	h.mu.Lock()
	h.up.checked = false
	h.local.stale()
	h.mu.Unlock()
	h.announceAll()
	h.kick()
}

// Down implements resp.Invalidations.
func (w *whisper) Down(err error) {
	h := w.l.h
	h.mu.Lock()
	h.up.checked = false
	h.mu.Unlock()
	h.kick()
}

// Invalidate implements resp.Invalidations.
func (w *whisper) Invalidate(keys []string) {
	w.l.Invalidate(keys)
}
