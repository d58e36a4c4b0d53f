package hybrid

import (
	"context"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// Revoke carries the revocations to L2, and what they are about is revoked here at
// once. Without L2 they are applied to what is held here, and journalled: when L2 is
// back, its indexes say what else they are about.
func (h *Hybrid) Revoke(ctx context.Context, revocations []cache.Revocation) error {
	for _, r := range revocations {
		if err := r.Check(); err != nil {
			return err
		}
	}
	return h.followers.PassAll(revocations, h.revokeAll(revocations))
}

// revokeAll is Revoke in this store alone.
func (h *Hybrid) revokeAll(revocations []cache.Revocation) error {
	var failed error
	var written []cache.Holding
	for _, r := range revocations {
		some, err := h.revoke(r)
		written = append(written, some...)
		if err != nil {
			failed = err
		}
	}
	// Where there is little room, the tombstones stay rather than the notes.
	h.revoked(written)
	return failed
}

// revoke returns the tombstones that L2 has got.
func (h *Hybrid) revoke(r cache.Revocation) ([]cache.Holding, error) {
	h.mu.Lock()
	fallback := h.fallback
	h.mu.Unlock()
	if fallback {
		return nil, h.revokeHere(r)
	}
	written, err := h.l2.RevokeListed(context.Background(), []cache.Revocation{r})
	if err != nil {
		applied := h.revokeHere(r)
		h.kick()
		return written, applied
	}
	return written, h.revokeUnknown(r)
}

// revokeUnknown notes r, which L2 has, and applies it to what is held here and L2
// has yet to get.
func (h *Hybrid) revokeUnknown(r cache.Revocation) error {
	now := h.now()
	h.mu.Lock()
	if !r.Unproven {
		h.l1.Note(r, now)
	}
	var unknown []*cache.Entry
	for key, n := range h.journal.notes {
		if e := h.l1.Entries[key]; e != nil && r.CoversRecord(n.Value) && r.CoversRecord(e.Value) {
			unknown = append(unknown, e)
		}
	}
	keys, err := h.buryEntriesLocked(unknown, now)
	watchers := h.watchers
	if len(keys) > 0 {
		h.kickLocked()
	}
	h.mu.Unlock()
	for _, key := range keys {
		cache.Announce(watchers, key)
	}
	return err
}

// buryEntriesLocked revokes records that are held here, here and in the journal. The
// error is ErrJournalled if there were any.
func (h *Hybrid) buryEntriesLocked(covered []*cache.Entry, now time.Time) ([]string, error) {
	var keys []string
	var err error
	for _, e := range covered {
		value, ttl := cache.TombstoneOf(e.Value, now)
		failed := h.applyLocked(cache.Change{Op: cache.OpSet, Key: e.Key, Value: value, TTL: ttl}, now)
		if err == nil || !cache.Applied(failed) {
			err = failed
		}
		keys = append(keys, e.Key)
	}
	return keys, err
}

// revoked takes tombstones over that L2 has.
func (h *Hybrid) revoked(written []cache.Holding) {
	now := h.now()
	h.mu.Lock()
	watchers := h.watchers
	for _, x := range written {
		h.changedLocked(x.Key)
		if n := h.journal.notes[x.Key]; n != nil {
			h.journal.remove(n)
		}
		e := h.l1.Live(x.Key, now.UnixNano())
		if e == nil || cache.Merge(e.Value, x.Value) == cache.Replaces {
			h.l1.Put(x.Key, x.Value, now, time.Duration(x.Expires-now.UnixNano()))
		}
	}
	h.mu.Unlock()
	for _, x := range written {
		cache.Announce(watchers, x.Key)
		h.whisperOf(x.Key)
	}
}

// noteHereLocked notes r here and in the journal.
func (h *Hybrid) noteHereLocked(r cache.Revocation, now time.Time) error {
	key := cache.NoteKey(r.Mark)
	err := h.applyLocked(cache.Change{Op: cache.OpSet, Key: key, Value: r.Note(now), TTL: r.TTL}, now)
	if n := h.journal.notes[key]; n != nil && (n.Revocation.Link == "" || n.Revocation.Before.Before(r.Before)) {
		n.Revocation = r
	}
	if e := h.l1.Entries[key]; e != nil && (e.About == nil || e.About.Before.Before(r.Before)) {
		e.About = r.Copied()
	}
	return err
}

// revokeHere applies r to what this process holds, and journals it.
func (h *Hybrid) revokeHere(r cache.Revocation) error {
	if r.Unproven {
		return fmt.Errorf("%w: not revoked", cache.ErrUnavailable)
	}
	now := h.now()
	h.mu.Lock()
	err := h.noteHereLocked(r, now)
	keys, failed := h.buryEntriesLocked(h.l1.Covered(r, now.UnixNano()), now)
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

// Trim asks L2, whose index is that of all replicas. Without L2 nothing is ended: the
// next sign-in sees to it.
func (h *Hybrid) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	h.mu.Lock()
	fallback := h.fallback
	h.mu.Unlock()
	if fallback {
		return 0, cache.CheckTrim(link, most)
	}
	written, err := h.l2.TrimListed(context.Background(), link, most, newest)
	h.revoked(written)
	return len(written), err
}
