package hybrid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
)

// A reader reads from Redis.
type reader struct {
	h        *hub
	rechecks *rechecks
}

// pass reads a key that memory does not keep.
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

// load reads key from Redis for every caller that comes meanwhile. It uses no caller's
// context, because the others need the result of a caller that leaves.
func (r *reader) load(key string) ([]byte, error) {
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
	r.runFlight(f, q)
	return f.value, f.err
}

func (r *reader) runFlight(f *flight, q inquiry) {
	defer r.finishFlight(f, q)
	ctx := context.Background()
	value, dataSet, err := r.confirm(ctx, q.key)
	// The next stores get it first, because memory serves it to others once it holds it.
	if err == nil {
		r.passRevocation(q.key, value)
	}
	f.value, f.err = r.settle(q, value, dataSet, err)
	if cache.KindOf(value) != cache.RevokedRecord {
		r.passRevocation(q.key, f.value)
	}
}

// confirm reads key with the id of the data set. In a cluster that id is at one node, and
// says nothing about the node of the key. So an absent key is taken for one of another data
// set while a master is another process than those known.
func (r *reader) confirm(ctx context.Context, key string) ([]byte, string, error) {
	h := r.h
	value, dataSet, err := h.up.redis.Confirm(ctx, key)
	if !errors.Is(err, cache.ErrMiss) || !h.up.redis.Client.InCluster() {
		return value, dataSet, err
	}
	runs, failed := redis.Processes(ctx, h.up.redis)
	h.mu.Lock()
	defer h.mu.Unlock()
	if failed != nil || h.up.met && runs != h.up.known.Run {
		dataSet = ""
	}
	return value, dataSet, err
}

// passRevocation sends a revocation that was read from Redis to the stores that replace this
// one. They may have been given the record as it was before.
func (r *reader) passRevocation(key string, value []byte) {
	h := r.h
	if cache.KindOf(value) != cache.RevokedRecord {
		return
	}
	left := time.Duration(cache.ExpiryOf(value)-h.now().UnixMilli()) * time.Millisecond
	_ = h.followers.Pass(cache.Change{Op: cache.OpSet, Key: key, Value: value, TTL: left}, nil)
}

func (r *reader) finishFlight(f *flight, q inquiry) {
	h := r.h
	h.mu.Lock()
	if h.local.flights[q.key] == f {
		delete(h.local.flights, q.key)
	}
	h.local.end(q)
	h.mu.Unlock()
	close(f.done)
}

// settle turns the reply of Redis into the result for the readers, and stores it in
// memory.
func (r *reader) settle(q inquiry, value []byte, dataSet string, err error) ([]byte, error) {
	h := r.h
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		return h.local.fill(q, value, now), nil
	}
	held, known := h.local.held(q.key, now.UnixNano())
	if held == nil {
		if !known && errors.Is(err, cache.ErrMiss) && h.up.lacks(dataSet, now) {
			if h.up.isOther(dataSet) {
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
		r.rechecks.add(q.key)
		return held, nil
	}
	if r.stays(q, held, dataSet) {
		return held, nil
	}
	h.local.l1.Remove(h.local.l1.Entries[q.key])
	return nil, cache.ErrMiss
}

// stays decides about a value that memory holds and Redis lacks. A revocation stays, and
// so does a value that Redis has yet to get or that was written meanwhile. A value from
// another data set than the present one stays too, and starts a check.
func (r *reader) stays(q inquiry, held []byte, dataSet string) bool {
	h := r.h
	if cache.KindOf(held) == cache.RevokedRecord || h.local.journal.notes[q.key] != nil || !h.local.current(q) {
		return true
	}
	if !h.up.met || dataSet == "" || dataSet != h.up.known.DataSet {
		h.worker.urge()
		return true
	}
	return false
}

// Fresh reads from Redis, and joins no read that began before.
func (h *Hybrid) Fresh(ctx context.Context, key string) ([]byte, error) {
	if err := cache.CheckKey(key); err != nil {
		return nil, err
	}
	q, err := h.reader.inquire(key)
	if err != nil {
		return nil, err
	}
	defer h.reader.end(q)
	value, dataSet, err := h.reader.confirm(context.Background(), key)
	if err != nil && !errors.Is(err, cache.ErrMiss) {
		return nil, err
	}
	value, err = h.reader.settle(q, value, dataSet, err)
	h.reader.passRevocation(key, value)
	return value, err
}

// inquire begins an inquiry that needs Redis.
func (r *reader) inquire(key string) (inquiry, error) {
	h := r.h
	now := h.now().UnixNano()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.up.fallback {
		return inquiry{}, fmt.Errorf("%w: only memory serves", cache.ErrUnavailable)
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

// confirmMiss checks a record that is held here and missing in Redis. While Redis may
// have lost its data, no session is gone.
func (r *reader) confirmMiss(key string) error {
	value, err := r.load(key)
	if errors.Is(err, cache.ErrMiss) || cache.KindOf(value) == cache.ForeignRecord {
		return cache.ErrMiss
	}
	return fmt.Errorf("%w: only this replica holds the record", cache.ErrUnavailable)
}
