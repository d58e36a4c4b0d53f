// Package hybrid keeps records in memory (L1) before Redis (L2), coherently.
package hybrid

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Options configure a Hybrid. Redis.Server is required.
type Options struct {
	Redis  redis.Options // Listener is set here
	Memory cache.MemoryOptions
	// L1TTL is the age at which a value is read again while changes by other replicas do
	// not arrive as they happen; zero: 1 s.
	L1TTL time.Duration
	// MaxL1Age is the age at which a value is read again although changes arrive; zero: a
	// minute.
	MaxL1Age time.Duration
	// Direct reads every value from Redis. Memory serves while Redis is unreachable.
	Direct bool
	// JournalEntries and JournalBytes bound the journal of an outage; zero: the bounds of
	// Memory.
	JournalEntries int
	JournalBytes   int64
	Observer       Observer // nil: events are not reported
}

// Hybrid is a Backend in memory (L1) and in Redis (L2).
//
// Keys that begin with "s:" or "r:" are held in memory once they were read or written.
// Redis invalidates them when any client changes them. Invalidation, age and reconnection
// make an entry stale. It is read again, and served if Redis is unreachable. Replay
// markers, j:, are held so that a second use is refused without a command. All other keys
// are only in Redis.
//
// Writes do not end with their caller's context, but with the operation timeout of Redis.
// So a token refresh or a logout is not lost when its browser leaves.
//
// While Redis is unavailable, writes go to memory and to a journal and return
// ErrJournalled. Reads of keys that are not known here return ErrUnavailable. Leases, l:,
// are not given then.
type Hybrid struct {
	hub      *hub
	reader   *reader
	writer   *writer
	link     *link
	transfer *transfer
}

// New returns a Hybrid that does nothing until Start.
func New(o Options) *Hybrid {
	if o.L1TTL <= 0 {
		o.L1TTL = time.Second
	}
	if o.MaxL1Age <= 0 {
		o.MaxL1Age = time.Minute
	}
	if o.Memory.Now == nil {
		o.Memory.Now = time.Now
	}
	h := newHub(o)
	r := &reader{h: h, rechecks: &rechecks{h: h, keys: map[string]bool{}}}
	w := &writer{h: h, reader: r}
	s := &sender{h: h, writer: w}
	h.worker.task = &reconciler{h: h, sender: s}
	l := &link{h: h, refreshes: &refreshes{h: h, reader: r}}
	h.up = newUpstream(o, l, l, &messages{l: l})
	return &Hybrid{hub: h, reader: r, writer: w, link: l, transfer: &transfer{h: h, writer: w, sender: s}}
}

// Start connects in the background. Until Redis has responded once, each caller that
// needs it sends its own command.
func (h *Hybrid) Start() {
	h.hub.mu.Lock()
	h.link.tick()
	h.link.age()
	h.hub.mu.Unlock()
	h.hub.up.tracker.Start()
	h.hub.kick()
}

// Close ends the connections. The content of the journal is lost.
func (h *Hybrid) Close() {
	h.hub.mu.Lock()
	h.hub.worker.close()
	h.link.close()
	h.hub.mu.Unlock()
	h.hub.followers.Clear()
	h.hub.up.close()
}

// Get is on the path of requests: it holds the lock without a defer.
func (h *Hybrid) Get(ctx context.Context, key string) ([]byte, error) {
	x := h.hub
	now := x.now().UnixNano()
	x.mu.Lock()
	x.stats.requests++
	l := x.local
	u := x.up
	l1 := l.l1
	e := l1.Entries[key]
	if e != nil && e.Expires > now && (u.fallback || e.Epoch == l.epoch && !e.Stale && (u.tracking || now-e.ConfirmedAt < l.ttl)) {
		if e.On == l1.Recent {
			e.On.List.MoveToFront(e.Place)
		}
		value := e.Value
		x.mu.Unlock()
		return value, nil
	}
	x.stats.misses++
	x.mu.Unlock()
	if err := cache.CheckKey(key); err != nil {
		return nil, err
	}
	if kept(key) {
		return h.reader.load(key)
	}
	return h.reader.pass(ctx, key)
}

// Set stores value under the rule of records.
func (h *Hybrid) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return h.writer.write(cache.Change{Op: cache.OpSet, Key: key, Value: value, TTL: ttl})
}

// Add stores value if the key is absent.
func (h *Hybrid) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if strings.HasPrefix(key, "j:") && h.hasMarker(key) {
		return cache.ErrExists
	}
	return h.writer.write(cache.Change{Op: cache.OpAdd, Key: key, Value: value, TTL: ttl})
}

