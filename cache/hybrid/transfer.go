package hybrid

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
)

// A transfer takes over from another store for a Hybrid, and hands over to the next.
type transfer struct {
	h      *hub
	sender *sender
	writer *writer
}

// DataSet implements Store.
func (t *transfer) DataSet(ctx context.Context, fresh bool) (cache.DataSet, error) {
	h := t.h
	h.mu.Lock()
	d := cache.DataSet{Met: h.up.met, Place: h.up.place, ID: h.up.known}
	h.mu.Unlock()
	if !fresh {
		return d, nil
	}
	id, err := h.up.redis.Identify(ctx)
	if err != nil {
		return d, err
	}
	d.Met = true
	d.ID = id
	return d, nil
}

// Owed implements Store.
func (t *transfer) Owed() *cache.Owed {
	h := t.h
	h.mu.Lock()
	defer h.mu.Unlock()
	o := &cache.Owed{Held: h.local.l1.Notes(h.local.journal.notes)}
	for c := cache.Revocations; c < cache.Classes; c++ {
		for at := h.local.journal.classes[c].Front(); at != nil; at = at.Next() {
			n := *at.Value.(*cache.Note)
			o.Unsent[c] = append(o.Unsent[c], n.Copied())
		}
	}
	return o
}

// Take implements Store. Values that Redis has got are held here too.
func (t *transfer) Take(ctx context.Context, o *cache.Owed, s cache.Scope) error {
	h := t.h
	if s == cache.OfLost {
		h.mu.Lock()
		h.up.incomplete = h.now().Add(restoring).UnixNano()
		h.mu.Unlock()
	}
	for c := cache.Revocations; c < cache.Classes; c++ {
		notes := o.ToSend(c, s)
		for len(notes) > 0 {
			n := len(notes)
			if n > redis.BatchItems {
				n = redis.BatchItems
			}
			if err := t.takeSome(ctx, c, notes[:n]); err != nil {
				return err
			}
			notes = notes[n:]
		}
	}
	if s == cache.OfSame {
		t.hold(o.Held[cache.Others])
	}
	return nil
}

// takeSome takes notes of one class. A session that Redis refuses is journalled. A
// revocation or a replay marker is not taken over before Redis has it.
func (t *transfer) takeSome(ctx context.Context, c cache.Class, notes []*cache.Note) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	refused, err := t.sender.carry(ctx, notes)
	if err != nil {
		return err
	}
	if len(refused) > 0 && (c != cache.Others || leased(refused)) {
		return fmt.Errorf("%w: Redis refuses sign-outs, replay markers or leases; check its maxmemory and the privileges of redis.username", cache.ErrUnavailable)
	}
	t.hold(notes)
	for _, n := range notes {
		if named(refused, n.Key) {
			_ = t.journalled(n)
		}
	}
	return nil
}

// journalled applies a note here and in the journal.
func (t *transfer) journalled(n *cache.Note) error {
	h := t.h
	now := h.now()
	h.mu.Lock()
	err := h.local.apply(cache.Change{Op: cache.OpSet, Key: n.Key, Value: n.Value, TTL: time.Duration(n.Expires - now.UnixNano())}, now)
	h.worker.kick()
	return h.unlockAndAnnounce(n.Key, err)
}

// leased reports whether there is a lease among the keys.
func leased(keys []string) bool {
	for _, key := range keys {
		if strings.HasPrefix(key, "l:") {
			return true
		}
	}
	return false
}

func named(keys []string, one string) bool {
	for _, key := range keys {
		if key == one {
			return true
		}
	}
	return false
}

// hold keeps copies of values that Redis has. They are read again before they are served.
func (t *transfer) hold(notes []*cache.Note) {
	h := t.h
	now := h.now()
	for _, n := range notes {
		if n.Revocation.Link != "" && !n.Known {
			r := n.Revocation
			r.TTL = time.Duration(n.Expires - now.UnixNano())
			_ = t.writer.revokeUnknown(r)
		}
	}
	h.mu.Lock()
	watchers := h.watchers
	for _, n := range notes {
		h.local.hold(n, now)
	}
	h.mu.Unlock()
	for _, n := range notes {
		cache.Announce(watchers, n.Key)
	}
}

// Inherit implements Store. A record with links is listed under them, which Set does
// not do.
func (t *transfer) Inherit(c cache.Change) error {
	h := t.h
	if cache.IsLinked(c.Value) {
		n := &cache.Note{Key: c.Key, Value: c.Value, Expires: h.now().Add(c.TTL).UnixNano(), Class: cache.Others}
		if t.takeSome(context.Background(), cache.Others, []*cache.Note{n}) == nil {
			return nil
		}
		return cache.Settled(t.journalled(n))
	}
	if c.Op != cache.OpDelete && !(c.Op == cache.OpAdd && strings.HasPrefix(c.Key, "j:")) {
		c.Op = cache.OpSet
	}
	return cache.Settled(t.writer.apply(c))
}

// InheritAll implements Store.
func (t *transfer) InheritAll(revocations []cache.Revocation) error {
	var failed error
	for _, r := range revocations {
		err := t.writer.revokeAll([]cache.Revocation{r})
		if !r.Unproven && !cache.Applied(err) {
			failed = err
		}
	}
	return failed
}

// Following implements Store.
func (t *transfer) Following() *cache.Followers {
	return t.h.followers
}
