package hybrid

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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
	now     func() time.Time
	l2      *redis.Redis
	tracker *resp.Tracker
	// subscriber stands in for tracker where the server refuses tracking.
	subscriber *resp.Tracker
	l1TTL      int64 // ns
	direct     bool
	observer   Observer
	place      string           // of the server: its address, database and prefix
	followers  *cache.Followers // the stores that take the place of this one

	// mu guards the fields below, so that a decision and the change of L1 that follows
	// from it are one.
	mu       sync.Mutex
	l1       *cache.LRU
	epoch    uint64             // counts what made everything stale
	tracking bool               // invalidations arrive
	whispers bool               // replicas tell each other instead
	fallback bool               // memory alone
	flights  map[string]*flight // reads under way that others may join
	tokens   map[string]*token  // keys being read or written
	journal  *journal
	met      bool           // L2 has answered once
	known    cache.Identity // of the L2 that what is held came from
	// Until when L2 may lack, after a loss of data, what other replicas hold; ns
	// since 1970.
	incomplete int64
	// Whether the server was looked at since the link to it came up, and until when
	// leases may be missing there that are being prolonged; ns since 1970.
	checked  bool
	unproven int64
	// Keys that were answered from L1 because L2 could not be asked, outside of the
	// fallback: they are asked again at L1TTL.
	doubts   map[string]bool
	watchers []cache.Watcher
	worker   worker
	// Records that others changed, to be asked for again, and whether that is being
	// done.
	changes   []string
	refreshes bool
	echoes    map[string]int // of changes made here, which the server will tell of
	ticker    *time.Timer    // while tracking is down
	closed    bool
	requests  uint64
	hits      uint64
}

// New returns a Hybrid that does nothing until Start.
func New(o Options) *Hybrid {
	if o.L1TTL <= 0 {
		o.L1TTL = time.Second
	}
	l1 := cache.NewLRU(o.Memory)
	l1.Unlisted = true // the index is L2's; without it, few revocations search
	if o.JournalEntries <= 0 {
		o.JournalEntries = l1.MaxEntries
	}
	if o.JournalBytes <= 0 {
		o.JournalBytes = l1.MaxBytes.Load()
	}
	h := &Hybrid{
		followers: &cache.Followers{},
		l1:        l1,
		now:       o.Memory.Now,
		l1TTL:     int64(o.L1TTL),
		direct:    o.Direct,
		observer:  o.Observer,
		flights:   map[string]*flight{},
		tokens:    map[string]*token{},
		doubts:    map[string]bool{},
		echoes:    map[string]int{},
		journal:   newJournal(o.JournalEntries, o.JournalBytes),
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.place = fmt.Sprintf("%s %s %d %s", o.Redis.Server.Network, o.Redis.Server.Address, o.Redis.Server.DB, redis.KeyPrefix(o.Redis.Prefix))
	o.Redis.Listener = h
	o.Redis.Now = h.now
	h.l2 = redis.New(o.Redis)
	h.tracker = resp.NewTracker(o.Redis.Server, []string{h.l2.Prefix + "s:", h.l2.Prefix + "r:"}, &link{h: h})
	h.subscriber = resp.NewSubscriber(o.Redis.Server, h.l2.Prefix+whisperChannel, &whisper{l: &link{h: h}})
	return h
}

// Start connects in the background. Until Redis has answered once, it is asked
// by whoever needs it.
func (h *Hybrid) Start() {
	h.mu.Lock()
	h.tickLocked()
	h.mu.Unlock()
	h.tracker.Start()
	h.kick()
}

// Close ends the connections. What is in the journal is lost.
func (h *Hybrid) Close() {
	h.mu.Lock()
	h.closed = true
	if h.ticker != nil {
		h.ticker.Stop()
	}
	if h.worker.timer != nil {
		h.worker.timer.Stop()
	}
	h.mu.Unlock()
	h.followers.Clear()
	h.tracker.Close()
	h.subscriber.Close()
	h.l2.Close()
}

// Get is on the path of requests: it holds the lock without a defer.
func (h *Hybrid) Get(ctx context.Context, key string) ([]byte, error) {
	now := h.now().UnixNano()
	h.mu.Lock()
	h.requests++
	e := h.l1.Entries[key]
	if e != nil && e.Expires > now && (h.fallback || e.Epoch == h.epoch && !e.Stale && (h.tracking || now-e.Asked < h.l1TTL)) {
		if e.On == h.l1.Recent {
			e.On.List.MoveToFront(e.Place)
		}
		h.hits++
		value := e.Value
		h.mu.Unlock()
		return value, nil
	}
	h.mu.Unlock()
	if err := cache.CheckKey(key); err != nil {
		return nil, err
	}
	if h.kept(key) {
		return h.ask(key)
	}
	return h.pass(ctx, key)
}

// kept reports whether L1 holds what is read under key.
func (h *Hybrid) kept(key string) bool {
	return len(key) > 1 && key[1] == ':' && (key[0] == 's' || key[0] == 'r')
}

// Set stores value under the rule of records.
func (h *Hybrid) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return h.write(cache.Change{Op: cache.OpSet, Key: key, Value: value, TTL: ttl})
}

