package hybrid

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// write applies a change, also to the stores that take the place of this one.
func (h *Hybrid) write(c cache.Change) error {
	return h.followers.Pass(c, h.apply(c))
}

// apply carries a change to L2 and then to L1; without L2, to L1 and the journal.
func (h *Hybrid) apply(c cache.Change) error {
	if err := h.l1.Check(c.Key, c.Value, c.TTL); err != nil {
		return err
	}
	now := h.now()
	h.mu.Lock()
	if h.fallback {
		return h.unlockAndTell(c.Key, h.applyLocked(c, now))
	}
	held, _ := h.heldLocked(c.Key, now.UnixNano())
	if c.Op == cache.OpAdd && h.l1.Forbidden(c.Value, now.UnixNano()) {
		h.mu.Unlock()
		return cache.ErrConflict
	}
	q := h.beginLocked(c.Key, held != nil)
	if c.Op != cache.OpDelete { // of what was not there
		h.expectLocked(c.Key)
	}
	h.mu.Unlock()

	outcome, err := h.send(context.Background(), c)

	now = h.now()
	h.mu.Lock()
	if err != nil || outcome == cache.Remains {
		h.heardLocked(c.Key) // nothing was written
	}
	switch {
	case err == nil:
		h.wroteLocked(c, q, outcome, now)
	case errors.Is(err, cache.ErrUnavailable):
		h.changedLocked(c.Key)
		err = h.applyLocked(c, now)
		h.kickLocked()
	default:
		h.changedLocked(c.Key)
	}
	h.endLocked(q)
	err = h.unlockAndTell(c.Key, err)
	if err == nil {
		h.whisperOf(c.Key)
	}
	if c.Op == cache.OpCompare && q.held && errors.Is(err, cache.ErrMiss) {
		return h.confirmMiss(c.Key)
	}
	return err
}

// expectLocked notes that the server will tell of a change that is made here: what
// was written need not be read again for that.
func (h *Hybrid) expectLocked(key string) {
	if !h.tracking || !h.kept(key) {
		return
	}
	if len(h.echoes) >= maxChanges {
		h.echoes = map[string]int{}
	}
	h.echoes[key]++
}

// heardLocked reports whether word of a change is expected, and counts it as heard.
func (h *Hybrid) heardLocked(key string) bool {
	n := h.echoes[key]
	if n > 1 {
		h.echoes[key] = n - 1
	} else {
		delete(h.echoes, key)
	}
	return n > 0
}

// send carries a change to L2.
func (h *Hybrid) send(ctx context.Context, c cache.Change) (cache.Verdict, error) {
	switch c.Op {
	case cache.OpAdd:
		return cache.Replaces, h.l2.Add(ctx, c.Key, c.Value, c.TTL)
	case cache.OpCompare:
		return cache.Replaces, h.l2.CompareAndSet(ctx, c.Key, c.Version, c.Value, c.TTL)
	case cache.OpDelete:
		return cache.Replaces, h.l2.Delete(ctx, c.Key)
	}
	v, err := h.l2.Merge(ctx, c.Key, c.Value, c.TTL)
	if err == nil && v == cache.Conflicts {
		return v, cache.ErrConflict
	}
	return v, err
}

// unlockAndTell releases the lock, and tells the watchers of a change that took
// effect.
func (h *Hybrid) unlockAndTell(key string, err error) error {
	watchers := h.watchers
	h.mu.Unlock()
	if cache.Applied(err) {
		cache.Announce(watchers, key)
	}
	return err
}

