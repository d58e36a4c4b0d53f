package cache

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// MemoryOptions configure a Memory.
type MemoryOptions struct {
	MaxEntries int   // entries kept; zero means DefaultEntries
	MaxBytes   int64 // bytes of keys, values and bookkeeping; zero means DefaultBytes
	// MarkBytes bounds what replay markers, j:, take beside the rest, so that a flood
	// of them drives no session out; zero: they count like everything else.
	MarkBytes int64
	Now       func() time.Time // zero means time.Now
}

// Bounds of a Memory that is given none.
const (
	DefaultEntries = 100000
	DefaultBytes   = 64 << 20
)

// Memory is a Backend in this process.
//
// Beyond its bounds it evicts provisional records, all but the newest, and then what
// was used least recently. Revoked records stay
// until they expire, whatever else has to leave, as long as they take at most
// half of either bound; beyond that the oldest of them leaves. Losing one is
// safe where Memory is the only store: the session under that key is absent, and
// what is absent can only be created under a new key.
type Memory struct {
	maxBytes  atomic.Int64 // read without the lock
	markBytes int64        // zero: markers are in recent
	now       func() time.Time
	unlisted  bool       // there is no index: what a revocation is about is searched for
	followers *followers // the stores that take the place of this one

	mu         sync.Mutex // guards the fields below
	maxEntries int
	entries    map[string]*entry
	links      map[string][]*entry // by link
	recent     *list.List          // of *entry, most recently used first
	revoked    *list.List          // of *entry, newest first
	marks      *list.List          // of *entry, newest first: replay markers, if apart
	passing    *list.List          // of *entry, newest first: provisional records
	bytes      int64
	pinned     int64 // bytes of what is in revoked
	marked     int64 // bytes of what is in marks
	watchers   []Watcher
	evicted    []string // keys that left for the bounds, not yet announced
	evicts     uint64   // entries that left for the bounds, ever
}

type entry struct {
	key     string
	value   []byte
	expires int64       // ns since 1970
	pinned  bool        // in revoked, not in recent
	apart   bool        // in marks, not in recent
	passing bool        // in passing, not in recent
	about   *Revocation // what a note of a revocation stands for; nil: it is not known here, or it is no note
	stale   bool        // kept by Hybrid: changed since it was confirmed, or never to be served without asking
	place   *list.Element
	listed  *places // in links; nil: it is not listed

	// What follows is kept by Hybrid, which holds the lock for it.
	epoch uint64 // the era of the link in which L2 last confirmed the value
	asked int64  // when that was, ns since 1970
}

// entryOverhead is what an entry takes beside its key and value, in bytes.
const entryOverhead = 256

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.MaxEntries <= 0 {
		o.MaxEntries = DefaultEntries
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Memory{
		followers:  &followers{},
		maxEntries: o.MaxEntries,
		markBytes:  o.MarkBytes,
		now:        o.Now,
		entries:    map[string]*entry{},
		links:      map[string][]*entry{},
		recent:     list.New(),
		revoked:    list.New(),
		marks:      list.New(),
		passing:    list.New(),
	}
	m.maxBytes.Store(o.MaxBytes)
	return m
}

// Resize changes the bounds, as MemoryOptions describe them.
func (m *Memory) Resize(maxEntries int, maxBytes int64) {
	if maxEntries <= 0 {
		maxEntries = DefaultEntries
	}
	if maxBytes <= 0 {
		maxBytes = DefaultBytes
	}
	now := m.now().UnixNano()
	m.mu.Lock()
	m.maxEntries = maxEntries
	m.maxBytes.Store(maxBytes)
	m.makeRoomLocked(now)
	watchers, evicted := m.watchers, m.evicted
	m.evicted = nil
	m.mu.Unlock()
	for _, key := range evicted {
		announce(watchers, key)
	}
}

// Get is on the path of requests: it holds the lock without a defer.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, error) {
	now := m.now().UnixNano()
	m.mu.Lock()
	e := m.entries[key]
	if e == nil || e.expires <= now {
		m.mu.Unlock()
		return nil, ErrMiss
	}
	if !e.pinned && !e.apart && !e.passing {
		m.recent.MoveToFront(e.place)
	}
	value := e.value
	m.mu.Unlock()
	return value, nil
}

