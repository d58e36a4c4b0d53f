package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// owed is what a store knows that the next one may not, class by class. Its notes are
// its own.
type owed struct {
	unsent [classes][]*note // what the shared store does not have yet
	held   [classes][]*note // what it has, or had
}

// notes lists what is held but what the journal has, the least recently used
// first.
func (l *lru) notes(unsent map[string]*note) [classes][]*note {
	var held [classes][]*note
	for _, s := range []*shelf{l.revoked, l.marks, l.passing, l.recent} {
		for at := s.list.Back(); at != nil; at = at.Prev() {
			e := at.Value.(*entry)
			if unsent[e.key] == nil {
				n := noteOf(e)
				held[n.class] = append(held[n.class], n)
			}
		}
	}
	return held
}

// noteOf is a note of what L2 is told to have.
func noteOf(e *entry) *note {
	n := &note{key: e.key, value: e.value, expires: e.expires, class: classOf(e.key, e.value)}
	if n.class == marks {
		n.intent = toAdd
	}
	if e.about != nil {
		n.revocation = *e.about
	}
	return n
}

// take implements Store.
func (m *Memory) take(ctx context.Context, o *owed, s scope) error {
	now := m.now()
	for c := revocations; c < classes; c++ {
		for _, n := range o.toSend(c, s) {
			if err := m.takeNote(n, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Memory) takeNote(n *note, now time.Time) error {
	ttl := time.Duration(n.expires - now.UnixNano())
	if ttl < time.Millisecond || n.intent == toDelete {
		return nil
	}
	if n.revocation.Link != "" {
		r := n.revocation
		r.TTL = ttl
		return m.inheritAll([]Revocation{r})
	}
	if n.class == revocations {
		return settled(m.set(n.key, n.value, ttl))
	}
	return settled(m.add(n.key, n.value, ttl))
}

// settled is nil too where what is stored outranks what was to be.
func settled(err error) error {
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) || errors.Is(err, ErrMiss) {
		return nil
	}
	return err
}

// dataSet implements Store.
func (m *Memory) dataSet(ctx context.Context, fresh bool) (dataSet, error) {
	return dataSet{memory: true}, nil
}

// owed implements Store.
func (m *Memory) owed() *owed {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &owed{held: m.lru.notes(nil)}
}

// inherit implements Store.
func (m *Memory) inherit(c change) error {
	switch {
	case c.op == opDelete:
		return nil
	case kindOf(c.value) == revokedRecord:
		return settled(m.set(c.key, c.value, c.ttl))
	}
	return settled(m.add(c.key, c.value, c.ttl))
}

// inheritAll implements Store.
func (m *Memory) inheritAll(revocations []Revocation) error {
	now := m.now()
	for _, r := range revocations {
		m.revoke(r, now)
	}
	return nil
}

// following implements Store.
func (m *Memory) following() *followers {
	return m.followers
}

// toSend lists the notes of a class that the next shared store is to get.
func (o *owed) toSend(c class, s scope) []*note {
	if c == others && s == ofAnother {
		return nil
	}
	notes := append([]*note{}, o.unsent[c]...)
	if c == others && s != ofLost {
		return notes
	}
	for _, n := range o.held[c] {
		// The same data set has what the revocation was about.
		n.known = s == ofSame
		notes = append(notes, n)
	}
	return notes
}

// dataSet implements Store.
func (h *Hybrid) dataSet(ctx context.Context, fresh bool) (dataSet, error) {
	h.mu.Lock()
	d := dataSet{met: h.met, place: h.place, id: h.known}
	h.mu.Unlock()
	if !fresh {
		return d, nil
	}
	id, err := h.l2.identify(ctx)
	if err != nil {
		return d, err
	}
	d.met = true
	d.id = id
	return d, nil
}

// owed implements Store.
func (h *Hybrid) owed() *owed {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := &owed{held: h.l1.notes(h.journal.notes)}
	for c := revocations; c < classes; c++ {
		for at := h.journal.classes[c].Front(); at != nil; at = at.Next() {
			n := *at.Value.(*note)
			o.unsent[c] = append(o.unsent[c], n.copied())
		}
	}
	return o
}

// copied is a copy of n that no journal has.
func (n *note) copied() *note {
	return &note{key: n.key, value: n.value, expires: n.expires, intent: n.intent, revocation: n.revocation, class: n.class}
}

// take implements Store. What L2 has got is held here too.
func (h *Hybrid) take(ctx context.Context, o *owed, s scope) error {
	if s == ofLost {
		h.mu.Lock()
		h.incomplete = h.now().Add(restoring).UnixNano()
		h.mu.Unlock()
	}
	for c := revocations; c < classes; c++ {
		notes := o.toSend(c, s)
		for len(notes) > 0 {
			n := len(notes)
			if n > batchItems {
				n = batchItems
			}
			if err := h.takeSome(ctx, c, notes[:n]); err != nil {
				return err
			}
			notes = notes[n:]
		}
	}
	if s == ofSame {
		h.hold(o.held[others])
	}
	return nil
}

// takeSome takes notes of one class. A session that the server refuses is journalled;
// a revocation or a marker is not taken over before the server has it.
func (h *Hybrid) takeSome(ctx context.Context, c class, notes []*note) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	refused, err := h.carry(ctx, notes)
	if err != nil {
		return err
	}
	if len(refused) > 0 && c != others {
		return fmt.Errorf("%w: the server refuses sign-outs or markers, check its memory and the user's privileges", ErrUnavailable)
	}
	h.hold(notes)
	for _, n := range notes {
		if named(refused, n.key) {
			_ = h.journalled(n)
		}
	}
	return nil
}

// journalled applies a note here and in the journal.
func (h *Hybrid) journalled(n *note) error {
	now := h.now()
	h.mu.Lock()
	err := h.applyLocked(change{op: opSet, key: n.key, value: n.value, ttl: time.Duration(n.expires - now.UnixNano())}, now)
	h.kickLocked()
	return h.unlockAndTell(n.key, err)
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
func (h *Hybrid) hold(notes []*note) {
	now := h.now()
	for _, n := range notes {
		if n.revocation.Link != "" && !n.known {
			r := n.revocation
			r.TTL = time.Duration(n.expires - now.UnixNano())
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
		announce(watchers, n.key)
	}
}

func (h *Hybrid) holdLocked(n *note, now time.Time) {
	ttl := time.Duration(n.expires - now.UnixNano())
	if ttl < time.Millisecond || n.intent == toDelete || n.class == others && (h.direct || !h.kept(n.key)) {
		return
	}
	e := h.l1.live(n.key, now.UnixNano())
	if e != nil && (n.class == marks || merge(e.value, n.value) != replaces) {
		return
	}
	h.changedLocked(n.key)
	e = h.l1.put(n.key, n.value, now, ttl)
	h.confirmedLocked(e, now, false)
	if n.revocation.Link != "" {
		e.about = n.revocation.copied()
	}
}

// inherit implements Store. A record with links is listed under them, which Set does
// not do.
func (h *Hybrid) inherit(c change) error {
	if isLinked(c.value) {
		n := &note{key: c.key, value: c.value, expires: h.now().Add(c.ttl).UnixNano(), class: others}
		if h.takeSome(context.Background(), others, []*note{n}) == nil {
			return nil
		}
		return settled(h.journalled(n))
	}
	if c.op != opDelete && !(c.op == opAdd && strings.HasPrefix(c.key, "j:")) {
		c.op = opSet
	}
	return settled(h.apply(c))
}

// inheritAll implements Store.
func (h *Hybrid) inheritAll(revocations []Revocation) error {
	var failed error
	for _, r := range revocations {
		err := h.revokeAll([]Revocation{r})
		if !r.Unproven && !Applied(err) {
			failed = err
		}
	}
	return failed
}

// following implements Store.
func (h *Hybrid) following() *followers {
	return h.followers
}
