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
	// MarkerBytes bounds the size of replay markers, j:, beside the rest, so that a flood
	// of them evicts no session; zero: they share the bounds of all entries.
	MarkerBytes int64
	Now         func() time.Time // zero means time.Now
}

// Memory is a Backend in this process.
//
// An eviction of a revoked record is safe where Memory is the only store. The session
// under that key is absent, and an absent key is never created again, because a new
// session has a new key.
type Memory struct {
	now       func() time.Time
	transfer  *memoryTransfer
	followers *Followers // the stores that replace this one

	mu       sync.Mutex // guards the fields below
	lru      *LRU
	watchers []Watcher
}

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Memory{followers: &Followers{}, lru: NewLRU(o), now: o.Now}
	m.transfer = &memoryTransfer{m: m}
	return m
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
		Announce(watchers, key)
	}
}

// Get is on the path of requests: it holds the lock without a defer.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, error) {
	now := m.now().UnixNano()
	m.mu.Lock()
	e := m.lru.Entries[key]
	if e == nil || e.Expires <= now {
		m.mu.Unlock()
		return nil, ErrMiss
	}
	if e.On == m.lru.Recent {
		e.On.List.MoveToFront(e.Place)
	}
	value := e.Value
	m.mu.Unlock()
	return value, nil
}

// Set stores value under the rule of records.
func (m *Memory) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := m.set(key, value, ttl)
	return m.followers.Pass(Change{Op: OpSet, Key: key, Value: value, TTL: ttl}, err)
}

