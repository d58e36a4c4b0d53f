package cache

import (
	"container/list"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of an lru that is given none.
const (
	DefaultEntries = 100000
	DefaultBytes   = 64 << 20
)

// An lru holds values within bounds. Its owner has the lock that guards it.
//
// Beyond its bounds it evicts provisional records, all but the newest, and then
// the values that were used least recently. Revoked records stay until they
// expire, whatever else has to leave, as long as they take at most half of
// either bound. Beyond that the oldest of them leaves.
type lru struct {
	maxEntries int
	maxBytes   atomic.Int64 // read without the lock
	markBytes  int64        // zero: markers are in recent
	unlisted   bool         // there is no index: a revocation searches for its records
	watched    bool         // evicted is kept

	entries map[string]*entry
	links   map[string][]*entry // by link
	recent  *shelf              // most recently used first
	revoked *shelf              // newest first
	marks   *shelf              // newest first: replay markers, if they have bounds of their own
	passing *shelf              // newest first: provisional records
	bytes   int64
	evicted []string // keys that left for the bounds, not yet announced
	evicts  uint64   // entries that left for the bounds, ever
}

// A shelf is an order in which entries leave.
type shelf struct {
	list  *list.List // of *entry; the last one leaves first
	bytes int64
}

type entry struct {
	key     string
	value   []byte
	expires int64  // ns since 1970
	on      *shelf // where it stands, and where there
	place   *list.Element
	about   *Revocation // the revocation that a note stands for; nil: it is not known here, or this is no note
	listed  *places     // in links; nil: it is not listed

	// The fields below are kept by a cache before a shared store.
	stale bool   // changed since it was confirmed, or never to be served without asking
	epoch uint64 // the era of the link in which the shared store last confirmed the value
	asked int64  // when that was, ns since 1970
}

// entryOverhead is what an entry takes beside its key and value, in bytes.
const entryOverhead = 256

func newLRU(o MemoryOptions) *lru {
	l := &lru{
		markBytes: o.MarkBytes,
		recent:    newShelf(),
		revoked:   newShelf(),
		marks:     newShelf(),
		passing:   newShelf(),
	}
	l.bound(o.MaxEntries, o.MaxBytes)
	l.clear()
	return l
}

func newShelf() *shelf {
	return &shelf{list: list.New()}
}

// bound sets the bounds; zero and less stand for the defaults.
func (l *lru) bound(maxEntries int, maxBytes int64) {
	if maxEntries <= 0 {
		maxEntries = DefaultEntries
	}
	if maxBytes <= 0 {
		maxBytes = DefaultBytes
	}
	l.maxEntries = maxEntries
	l.maxBytes.Store(maxBytes)
}

// check refuses what does not fit, also beyond the general bounds: one value may
// take at most a quarter of the memory. It needs no lock.
func (l *lru) check(key string, value []byte, ttl time.Duration) error {
	if err := checkWrite(key, value, ttl); err != nil {
		return err
	}
	if cost(key, value) > l.maxBytes.Load()/4 {
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

// live returns the entry of key, or nil. An expired one is removed.
func (l *lru) live(key string, now int64) *entry {
	e := l.entries[key]
	if e == nil {
		return nil
	}
	if e.expires <= now {
		l.remove(e)
		return nil
	}
	return e
}

// value is that of the entry of key, or nil.
func (l *lru) value(key string, now int64) []byte {
	if e := l.live(key, now); e != nil {
		return e.value
	}
	return nil
}

// put stores value and makes room. A revocation never lasts shorter than the one
// it replaces.
func (l *lru) put(key string, value []byte, now time.Time, ttl time.Duration) *entry {
	expires := now.Add(ttl).UnixNano()
	revoked := kindOf(value) == revokedRecord
	if old := l.entries[key]; old != nil {
		if revoked && old.on == l.revoked && old.expires > expires {
			expires = old.expires
		}
		l.remove(old)
	}
	e := &entry{key: key, value: value, expires: expires}
	switch {
	case revoked:
		e.on = l.revoked
	case l.markBytes > 0 && strings.HasPrefix(key, "j:"):
		e.on = l.marks
	case isProvisional(value):
		e.on = l.passing
	default:
		e.on = l.recent
	}
	l.entries[key] = e
	l.list(e)
	size := e.size()
	l.bytes += size
	e.on.bytes += size
	e.place = e.on.list.PushFront(e)
	l.makeRoom(now.UnixNano())
	return e
}

func (l *lru) remove(e *entry) {
	size := e.size()
	l.bytes -= size
	l.unlist(e)
	e.on.bytes -= size
	e.on.list.Remove(e.place)
	delete(l.entries, e.key)
}

// clear removes everything.
func (l *lru) clear() {
	l.entries = map[string]*entry{}
	l.links = map[string][]*entry{}
	l.bytes = 0
	l.evicted = nil
	for _, s := range []*shelf{l.recent, l.revoked, l.marks, l.passing} {
		s.list.Init()
		s.bytes = 0
	}
}

// makeRoom brings the memory back within its bounds, the newest entry aside.
// Expired entries at the far end of a shelf leave on the way.
func (l *lru) makeRoom(now int64) {
	l.dropExpired(l.revoked, now)
	l.dropExpired(l.recent, now)
	l.dropExpired(l.marks, now)
	l.dropExpired(l.passing, now)
	maxBytes := l.maxBytes.Load()
	for l.marks.list.Len() > 1 && (l.marks.list.Len() > l.maxEntries || l.marks.bytes > l.markBytes) {
		l.evict(l.marks)
	}
	for l.revoked.list.Len() > 1 && (l.revoked.list.Len() > l.maxEntries/2 || l.revoked.bytes > maxBytes/2) {
		l.evict(l.revoked)
	}
	for l.others() > 1 && (l.others() > l.maxEntries || l.bytes-l.marks.bytes > maxBytes) {
		l.evict(l.least())
	}
}

// least is the shelf whose last entry is missed least. The newest provisional
// record stays as long as there are others: its user is about to come for it.
func (l *lru) least() *shelf {
	switch {
	case l.passing.list.Len() > 1:
		return l.passing
	case l.recent.list.Len() > 0:
		return l.recent
	case l.passing.list.Len() > 0:
		return l.passing
	}
	return l.revoked
}

// others is how many entries there are beside the markers with their own bounds.
func (l *lru) others() int {
	return len(l.entries) - l.marks.list.Len()
}

// dropExpired looks at no more than the two entries at the far end, so that a
// write costs the same however many have expired.
func (l *lru) dropExpired(s *shelf, now int64) {
	for i := 0; i < 2; i++ {
		last := s.list.Back()
		if last == nil {
			return
		}
		e := last.Value.(*entry)
		if e.expires > now {
			return
		}
		l.remove(e)
	}
}

func (l *lru) evict(s *shelf) {
	e := s.list.Back().Value.(*entry)
	l.remove(e)
	l.evicts++
	if l.watched {
		l.evicted = append(l.evicted, e.key)
	}
}

// takeEvicted returns the keys that left for the bounds since it was last called.
func (l *lru) takeEvicted() []string {
	evicted := l.evicted
	l.evicted = nil
	return evicted
}

func (l *lru) stats() MemoryStats {
	return MemoryStats{Entries: len(l.entries), Bytes: l.bytes, Revoked: l.revoked.list.Len(), Evictions: l.evicts}
}
