package cache

import (
	"context"
	"sync"
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

// Memory is a Backend in this process.
//
// Losing a revoked record to the bounds is safe where Memory is the only store: the
// session under that key is absent, and a key that is absent is never created again,
// because a new session has a new key.
type Memory struct {
	now       func() time.Time
	followers *followers // the stores that take the place of this one

	mu       sync.Mutex // guards the fields below
	lru      *lru
	watchers []Watcher
}

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Memory{followers: &followers{}, lru: newLRU(o), now: o.Now}
}

// Resize changes the bounds, as MemoryOptions describe them.
func (m *Memory) Resize(maxEntries int, maxBytes int64) {
	now := m.now().UnixNano()
	m.mu.Lock()
	m.lru.bound(maxEntries, maxBytes)
	m.lru.makeRoom(now)
	watchers := m.watchers
	evicted := m.lru.takeEvicted()
	m.mu.Unlock()
	for _, key := range evicted {
		announce(watchers, key)
	}
}

// Get is on the path of requests: it holds the lock without a defer.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, error) {
	now := m.now().UnixNano()
	m.mu.Lock()
	e := m.lru.entries[key]
	if e == nil || e.expires <= now {
		m.mu.Unlock()
		return nil, ErrMiss
	}
	if e.on == m.lru.recent {
		e.on.list.MoveToFront(e.place)
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
	if err := m.lru.check(key, value, ttl); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	e := m.lru.live(key, now.UnixNano())
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
	m.lru.put(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// Add stores value if the key is absent.
func (m *Memory) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := m.add(key, value, ttl)
	return m.followers.pass(change{op: opAdd, key: key, value: value, ttl: ttl}, err)
}

func (m *Memory) add(key string, value []byte, ttl time.Duration) error {
	if err := m.lru.check(key, value, ttl); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	err := m.lru.addable(key, value, now.UnixNano())
	if err != nil {
		m.mu.Unlock()
		return err
	}
	m.lru.put(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// CompareAndSet replaces a live record of that version.
func (m *Memory) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	err := m.compareAndSet(key, version, value, ttl)
	return m.followers.pass(change{op: opCompare, key: key, value: value, ttl: ttl}, err)
}

func (m *Memory) compareAndSet(key string, version uint64, value []byte, ttl time.Duration) error {
	if err := m.lru.check(key, value, ttl); err != nil {
		return err
	}
	if err := checkSuccessor(version, value); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	e := m.lru.live(key, now.UnixNano())
	if e == nil {
		m.mu.Unlock()
		return ErrMiss
	}
	if err := compare(e.value, version, value); err != nil {
		m.mu.Unlock()
		return err
	}
	m.lru.put(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// Delete removes key.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	e := m.lru.entries[key]
	if e == nil {
		m.mu.Unlock()
		return nil
	}
	m.lru.remove(e)
	m.unlockAndAnnounce(key)
	return nil
}

// Exists reports whether Get would return a value.
func (m *Memory) Exists(ctx context.Context, key string) (bool, error) {
	now := m.now().UnixNano()
	m.mu.Lock()
	found := m.lru.live(key, now) != nil
	m.mu.Unlock()
	return found, nil
}

// Clear removes everything.
func (m *Memory) Clear(ctx context.Context) error {
	m.mu.Lock()
	m.lru.clear()
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
	m.lru.watched = true
	m.mu.Unlock()
}

// Unwatch ends Watch.
func (m *Memory) Unwatch(w Watcher) {
	m.mu.Lock()
	m.watchers = withoutWatcher(m.watchers, w)
	m.lru.watched = len(m.watchers) > 0
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
	s := m.lru.stats()
	m.mu.Unlock()
	return s
}

// Revoke notes the revocations and writes tombstones over what they are about.
func (m *Memory) Revoke(ctx context.Context, revocations []Revocation) error {
	now := m.now()
	for _, r := range revocations {
		if err := r.check(); err != nil {
			return err
		}
		m.revoke(r, now)
	}
	return m.followers.passAll(revocations, nil)
}

func (m *Memory) revoke(r Revocation, now time.Time) {
	m.mu.Lock()
	if !r.Unproven {
		m.lru.note(r, now)
	}
	var keys []string
	for _, e := range m.lru.covered(r, now.UnixNano()) {
		value, ttl := tombstoneOf(e.value, now)
		m.lru.put(e.key, value, now, ttl)
		keys = append(keys, e.key)
	}
	watchers := m.watchers
	m.mu.Unlock()
	for _, key := range keys {
		announce(watchers, key)
	}
}

// Fresh is Get: nobody else has anything.
func (m *Memory) Fresh(ctx context.Context, key string) ([]byte, error) {
	return m.Get(ctx, key)
}

// Acquire gives a lease to one of those who ask for it.
func (m *Memory) Acquire(ctx context.Context, l Lease) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	record := m.lru.value(l.Record, now.UnixNano())
	err := l.acquirable(m.lru.value(l.key(), now.UnixNano()), record, m.lru.value(l.usedKey(), now.UnixNano()))
	if err == nil {
		m.lru.put(l.key(), []byte(l.Owner), now, l.TTL)
		m.lru.put(l.usedKey(), []byte(l.used()), now, l.Keep)
	}
	return record, err
}

// Prolong lets a lease last for its TTL from now.
func (m *Memory) Prolong(ctx context.Context, l Lease) error {
	if err := l.check(); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !l.prolongable(m.lru.value(l.key(), now.UnixNano()), m.lru.value(l.usedKey(), now.UnixNano())) {
		return ErrMiss
	}
	m.lru.put(l.key(), []byte(l.Owner), now, l.TTL)
	m.lru.put(l.usedKey(), []byte(l.used()), now, l.Keep)
	return nil
}

// Release ends a lease.
func (m *Memory) Release(ctx context.Context, l Lease, unused bool) error {
	if err := l.check(); err != nil {
		return err
	}
	now := m.now().UnixNano()
	m.mu.Lock()
	defer m.mu.Unlock()
	if string(m.lru.value(l.key(), now)) == l.Owner {
		m.lru.remove(m.lru.entries[l.key()])
	}
	if unused && string(m.lru.value(l.usedKey(), now)) == l.used() {
		m.lru.remove(m.lru.entries[l.usedKey()])
	}
	return nil
}

// unlockAndAnnounce releases the lock and tells the watchers of key and of what
// was evicted for it.
func (m *Memory) unlockAndAnnounce(key string) {
	watchers := m.watchers
	evicted := m.lru.takeEvicted()
	m.mu.Unlock()
	announce(watchers, key)
	for _, k := range evicted {
		announce(watchers, k)
	}
}
