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
	// L1TTL is the age at which a value is asked again while changes by other
	// replicas do not arrive as they happen; zero: 1 s.
	L1TTL time.Duration
	// MaxL1Age is the age at which a value is asked again although changes arrive; zero:
	// a minute.
	MaxL1Age time.Duration
	// Direct asks Redis for every read. Memory serves while Redis cannot be asked.
	Direct bool
	// JournalEntries and JournalBytes bound what an outage may leave for Redis;
	// zero: as much as Memory holds.
	JournalEntries int
	JournalBytes   int64
	Observer       Observer // nil: nobody is told
}

// Hybrid is a Backend in memory (L1) and in Redis (L2).
//
// Keys that begin with s: or r: are held in L1 once they were read or written,
// and are invalidated by the server when anybody changes them. Invalidation, age
// and reconnection make an entry stale: it is asked again, and served if L2
// cannot be asked. Marks, j:, are held so that a second use is refused without
// asking; everything else is L2's alone.
//
// Writes do not end with their caller's context, but with the operation timeout
// of L2: a renewal or a logout is not lost because its browser left.
//
// While L2 is unavailable, writes go to L1 and to a journal and return
// ErrJournalled; reads of what is not known here return ErrUnavailable. Leases,
// l:, are not given then.
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
	r := &reader{h: h, doubts: &doubts{h: h, keys: map[string]bool{}}}
	w := &writer{h: h, reader: r}
	s := &sender{h: h, writer: w}
	h.worker.task = &reconciler{h: h, sender: s}
	l := &link{h: h, refreshes: &refreshes{h: h, reader: r}}
	h.up = newUpstream(o, l, l, &whisper{l: l})
	return &Hybrid{hub: h, reader: r, writer: w, link: l, transfer: &transfer{h: h, writer: w, sender: s}}
}

// Start connects in the background. Until Redis has answered once, it is asked
// by whoever needs it.
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
	if e != nil && e.Expires > now && (u.fallback || e.Epoch == l.epoch && !e.Stale && (u.tracking || now-e.Asked < l.ttl)) {
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
		return h.reader.ask(key)
	}
	return h.reader.pass(ctx, key)
}

// Set stores value under the rule of records.
func (h *Hybrid) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return h.writer.write(cache.Change{Op: cache.OpSet, Key: key, Value: value, TTL: ttl})
}

// Add stores value if the key is absent.
func (h *Hybrid) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if strings.HasPrefix(key, "j:") && h.marked(key) {
		return cache.ErrExists
	}
	return h.writer.write(cache.Change{Op: cache.OpAdd, Key: key, Value: value, TTL: ttl})
}

// marked reports whether a mark is held here.
func (h *Hybrid) marked(key string) bool {
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

// Clear removes every key of L2's prefix, and everything from L1. It needs L2.
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

// Health is nil when L2 serves. It also looks whether L2 is still the server and the data
// set that it was, whether the connections lead to one server, and whether that may evict
// revocations.
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

// Outage reports whether memory alone serves, because Redis does not, and the latest
// failure of Redis, which names neither keys nor secrets.
func (h *Hybrid) Outage() (bool, error) {
	h.hub.mu.Lock()
	fallback := h.hub.up.fallback
	h.hub.mu.Unlock()
	return fallback, h.hub.up.redis.Cause()
}

// Watch calls w for every change from now on, whoever makes it.
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
	Requests, Hits uint64 // reads, and those that L1 answered
	Connected      bool   // Redis has answered since the start
	Fallback       bool   // memory alone serves
	Tracking       bool   // invalidations arrive
	Leases         bool   // are given
	Journal        int    // keys whose last state L2 does not have yet
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
