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

// A sender sends Redis the data that it lacks.
type sender struct {
	h      *hub
	writer *writer
}

// restore sends Redis the data that it lacks, class by class: of memory, the revocations
// after a restart and everything after a loss of data; of the journal, all.
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

// try sends one note to a Redis that refuses writes. Each time it is another one, because
// Redis may refuse one key and accept the others.
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

// refused records that Redis refuses writes, and reports the first time.
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

// accepted records that Redis accepted all notes, except single keys.
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

// holdings lists the entries of memory by class, the least recently used first. Without
// all it lists the revocations and the latest writes, which a failover may have lost.
func (s *sender) holdings(all bool) [cache.Classes][]cache.Holding {
	h := s.h
	var held [cache.Classes][]cache.Holding
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := h.local.l1.Revoked.List.Back(); at != nil; at = at.Prev() {
		e := at.Value.(*cache.Entry)
		held[cache.Revocations] = append(held[cache.Revocations], cache.Holding{Key: e.Key, Value: e.Value, Expires: e.Expires})
	}
	since := h.now().Add(-recentSpan).UnixNano()
	if since < h.local.flushed {
		since = h.local.flushed
	}
	for _, s := range []*cache.Shelf{h.local.l1.Passing, h.local.l1.Recent} {
		for at := s.List.Back(); at != nil; at = at.Prev() {
			e := at.Value.(*cache.Entry)
			if !all && e.WrittenAt <= since {
				continue
			}
			c := cache.ClassOf(e.Key, e.Value)
			held[c] = append(held[c], cache.Holding{Key: e.Key, Value: e.Value, Expires: e.Expires})
		}
	}
	return held
}

// assert sends Redis entries of memory, all of a class. The values of Redis may outrank
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

// drain sends a class of the journal to Redis, as it is when draining begins. Notes that
// come meanwhile are left to the next time, and so are keys that Redis refuses. It stops
// when Redis refuses all of a batch.
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

// carried removes notes except those with refused keys.
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

// carry sends notes to Redis and returns the keys that it refuses. A higher state in
// Redis is no failure.
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
		return s.compareMarker(ctx, n)
	}
	return err
}

// carryRevocation revokes in Redis the records that a journalled revocation covers.
func (s *sender) carryRevocation(ctx context.Context, n *cache.Note, ttl time.Duration) error {
	h := s.h
	r := n.Revocation
	r.TTL = ttl
	written, err := h.up.redis.RevokeListed(ctx, []cache.Revocation{r})
	s.writer.revoked(written)
	return err
}

// compareMarker distinguishes our own replay marker, sent before with its reply lost,
// from one of another replica. With the latter, a value was used twice while that could
// not be known.
func (s *sender) compareMarker(ctx context.Context, n *cache.Note) error {
	h := s.h
	found, err := h.up.redis.Get(ctx, n.Key)
	if err == nil && !bytes.Equal(found, n.Value) {
		h.observe(ReplayFound, nil)
	}
	return err
}
