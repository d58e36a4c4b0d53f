package cache

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// A holding is an entry of L1 that is given to L2 again.
type holding struct {
	key     string
	value   []byte
	expires int64 // ns since 1970
}

// restore gives L2 what it lacks, class by class: of L1, the revocations after a
// restart and everything after a loss of data; of the journal, all.
func (h *Hybrid) restore(ctx context.Context, restarted, lost bool) error {
	var held [classes][]holding
	if restarted {
		held = h.holdings(lost)
	}
	for c := revocations; c < classes; c++ {
		for i := range held[c] {
			if err := h.assert(ctx, c, held[c][i]); err != nil {
				return err
			}
		}
		if err := h.drain(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// holdings lists L1 by class, the least recently used first; without all, its
// revocations alone.
func (h *Hybrid) holdings(all bool) [classes][]holding {
	var held [classes][]holding
	h.l1.mu.Lock()
	defer h.l1.mu.Unlock()
	for at := h.l1.revoked.Back(); at != nil; at = at.Prev() {
		e := at.Value.(*entry)
		held[revocations] = append(held[revocations], holding{key: e.key, value: e.value, expires: e.expires})
	}
	if !all {
		return held
	}
	for at := h.l1.recent.Back(); at != nil; at = at.Prev() {
		e := at.Value.(*entry)
		c := classOf(e.key, e.value)
		held[c] = append(held[c], holding{key: e.key, value: e.value, expires: e.expires})
	}
	return held
}

// assert gives L2 an entry of L1. What L2 has by now may outrank it.
func (h *Hybrid) assert(ctx context.Context, c class, x holding) error {
	ttl := time.Duration(x.expires - h.l1.now().UnixNano())
	if ttl < time.Millisecond {
		return nil
	}
	var err error
	if c == marks {
		err = h.l2.Add(ctx, x.key, x.value, ttl)
	} else {
		_, err = h.l2.merge(ctx, x.key, x.value, ttl)
	}
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return nil
}

// drain empties a class of the journal, as it was when draining began: what is
// noted meanwhile is left to the next time.
func (h *Hybrid) drain(ctx context.Context, c class) error {
	h.l1.mu.Lock()
	n, left := h.journal.first(c), h.journal.classes[c].Len()
	h.l1.mu.Unlock()
	for ; n != nil && left > 0; left-- {
		if err := h.carry(ctx, n); err != nil {
			return err
		}
		h.l1.mu.Lock()
		h.journal.remove(n)
		h.changedLocked(n.key)
		n = h.journal.first(c)
		h.l1.mu.Unlock()
	}
	return nil
}

// carry takes a note to L2. That L2 has a higher state is no failure.
func (h *Hybrid) carry(ctx context.Context, n *note) error {
	ttl := time.Duration(n.expires - h.l1.now().UnixNano())
	if ttl < time.Millisecond {
		return nil
	}
	var err error
	switch n.intent {
	case toDelete:
		err = h.l2.Delete(ctx, n.key)
	case toAdd:
		err = h.l2.Add(ctx, n.key, n.value, ttl)
		if errors.Is(err, ErrExists) {
			err = h.compareMark(ctx, n)
		}
	default:
		_, err = h.l2.merge(ctx, n.key, n.value, ttl)
	}
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return nil
}

// compareMark tells our own mark, sent before with its reply lost, from one that
// somebody else made: then a value was used twice while nobody could know.
func (h *Hybrid) compareMark(ctx context.Context, n *note) error {
	found, err := h.l2.Get(ctx, n.key)
	if err == nil && !bytes.Equal(found, n.value) {
		h.observe(ReplayFound, nil)
	}
	return err
}
