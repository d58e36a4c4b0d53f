package hybrid

import (
	"context"
	"errors"

	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// whisper is how replicas tell each other of changes where the server refuses to:
// each publishes the keys that it writes. Nobody publishes what expires or what an
// operator deletes, and a message can be lost, so that L1TTL stays in force.
type whisper struct {
	l *link
}

// whisperChannel is the channel's name after the prefix.
const whisperChannel = "changes"

// Up implements resp.Invalidations. Messages may have been missed until now, and the
// server may be another one.
func (w *whisper) Up() {
	h := w.l.h
	h.mu.Lock()
	h.checked = false
	h.staleLocked()
	h.mu.Unlock()
	h.announceAll()
	h.kick()
}

// Down implements resp.Invalidations.
func (w *whisper) Down(err error) {
	h := w.l.h
	h.mu.Lock()
	h.checked = false
	h.mu.Unlock()
	h.kick()
}

// Invalidate implements resp.Invalidations.
func (w *whisper) Invalidate(keys []string) {
	w.l.Invalidate(keys)
}

// whisperIfRefused begins to whisper once the server has refused tracking, which
// is another thing than refusing the connection.
func (h *Hybrid) whisperIfRefused(err error) {
	refused := errors.Is(err, resp.ErrTerminal) && redis.Outcome(context.Background(), err) == circuitbreaker.Success
	h.mu.Lock()
	begin := refused && !h.whispers && !h.closed
	if begin {
		h.whispers = true
	}
	h.mu.Unlock()
	if begin {
		h.subscriber.Start()
	}
}

// whisperOf tells the other replicas of a change. Who does not hear it asks again
// at L1TTL.
func (h *Hybrid) whisperOf(key string) {
	h.mu.Lock()
	whispers := h.whispers
	h.mu.Unlock()
	if whispers && h.kept(key) {
		_, _ = h.l2.Client.Do(context.Background(), "PUBLISH", h.l2.Prefix+whisperChannel, h.l2.Prefix+key)
	}
}