// hasMarker reports whether a replay marker is held here.
func (h *Hybrid) hasMarker(key string) bool {
	now := h.hub.now().UnixNano()
	h.hub.mu.Lock()
	value, _ := h.hub.local.held(key, now)
	h.hub.mu.Unlock()
	return value != nil
}

// CompareAndSet replaces a live record of that version.
func (h *Hybrid) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	if err := cache.CheckSuccessor(version, value); err != nil {
		return err
	}
	return h.writer.write(cache.Change{Op: cache.OpCompare, Key: key, Value: value, TTL: ttl, Version: version})
}

// Delete removes key.
func (h *Hybrid) Delete(ctx context.Context, key string) error {
	return h.writer.write(cache.Change{Op: cache.OpDelete, Key: key, TTL: time.Second})
}

// Exists reports whether Get would return a value.
func (h *Hybrid) Exists(ctx context.Context, key string) (bool, error) {
	_, err := h.Get(ctx, key)
	if errors.Is(err, cache.ErrMiss) {
		return false, nil
	}
	return err == nil, err
}

// Clear removes every key of the prefix from Redis, and everything from memory. It needs
// Redis.
func (h *Hybrid) Clear(ctx context.Context) error {
	if err := h.hub.up.redis.Clear(ctx); err != nil {
		return err
	}
	h.hub.mu.Lock()
	h.hub.local.journal.clear()
	h.hub.local.stale()
	h.hub.local.l1.Clear()
	h.hub.mu.Unlock()
	h.hub.announceAll()
	return nil
}

// Health returns nil when Redis serves. It also checks that the server and the data set
// are the same as before, and that all connections lead to one server. A third check is
// that the server evicts no revocations.
func (h *Hybrid) Health(ctx context.Context) error {
	h.hub.mu.Lock()
	fallback := h.hub.up.fallback
	h.hub.mu.Unlock()
	if fallback {
		return cache.ErrUnavailable
	}
	if err := h.hub.up.redis.Health(ctx); err != nil {
		return err
	}
	if now, err := h.hub.up.redis.Identify(ctx); err == nil {
		h.hub.compare(now)
	}
	return nil
}

// Outage reports whether only memory serves, because Redis does not, and the latest
// failure of Redis, which names neither keys nor secrets.
func (h *Hybrid) Outage() (bool, error) {
	h.hub.mu.Lock()
	fallback := h.hub.up.fallback
	h.hub.mu.Unlock()
	return fallback, h.hub.up.redis.Cause()
}

// Watch calls w for every change from now on, by every replica.
func (h *Hybrid) Watch(w cache.Watcher) {
	h.hub.mu.Lock()
	h.hub.watchers = cache.WithWatcher(h.hub.watchers, w)
	h.hub.mu.Unlock()
}

// Unwatch ends Watch.
func (h *Hybrid) Unwatch(w cache.Watcher) {
	h.hub.mu.Lock()
	h.hub.watchers = cache.WithoutWatcher(h.hub.watchers, w)
	h.hub.mu.Unlock()
}

// Stats are a snapshot of a Hybrid.
type Stats struct {
	Requests, Hits uint64 // reads, and those that memory served
	Connected      bool   // Redis has responded since the start
	Fallback       bool   // only memory serves
	Tracking       bool   // invalidations arrive
	Leases         bool   // leases are given
	Journal        int    // keys with a last state that Redis does not have yet
	JournalAge     time.Duration
	JournalDropped uint64
	Memory         cache.MemoryStats
	Breaker        circuitbreaker.Stats
	Redis          resp.Stats
}

// Stats returns a snapshot.
func (h *Hybrid) Stats() Stats {
	now := h.hub.now().UnixNano()
	s := Stats{Redis: h.hub.up.redis.Client.Stats()}
	if h.hub.up.redis.Breaker != nil {
		s.Breaker = h.hub.up.redis.Breaker.Stats()
	}
	h.hub.mu.Lock()
	s.Memory = h.hub.local.l1.Stats()
	s.Requests = h.hub.stats.requests
	s.Hits = h.hub.stats.requests - h.hub.stats.misses
	s.Connected = h.hub.up.met
	s.Fallback = h.hub.up.fallback
	s.Tracking = h.hub.up.tracking
	s.Leases = h.hub.up.leases(now)
	s.Journal = len(h.hub.local.journal.notes)
	s.JournalDropped = h.hub.local.journal.dropped
	if at := h.hub.local.journal.oldest(); at != 0 {
		s.JournalAge = time.Duration(now - at)
	}
	h.hub.mu.Unlock()
	return s
}

// Transfer implements cache.Store.
func (h *Hybrid) Transfer() cache.Transfer {
	return h.transfer
}
