package hybrid

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/resp"
)

// A link receives changed keys from Redis, and the changes of the breaker.
type link struct {
	h         *hub
	refreshes *refreshes
	ticker    *time.Timer // while tracking is down
	ageing    *time.Timer // the next time that values become too old while tracking is up
	replaced  bool        // its connection was too old, and the next one is being opened; not guarded: one goroutine calls Up and Down
}

// Up implements resp.Invalidations. Changes may have been missed until now.
func (l *link) Up() {
	h := l.h
	h.mu.Lock()
	h.up.tracking = true
	h.up.checked = false
	h.local.stale()
	h.mu.Unlock()
	if !l.replaced {
		h.observe(TrackingUp, nil)
	}
	l.replaced = false
	h.announceAll()
	h.kick()
}

// Down implements resp.Invalidations.
func (l *link) Down(err error) {
	h := l.h
	h.mu.Lock()
	was := h.up.tracking
	h.up.tracking = false
	h.up.checked = h.up.checked && h.up.publishes
	h.local.echoes = map[string]int{}
	l.tick()
	h.mu.Unlock()
	l.publishIfRefused(err)
	// The replacement of an old link is not reported, unless the next one fails.
	retired := errors.Is(err, resp.ErrRetired)
	if !retired && (was || l.replaced) {
		h.observe(TrackingDown, err)
	}
	l.replaced = retired && was
	if was {
		h.announceAll()
		h.kick() // the other connections too show a change of the server
	}
}

// Invalidate implements resp.Invalidations.
func (l *link) Invalidate(keys []string) {
	h := l.h
	if keys == nil {
		h.mu.Lock()
		h.local.stale()
		h.mu.Unlock()
		h.announceAll()
		h.kick()
		return
	}
	h.mu.Lock()
	watchers := h.watchers
	for _, full := range keys {
		key := strings.TrimPrefix(full, h.up.redis.Prefix)
		h.local.changed(key)
		if !h.local.heard(key) {
			l.refreshes.add(key)
		}
	}
	h.mu.Unlock()
	for _, full := range keys {
		cache.Announce(watchers, strings.TrimPrefix(full, h.up.redis.Prefix))
	}
}

// A tick announces every L1TTL that any record may have changed, while tracking is down.
// Holders of opened values know of no other changes.
type tick struct {
	l *link
}

// Run implements background.Runner.
func (t *tick) Run() {
	h := t.l.h
	h.mu.Lock()
	t.l.ticker = nil
	t.l.tick()
	quiet := h.up.tracking || h.up.fallback || h.worker.closed
	h.mu.Unlock()
	if !quiet {
		h.announceAll()
	}
}

// tick schedules the next tick, unless one is.
func (l *link) tick() {
	if l.ticker == nil && !l.h.up.tracking && !l.h.worker.closed {
		l.ticker = background.After(time.Duration(l.h.local.ttl), &tick{l: l})
	}
}

// An ageing announces every MaxL1Age that any record may have changed, although no change
// was reported. A link can lead to another server than the commands without any sign.
type ageing struct {
	l *link
}

// Run implements background.Runner.
func (a *ageing) Run() {
	h := a.l.h
	h.mu.Lock()
	quiet := !h.up.tracking || h.up.fallback || h.worker.closed
	if !quiet {
		h.local.stale()
	}
	a.l.age()
	h.mu.Unlock()
	if !quiet {
		h.announceAll()
	}
}

// age schedules the next ageing.
func (l *link) age() {
	if !l.h.worker.closed {
		l.ageing = background.After(time.Duration(l.h.local.maxAge), &ageing{l: l})
	}
}

// BreakerChanged implements circuitbreaker.Listener.
func (l *link) BreakerChanged(from, to circuitbreaker.State) {
	h := l.h
	switch {
	case from == circuitbreaker.Closed:
		h.mu.Lock()
		h.up.fallback = true
		h.mu.Unlock()
		h.observe(BreakerOpened, h.up.redis.Cause())
		h.observe(FellBack, nil)
	case to == circuitbreaker.Closed:
		h.kick()
	}
}

// publishIfRefused begins to publish changes once Redis has refused tracking. A refused
// connection is no reason.
func (l *link) publishIfRefused(err error) {
	h := l.h
	refused := errors.Is(err, resp.ErrTerminal) && redis.Outcome(context.Background(), err) == circuitbreaker.Success
	h.mu.Lock()
	begin := refused && !h.up.publishes && !h.worker.closed
	if begin {
		h.up.publishes = true
	}
	h.mu.Unlock()
	if begin {
		h.up.subscriber.Start()
	}
}

// close ends the ticks.
func (l *link) close() {
	if l.ticker != nil {
		l.ticker.Stop()
	}
	if l.ageing != nil {
		l.ageing.Stop()
	}
}
