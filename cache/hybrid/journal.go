package hybrid

import (
	"container/list"

	"github.com/traefikoidc/traefikoidc/cache"
)

// A journal holds one note per key. It is guarded by the lock of its owner.
//
// It is bounded by entries and bytes. For room, notes of provisional records are dropped
// first, then the oldest of a session, then the oldest replay marker. A revocation is
// never dropped. When nothing else is left, a new one is refused, and its writer gets an
// error.
type journal struct {
	maxEntries int
	maxBytes   int64

	notes    map[string]*cache.Note
	classes  [cache.Classes]*list.List // of *cache.Note, oldest first
	bytes    int64
	dropped  uint64
	overflow bool // a note was dropped, and that is not reported yet
}

func newJournal(maxEntries int, maxBytes int64) *journal {
	j := &journal{maxEntries: maxEntries, maxBytes: maxBytes, notes: map[string]*cache.Note{}}
	for i := range j.classes {
		j.classes[i] = list.New()
	}
	return j
}

// put stores n in place of the earlier note of its key, and reports whether there was
// room.
func (j *journal) put(n *cache.Note) bool {
	n.Class = cache.ClassOf(n.Key, n.Value)
	size := cache.Cost(n.Key, n.Value)
	if old := j.notes[n.Key]; old != nil {
		n.Since = old.Since
		if n.Revocation.Link == "" {
			n.Revocation = old.Revocation
		}
		j.remove(old)
	}
	for len(j.notes) >= j.maxEntries || j.bytes+size > j.maxBytes {
		if !j.dropFor(n.Class) {
			j.dropped++
			return false
		}
	}
	j.notes[n.Key] = n
	j.bytes += size
	if cache.IsProvisional(n.Value) {
		n.Place = j.classes[n.Class].PushFront(n)
	} else {
		n.Place = j.classes[n.Class].PushBack(n)
	}
	return true
}

// dropFor removes a note that is not more important than one of class c.
func (j *journal) dropFor(c cache.Class) bool {
	for victim := cache.Others; victim >= c && victim > cache.Revocations; victim-- {
		if first := j.classes[victim].Front(); first != nil {
			j.remove(first.Value.(*cache.Note))
			j.dropped++
			return true
		}
	}
	return false
}

func (j *journal) remove(n *cache.Note) {
	if j.notes[n.Key] != n {
		return
	}
	delete(j.notes, n.Key)
	j.bytes -= cache.Cost(n.Key, n.Value)
	j.classes[n.Class].Remove(n.Place)
}

// first is the oldest note of a class, or nil.
func (j *journal) first(c cache.Class) *cache.Note {
	if front := j.classes[c].Front(); front != nil {
		return front.Value.(*cache.Note)
	}
	return nil
}

// oldest is the time of the oldest note; zero: there is none.
func (j *journal) oldest() int64 {
	var at int64
	for c := cache.Revocations; c < cache.Classes; c++ {
		if n := j.first(c); n != nil && (at == 0 || n.Since < at) {
			at = n.Since
		}
	}
	return at
}

func (j *journal) clear() {
	j.notes = map[string]*cache.Note{}
	j.bytes = 0
	for c := cache.Revocations; c < cache.Classes; c++ {
		j.classes[c].Init()
	}
}
