package hybrid

import (
	"context"
	"errors"
	"fmt"

	"github.com/traefikoidc/traefikoidc/cache"
)

// Acquire gives a lease that every replica respects; without L2 there is none.
func (h *Hybrid) Acquire(ctx context.Context, l cache.Lease) ([]byte, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	q, err := h.inquire(l.Record)
	if err != nil {
		return nil, err
	}
	defer h.end(q)
	canary, err := h.provesLeases()
	if err != nil {
		return nil, err
	}
	record, err := h.l2.AcquireIn(context.Background(), l, canary)
	switch {
	case record != nil:
		h.mu.Lock()
		record = h.fillLocked(q, record, h.now())
		h.mu.Unlock()
	case q.held && errors.Is(err, cache.ErrMiss):
		return nil, h.confirmMiss(l.Record)
	}
	return record, err
}

// provesLeases returns the canary of the data set that leases are in, or
// ErrUnavailable while one that the server does not have may be somebody's all the
// same.
func (h *Hybrid) provesLeases() (string, error) {
	now := h.now().UnixNano()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leasesLocked(now) {
		return h.known.DataSet, nil
	}
	return "", fmt.Errorf("%w: the server may have lost leases", cache.ErrUnavailable)
}

func (h *Hybrid) leasesLocked(now int64) bool {
	return h.checked && !h.fallback && now >= h.unproven
}

// Prolong asks L2.
func (h *Hybrid) Prolong(ctx context.Context, l cache.Lease) error {
	return h.l2.Prolong(context.Background(), l)
}

// Release asks L2.
func (h *Hybrid) Release(ctx context.Context, l cache.Lease, unused bool) error {
	return h.l2.Release(context.Background(), l, unused)
}
