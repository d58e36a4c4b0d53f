package hybrid

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
)

// DataSet implements Store.
func (h *Hybrid) DataSet(ctx context.Context, fresh bool) (cache.DataSet, error) {
	h.mu.Lock()
	d := cache.DataSet{Met: h.met, Place: h.place, ID: h.known}
	h.mu.Unlock()
	if !fresh {
		return d, nil
	}
	id, err := h.l2.Identify(ctx)
	if err != nil {
		return d, err
	}
	d.Met = true
	d.ID = id
	return d, nil
}

// Owed implements Store.
func (h *Hybrid) Owed() *cache.Owed {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := &cache.Owed{Held: h.l1.Notes(h.journal.notes)}
	for c := cache.Revocations; c < cache.Classes; c++ {
		for at := h.journal.classes[c].Front(); at != nil; at = at.Next() {
			n := *at.Value.(*cache.Note)
			o.Unsent[c] = append(o.Unsent[c], n.Copied())
		}
	}
	return o
}

// Take implements Store. What L2 has got is held here too.
func (h *Hybrid) Take(ctx context.Context, o *cache.Owed, s cache.Scope) error {
	if s == cache.OfLost {
		h.mu.Lock()
		h.incomplete = h.now().Add(restoring).UnixNano()
		h.mu.Unlock()
	}
	for c := cache.Revocations; c < cache.Classes; c++ {
		notes := o.ToSend(c, s)
		for len(notes) > 0 {
			n := len(notes)
			if n > redis.BatchItems {
				n = redis.BatchItems
			}
			if err := h.takeSome(ctx, c, notes[:n]); err != nil {
				return err
			}
			notes = notes[n:]
		}
	}
	if s == cache.OfSame {
		h.hold(o.Held[cache.Others])
	}
	return nil
}

// takeSome takes notes of one class. A session that the server refuses is journalled;
// a revocation or a marker is not taken over before the server has it.
func (h *Hybrid) takeSome(ctx context.Context, c cache.Class, notes []*cache.Note) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	refused, err := h.carry(ctx, notes)
	if err != nil {
		return err
	}
	if len(refused) > 0 && c != cache.Others {
		return fmt.Errorf("%w: the server refuses sign-outs or markers, check its memory and the user's privileges", cache.ErrUnavailable)
	}
	h.hold(notes)
	for _, n := range notes {
		if named(refused, n.Key) {
			_ = h.journalled(n)
		}
	}
	return nil
}

// journalled applies a note here and in the journal.
func (h *Hybrid) journalled(n *cache.Note) error {
	now := h.now()
	h.mu.Lock()
	err := h.applyLocked(cache.Change{Op: cache.OpSet, Key: n.Key, Value: n.Value, TTL: time.Duration(n.Expires - now.UnixNano())}, now)
	h.kickLocked()
	return h.unlockAndTell(n.Key, err)
}

func named(keys []string, one string) bool {
	for _, key := range keys {
		if key == one {
			return true
		}
	}
	return false
}

// hold keeps copies of what L2 has. They are asked for again before they are served.
func (h *Hybrid) hold(notes []*cache.Note) {
	now := h.now()
	for _, n := range notes {
		if n.Revocation.Link != "" && !n.Known {
			r := n.Revocation
			r.TTL = time.Duration(n.Expires - now.UnixNano())
			_ = h.revokeUnknown(r)
		}
	}
	h.mu.Lock()
	watchers := h.watchers
	for _, n := range notes {
		h.holdLocked(n, now)
	}
	h.mu.Unlock()
	for _, n := range notes {
		cache.Announce(watchers, n.Key)
	}
}

func (h *Hybrid) holdLocked(n *cache.Note, now time.Time) {
	ttl := time.Duration(n.Expires - now.UnixNano())
	if ttl < time.Millisecond || n.Intent == cache.ToDelete || n.Class == cache.Others && (h.direct || !h.kept(n.Key)) {
		return
	}
	e := h.l1.Live(n.Key, now.UnixNano())
	if e != nil && (n.Class == cache.Marks || cache.Merge(e.Value, n.Value) != cache.Replaces) {
		return
	}
	h.changedLocked(n.Key)
	e = h.l1.Put(n.Key, n.Value, now, ttl)
	h.confirmedLocked(e, now, false)
	if n.Revocation.Link != "" {
		e.About = n.Revocation.Copied()
	}
}

// Inherit implements Store. A record with links is listed under them, which Set does
// not do.
func (h *Hybrid) Inherit(c cache.Change) error {
	if cache.IsLinked(c.Value) {
		n := &cache.Note{Key: c.Key, Value: c.Value, Expires: h.now().Add(c.TTL).UnixNano(), Class: cache.Others}
		if h.takeSome(context.Background(), cache.Others, []*cache.Note{n}) == nil {
			return nil
		}
		return cache.Settled(h.journalled(n))
	}
	if c.Op != cache.OpDelete && !(c.Op == cache.OpAdd && strings.HasPrefix(c.Key, "j:")) {
		c.Op = cache.OpSet
	}
	return cache.Settled(h.apply(c))
}

// InheritAll implements Store.
func (h *Hybrid) InheritAll(revocations []cache.Revocation) error {
	var failed error
	for _, r := range revocations {
		err := h.revokeAll([]cache.Revocation{r})
		if !r.Unproven && !cache.Applied(err) {
			failed = err
		}
	}
	return failed
}

// Following implements Store.
func (h *Hybrid) Following() *cache.Followers {
	return h.followers
}
