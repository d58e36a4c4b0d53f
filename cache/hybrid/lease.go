package hybrid

import (
	"context"
	"errors"
	"fmt"

	"github.com/traefikoidc/traefikoidc/cache"
)

// Acquire gives a lease that every replica respects. Without Redis there is none.
func (h *Hybrid) Acquire(ctx context.Context, l cache.Lease) ([]byte, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	q, err := h.reader.inquire(l.Record)
	if err != nil {
		return nil, err
	}
	defer h.reader.end(q)
	dataSet, err := h.reader.provesLeases()
	if err != nil {
		return nil, err
	}
	record, err := h.hub.up.redis.AcquireIn(context.Background(), l, dataSet)
	if err == nil {
		h.hub.followers.PassLease(l)
	}
	switch {
	case record != nil:
		h.hub.mu.Lock()
		record = h.hub.local.fill(q, record, h.hub.now())
		h.hub.mu.Unlock()
	case q.held && errors.Is(err, cache.ErrMiss):
		return nil, h.reader.confirmMiss(l.Record)
	}
	return record, err
}

// provesLeases returns the id of the data set with the leases. It returns ErrUnavailable
// while a lease that Redis lacks may still have a holder.
func (r *reader) provesLeases() (string, error) {
	h := r.h
	now := h.now().UnixNano()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.up.leases(now) {
		return h.up.known.DataSet, nil
	}
	return "", fmt.Errorf("%w: Redis may have lost leases", cache.ErrUnavailable)
}

// Prolong extends a lease in Redis.
func (h *Hybrid) Prolong(ctx context.Context, l cache.Lease) error {
	err := h.hub.up.redis.Prolong(context.Background(), l)
	if err == nil {
		h.hub.followers.PassLease(l)
	}
	return err
}

// Release ends a lease in Redis.
func (h *Hybrid) Release(ctx context.Context, l cache.Lease, unused bool) error {
	err := h.hub.up.redis.Release(context.Background(), l, unused)
	if err == nil {
		h.hub.followers.PassEnd(l.Key())
	}
	if err == nil && unused {
		h.hub.followers.PassEnd(l.UsedKey())
	}
	return err
}
