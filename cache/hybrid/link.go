package hybrid

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// link is told by the server which keys changed.
type link struct {
	h *Hybrid
}

// Up implements resp.Invalidations. Changes may have been missed until now.
func (l *link) Up() {
	h := l.h
	h.mu.Lock()
	h.tracking = true
	h.checked = false
	h.staleLocked()
	h.mu.Unlock()
	h.observe(TrackingUp, nil)
	h.announceAll()
	h.kick()
}

// Down implements resp.Invalidations.
func (l *link) Down(err error) {
	h := l.h
	h.mu.Lock()
	was := h.tracking
	h.tracking = false
	h.checked = h.checked && h.whispers
	h.echoes = map[string]int{}
	h.tickLocked()
	h.mu.Unlock()
	h.whisperIfRefused(err)
	if was {
		h.observe(TrackingDown, err)
		h.announceAll()
		h.kick() // whether the server is another one shows by the other connections too
	}
}

// Invalidate implements resp.Invalidations.
func (l *link) Invalidate(keys []string) {
	h := l.h
	if keys == nil {
		h.mu.Lock()
		h.staleLocked()
		h.mu.Unlock()
		h.announceAll()
		h.kick()
		return
	}
	h.mu.Lock()
	watchers := h.watchers
	for _, full := range keys {
		key := strings.TrimPrefix(full, h.l2.Prefix)
		h.changedLocked(key)
		if !h.heardLocked(key) {
			h.refreshLocked(key)
		}
	}
	h.mu.Unlock()
	for _, full := range keys {
		cache.Announce(watchers, strings.TrimPrefix(full, h.l2.Prefix))
	}
}

// tick says every L1TTL that anything may have changed, while tracking is down:
// those who hold opened values know of no other changes.
type tick struct {
	h *Hybrid
}

// Run implements background.Runner.
func (t *tick) Run() {
	h := t.h
	h.mu.Lock()
	h.ticker = nil
	h.tickLocked()
	quiet := h.tracking || h.fallback || h.closed
	h.mu.Unlock()
	if !quiet {
		h.announceAll()
	}
}

func (h *Hybrid) tickLocked() {
	if h.ticker == nil && !h.tracking && !h.closed {
		h.ticker = background.After(time.Duration(h.l1TTL), &tick{h: h})
	}
}

// BreakerChanged implements circuitbreaker.Listener.
func (h *Hybrid) BreakerChanged(from, to circuitbreaker.State) {
	switch {
	case from == circuitbreaker.Closed:
		h.mu.Lock()
		h.fallback = true
		h.mu.Unlock()
		h.observe(BreakerOpened, h.l2.Cause())
		h.observe(FellBack, nil)
	case to == circuitbreaker.Closed:
		h.kick()
	}
}

// worker is the one background task that brings L2 up to date. It is guarded by
// the lock of its Hybrid.
type worker struct {
	running  bool
	again    bool          // asked for while running
	pause    time.Duration // before the next attempt after a failure
	timer    *time.Timer
	overflow bool // the journal dropped something, not yet told
}

const (
	pauseMin = 250 * time.Millisecond
	pauseMax = time.Second
)

// restoring is how long the other replicas may take to notice a loss of data and to
// give back what they hold.
const restoring = 3 * time.Second

// prolonging is how long a holder of a lease may take to notice that the server was
// restarted, which may have lost it the last it was told, and to prolong.
const prolonging = 5 * time.Second

func (h *Hybrid) kick() {
	h.mu.Lock()
	h.kickLocked()
	h.mu.Unlock()
}

func (h *Hybrid) kickLocked() {
	if h.closed {
		return
	}
	if h.worker.running {
		h.worker.again = true
		return
	}
	h.worker.running = true
	background.Start(&reconciliation{h: h})
}

// retry is a kick after a pause.
type retry struct {
	h *Hybrid
}

// Run implements background.Runner.
func (r *retry) Run() {
	r.h.kick()
}

// reconciliation makes L2 and L1 agree, until nobody asks for it any more.
type reconciliation struct {
	h     *Hybrid
	ended bool
}