// Add stores value if the key is absent.
func (h *Hybrid) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if strings.HasPrefix(key, "j:") && h.marked(key) {
		return cache.ErrExists
	}
	return h.write(cache.Change{Op: cache.OpAdd, Key: key, Value: value, TTL: ttl})
}

// marked reports whether a mark is held here.
func (h *Hybrid) marked(key string) bool {
	now := h.now().UnixNano()
	h.mu.Lock()
	value, _ := h.heldLocked(key, now)
	h.mu.Unlock()
	return value != nil
}

// CompareAndSet replaces a live record of that version.
func (h *Hybrid) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	if err := cache.CheckSuccessor(version, value); err != nil {
		return err
	}
	return h.write(cache.Change{Op: cache.OpCompare, Key: key, Value: value, TTL: ttl, Version: version})
}

// Delete removes key.
func (h *Hybrid) Delete(ctx context.Context, key string) error {
	return h.write(cache.Change{Op: cache.OpDelete, Key: key, TTL: time.Second})
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
	if err := h.l2.Clear(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	h.journal.clear()
	h.staleLocked()
	h.l1.Clear()
	h.mu.Unlock()
	h.announceAll()
	return nil
}

// Health is nil when L2 serves.
func (h *Hybrid) Health(ctx context.Context) error {
	h.mu.Lock()
	fallback := h.fallback
	h.mu.Unlock()
	if fallback {
		return cache.ErrUnavailable
	}
	return h.l2.Health(ctx)
}

// Outage reports whether memory alone serves, because Redis does not, and the latest
// failure of Redis, which names neither keys nor secrets.
func (h *Hybrid) Outage() (bool, error) {
	h.mu.Lock()
	fallback := h.fallback
	h.mu.Unlock()
	return fallback, h.l2.Cause()
}

// Watch calls w for every change from now on, whoever makes it.
func (h *Hybrid) Watch(w cache.Watcher) {
	h.mu.Lock()
	h.watchers = cache.WithWatcher(h.watchers, w)
	h.mu.Unlock()
}

// Unwatch ends Watch.
func (h *Hybrid) Unwatch(w cache.Watcher) {
	h.mu.Lock()
	h.watchers = cache.WithoutWatcher(h.watchers, w)
	h.mu.Unlock()
}

func (h *Hybrid) announceAll() {
	h.mu.Lock()
	watchers := h.watchers
	h.mu.Unlock()
	cache.AnnounceAll(watchers)
}

func (h *Hybrid) observe(e Event, cause error) {
	if h.observer != nil {
		h.observer.Observe(e, cause)
	}
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
	now := h.now().UnixNano()
	s := Stats{Redis: h.l2.Client.Stats()}
	if h.l2.Breaker != nil {
		s.Breaker = h.l2.Breaker.Stats()
	}
	h.mu.Lock()
	s.Memory = h.l1.Stats()
	s.Requests = h.requests
	s.Hits = h.hits
	s.Connected = h.met
	s.Fallback = h.fallback
	s.Tracking = h.tracking
	s.Leases = h.leasesLocked(now)
	s.Journal = len(h.journal.notes)
	s.JournalDropped = h.journal.dropped
	if at := h.journal.oldest(); at != 0 {
		s.JournalAge = time.Duration(now - at)
	}
	h.mu.Unlock()
	return s
}
