package cache

import (
	"bytes"
	"context"
	"time"
)

// listingOverhead is what a record takes in an index, in bytes.
const listingOverhead = 112

// places are where a record stands in the indexes of its listed links.
type places struct {
	at []int
}

// listLocked lists an entry that is a live record under its links.
func (m *Memory) listLocked(e *entry) {
	if m.unlisted || !isLinked(e.value) {
		return
	}
	names := listedLinks(e.value)
	e.listed = &places{at: make([]int, 0, len(names))}
	for _, link := range names {
		index := m.links[link]
		e.listed.at = append(e.listed.at, len(index))
		m.links[link] = append(index, e)
	}
}

func (m *Memory) unlistLocked(e *entry) {
	if e.listed == nil {
		return
	}
	for i, link := range listedLinks(e.value) {
		m.leaveLocked(link, e.listed.at[i])
	}
	e.listed = nil
}

// leaveLocked takes the entry at a place out of an index. The last one takes its
// place.
func (m *Memory) leaveLocked(link string, place int) {
	index := m.links[link]
	last := len(index) - 1
	if last == 0 {
		delete(m.links, link)
		return
	}
	moved := index[last]
	index[place] = moved
	index[last] = nil
	m.links[link] = index[:last]
	for i, name := range listedLinks(moved.value) {
		if name == link && moved.listed.at[i] == last {
			moved.listed.at[i] = place
		}
	}
}

// coveredLocked lists the records that r is about.
func (m *Memory) coveredLocked(r Revocation, now int64) []*entry {
	if m.unlisted {
		return m.searchLocked(r, now)
	}
	var covered []*entry
	for _, e := range m.links[r.Link] {
		if e.expires > now && r.covers(e.value) {
			covered = append(covered, e)
		}
	}
	return covered
}

// searchLocked is coveredLocked without an index.
func (m *Memory) searchLocked(r Revocation, now int64) []*entry {
	link := []byte(r.Link)
	var covered []*entry
	for _, e := range m.entries {
		if bytes.Contains(e.value, link) && e.expires > now && r.covers(e.value) {
			covered = append(covered, e)
		}
	}
	return covered
}

// addableLocked decides whether a value may be added.
func (m *Memory) addableLocked(key string, value []byte, now int64) error {
	if m.liveLocked(key, now) != nil {
		return ErrExists
	}
	if m.forbiddenLocked(value, now) {
		return ErrConflict
	}
	return nil
}

// forbiddenLocked reports whether a revocation is noted here that a record came too
// late for.
func (m *Memory) forbiddenLocked(record []byte, now int64) bool {
	if kindOf(record) != liveRecord {
		return false
	}
	for _, link := range linksOf(record) {
		if e := m.liveLocked(noteKey(link.Name), now); e != nil && forbids(e.value, record) {
			return true
		}
	}
	return false
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
		m.noteLocked(r, now)
	}
	var keys []string
	for _, e := range m.coveredLocked(r, now.UnixNano()) {
		value, ttl := tombstoneOf(e.value, now)
		m.putLocked(e.key, value, now, ttl)
		keys = append(keys, e.key)
	}
	watchers := m.watchers
	m.mu.Unlock()
	for _, key := range keys {
		announce(watchers, key)
	}
}

// noteLocked notes r, unless what is noted says as much.
func (m *Memory) noteLocked(r Revocation, now time.Time) {
	key, note := noteKey(r.Mark), r.note(now)
	e := m.liveLocked(key, now.UnixNano())
	if e == nil || merge(e.value, note) == replaces {
		m.putLocked(key, note, now, r.TTL).about = r.copied()
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
	record := m.heldLocked(l.Record, now.UnixNano())
	err := l.acquirable(m.heldLocked(l.key(), now.UnixNano()), record, m.heldLocked(l.usedKey(), now.UnixNano()))
	if err == nil {
		m.putLocked(l.key(), []byte(l.Owner), now, l.TTL)
		m.putLocked(l.usedKey(), []byte(l.used()), now, l.Keep)
	}
	return record, err
}

func (m *Memory) heldLocked(key string, now int64) []byte {
	if e := m.liveLocked(key, now); e != nil {
		return e.value
	}
	return nil
}

// Prolong lets a lease last for its TTL from now.
func (m *Memory) Prolong(ctx context.Context, l Lease) error {
	if err := l.check(); err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !l.prolongable(m.heldLocked(l.key(), now.UnixNano()), m.heldLocked(l.usedKey(), now.UnixNano())) {
		return ErrMiss
	}
	m.putLocked(l.key(), []byte(l.Owner), now, l.TTL)
	m.putLocked(l.usedKey(), []byte(l.used()), now, l.Keep)
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
	if string(m.heldLocked(l.key(), now)) == l.Owner {
		m.removeLocked(m.entries[l.key()])
	}
	if unused && string(m.heldLocked(l.usedKey(), now)) == l.used() {
		m.removeLocked(m.entries[l.usedKey()])
	}
	return nil
}
