package cache

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Notes lists the entries without a note in the journal, the least recently used first.
func (l *LRU) Notes(unsent map[string]*Note) [Classes][]*Note {
	var held [Classes][]*Note
	for _, s := range []*Shelf{l.Revoked, l.markers, l.Passing, l.Recent} {
		for at := s.List.Back(); at != nil; at = at.Prev() {
			e := at.Value.(*Entry)
			if unsent[e.Key] == nil {
				n := noteOf(e)
				held[n.Class] = append(held[n.Class], n)
			}
		}
	}
	return held
}

// noteOf returns the note by which the shared store is sent an entry.
func noteOf(e *Entry) *Note {
	n := &Note{Key: e.Key, Value: e.Value, Expires: e.Expires, Class: ClassOf(e.Key, e.Value)}
	if n.Class == Markers {
		n.Intent = ToAdd
	}
	if e.About != nil {
		n.Revocation = *e.About
	}
	return n
}

// A memoryTransfer takes over and hands over for a Memory.
type memoryTransfer struct {
	m *Memory
}

// Take implements Transfer.
func (t *memoryTransfer) Take(ctx context.Context, o *Owed, s Scope) error {
	now := t.m.now()
	for c := Revocations; c < Classes; c++ {
		for _, n := range o.ToSend(c, s) {
			if err := t.takeNote(n, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *memoryTransfer) takeNote(n *Note, now time.Time) error {
	ttl := time.Duration(n.Expires - now.UnixNano())
	if ttl < time.Millisecond || n.Intent == ToDelete {
		return nil
	}
	if n.Revocation.Link != "" {
		r := n.Revocation
		r.TTL = ttl
		return t.InheritAll([]Revocation{r})
	}
	if n.Class == Revocations {
		return Settled(t.m.set(n.Key, n.Value, ttl))
	}
	return Settled(t.m.add(n.Key, n.Value, ttl))
}

// DataSet implements Transfer.
func (t *memoryTransfer) DataSet(ctx context.Context, fresh bool) (DataSet, error) {
	return DataSet{memory: true}, nil
}

// Owed implements Transfer.
func (t *memoryTransfer) Owed() *Owed {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	return &Owed{Held: t.m.lru.Notes(nil)}
}

// Inherit implements Transfer.
func (t *memoryTransfer) Inherit(c Change) error {
	switch {
	case c.Op == OpDelete:
		return t.m.remove(c.Key)
	case KindOf(c.Value) == RevokedRecord:
		return Settled(t.m.set(c.Key, c.Value, c.TTL))
	}
	err := t.m.add(c.Key, c.Value, c.TTL)
	if errors.Is(err, ErrExists) && !strings.HasPrefix(c.Key, "j:") {
		err = t.m.set(c.Key, c.Value, c.TTL)
	}
	return Settled(err)
}

// InheritAll implements Transfer.
func (t *memoryTransfer) InheritAll(revocations []Revocation) error {
	now := t.m.now()
	for _, r := range revocations {
		t.m.revoke(r, now)
	}
	return nil
}

// Following implements Transfer.
func (t *memoryTransfer) Following() *Followers {
	return t.m.followers
}
