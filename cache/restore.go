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
		if err := h.assert(ctx, c, held[c]); err != nil {
			return err
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
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := h.l1.revoked.list.Back(); at != nil; at = at.Prev() {
		e := at.Value.(*entry)
		held[revocations] = append(held[revocations], holding{key: e.key, value: e.value, expires: e.expires})
	}
	if !all {
		return held
	}
	for _, s := range []*shelf{h.l1.passing, h.l1.recent} {
		for at := s.list.Back(); at != nil; at = at.Prev() {
			e := at.Value.(*entry)
			c := classOf(e.key, e.value)
			held[c] = append(held[c], holding{key: e.key, value: e.value, expires: e.expires})
		}
	}
	return held
}

// assert gives L2 entries of L1, all of a class. What L2 has by now may outrank
// them.
func (h *Hybrid) assert(ctx context.Context, c class, held []holding) error {
	now := h.now().UnixNano()
	if c != marks {
		_, err := h.l2.mergeAll(ctx, held, now)
		return err
	}
	for _, x := range held {
		ttl := time.Duration(x.expires - now)
		if ttl < time.Millisecond {
			continue
		}
		if err := h.l2.Add(ctx, x.key, x.value, ttl); errors.Is(err, ErrUnavailable) && !refusal(err) {
			return err
		}
	}
	return nil
}

// drain carries a class of the journal to L2, as it is when draining begins:
// what is noted meanwhile is left to the next time, and so is what a server
// without memory refuses.
func (h *Hybrid) drain(ctx context.Context, c class) error {
	notes := h.noted(c)
	for len(notes) > 0 {
		n := len(notes)
		if n > batchItems {
			n = batchItems
		}
		refused, err := h.carry(ctx, notes[:n])
		if err != nil {
			return err
		}
		h.carried(notes[:n], refused)
		notes = notes[n:]
	}
	return nil
}

// noted lists the notes of a class, the oldest first.
func (h *Hybrid) noted(c class) []*note {
	h.mu.Lock()
	defer h.mu.Unlock()
	var notes []*note
	for at := h.journal.classes[c].Front(); at != nil; at = at.Next() {
		notes = append(notes, at.Value.(*note))
	}
	return notes
}

// carried removes notes but those whose keys were refused.
func (h *Hybrid) carried(notes []*note, refused []string) {
	kept := map[string]bool{}
	for _, key := range refused {
		kept[key] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range notes {
		if !kept[n.key] {
			h.journal.remove(n)
			h.changedLocked(n.key)
		}
	}
}

// carry takes notes to L2 and returns the keys that it refuses. That L2 has a
// higher state is no failure.
func (h *Hybrid) carry(ctx context.Context, notes []*note) ([]string, error) {
	now := h.now().UnixNano()
	var refused []string
	var merged []holding
	for _, n := range notes {
		if n.intent == toMerge && (n.known || n.revocation.Link == "") {
			merged = append(merged, holding{key: n.key, value: n.value, expires: n.expires})
			continue
		}
		err := h.carryOne(ctx, n, now)
		if refusal(err) {
			refused = append(refused, n.key)
		} else if errors.Is(err, ErrUnavailable) {
			return nil, err
		}
	}
	some, err := h.l2.mergeAll(ctx, merged, now)
	return append(refused, some...), err
}

func (h *Hybrid) carryOne(ctx context.Context, n *note, now int64) error {
	ttl := time.Duration(n.expires - now)
	if ttl < time.Millisecond {
		return nil
	}
	if n.intent == toDelete {
		return h.l2.Delete(ctx, n.key)
	}
	if n.revocation.Link != "" {
		return h.carryRevocation(ctx, n, ttl)
	}
	err := h.l2.Add(ctx, n.key, n.value, ttl)
	if errors.Is(err, ErrExists) {
		return h.compareMark(ctx, n)
	}
	return err
}

// carryRevocation revokes in L2 what a journalled revocation is about.
func (h *Hybrid) carryRevocation(ctx context.Context, n *note, ttl time.Duration) error {
	r := n.revocation
	r.TTL = ttl
	written, err := h.l2.revoke(ctx, []Revocation{r})
	h.revoked(written)
	return err
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