func (m *Memory) set(key string, value []byte, ttl time.Duration) error {
	if err := m.lru.Check(key, value, ttl); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	e := m.lru.Live(key, now.UnixNano())
	if e != nil {
		switch Merge(e.Value, value) {
		case Conflicts:
			m.mu.Unlock()
			return ErrConflict
		case Remains:
			m.mu.Unlock()
			return nil
		}
	}
	m.lru.Put(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// Add stores value if the key is absent.
func (m *Memory) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := m.add(key, value, ttl)
	return m.followers.Pass(Change{Op: OpAdd, Key: key, Value: value, TTL: ttl}, err)
}

func (m *Memory) add(key string, value []byte, ttl time.Duration) error {
	if err := m.lru.Check(key, value, ttl); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	err := m.lru.addable(key, value, now.UnixNano())
	if err != nil {
		m.mu.Unlock()
		return err
	}
	m.lru.Put(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// CompareAndSet replaces a live record of that version.
func (m *Memory) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	err := m.compareAndSet(key, version, value, ttl)
	return m.followers.Pass(Change{Op: OpCompare, Key: key, Value: value, TTL: ttl}, err)
}

func (m *Memory) compareAndSet(key string, version uint64, value []byte, ttl time.Duration) error {
	if err := m.lru.Check(key, value, ttl); err != nil {
		return err
	}
	if err := CheckSuccessor(version, value); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	e := m.lru.Live(key, now.UnixNano())
	if e == nil {
		m.mu.Unlock()
		return ErrMiss
	}
	if err := Compare(e.Value, version, value); err != nil {
		m.mu.Unlock()
		return err
	}
	m.lru.Put(key, value, now, ttl)
	m.unlockAndAnnounce(key)
	return nil
}

// Delete removes key. The next store is sent the end of a record, so that its copy of the
// record ends too.
func (m *Memory) Delete(ctx context.Context, key string) error {
	now := m.now()
	m.mu.Lock()
	record := m.lru.value(key, now.UnixNano())
	m.mu.Unlock()
	if err := m.remove(key); err != nil {
		return err
	}
	c := Change{Op: OpDelete, Key: key, TTL: time.Second}
	if KindOf(record) == LiveRecord {
		value, ttl := TombstoneOf(record, now)
		c = Change{Op: OpSet, Key: key, Value: value, TTL: ttl}
	}
	return m.followers.Pass(c, nil)
}

func (m *Memory) remove(key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	e := m.lru.Entries[key]
	if e == nil {
		m.mu.Unlock()
		return nil
	}
	m.lru.Remove(e)
	m.unlockAndAnnounce(key)
	return nil
}

// Exists reports whether Get would return a value.
func (m *Memory) Exists(ctx context.Context, key string) (bool, error) {
	now := m.now().UnixNano()
	m.mu.Lock()
	found := m.lru.Live(key, now) != nil
	m.mu.Unlock()
	return found, nil
}

// Clear removes everything.
func (m *Memory) Clear(ctx context.Context) error {
	m.mu.Lock()
	m.lru.Clear()
	watchers := m.watchers
	m.mu.Unlock()
	AnnounceAll(watchers)
	return nil
}

// Health returns nil: memory can always be read.
func (m *Memory) Health(ctx context.Context) error {
	return nil
}

// Watch calls w for every change from now on.
func (m *Memory) Watch(w Watcher) {
	m.mu.Lock()
	m.watchers = WithWatcher(m.watchers, w)
	m.lru.watched = true
	m.mu.Unlock()
}

// Unwatch ends Watch.
func (m *Memory) Unwatch(w Watcher) {
	m.mu.Lock()
	m.watchers = WithoutWatcher(m.watchers, w)
	m.lru.watched = len(m.watchers) > 0
	m.mu.Unlock()
}

// MemoryStats is a snapshot of a Memory.
type MemoryStats struct {
	Entries   int
	Bytes     int64
	Revoked   int    // entries that are pinned revocations
	Evictions uint64 // number of evictions so far
}

// Stats returns a snapshot.
func (m *Memory) Stats() MemoryStats {
	m.mu.Lock()
	s := m.lru.Stats()
	m.mu.Unlock()
	return s
}

// Revoke stores the revocation entries and writes tombstones over the records that they
// cover.
func (m *Memory) Revoke(ctx context.Context, revocations []Revocation) error {
	now := m.now()
	for _, r := range revocations {
		if err := r.Check(); err != nil {
			return err
		}
		m.revoke(r, now)
	}
	return m.followers.PassAll(revocations, nil)
}

func (m *Memory) revoke(r Revocation, now time.Time) {
	m.mu.Lock()
	if !r.Unproven {
		m.lru.PutRevocation(r, now)
	}
	var keys []string
	for _, e := range m.lru.Covered(r, now.UnixNano()) {
		value, ttl := TombstoneOf(e.Value, now)
		m.lru.Put(e.Key, value, now, ttl)
		keys = append(keys, e.Key)
	}
	watchers := m.watchers
	m.mu.Unlock()
	for _, key := range keys {
		Announce(watchers, key)
	}
}

// Fresh is Get: no other store has anything.
func (m *Memory) Fresh(ctx context.Context, key string) ([]byte, error) {
	return m.Get(ctx, key)
}

// Acquire gives a lease to one of several callers.
func (m *Memory) Acquire(ctx context.Context, l Lease) ([]byte, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	now := m.now()
	at := now.UnixNano()
	m.mu.Lock()
	record := m.lru.value(l.Record, at)
	err := l.Acquirable(m.lru.value(l.Key(), at), record, m.lru.value(l.UsedKey(), at))
	if err == nil {
		m.lru.Put(l.Key(), []byte(l.Owner), now, l.TTL)
		m.lru.Put(l.UsedKey(), []byte(l.Used()), now, l.Keep)
	}
	m.mu.Unlock()
	if err == nil {
		m.followers.PassLease(l)
	}
	return record, err
}

// Prolong extends a lease for its TTL from now.
func (m *Memory) Prolong(ctx context.Context, l Lease) error {
	if err := l.Check(); err != nil {
		return err
	}
	now := m.now()
	at := now.UnixNano()
	m.mu.Lock()
	if !l.MayProlong(m.lru.value(l.Key(), at), m.lru.value(l.UsedKey(), at)) {
		m.mu.Unlock()
		return ErrMiss
	}
	m.lru.Put(l.Key(), []byte(l.Owner), now, l.TTL)
	m.lru.Put(l.UsedKey(), []byte(l.Used()), now, l.Keep)
	m.mu.Unlock()
	m.followers.PassLease(l)
	return nil
}

// Release ends a lease.
func (m *Memory) Release(ctx context.Context, l Lease, unused bool) error {
	if err := l.Check(); err != nil {
		return err
	}
	now := m.now().UnixNano()
	var ended []string
	m.mu.Lock()
	if string(m.lru.value(l.Key(), now)) == l.Owner {
		m.lru.Remove(m.lru.Entries[l.Key()])
		ended = append(ended, l.Key())
	}
	if unused && string(m.lru.value(l.UsedKey(), now)) == l.Used() {
		m.lru.Remove(m.lru.Entries[l.UsedKey()])
		ended = append(ended, l.UsedKey())
	}
	m.mu.Unlock()
	for _, key := range ended {
		m.followers.PassEnd(key)
	}
	return nil
}

// unlockAndAnnounce releases the lock and reports key, and the keys evicted for it, to
// the watchers.
func (m *Memory) unlockAndAnnounce(key string) {
	watchers := m.watchers
	evicted := m.lru.takeEvicted()
	m.mu.Unlock()
	Announce(watchers, key)
	for _, k := range evicted {
		Announce(watchers, k)
	}
}

// Transfer implements Store.
func (m *Memory) Transfer() Transfer {
	return m.transfer
}
