package hybrid

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// A flight is one read of L2 that any number of readers wait for.
type flight struct {
	done  chan struct{}
	value []byte
	err   error
}

// A token tells whether a key changed while it was being read or written: every
// change that becomes known counts gen up.
type token struct {
	refs int
	gen  uint64
}

// An inquiry is one read or write of L2 for a key, with what was so when it began.
type inquiry struct {
	key   string
	token *token
	gen   uint64
	epoch uint64
	held  bool // L1 had a value
}

func (h *Hybrid) beginLocked(key string, held bool) inquiry {
	t := h.tokens[key]
	if t == nil {
		t = &token{}
		h.tokens[key] = t
	}
	t.refs++
	return inquiry{key: key, token: t, gen: t.gen, epoch: h.epoch, held: held}
}

func (h *Hybrid) endLocked(q inquiry) {
	q.token.refs--
	if q.token.refs == 0 {
		delete(h.tokens, q.key)
	}
}

// currentLocked reports whether nothing changed since q began.
func (h *Hybrid) currentLocked(q inquiry) bool {
	return q.token.gen == q.gen && q.epoch == h.epoch
}

// changedLocked makes what is known of key stale, and what is being read of it.
func (h *Hybrid) changedLocked(key string) {
	if e := h.l1.Entries[key]; e != nil {
		e.Stale = true
	}
	if t := h.tokens[key]; t != nil {
		t.gen++
	}
	delete(h.flights, key)
}

// staleLocked makes everything stale.
func (h *Hybrid) staleLocked() {
	h.epoch++
	h.flights = map[string]*flight{}
}

// heldLocked is the value that this process has for key, whether L2 knows it or
// not. True with a nil value says that the key was deleted here.
func (h *Hybrid) heldLocked(key string, now int64) ([]byte, bool) {
	if e := h.l1.Live(key, now); e != nil {
		return present(e.Value), true
	}
	n := h.journal.notes[key]
	if n == nil || n.Expires <= now {
		return nil, false
	}
	if n.Intent == cache.ToDelete {
		return nil, true
	}
	return present(n.Value), true
}

// present makes an empty value differ from none.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// pass reads a key that L1 does not keep.
func (h *Hybrid) pass(ctx context.Context, key string) ([]byte, error) {
	now := h.now().UnixNano()
	h.mu.Lock()
	fallback := h.fallback
	held, known := h.heldLocked(key, now)
	noted := h.journal.notes[key] != nil
	h.mu.Unlock()
	if fallback {
		return answerHeld(held, known)
	}
	value, err := h.l2.Get(ctx, key)
	if errors.Is(err, cache.ErrUnavailable) && known || errors.Is(err, cache.ErrMiss) && noted {
		return answerHeld(held, known)
	}
	return value, err
}

// answerHeld answers from this process alone.
func answerHeld(held []byte, known bool) ([]byte, error) {
	if held != nil {
		return held, nil
	}
	if known {
		return nil, cache.ErrMiss
	}
	return nil, cache.ErrUnavailable
}

// ask reads key from L2 for every caller that asks meanwhile, on nobody's
// context: a caller that leaves must not take the others' answer with it.
func (h *Hybrid) ask(key string) ([]byte, error) {
	now := h.now().UnixNano()
	h.mu.Lock()
	held, known := h.heldLocked(key, now)
	if h.fallback {
		h.mu.Unlock()
		return answerHeld(held, known)
	}
	f := h.flights[key]
	if f != nil {
		h.mu.Unlock()
		<-f.done
		return f.value, f.err
	}
	f = &flight{done: make(chan struct{}), err: cache.ErrUnavailable}
	h.flights[key] = f
	q := h.beginLocked(key, held != nil)
	h.mu.Unlock()
	h.fly(f, q)
	return f.value, f.err
}

func (h *Hybrid) fly(f *flight, q inquiry) {
	defer h.land(f, q)
	ctx := context.Background()
	value, canary, err := h.l2.Confirm(ctx, q.key)
	f.value, f.err = h.settle(q, value, canary, err)
	h.passLearnt(q.key, f.value)
}

// passLearnt tells the stores that take the place of this one of a revocation that was
// read from L2: they may have been given the record as it was before.
func (h *Hybrid) passLearnt(key string, value []byte) {
	if cache.KindOf(value) != cache.RevokedRecord {
		return
	}
	left := time.Duration(cache.ExpiryOf(value)-h.now().UnixMilli()) * time.Millisecond
	_ = h.followers.Pass(cache.Change{Op: cache.OpSet, Key: key, Value: value, TTL: left}, nil)
}

func (h *Hybrid) land(f *flight, q inquiry) {
	h.mu.Lock()
	if h.flights[q.key] == f {
		delete(h.flights, q.key)
	}
	h.endLocked(q)
	h.mu.Unlock()
	close(f.done)
}

