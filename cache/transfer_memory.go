package cache

import (
	"context"
	"time"
)

// Notes lists what is held but what the journal has, the least recently used
// first.
func (l *LRU) Notes(unsent map[string]*Note) [Classes][]*Note {
	var held [Classes][]*Note
	for _, s := range []*Shelf{l.Revoked, l.marks, l.Passing, l.Recent} {
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

// noteOf is a note of what L2 is told to have.
func noteOf(e *Entry) *Note {
	n := &Note{Key: e.Key, Value: e.Value, Expires: e.Expires, Class: ClassOf(e.Key, e.Value)}
	if n.Class == Marks {
		n.Intent = ToAdd
	}
	if e.About != nil {
		n.Revocation = *e.About
	}
	return n
}

// Take implements Store.
func (m *Memory) Take(ctx context.Context, o *Owed, s Scope) error {
	now := m.now()
	for c := Revocations; c < Classes; c++ {
		for _, n := range o.ToSend(c, s) {
			if err := m.takeNote(n, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Memory) takeNote(n *Note, now time.Time) error {
	ttl := time.Duration(n.Expires - now.UnixNano())
	if ttl < time.Millisecond || n.Intent == ToDelete {
		return nil
	}
	if n.Revocation.Link != "" {
		r := n.Revocation
		r.TTL = ttl
		return m.InheritAll([]Revocation{r})
	}
	if n.Class == Revocations {
		return Settled(m.set(n.Key, n.Value, ttl))
	}
	return Settled(m.add(n.Key, n.Value, ttl))
}

// DataSet implements Store.
func (m *Memory) DataSet(ctx context.Context, fresh bool) (DataSet, error) {
	return DataSet{memory: true}, nil
}

// Owed implements Store.
func (m *Memory) Owed() *Owed {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Owed{Held: m.lru.Notes(nil)}
}

// Inherit implements Store.
func (m *Memory) Inherit(c Change) error {
	switch {
	case c.Op == OpDelete:
		return nil
	case KindOf(c.Value) == RevokedRecord:
		return Settled(m.set(c.Key, c.Value, c.TTL))
	}
	return Settled(m.add(c.Key, c.Value, c.TTL))
}

// InheritAll implements Store.
func (m *Memory) InheritAll(revocations []Revocation) error {
	now := m.now()
	for _, r := range revocations {
		m.revoke(r, now)
	}
	return nil
}

// Following implements Store.
func (m *Memory) Following() *Followers {
	return m.followers
}