// Set stores value under the rule of records.
func (m *Memory) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := m.set(key, value, ttl)
	return m.followers.pass(change{op: opSet, key: key, value: value, ttl: ttl}, err)
}

func (m *Memory) set(key string, value []byte, ttl time.Duration) error {
	if err := m.check(key, value, ttl); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	e := m.liveLocked(key, now.UnixNano())
	if e != nil {
		switch merge(e.value, value) {
		case conflicts:
			m.mu.Unlock()
			return ErrConflict
		case remains:
			m.mu.Unlock()
			return nil
		}
	}
	m.putLocked(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// Add stores value if the key is absent.
func (m *Memory) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := m.add(key, value, ttl)
	return m.followers.pass(change{op: opAdd, key: key, value: value, ttl: ttl}, err)
}

func (m *Memory) add(key string, value []byte, ttl time.Duration) error {
	if err := m.check(key, value, ttl); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	err := m.addableLocked(key, value, now.UnixNano())
	if err != nil {
		m.mu.Unlock()
		return err
	}
	m.putLocked(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// CompareAndSet replaces a live record of that version.
func (m *Memory) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	err := m.compareAndSet(key, version, value, ttl)
	return m.followers.pass(change{op: opCompare, key: key, value: value, ttl: ttl}, err)
}

func (m *Memory) compareAndSet(key string, version uint64, value []byte, ttl time.Duration) error {
	if err := m.check(key, value, ttl); err != nil {
		return err
	}
	if err := checkSuccessor(version, value); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	e := m.liveLocked(key, now.UnixNano())
	if e == nil {
		m.mu.Unlock()
		return ErrMiss
	}
	if err := compare(e.value, version, value); err != nil {
		m.mu.Unlock()
		return err
	}
	m.putLocked(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// Delete removes key.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	e := m.entries[key]
	if e == nil {
		m.mu.Unlock()
		return nil
	}
	m.removeLocked(e)
	m.unlockAndAnnounce(key)
	return nil
}

// Exists reports whether Get would return a value.
func (m *Memory) Exists(ctx context.Context, key string) (bool, error) {
	now := m.now().UnixNano()
	m.mu.Lock()
	found := m.liveLocked(key, now) != nil
	m.mu.Unlock()
	return found, nil
}

// Clear removes everything.
func (m *Memory) Clear(ctx context.Context) error {
	m.mu.Lock()
	m.entries = map[string]*entry{}
	m.links = map[string][]*entry{}
	m.recent.Init()
	m.passing.Init()
	m.revoked.Init()
	m.marks.Init()
	m.bytes = 0
	m.pinned = 0
	m.marked = 0
	m.evicted = nil
	watchers := m.watchers
	m.mu.Unlock()
	announceAll(watchers)
	return nil
}

// Health returns nil: memory can always be asked.
func (m *Memory) Health(ctx context.Context) error {
	return nil
}

// Watch calls w for every change from now on.
func (m *Memory) Watch(w Watcher) {
	m.mu.Lock()
	m.watchers = withWatcher(m.watchers, w)
	m.mu.Unlock()
}

// Unwatch ends Watch.
func (m *Memory) Unwatch(w Watcher) {
	m.mu.Lock()
	m.watchers = withoutWatcher(m.watchers, w)
	m.mu.Unlock()
}

// MemoryStats is a snapshot of a Memory.
type MemoryStats struct {
	Entries   int
	Bytes     int64
	Revoked   int    // entries that are pinned revocations
	Evictions uint64 // entries that left for the bounds, ever
}

// Stats returns a snapshot.
func (m *Memory) Stats() MemoryStats {
	m.mu.Lock()
	s := MemoryStats{Entries: len(m.entries), Bytes: m.bytes, Revoked: m.revoked.Len(), Evictions: m.evicts}
	m.mu.Unlock()
	return s
}
