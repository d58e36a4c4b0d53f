package hybrid

import (
	"context"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// Revoke sends the revocations to Redis, and the records that they cover are revoked here
// at once. Without Redis they are applied to the records here, and journalled. When Redis
// is back, its indexes list the other records.
func (h *Hybrid) Revoke(ctx context.Context, revocations []cache.Revocation) error {
	for _, r := range revocations {
		if err := r.Check(); err != nil {
			return err
		}
	}
	return h.hub.followers.PassAll(revocations, h.writer.revokeAll(revocations))
}

// revokeAll is Revoke in this store only.
func (w *writer) revokeAll(revocations []cache.Revocation) error {
	var failed error
	var written []cache.Holding
	for _, r := range revocations {
		some, err := w.revoke(r)
		written = append(written, some...)
		if err != nil {
			failed = err
		}
	}
	// Where there is little room, the tombstones stay rather than the revocation entries.
	w.revoked(written)
	return failed
}

// revoke returns the tombstones that were written in Redis.
func (w *writer) revoke(r cache.Revocation) ([]cache.Holding, error) {
	h := w.h
	h.mu.Lock()
	fallback := h.up.fallback
	h.mu.Unlock()
	if fallback {
		return nil, w.revokeHere(r)
	}
	written, err := h.up.redis.RevokeListed(context.Background(), []cache.Revocation{r})
	if err != nil {
		applied := w.revokeHere(r)
		h.mu.Lock()
		h.worker.kick()
		h.mu.Unlock()
		return written, applied
	}
	return written, w.revokeUnknown(r)
}

// revokeUnknown stores the entry of r, which Redis has. It applies r to the records here
// that Redis has yet to get.
func (w *writer) revokeUnknown(r cache.Revocation) error {
	h := w.h
	now := h.now()
	h.mu.Lock()
	if !r.Unproven {
		h.local.l1.PutRevocation(r, now)
	}
	var unknown []*cache.Entry
	for key, n := range h.local.journal.notes {
		if e := h.local.l1.Entries[key]; e != nil && r.CoversRecord(n.Value) && r.CoversRecord(e.Value) {
			unknown = append(unknown, e)
		}
	}
	keys, err := h.local.revokeEntries(unknown, now)
	watchers := h.watchers
	if len(keys) > 0 {
		h.worker.kick()
	}
	h.mu.Unlock()
	for _, key := range keys {
		cache.Announce(watchers, key)
	}
	return err
}

// revoked stores tombstones that Redis has.
func (w *writer) revoked(written []cache.Holding) {
	h := w.h
	now := h.now()
	h.mu.Lock()
	watchers := h.watchers
	for _, x := range written {
		h.local.changed(x.Key)
		if n := h.local.journal.notes[x.Key]; n != nil {
			h.local.journal.remove(n)
		}
		e := h.local.l1.Live(x.Key, now.UnixNano())
		if e == nil || cache.Merge(e.Value, x.Value) == cache.Replaces {
			h.local.l1.Put(x.Key, x.Value, now, time.Duration(x.Expires-now.UnixNano()))
		}
	}
	h.mu.Unlock()
	for _, x := range written {
		cache.Announce(watchers, x.Key)
		h.publish(x.Key)
	}
}

// revokeHere applies r to the records of this process, and journals it.
func (w *writer) revokeHere(r cache.Revocation) error {
	h := w.h
	if r.Unproven {
		return fmt.Errorf("%w: an unproven logout needs Redis", cache.ErrUnavailable)
	}
	now := h.now()
	h.mu.Lock()
	err := h.local.storeRevocation(r, now)
	keys, failed := h.local.revokeEntries(h.local.l1.Covered(r, now.UnixNano()), now)
	if !cache.Applied(failed) {
		err = failed
	}
	watchers := h.watchers
	h.mu.Unlock()
	for _, key := range keys {
		cache.Announce(watchers, key)
	}
	for _, w := range watchers {
		w.Revoked(r)
	}
	return err
}

// Trim calls Redis, because its index is that of all replicas. Without Redis no session
// is ended, and the next sign-in calls Trim again.
func (h *Hybrid) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	h.hub.mu.Lock()
	fallback := h.hub.up.fallback
	h.hub.mu.Unlock()
	if fallback {
		return 0, cache.CheckTrim(link, most)
	}
	written, err := h.hub.up.redis.TrimListed(context.Background(), link, most, newest)
	h.writer.revoked(written)
	return len(written), err
}
