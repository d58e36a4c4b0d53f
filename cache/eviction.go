package cache

import (
	"container/list"
	"fmt"
	"strings"
	"time"
)

// check refuses what does not fit, also beyond the general bounds: one value may
// take at most a quarter of the memory.
func (m *Memory) check(key string, value []byte, ttl time.Duration) error {
	if err := checkWrite(key, value, ttl); err != nil {
		return err
	}
	if cost(key, value) > m.maxBytes.Load()/4 {
		return fmt.Errorf("%w: value of %d bytes", ErrInvalid, len(value))
	}
	return nil
}

func cost(key string, value []byte) int64 {
	return int64(len(key) + len(value) + entryOverhead)
}

// size is what e takes, in bytes.
func (e *entry) size() int64 {
	return cost(e.key, e.value) + e.listings()*listingOverhead
}

// listings is in how many indexes e is.
func (e *entry) listings() int64 {
	if e.listed == nil {
		return 0
	}
	return int64(len(e.listed.at))
}

// liveLocked returns the entry of key, or nil. An expired one is removed.
func (m *Memory) liveLocked(key string, now int64) *entry {
	e := m.entries[key]
	if e == nil {
		return nil
	}
	if e.expires <= now {
		m.removeLocked(e)
		return nil
	}
	return e
}

// putLocked stores value and makes room. A revocation never lasts shorter than
// the one it replaces.
func (m *Memory) putLocked(key string, value []byte, now time.Time, ttl time.Duration) *entry {
	expires := now.Add(ttl).UnixNano()
	revoked := kindOf(value) == revokedRecord
	if old := m.entries[key]; old != nil {
		if revoked && old.pinned && old.expires > expires {
			expires = old.expires
		}
		m.removeLocked(old)
	}
	e := &entry{key: key, value: value, expires: expires, pinned: revoked}
	e.apart = !revoked && m.markBytes > 0 && strings.HasPrefix(key, "j:")
	e.passing = isProvisional(value)
	m.entries[key] = e
	m.listLocked(e)
	size := e.size()
	m.bytes += size
	switch {
	case e.pinned:
		m.pinned += size
		e.place = m.revoked.PushFront(e)
	case e.apart:
		m.marked += size
		e.place = m.marks.PushFront(e)
	case e.passing:
		e.place = m.passing.PushFront(e)
	default:
		e.place = m.recent.PushFront(e)
	}
	m.makeRoomLocked(now.UnixNano())
	return e
}

func (m *Memory) removeLocked(e *entry) {
	size := e.size()
	m.bytes -= size
	m.unlistLocked(e)
	switch {
	case e.pinned:
		m.pinned -= size
		m.revoked.Remove(e.place)
	case e.apart:
		m.marked -= size
		m.marks.Remove(e.place)
	case e.passing:
		m.passing.Remove(e.place)
	default:
		m.recent.Remove(e.place)
	}
	delete(m.entries, e.key)
}

// makeRoomLocked brings the memory back within its bounds, the newest entry
// aside. What has expired at the far end of either list leaves on the way.
func (m *Memory) makeRoomLocked(now int64) {
	m.dropExpiredLocked(m.revoked, now)
	m.dropExpiredLocked(m.recent, now)
	m.dropExpiredLocked(m.marks, now)
	m.dropExpiredLocked(m.passing, now)
	maxBytes := m.maxBytes.Load()
	for m.marks.Len() > 1 && (m.marks.Len() > m.maxEntries || m.marked > m.markBytes) {
		m.evictLocked(m.marks)
	}
	for m.revoked.Len() > 1 && (m.revoked.Len() > m.maxEntries/2 || m.pinned > maxBytes/2) {
		m.evictLocked(m.revoked)
	}
	for m.othersLocked() > 1 && (m.othersLocked() > m.maxEntries || m.bytes-m.marked > maxBytes) {
		m.evictLocked(m.leastLocked())
	}
}

// leastLocked is the list whose last entry is missed least. The newest provisional
// record stays as long as there are others: its user is about to come for it.
func (m *Memory) leastLocked() *list.List {
	switch {
	case m.passing.Len() > 1:
		return m.passing
	case m.recent.Len() > 0:
		return m.recent
	case m.passing.Len() > 0:
		return m.passing
	}
	return m.revoked
}

// othersLocked is how many entries there are beside the markers that are apart.
func (m *Memory) othersLocked() int {
	return len(m.entries) - m.marks.Len()
}

// dropExpiredLocked looks at no more than the two entries at the far end, so
// that a write costs the same however many have expired.
func (m *Memory) dropExpiredLocked(l *list.List, now int64) {
	for i := 0; i < 2; i++ {
		last := l.Back()
		if last == nil {
			return
		}
		e := last.Value.(*entry)
		if e.expires > now {
			return
		}
		m.removeLocked(e)
	}
}

func (m *Memory) evictLocked(l *list.List) {
	e := l.Back().Value.(*entry)
	m.removeLocked(e)
	m.evicts++
	if len(m.watchers) > 0 {
		m.evicted = append(m.evicted, e.key)
	}
}

// unlockAndAnnounce releases the lock and tells the watchers of key and of what
// was evicted for it.
func (m *Memory) unlockAndAnnounce(key string) {
	watchers, evicted := m.watchers, m.evicted
	m.evicted = nil
	m.mu.Unlock()
	announce(watchers, key)
	for _, k := range evicted {
		announce(watchers, k)
	}
}