// Run implements background.Runner.
func (r *reconciliation) Run() {
	defer r.rest()
	for !r.ended {
		err := r.h.reconcile(context.Background())
		r.ended = !r.h.askedAgain(err)
	}
}

// rest lets the work be taken up again after a panic.
func (r *reconciliation) rest() {
	if r.ended {
		return
	}
	r.h.mu.Lock()
	r.h.worker.running = false
	r.h.scheduleLocked()
	r.h.mu.Unlock()
}

// askedAgain decides whether to go on at once; if not, and something is left to
// do, it has the work taken up after a pause.
func (h *Hybrid) askedAgain(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	if err == nil {
		h.worker.pause = 0
		if h.worker.again {
			h.worker.again = false
			return true
		}
	}
	h.worker.again = false
	h.worker.running = false
	if errors.Is(err, circuitbreaker.ErrOpen) {
		return false // the breaker says when it closes
	}
	if err != nil || len(h.journal.notes) > 0 {
		h.scheduleLocked()
	}
	return false
}

func (h *Hybrid) scheduleLocked() {
	if h.closed {
		return
	}
	h.worker.pause *= 2
	if h.worker.pause < pauseMin {
		h.worker.pause = pauseMin
	}
	if h.worker.pause > pauseMax {
		h.worker.pause = pauseMax
	}
	if h.worker.timer != nil {
		h.worker.timer.Stop()
	}
	h.worker.timer = background.After(h.worker.pause, &retry{h: h})
}

// reconcile finds out which data set answers, gives it what it lacks of what is
// known here, revocations first, and ends the fallback. It can be repeated from
// any point.
func (h *Hybrid) reconcile(ctx context.Context) error {
	h.tellOverflow()
	now, err := h.l2.Identify(ctx)
	if err != nil {
		h.firstContactFailed(err)
		return err
	}
	met, known := h.knows()
	another := met && now.Run != known.Run
	lost := another && now.DataSet != known.DataSet
	switch {
	case !met:
		h.observe(Connected, nil)
	case lost:
		h.observe(DataLost, nil)
	case another:
		h.observe(Restarted, nil)
	}
	if now.Evicts != "" && (!met || another) {
		h.observe(MayEvict, nil)
	}
	if err := h.restore(ctx, another, lost); err != nil {
		return err
	}
	h.agree(now)
	return nil
}

func (h *Hybrid) tellOverflow() {
	h.mu.Lock()
	overflow := h.worker.overflow
	h.worker.overflow = false
	h.mu.Unlock()
	if overflow {
		h.observe(JournalOverflow, nil)
	}
}

// firstContactFailed spares users the wait for a Redis that is down at start.
func (h *Hybrid) firstContactFailed(err error) {
	if met, _ := h.knows(); !met && h.l2.Breaker != nil && !errors.Is(err, circuitbreaker.ErrOpen) {
		h.l2.Breaker.Trip()
	}
}

// knows tells whether L2 has answered once, and with which data set.
func (h *Hybrid) knows() (bool, cache.Identity) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.met, h.known
}

// agree takes note of the data set, and leaves the fallback if there was one.
func (h *Hybrid) agree(now cache.Identity) {
	h.mu.Lock()
	changed := !h.met || now.Run != h.known.Run || now.DataSet != h.known.DataSet
	if h.met && now.Run != h.known.Run {
		h.unproven = h.now().Add(prolonging).UnixNano()
		if now.DataSet != h.known.DataSet {
			h.incomplete = h.now().Add(restoring).UnixNano()
		}
	}
	h.checked = true
	h.met = true
	h.known = now
	restored := h.fallback && (h.l2.Breaker == nil || h.l2.Breaker.State() == circuitbreaker.Closed)
	if restored {
		h.fallback = false
	}
	if changed || restored {
		h.staleLocked()
	}
	h.mu.Unlock()
	if restored {
		h.observe(Restored, nil)
	}
	if changed || restored {
		h.announceAll()
	}
}
