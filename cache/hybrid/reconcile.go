package hybrid

import (
	"context"
	"errors"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
)

// A reconciler makes Redis and memory agree.
type reconciler struct {
	h      *hub
	sender *sender
}

// reconcile identifies the data set that responds, sends it the records and revocations
// that it lacks, revocations first, and ends the fallback. It can be repeated from any
// point.
func (r *reconciler) reconcile() error {
	ctx := context.Background()
	h := r.h
	r.reportOverflow()
	breaks := h.up.redis.Client.Breaks()
	now, err := h.up.redis.Identify(ctx)
	if redis.Refusal(err) {
		r.sender.refused()
		return errRefused
	}
	if err != nil {
		r.firstContactFailed(err)
		return err
	}
	met, another, lost := r.judge(now, h.up.redis.Client.Breaks())
	switch {
	case !met:
		h.observe(Connected, nil)
		if now.Run == "" {
			h.observe(InfoRefused, nil)
		}
	case lost:
		h.observe(DataLost, nil)
	case another && now.Run != "":
		h.observe(Restarted, nil)
	}
	if now.Evicts != "" && (!met || another) {
		h.observe(MayEvict, nil)
	}
	err = r.sender.restore(ctx, another, lost || another && h.up.redis.Client.InCluster())
	if err == nil || errors.Is(err, errRefused) {
		r.agree(now, another, breaks)
	}
	return err
}

func (r *reconciler) reportOverflow() {
	h := r.h
	h.mu.Lock()
	overflow := h.local.journal.overflow
	h.local.journal.overflow = false
	h.mu.Unlock()
	if overflow {
		h.observe(JournalOverflow, nil)
	}
}

// firstContactFailed opens the breaker, so that users do not wait for a Redis that is
// down at the start.
func (r *reconciler) firstContactFailed(err error) {
	h := r.h
	if !r.met() && h.up.redis.Breaker != nil && !errors.Is(err, circuitbreaker.ErrOpen) {
		h.up.redis.Breaker.Trip()
	}
}

// met reports whether Redis has responded once.
func (r *reconciler) met() bool {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up.met
}

// judge compares the server that responds now with the known one. It reports whether one
// is known, whether this may be another process, and whether that lost the data. A data
// set that is gone in the same process was flushed.
func (r *reconciler) judge(now cache.Identity, breaks uint64) (bool, bool, bool) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	another := h.up.isAnother(now, breaks)
	return h.up.met, another, another && now.DataSet != h.up.known.DataSet
}

// agree records the data set, and ends the fallback if there was one.
func (r *reconciler) agree(now cache.Identity, another bool, breaks uint64) {
	h := r.h
	h.mu.Lock()
	if !another && h.up.isOther(now.DataSet) {
		h.local.recent.clear()
		h.local.flushed = h.now().UnixNano()
	}
	changed := h.up.agree(now, another, breaks, h.now())
	restored := h.up.restored()
	if changed || restored {
		h.local.stale()
	}
	h.mu.Unlock()
	if restored {
		h.observe(Restored, nil)
	}
	if changed || restored {
		h.announceAll()
	}
}