// wroteLocked brings L1 up to what L2 acknowledged. The server's own word of the
// change can come before its acknowledgement, and another's change after ours:
// if anything became known since q began, the entry is stale from the start.
func (h *Hybrid) wroteLocked(c cache.Change, q inquiry, v cache.Verdict, now time.Time) {
	current := h.currentLocked(q)
	h.changedLocked(c.Key)
	if n := h.journal.notes[c.Key]; n != nil && n.Class != cache.Revocations {
		h.journal.remove(n)
	}
	e := h.l1.Live(c.Key, now.UnixNano())
	if c.Op == cache.OpDelete {
		if e != nil {
			h.l1.Remove(e)
		}
		return
	}
	mark := c.Op == cache.OpAdd && strings.HasPrefix(c.Key, "j:")
	final := cache.KindOf(c.Value) == cache.RevokedRecord
	if !mark && !h.kept(c.Key) || h.direct && !mark && !final {
		if e != nil && e.On != h.l1.Revoked {
			h.l1.Remove(e)
		}
		return
	}
	if v == cache.Remains && e != nil && e.On == h.l1.Revoked || e != nil && cache.Merge(e.Value, c.Value) != cache.Replaces {
		return
	}
	e = h.l1.Put(c.Key, c.Value, now, c.TTL)
	h.confirmedLocked(e, now, current && !mark && v == cache.Replaces)
}

// applyLocked applies a change here and notes it for L2. A lease that only this
// process knew of would be none.
func (h *Hybrid) applyLocked(c cache.Change, now time.Time) error {
	if strings.HasPrefix(c.Key, "l:") {
		return fmt.Errorf("%w: no lease", cache.ErrUnavailable)
	}
	held, known := h.heldLocked(c.Key, now.UnixNano())
	if err := permitted(&c, held, known); err != nil {
		return err
	}
	if c.Op == cache.OpAdd && h.l1.Forbidden(c.Value, now.UnixNano()) {
		return h.buryLocked(c, now)
	}
	n := &cache.Note{Key: c.Key, Value: c.Value, Expires: now.Add(c.TTL).UnixNano(), Since: now.UnixNano()}
	switch {
	case c.Op == cache.OpDelete:
		n.Intent = cache.ToDelete
		n.Expires = now.Add(cache.MaxTTL).UnixNano()
	case c.Op == cache.OpAdd && strings.HasPrefix(c.Key, "j:"):
		n.Intent = cache.ToAdd
	}
	dropped := h.journal.dropped
	ok := h.journal.put(n)
	if h.journal.dropped != dropped {
		h.worker.overflow = true
		h.kickLocked()
	}
	full := fmt.Errorf("%w: journal full", cache.ErrUnavailable)
	if !ok && cache.KindOf(c.Value) != cache.RevokedRecord {
		return full
	}
	e := h.l1.Entries[c.Key]
	if c.Op == cache.OpDelete {
		if e != nil {
			h.l1.Remove(e)
		}
		return cache.ErrJournalled
	}
	e = h.l1.Put(c.Key, c.Value, now, c.TTL)
	h.confirmedLocked(e, now, false)
	if !ok {
		return full // and yet revoked here
	}
	return cache.ErrJournalled
}

// buryLocked revokes a record that L2 may have got before it was known here that a
// revocation came first.
func (h *Hybrid) buryLocked(c cache.Change, now time.Time) error {
	value, ttl := cache.TombstoneOf(c.Value, now)
	if ttl >= time.Millisecond {
		_ = h.applyLocked(cache.Change{Op: cache.OpSet, Key: c.Key, Value: value, TTL: ttl}, now)
	}
	return cache.ErrConflict
}

// permitted decides about a change by what this process holds, as L2 would.
// Where the stored revocation says more than the new one, it is noted instead.
func permitted(c *cache.Change, held []byte, known bool) error {
	switch c.Op {
	case cache.OpAdd:
		if held != nil {
			return cache.ErrExists
		}
	case cache.OpCompare:
		if held == nil {
			_, err := answerHeld(nil, known)
			return err
		}
		return cache.Compare(held, c.Version, c.Value)
	case cache.OpSet:
		if held == nil {
			return nil
		}
		switch cache.Merge(held, c.Value) {
		case cache.Conflicts:
			return cache.ErrConflict
		case cache.Remains:
			c.Value = held
		}
	}
	return nil
}
