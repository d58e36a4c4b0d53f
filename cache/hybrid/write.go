package hybrid

import (
	"context"
	"errors"

	"github.com/traefikoidc/traefikoidc/cache"
)

// A writer sends writes to Redis, or to the journal.
type writer struct {
	h      *hub
	reader *reader
}

// write applies a change, also to the stores that replace this one.
func (w *writer) write(c cache.Change) error {
	h := w.h
	return h.followers.Pass(c, w.apply(c))
}

// apply sends a change to Redis and then applies it to memory. Without Redis it goes to
// memory and the journal.
func (w *writer) apply(c cache.Change) error {
	h := w.h
	if err := h.local.l1.Check(c.Key, c.Value, c.TTL); err != nil {
		return err
	}
	now := h.now()
	h.mu.Lock()
	if h.up.fallback {
		return h.unlockAndAnnounce(c.Key, h.local.apply(c, now))
	}
	held, _ := h.local.held(c.Key, now.UnixNano())
	if c.Op == cache.OpAdd && h.local.l1.Forbidden(c.Value, now.UnixNano()) {
		h.mu.Unlock()
		return cache.ErrConflict
	}
	q := h.local.begin(c.Key, held != nil)
	if h.up.tracking && c.Op != cache.OpDelete { // Redis reports no deletion of an absent key
		h.local.expect(c.Key)
	}
	h.mu.Unlock()

	outcome, err := w.send(context.Background(), c)

	now = h.now()
	h.mu.Lock()
	if err != nil || outcome == cache.Remains {
		h.local.heard(c.Key) // nothing was written
	}
	switch {
	case err == nil:
		h.local.wrote(c, q, outcome, now)
	case errors.Is(err, cache.ErrUnavailable):
		h.local.changed(c.Key)
		err = h.local.apply(c, now)
		h.worker.kick()
	default:
		h.local.changed(c.Key)
	}
	h.local.end(q)
	err = h.unlockAndAnnounce(c.Key, err)
	if err == nil {
		h.publish(c.Key)
	}
	if c.Op == cache.OpCompare && q.held && errors.Is(err, cache.ErrMiss) {
		return w.reader.confirmMiss(c.Key)
	}
	return err
}

// send sends a change to Redis.
func (w *writer) send(ctx context.Context, c cache.Change) (cache.Verdict, error) {
	h := w.h
	switch c.Op {
	case cache.OpAdd:
		return cache.Replaces, h.up.redis.Add(ctx, c.Key, c.Value, c.TTL)
	case cache.OpCompare:
		return cache.Replaces, h.up.redis.CompareAndSet(ctx, c.Key, c.Version, c.Value, c.TTL)
	case cache.OpDelete:
		return cache.Replaces, h.up.redis.Delete(ctx, c.Key)
	}
	v, err := h.up.redis.Merge(ctx, c.Key, c.Value, c.TTL)
	if err == nil && v == cache.Conflicts {
		return v, cache.ErrConflict
	}
	return v, err
}
