package hybrid

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
)

// A sender gives L2 what it lacks.
type sender struct {
	h      *hub
	writer *writer
}

// restore gives L2 what it lacks, class by class: of L1, the revocations after a
// restart and everything after a loss of data; of the journal, all.
func (s *sender) restore(ctx context.Context, restarted, lost bool) error {
	var held [cache.Classes][]cache.Holding
	if restarted {
		held = s.holdings(lost)
		s.h.mu.Lock()
		s.h.local.recent.add(&held, s.h.now())
		s.h.mu.Unlock()
	}
	if err := s.try(ctx); err != nil {
		return err
	}
	for c := cache.Revocations; c < cache.Classes; c++ {
		if err := s.assert(ctx, c, held[c]); err != nil {
			return err
		}
		if err := s.drain(ctx, c); err != nil {
			return err
		}
	}
	s.accepted()
	return nil
}

// try carries one note to a server that refuses writes. Each time it is another one,
// because a server may refuse one key and take the others.
func (s *sender) try(ctx context.Context) error {
	h := s.h
	h.mu.Lock()
	refusing := h.up.refusing
	turn := h.up.turn
	if refusing {
		h.up.turn++
	}
	h.mu.Unlock()
	if !refusing {
		return nil
	}
	var notes []*cache.Note
	for c := cache.Revocations; c < cache.Classes; c++ {
		notes = append(notes, s.noted(c)...)
	}
	if len(notes) == 0 {
		return nil
	}
	turn %= len(notes)
	refused, err := s.carry(ctx, notes[turn:turn+1])
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		return errRefused
	}
	s.carried(notes[turn:turn+1], nil)
	return nil
}

// refused takes note that the server refuses writes, and reports the first time.
func (s *sender) refused() {
	h := s.h
	h.mu.Lock()
	first := !h.up.refusing
	h.up.refusing = true
	waiting := len(h.local.journal.notes)
	h.mu.Unlock()
	if first {
		h.observe(WritesRefused, fmt.Errorf("%d writes wait: %w", waiting, redis.LastRefusal(h.up.redis)))
	}
}

// accepted takes note that the server took all that waited, but for single keys.
func (s *sender) accepted() {
	h := s.h
	h.mu.Lock()
	again := h.up.refusing
	h.up.refusing = false
	h.mu.Unlock()
	if again {
		h.observe(WritesAccepted, nil)
	}
}

// holdings lists L1 by class, the least recently used first; without all, its
// revocations alone.
func (s *sender) holdings(all bool) [cache.Classes][]cache.Holding {
	h := s.h
	var held [cache.Classes][]cache.Holding
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := h.local.l1.Revoked.List.Back(); at != nil; at = at.Prev() {
		e := at.Value.(*cache.Entry)
		held[cache.Revocations] = append(held[cache.Revocations], cache.Holding{Key: e.Key, Value: e.Value, Expires: e.Expires})
	}
	if !all {
		return held
	}
	for _, s := range []*cache.Shelf{h.local.l1.Passing, h.local.l1.Recent} {
		for at := s.List.Back(); at != nil; at = at.Prev() {
			e := at.Value.(*cache.Entry)
			c := cache.ClassOf(e.Key, e.Value)
			held[c] = append(held[c], cache.Holding{Key: e.Key, Value: e.Value, Expires: e.Expires})
		}
	}
	return held
}

// assert gives L2 entries of L1, all of a class. What L2 has by now may outrank
// them.
func (s *sender) assert(ctx context.Context, c cache.Class, held []cache.Holding) error {
	h := s.h
	now := h.now().UnixNano()
	if c != cache.Markers {
		_, err := h.up.redis.MergeAll(ctx, held, now)
		return err
	}
	for _, x := range held {
		ttl := time.Duration(x.Expires - now)
		if ttl < time.Millisecond {
			continue
		}
		if err := h.up.redis.Add(ctx, x.Key, x.Value, ttl); errors.Is(err, cache.ErrUnavailable) && !redis.Refusal(err) {
			return err
		}
	}
	return nil
}

// drain carries a class of the journal to L2, as it is when draining begins:
// what is noted meanwhile is left to the next time, and so are keys that the server
// refuses. One that refuses all of a batch is left alone.
func (s *sender) drain(ctx context.Context, c cache.Class) error {
	notes := s.noted(c)
	for len(notes) > 0 {
		n := len(notes)
		if n > redis.BatchItems {
			n = redis.BatchItems
		}
		refused, err := s.carry(ctx, notes[:n])
		if err != nil {
			return err
		}
		s.carried(notes[:n], refused)
		if len(refused) == n {
			s.refused()
			return errRefused
		}
		notes = notes[n:]
	}
	return nil
}

// noted lists the notes of a class, the oldest first.
func (s *sender) noted(c cache.Class) []*cache.Note {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	var notes []*cache.Note
	for at := h.local.journal.classes[c].Front(); at != nil; at = at.Next() {
		notes = append(notes, at.Value.(*cache.Note))
	}
	return notes
}

// carried removes notes but those whose keys were refused.
func (s *sender) carried(notes []*cache.Note, refused []string) {
	h := s.h
	kept := map[string]bool{}
	for _, key := range refused {
		kept[key] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range notes {
		if !kept[n.Key] {
			h.local.journal.remove(n)
			h.local.changed(n.Key)
		}
	}
}

// carry takes notes to L2 and returns the keys that it refuses. That L2 has a
// higher state is no failure.
func (s *sender) carry(ctx context.Context, notes []*cache.Note) ([]string, error) {
	h := s.h
	now := h.now().UnixNano()
	var refused []string
	var merged []cache.Holding
	for _, n := range notes {
		if n.Intent == cache.ToMerge && (n.Known || n.Revocation.Link == "") {
			merged = append(merged, cache.Holding{Key: n.Key, Value: n.Value, Expires: n.Expires})
			continue
		}
		err := s.carryOne(ctx, n, now)
		if redis.Refusal(err) {
			refused = append(refused, n.Key)
		} else if errors.Is(err, cache.ErrUnavailable) {
			return nil, err
		}
	}
	some, err := h.up.redis.MergeAll(ctx, merged, now)
	return append(refused, some...), err
}

func (s *sender) carryOne(ctx context.Context, n *cache.Note, now int64) error {
	h := s.h
	ttl := time.Duration(n.Expires - now)
	if ttl < time.Millisecond {
		return nil
	}
	if n.Intent == cache.ToDelete {
		return h.up.redis.Delete(ctx, n.Key)
	}
	if n.Revocation.Link != "" {
		return s.carryRevocation(ctx, n, ttl)
	}
	err := h.up.redis.Add(ctx, n.Key, n.Value, ttl)
	if errors.Is(err, cache.ErrExists) {
		return s.compareMark(ctx, n)
	}
	return err
}

// carryRevocation revokes in L2 what a journalled revocation is about.
func (s *sender) carryRevocation(ctx context.Context, n *cache.Note, ttl time.Duration) error {
	h := s.h
	r := n.Revocation
	r.TTL = ttl
	written, err := h.up.redis.RevokeListed(ctx, []cache.Revocation{r})
	s.writer.revoked(written)
	return err
}

// compareMark tells our own mark, sent before with its reply lost, from one that
// somebody else made: then a value was used twice while nobody could know.
func (s *sender) compareMark(ctx context.Context, n *cache.Note) error {
	h := s.h
	found, err := h.up.redis.Get(ctx, n.Key)
	if err == nil && !bytes.Equal(found, n.Value) {
		h.observe(ReplayFound, nil)
	}
	return err
}