// settle makes of L2's answer what the readers get, and what L1 holds from now on.
func (h *Hybrid) settle(q inquiry, value []byte, canary string, err error) ([]byte, error) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		return h.fillLocked(q, value, now), nil
	}
	held, known := h.heldLocked(q.key, now.UnixNano())
	if held == nil {
		if !known && errors.Is(err, cache.ErrMiss) && h.incompleteLocked(canary, now) {
			return nil, fmt.Errorf("%w: the server may be without its data", cache.ErrUnavailable)
		}
		if known {
			return nil, cache.ErrMiss
		}
		return nil, err
	}
	if !errors.Is(err, cache.ErrMiss) {
		h.doubtLocked(q.key)
		return held, nil
	}
	if h.staysLocked(q, held, canary) {
		return held, nil
	}
	h.l1.Remove(h.l1.Entries[q.key])
	return nil, cache.ErrMiss
}

// incompleteLocked reports whether L2 may lack what other replicas are about to give
// it again, so that what it does not have may yet be there.
func (h *Hybrid) incompleteLocked(canary string, now time.Time) bool {
	if h.met && canary != h.known.DataSet {
		h.kickLocked()
		return true
	}
	return now.UnixNano() < h.incomplete
}

// staysLocked decides about a value that L1 holds and L2 does not have. It stays
// if it is a revocation, if L2 has yet to get it, if it was written meanwhile, or
// if L2 is not the data set that it came from, which is looked into then.
func (h *Hybrid) staysLocked(q inquiry, held []byte, canary string) bool {
	if cache.KindOf(held) == cache.RevokedRecord || h.journal.notes[q.key] != nil || !h.currentLocked(q) {
		return true
	}
	if !h.met || canary == "" || canary != h.known.DataSet {
		h.kickLocked()
		return true
	}
	return false
}

// fillLocked takes over what L2 has, and returns what counts.
func (h *Hybrid) fillLocked(q inquiry, value []byte, now time.Time) []byte {
	held, _ := h.heldLocked(q.key, now.UnixNano())
	if cache.Outranks(held, value) {
		h.repairLocked(q.key, held, now)
		return held
	}
	ttl := h.remainingLocked(q.key, value, now)
	if h.direct || ttl <= 0 {
		if e := h.l1.Entries[q.key]; e != nil && e.On != h.l1.Revoked {
			h.l1.Remove(e)
		}
		return value
	}
	e := h.l1.Put(q.key, value, now, ttl)
	h.confirmedLocked(e, now, h.currentLocked(q))
	return value
}

// confirmedLocked notes that e is what L2 had at now, or what it is to have.
func (h *Hybrid) confirmedLocked(e *cache.Entry, now time.Time, current bool) {
	e.Epoch = h.epoch
	e.Asked = now.UnixNano()
	e.Stale = !current
}

// remainingLocked is how long L1 may hold a value that L2 returned: records
// carry their expiry; other values keep the one that they are held with, if any.
func (h *Hybrid) remainingLocked(key string, value []byte, now time.Time) time.Duration {
	switch cache.KindOf(value) {
	case cache.LiveRecord, cache.RevokedRecord:
		left := cache.ExpiryOf(value) - now.UnixMilli()
		if left > int64(cache.MaxTTL/time.Millisecond) {
			return cache.MaxTTL
		}
		return time.Duration(left) * time.Millisecond
	}
	if e := h.l1.Entries[key]; e != nil && bytes.Equal(e.Value, value) {
		return time.Duration(e.Expires - now.UnixNano())
	}
	return 0
}

// repairLocked has a record written again that L2 had, or is to get, in a higher
// state than it has now, as after a failover.
func (h *Hybrid) repairLocked(key string, held []byte, now time.Time) {
	expires := now.UnixNano()
	if e := h.l1.Entries[key]; e != nil {
		expires = e.Expires
	}
	if h.journal.notes[key] == nil && expires > now.UnixNano() {
		h.journal.put(&cache.Note{Key: key, Value: held, Expires: expires, Intent: cache.ToMerge, Since: now.UnixNano()})
		h.kickLocked()
	}
}

// Fresh asks L2, and joins no reader who began before.
func (h *Hybrid) Fresh(ctx context.Context, key string) ([]byte, error) {
	if err := cache.CheckKey(key); err != nil {
		return nil, err
	}
	q, err := h.inquire(key)
	if err != nil {
		return nil, err
	}
	defer h.end(q)
	value, canary, err := h.l2.Confirm(context.Background(), key)
	if err != nil && !errors.Is(err, cache.ErrMiss) {
		return nil, err
	}
	value, err = h.settle(q, value, canary, err)
	h.passLearnt(key, value)
	return value, err
}

// inquire begins an inquiry, which only L2 can answer.
func (h *Hybrid) inquire(key string) (inquiry, error) {
	now := h.now().UnixNano()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fallback {
		return inquiry{}, fmt.Errorf("%w: memory alone serves", cache.ErrUnavailable)
	}
	held, _ := h.heldLocked(key, now)
	return h.beginLocked(key, held != nil), nil
}

func (h *Hybrid) end(q inquiry) {
	h.mu.Lock()
	h.endLocked(q)
	h.mu.Unlock()
}

// confirmMiss looks into a record that is held here and that L2 denies: while L2
// may have lost its data, nobody's session is gone.
func (h *Hybrid) confirmMiss(key string) error {
	value, err := h.ask(key)
	if errors.Is(err, cache.ErrMiss) || cache.KindOf(value) == cache.ForeignRecord {
		return cache.ErrMiss
	}
	return fmt.Errorf("%w: record is held here alone", cache.ErrUnavailable)
}
