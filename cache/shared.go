package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// Fresh asks L2, and joins no reader who began before.
func (h *Hybrid) Fresh(ctx context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	q, err := h.inquire(key)
	if err != nil {
		return nil, err
	}
	defer h.end(q)
	value, canary, err := h.l2.confirm(context.Background(), key)
	if err != nil && !errors.Is(err, ErrMiss) {
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
		return inquiry{}, fmt.Errorf("%w: memory alone serves", ErrUnavailable)
	}
	held, _ := h.heldLocked(key, now)
	return h.beginLocked(key, held != nil), nil
}

func (h *Hybrid) end(q inquiry) {
	h.mu.Lock()
	h.endLocked(q)
	h.mu.Unlock()
}

// Acquire gives a lease that every replica respects; without L2 there is none.
func (h *Hybrid) Acquire(ctx context.Context, l Lease) ([]byte, error) {
	if err := l.check(); err != nil {
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
	record, err := h.l2.acquire(context.Background(), l, canary)
	switch {
	case record != nil:
		h.mu.Lock()
		record = h.fillLocked(q, record, h.now())
		h.mu.Unlock()
	case q.held && errors.Is(err, ErrMiss):
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
		return h.known.canary, nil
	}
	return "", fmt.Errorf("%w: the server may have lost leases", ErrUnavailable)
}

func (h *Hybrid) leasesLocked(now int64) bool {
	return h.checked && !h.fallback && now >= h.unproven
}

// Prolong asks L2.
func (h *Hybrid) Prolong(ctx context.Context, l Lease) error {
	return h.l2.Prolong(context.Background(), l)
}

// Release asks L2.
func (h *Hybrid) Release(ctx context.Context, l Lease, unused bool) error {
	return h.l2.Release(context.Background(), l, unused)
}

// Revoke carries the revocations to L2, and what they are about is revoked here at
// once. Without L2 they are applied to what is held here, and journalled: when L2 is
// back, its indexes say what else they are about.
func (h *Hybrid) Revoke(ctx context.Context, revocations []Revocation) error {
	for _, r := range revocations {
		if err := r.check(); err != nil {
			return err
		}
	}
	return h.followers.passAll(revocations, h.revokeAll(revocations))
}

// revokeAll is Revoke in this store alone.
func (h *Hybrid) revokeAll(revocations []Revocation) error {
	var failed error
	var written []holding
	for _, r := range revocations {
		some, err := h.revoke(r)
		written = append(written, some...)
		if err != nil {
			failed = err
		}
	}
	// Where there is little room, the tombstones stay rather than the notes.
	h.revoked(written)
	return failed
}

// revoke returns the tombstones that L2 has got.
func (h *Hybrid) revoke(r Revocation) ([]holding, error) {
	h.mu.Lock()
	fallback := h.fallback
	h.mu.Unlock()
	if fallback {
		return nil, h.revokeHere(r)
	}
	written, err := h.l2.revoke(context.Background(), []Revocation{r})
	if err != nil {
		applied := h.revokeHere(r)
		h.kick()
		return written, applied
	}
	return written, h.revokeUnknown(r)
}

// revokeUnknown notes r, which L2 has, and applies it to what is held here and L2
// has yet to get.
func (h *Hybrid) revokeUnknown(r Revocation) error {
	now := h.now()
	h.mu.Lock()
	if !r.Unproven {
		h.l1.note(r, now)
	}
	var unknown []*entry
	for key, n := range h.journal.notes {
		if e := h.l1.entries[key]; e != nil && r.covers(n.value) && r.covers(e.value) {
			unknown = append(unknown, e)
		}
	}
	keys, err := h.buryEntriesLocked(unknown, now)
	watchers := h.watchers
	if len(keys) > 0 {
		h.kickLocked()
	}
	h.mu.Unlock()
	for _, key := range keys {
		announce(watchers, key)
	}
	return err
}

// buryEntriesLocked revokes records that are held here, here and in the journal. The
// error is ErrJournalled if there were any.
func (h *Hybrid) buryEntriesLocked(covered []*entry, now time.Time) ([]string, error) {
	var keys []string
	var err error
	for _, e := range covered {
		value, ttl := tombstoneOf(e.value, now)
		failed := h.applyLocked(change{op: opSet, key: e.key, value: value, ttl: ttl}, now)
		if err == nil || !Applied(failed) {
			err = failed
		}
		keys = append(keys, e.key)
	}
	return keys, err
}

// revoked takes tombstones over that L2 has.
func (h *Hybrid) revoked(written []holding) {
	now := h.now()
	h.mu.Lock()
	watchers := h.watchers
	for _, x := range written {
		h.changedLocked(x.key)
		if n := h.journal.notes[x.key]; n != nil {
			h.journal.remove(n)
		}
		e := h.l1.live(x.key, now.UnixNano())
		if e == nil || merge(e.value, x.value) == replaces {
			h.l1.put(x.key, x.value, now, time.Duration(x.expires-now.UnixNano()))
		}
	}
	h.mu.Unlock()
	for _, x := range written {
		announce(watchers, x.key)
		h.whisperOf(x.key)
	}
}

// noteHereLocked notes r here and in the journal.
func (h *Hybrid) noteHereLocked(r Revocation, now time.Time) error {
	key := noteKey(r.Mark)
	err := h.applyLocked(change{op: opSet, key: key, value: r.note(now), ttl: r.TTL}, now)
	if n := h.journal.notes[key]; n != nil && (n.revocation.Link == "" || n.revocation.Before.Before(r.Before)) {
		n.revocation = r
	}
	if e := h.l1.entries[key]; e != nil && (e.about == nil || e.about.Before.Before(r.Before)) {
		e.about = r.copied()
	}
	return err
}

// revokeHere applies r to what this process holds, and journals it.
func (h *Hybrid) revokeHere(r Revocation) error {
	if r.Unproven {
		return fmt.Errorf("%w: not revoked", ErrUnavailable)
	}
	now := h.now()
	h.mu.Lock()
	err := h.noteHereLocked(r, now)
	keys, failed := h.buryEntriesLocked(h.l1.covered(r, now.UnixNano()), now)
	if !Applied(failed) {
		err = failed
	}
	watchers := h.watchers
	h.mu.Unlock()
	for _, key := range keys {
		announce(watchers, key)
	}
	for _, w := range watchers {
		w.Revoked(r)
	}
	return err
}

// A doubting has keys asked again that were answered while L2 could not be asked: who
// was answered may take it for settled, and no word of a change comes twice.
type doubting struct {
	h *Hybrid
}

// Run implements background.Runner.
func (d *doubting) Run() {
	h := d.h
	h.mu.Lock()
	doubts := h.doubts
	h.doubts = map[string]bool{}
	watchers := h.watchers
	h.mu.Unlock()
	if len(doubts) >= maxChanges {
		announceAll(watchers)
		return
	}
	for key := range doubts {
		announce(watchers, key)
	}
}

func (h *Hybrid) doubtLocked(key string) {
	if h.closed {
		return
	}
	if len(h.doubts) == 0 {
		background.After(time.Duration(h.l1TTL), &doubting{h: h})
	}
	if len(h.doubts) < maxChanges {
		h.doubts[key] = true
	}
}

// refreshing asks again for records that somebody changed, so that a revocation is
// known here before L2 can fail.
type refreshing struct {
	h     *Hybrid
	ended bool
}

// refreshLocked has the record of key asked for again, if one is held here.
func (h *Hybrid) refreshLocked(key string) {
	e := h.l1.entries[key]
	if e == nil || e.on == h.l1.revoked || h.direct || h.closed || kindOf(e.value) != liveRecord || len(h.changes) >= maxChanges {
		return
	}
	h.changes = append(h.changes, key)
	if len(h.changes) == 1 && !h.refreshes {
		h.refreshes = true
		background.Start(&refreshing{h: h})
	}
}

// maxChanges bounds the records that wait to be asked for again. What is beyond is
// asked for when somebody needs it.
const maxChanges = 4096

// Run implements background.Runner.
func (r *refreshing) Run() {
	defer r.rest()
	for !r.ended {
		keys := r.h.takeChanges()
		for _, key := range keys {
			if r.h.isStale(key) {
				_, _ = r.h.ask(key)
			}
		}
		r.ended = len(keys) == 0
	}
}

// rest lets the work be taken up again after a panic.
func (r *refreshing) rest() {
	if r.ended {
		return
	}
	r.h.mu.Lock()
	r.h.refreshes = false
	r.h.mu.Unlock()
}

// takeChanges returns the records to ask for; none ends the refreshing.
func (h *Hybrid) takeChanges() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := h.changes
	h.changes = nil
	if len(keys) == 0 || h.fallback {
		h.refreshes = false
		return nil
	}
	return keys
}

func (h *Hybrid) isStale(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.l1.entries[key]
	return e != nil && e.on != h.l1.revoked && (e.stale || e.epoch != h.epoch)
}
