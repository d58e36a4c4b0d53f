package hybrid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// A reader asks L2.
type reader struct {
	h      *hub
	doubts *doubts
}

// pass reads a key that L1 does not keep.
func (r *reader) pass(ctx context.Context, key string) ([]byte, error) {
	h := r.h
	now := h.now().UnixNano()
	h.mu.Lock()
	fallback := h.up.fallback
	held, known := h.local.held(key, now)
	noted := h.local.journal.notes[key] != nil
	h.mu.Unlock()
	if fallback {
		return answerHeld(held, known)
	}
	value, err := h.up.redis.Get(ctx, key)
	if errors.Is(err, cache.ErrUnavailable) && known || errors.Is(err, cache.ErrMiss) && noted {
		return answerHeld(held, known)
	}
	return value, err
}

// ask reads key from L2 for every caller that asks meanwhile, on nobody's
// context: a caller that leaves must not take the others' answer with it.
func (r *reader) ask(key string) ([]byte, error) {
	h := r.h
	now := h.now().UnixNano()
	h.mu.Lock()
	held, known := h.local.held(key, now)
	if h.up.fallback {
		h.mu.Unlock()
		return answerHeld(held, known)
	}
	f := h.local.flights[key]
	if f != nil {
		h.mu.Unlock()
		<-f.done
		return f.value, f.err
	}
	f = &flight{done: make(chan struct{}), err: cache.ErrUnavailable}
	h.local.flights[key] = f
	q := h.local.begin(key, held != nil)
	h.mu.Unlock()
	r.fly(f, q)
	return f.value, f.err
}

func (r *reader) fly(f *flight, q inquiry) {
	h := r.h
	defer r.land(f, q)
	ctx := context.Background()
	value, canary, err := h.up.redis.Confirm(ctx, q.key)
	// The next stores learn of it first: once memory holds it, others answer with it.
	if err == nil {
		r.passLearnt(q.key, value)
	}
	f.value, f.err = r.settle(q, value, canary, err)
	if cache.KindOf(value) != cache.RevokedRecord {
		r.passLearnt(q.key, f.value)
	}
}

// passLearnt tells the stores that take the place of this one of a revocation that was
// read from L2: they may have been given the record as it was before.
func (r *reader) passLearnt(key string, value []byte) {
	h := r.h
	if cache.KindOf(value) != cache.RevokedRecord {
		return
	}
	left := time.Duration(cache.ExpiryOf(value)-h.now().UnixMilli()) * time.Millisecond
	_ = h.followers.Pass(cache.Change{Op: cache.OpSet, Key: key, Value: value, TTL: left}, nil)
}

func (r *reader) land(f *flight, q inquiry) {
	h := r.h
	h.mu.Lock()
	if h.local.flights[q.key] == f {
		delete(h.local.flights, q.key)
	}
	h.local.end(q)
	h.mu.Unlock()
	close(f.done)
}

// settle makes of L2's answer what the readers get, and what L1 holds from now on.
func (r *reader) settle(q inquiry, value []byte, canary string, err error) ([]byte, error) {
	h := r.h
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		return h.local.fill(q, value, now), nil
	}
	held, known := h.local.held(q.key, now.UnixNano())
	if held == nil {
		if !known && errors.Is(err, cache.ErrMiss) && h.up.lacks(canary, now) {
			if h.up.isOther(canary) {
				h.worker.urge()
			}
			return nil, fmt.Errorf("%w: Redis may have lost its data", cache.ErrUnavailable)
		}
		if known {
			return nil, cache.ErrMiss
		}
		return nil, err
	}
	if !errors.Is(err, cache.ErrMiss) {
		r.doubts.add(q.key)
		return held, nil
	}
	if r.stays(q, held, canary) {
		return held, nil
	}
	h.local.l1.Remove(h.local.l1.Entries[q.key])
	return nil, cache.ErrMiss
}

// stays decides about a value that L1 holds and L2 does not have. It stays
// if it is a revocation, if L2 has yet to get it, if it was written meanwhile, or
// if L2 is not the data set that it came from, which is looked into then.
func (r *reader) stays(q inquiry, held []byte, canary string) bool {
	h := r.h
	if cache.KindOf(held) == cache.RevokedRecord || h.local.journal.notes[q.key] != nil || !h.local.current(q) {
		return true
	}
	if !h.up.met || canary == "" || canary != h.up.known.DataSet {
		h.worker.urge()
		return true
	}
	return false
}

// Fresh asks L2, and joins no reader who began before.
func (h *Hybrid) Fresh(ctx context.Context, key string) ([]byte, error) {
	if err := cache.CheckKey(key); err != nil {
		return nil, err
	}
	q, err := h.reader.inquire(key)
	if err != nil {
		return nil, err
	}
	defer h.reader.end(q)
	value, canary, err := h.hub.up.redis.Confirm(context.Background(), key)
	if err != nil && !errors.Is(err, cache.ErrMiss) {
		return nil, err
	}
	value, err = h.reader.settle(q, value, canary, err)
	h.reader.passLearnt(key, value)
	return value, err
}

// inquire begins an inquiry, which only L2 can answer.
func (r *reader) inquire(key string) (inquiry, error) {
	h := r.h
	now := h.now().UnixNano()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.up.fallback {
		return inquiry{}, fmt.Errorf("%w: memory alone serves", cache.ErrUnavailable)
	}
	held, _ := h.local.held(key, now)
	return h.local.begin(key, held != nil), nil
}

func (r *reader) end(q inquiry) {
	h := r.h
	h.mu.Lock()
	h.local.end(q)
	h.mu.Unlock()
}

// confirmMiss looks into a record that is held here and that L2 denies: while L2
// may have lost its data, nobody's session is gone.
func (r *reader) confirmMiss(key string) error {
	value, err := r.ask(key)
	if errors.Is(err, cache.ErrMiss) || cache.KindOf(value) == cache.ForeignRecord {
		return cache.ErrMiss
	}
	return fmt.Errorf("%w: record is held here alone", cache.ErrUnavailable)
}
