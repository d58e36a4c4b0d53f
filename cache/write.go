package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

type op int

const (
	opSet op = iota
	opAdd
	opCompare
	opDelete
)

// A change is a write by a caller.
type change struct {
	op      op
	key     string
	value   []byte
	ttl     time.Duration
	version uint64 // of opCompare
}

// write applies a change, also to the stores that take the place of this one.
func (h *Hybrid) write(c change) error {
	return h.followers.pass(c, h.apply(c))
}

// apply carries a change to L2 and then to L1; without L2, to L1 and the journal.
func (h *Hybrid) apply(c change) error {
	if err := h.l1.check(c.key, c.value, c.ttl); err != nil {
		return err
	}
	now := h.now()
	h.mu.Lock()
	if h.fallback {
		return h.unlockAndTell(c.key, h.applyLocked(c, now))
	}
	held, _ := h.heldLocked(c.key, now.UnixNano())
	if c.op == opAdd && h.l1.forbidden(c.value, now.UnixNano()) {
		h.mu.Unlock()
		return ErrConflict
	}
	q := h.beginLocked(c.key, held != nil)
	if c.op != opDelete { // of what was not there
		h.expectLocked(c.key)
	}
	h.mu.Unlock()

	outcome, err := h.send(context.Background(), c)

	now = h.now()
	h.mu.Lock()
	if err != nil || outcome == remains {
		h.heardLocked(c.key) // nothing was written
	}
	switch {
	case err == nil:
		h.wroteLocked(c, q, outcome, now)
	case errors.Is(err, ErrUnavailable):
		h.changedLocked(c.key)
		err = h.applyLocked(c, now)
		h.kickLocked()
	default:
		h.changedLocked(c.key)
	}
	h.endLocked(q)
	err = h.unlockAndTell(c.key, err)
	if err == nil {
		h.whisperOf(c.key)
	}
	if c.op == opCompare && q.held && errors.Is(err, ErrMiss) {
		return h.confirmMiss(c.key)
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
func (h *Hybrid) send(ctx context.Context, c change) (verdict, error) {
	switch c.op {
	case opAdd:
		return replaces, h.l2.Add(ctx, c.key, c.value, c.ttl)
	case opCompare:
		return replaces, h.l2.CompareAndSet(ctx, c.key, c.version, c.value, c.ttl)
	case opDelete:
		return replaces, h.l2.Delete(ctx, c.key)
	}
	v, err := h.l2.merge(ctx, c.key, c.value, c.ttl)
	if err == nil && v == conflicts {
		return v, ErrConflict
	}
	return v, err
}

// unlockAndTell releases the lock, and tells the watchers of a change that took
// effect.
func (h *Hybrid) unlockAndTell(key string, err error) error {
	watchers := h.watchers
	h.mu.Unlock()
	if Applied(err) {
		announce(watchers, key)
	}
	return err
}

// wroteLocked brings L1 up to what L2 acknowledged. The server's own word of the
// change can come before its acknowledgement, and another's change after ours:
// if anything became known since q began, the entry is stale from the start.
func (h *Hybrid) wroteLocked(c change, q inquiry, v verdict, now time.Time) {
	current := h.currentLocked(q)
	h.changedLocked(c.key)
	if n := h.journal.notes[c.key]; n != nil && n.class != revocations {
		h.journal.remove(n)
	}
	e := h.l1.live(c.key, now.UnixNano())
	if c.op == opDelete {
		if e != nil {
			h.l1.remove(e)
		}
		return
	}
	mark := c.op == opAdd && strings.HasPrefix(c.key, "j:")
	final := kindOf(c.value) == revokedRecord
	if !mark && !h.kept(c.key) || h.direct && !mark && !final {
		if e != nil && e.on != h.l1.revoked {
			h.l1.remove(e)
		}
		return
	}
	if v == remains && e != nil && e.on == h.l1.revoked || e != nil && merge(e.value, c.value) != replaces {
		return
	}
	e = h.l1.put(c.key, c.value, now, c.ttl)
	h.confirmedLocked(e, now, current && !mark && v == replaces)
}

// applyLocked applies a change here and notes it for L2. A lease that only this
// process knew of would be none.
func (h *Hybrid) applyLocked(c change, now time.Time) error {
	if strings.HasPrefix(c.key, "l:") {
		return fmt.Errorf("%w: no lease", ErrUnavailable)
	}
	held, known := h.heldLocked(c.key, now.UnixNano())
	if err := permitted(&c, held, known); err != nil {
		return err
	}
	if c.op == opAdd && h.l1.forbidden(c.value, now.UnixNano()) {
		return h.buryLocked(c, now)
	}
	n := &note{key: c.key, value: c.value, expires: now.Add(c.ttl).UnixNano(), since: now.UnixNano()}
	switch {
	case c.op == opDelete:
		n.intent = toDelete
		n.expires = now.Add(MaxTTL).UnixNano()
	case c.op == opAdd && strings.HasPrefix(c.key, "j:"):
		n.intent = toAdd
	}
	dropped := h.journal.dropped
	ok := h.journal.put(n)
	if h.journal.dropped != dropped {
		h.worker.overflow = true
		h.kickLocked()
	}
	full := fmt.Errorf("%w: journal full", ErrUnavailable)
	if !ok && kindOf(c.value) != revokedRecord {
		return full
	}
	e := h.l1.entries[c.key]
	if c.op == opDelete {
		if e != nil {
			h.l1.remove(e)
		}
		return ErrJournalled
	}
	e = h.l1.put(c.key, c.value, now, c.ttl)
	h.confirmedLocked(e, now, false)
	if !ok {
		return full // and yet revoked here
	}
	return ErrJournalled
}

// buryLocked revokes a record that L2 may have got before it was known here that a
// revocation came first.
func (h *Hybrid) buryLocked(c change, now time.Time) error {
	value, ttl := tombstoneOf(c.value, now)
	if ttl >= time.Millisecond {
		_ = h.applyLocked(change{op: opSet, key: c.key, value: value, ttl: ttl}, now)
	}
	return ErrConflict
}

// permitted decides about a change by what this process holds, as L2 would.
// Where the stored revocation says more than the new one, it is noted instead.
func permitted(c *change, held []byte, known bool) error {
	switch c.op {
	case opAdd:
		if held != nil {
			return ErrExists
		}
	case opCompare:
		if held == nil {
			_, err := answerHeld(nil, known)
			return err
		}
		return compare(held, c.version, c.value)
	case opSet:
		if held == nil {
			return nil
		}
		switch merge(held, c.value) {
		case conflicts:
			return ErrConflict
		case remains:
			c.value = held
		}
	}
	return nil
}

// confirmMiss looks into a record that is held here and that L2 denies: while L2
// may have lost its data, nobody's session is gone.
func (h *Hybrid) confirmMiss(key string) error {
	value, err := h.ask(key)
	if errors.Is(err, ErrMiss) || kindOf(value) == foreignRecord {
		return ErrMiss
	}
	return fmt.Errorf("%w: record is held here alone", ErrUnavailable)
}
