package cache

import (
	"bytes"
	"container/list"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of an LRU without configured ones.
const (
	DefaultEntries = 100000
	DefaultBytes   = 64 << 20
)

// An LRU holds values within bounds. Its owner has the lock that guards it.
//
// Beyond its bounds it evicts provisional records, all but the newest, and then the
// values that were used least recently. Revoked records stay until they expire, even if
// everything else is evicted, as long as they take at most half of either bound. Beyond
// that the oldest of them is evicted.
type LRU struct {
	MaxEntries  int
	MaxBytes    atomic.Int64 // read without the lock
	markerBytes int64        // zero: replay markers are in Recent
	Unlisted    bool         // there is no index, and a revocation searches for its records
	watched     bool         // evicted is kept

	Entries map[string]*Entry
	links   map[string][]*Entry // by index key
	Recent  *Shelf              // most recently used first
	Revoked *Shelf              // newest first
	markers *Shelf              // newest first: replay markers, if they have bounds of their own
	Passing *Shelf              // newest first: provisional records
	bytes   int64
	evicted []string // evicted keys that are not announced yet
	evicts  uint64   // number of evictions so far
}

// A Shelf is an order in which entries are evicted.
type Shelf struct {
	List  *list.List // of *Entry; the last one is evicted first
	bytes int64
}

type Entry struct {
	Key     string
	Value   []byte
	Expires int64  // ns since 1970
	On      *Shelf // its shelf, and its place on it
	Place   *list.Element
	About   *Revocation // the revocation of a revocation entry; nil: unknown, or another kind of entry
	listed  *places     // in links; nil: it is not listed

	// The fields below are for a cache before a shared store.
	Stale       bool   // changed since it was confirmed, or always read from the shared store
	Epoch       uint64 // the epoch of the invalidation link in which the shared store last confirmed the value
	ConfirmedAt int64  // time of that, ns since 1970
	WrittenAt   int64  // when the shared store confirmed a write of this process, ns since 1970; zero: it confirmed none
}

// entryOverhead is the size of an entry beside its key and value, in bytes.
const entryOverhead = 256

func NewLRU(o MemoryOptions) *LRU {
	l := &LRU{
		markerBytes: o.MarkerBytes,
		Recent:      newShelf(),
		Revoked:     newShelf(),
		markers:     newShelf(),
		Passing:     newShelf(),
	}
	l.bound(o.MaxEntries, o.MaxBytes)
	l.Clear()
	return l
}

func newShelf() *Shelf {
	return &Shelf{List: list.New()}
}

// bound sets the bounds; zero and less select the defaults.
func (l *LRU) bound(maxEntries int, maxBytes int64) {
	if maxEntries <= 0 {
		maxEntries = DefaultEntries
	}
	if maxBytes <= 0 {
		maxBytes = DefaultBytes
	}
	l.MaxEntries = maxEntries
	l.MaxBytes.Store(maxBytes)
}

// Check refuses values that do not fit, also beyond the general bounds: one value may
// take at most a quarter of the memory. It needs no lock.
func (l *LRU) Check(key string, value []byte, ttl time.Duration) error {
	if err := CheckWrite(key, value, ttl); err != nil {
		return err
	}
	if Cost(key, value) > l.MaxBytes.Load()/4 {
		return fmt.Errorf("%w: value of %d bytes", ErrInvalid, len(value))
	}
	return nil
}

func Cost(key string, value []byte) int64 {
	return int64(len(key) + len(value) + entryOverhead)
}

// size is the size of e in memory, in bytes.
func (e *Entry) size() int64 {
	return Cost(e.Key, e.Value) + e.listings()*listingOverhead
}

// listings is the number of indexes that list e.
func (e *Entry) listings() int64 {
	if e.listed == nil {
		return 0
	}
	return int64(len(e.listed.at))
}

// Live returns the entry of key, or nil. An expired one is removed.
func (l *LRU) Live(key string, now int64) *Entry {
	e := l.Entries[key]
	if e == nil {
		return nil
	}
	if e.Expires <= now {
		l.Remove(e)
		return nil
	}
	return e
}

// value is the value of the entry of key, or nil.
func (l *LRU) value(key string, now int64) []byte {
	if e := l.Live(key, now); e != nil {
		return e.Value
	}
	return nil
}

// Put stores value and makes room. The same value keeps its WrittenAt. A revocation never lasts shorter than the one
// it replaces.
func (l *LRU) Put(key string, value []byte, now time.Time, ttl time.Duration) *Entry {
	expires := now.Add(ttl).UnixNano()
	revoked := KindOf(value) == RevokedRecord
	written := int64(0)
	if old := l.Entries[key]; old != nil {
		if bytes.Equal(old.Value, value) {
			written = old.WrittenAt
		}
		if revoked && old.On == l.Revoked && old.Expires > expires {
			expires = old.Expires
		}
		l.Remove(old)
	}
	e := &Entry{Key: key, Value: value, Expires: expires, WrittenAt: written}
	switch {
	case revoked:
		e.On = l.Revoked
	case l.markerBytes > 0 && strings.HasPrefix(key, "j:"):
		e.On = l.markers
	case IsProvisional(value):
		e.On = l.Passing
	default:
		e.On = l.Recent
	}
	l.Entries[key] = e
	l.list(e)
	size := e.size()
	l.bytes += size
	e.On.bytes += size
	e.Place = e.On.List.PushFront(e)
	l.makeRoom(now.UnixNano())
	return e
}

func (l *LRU) Remove(e *Entry) {
	size := e.size()
	l.bytes -= size
	l.unlist(e)
	e.On.bytes -= size
	e.On.List.Remove(e.Place)
	delete(l.Entries, e.Key)
}

// Clear removes everything.
func (l *LRU) Clear() {
	l.Entries = map[string]*Entry{}
	l.links = map[string][]*Entry{}
	l.bytes = 0
	l.evicted = nil
	for _, s := range []*Shelf{l.Recent, l.Revoked, l.markers, l.Passing} {
		s.List.Init()
		s.bytes = 0
	}
}

// makeRoom brings the memory back within its bounds and never evicts the newest entry.
// Expired entries at the far end of a shelf leave on the way.
func (l *LRU) makeRoom(now int64) {
	l.dropExpired(l.Revoked, now)
	l.dropExpired(l.Recent, now)
	l.dropExpired(l.markers, now)
	l.dropExpired(l.Passing, now)
	maxBytes := l.MaxBytes.Load()
	for l.markers.List.Len() > 1 && (l.markers.List.Len() > l.MaxEntries || l.markers.bytes > l.markerBytes) {
		l.evict(l.markers)
	}
	for l.Revoked.List.Len() > 1 && (l.Revoked.List.Len() > l.MaxEntries/2 || l.Revoked.bytes > maxBytes/2) {
		l.evict(l.Revoked)
	}
	for l.others() > 1 && (l.others() > l.MaxEntries || l.bytes-l.markers.bytes > maxBytes) {
		l.evict(l.least())
	}
}

// least is the shelf with the last entry that is needed least. The newest provisional
// record stays as long as there are others, because its user is about to come for it.
func (l *LRU) least() *Shelf {
	switch {
	case l.Passing.List.Len() > 1:
		return l.Passing
	case l.Recent.List.Len() > 0:
		return l.Recent
	case l.Passing.List.Len() > 0:
		return l.Passing
	}
	return l.Revoked
}

// others is the number of entries beside replay markers with their own bounds.
func (l *LRU) others() int {
	return len(l.Entries) - l.markers.List.Len()
}

// dropExpired checks no more than the two entries at the far end, so that a write costs
// the same with any number of expired ones.
func (l *LRU) dropExpired(s *Shelf, now int64) {
	for i := 0; i < 2; i++ {
		last := s.List.Back()
		if last == nil {
			return
		}
		e := last.Value.(*Entry)
		if e.Expires > now {
			return
		}
		l.Remove(e)
	}
}

func (l *LRU) evict(s *Shelf) {
	e := s.List.Back().Value.(*Entry)
	l.Remove(e)
	l.evicts++
	if l.watched {
		l.evicted = append(l.evicted, e.Key)
	}
}

// takeEvicted returns the keys that were evicted since its last call.
func (l *LRU) takeEvicted() []string {
	evicted := l.evicted
	l.evicted = nil
	return evicted
}

func (l *LRU) Stats() MemoryStats {
	return MemoryStats{Entries: len(l.Entries), Bytes: l.bytes, Revoked: l.Revoked.List.Len(), Evictions: l.evicts}
}
