package cache

import (
	"container/list"
	"strings"
)

// class is the order in which a journal is carried to L2.
type class int

const (
	revocations class = iota
	marks             // of replay protection
	others
	classes
)

// An intent is what a note asks of L2.
type intent int

const (
	toMerge intent = iota // Set, under the rule of records
	toAdd                 // Add, to find out who was first
	toDelete
)

// A note is the last state of a key that L2 does not have yet.
type note struct {
	key     string
	value   []byte // nil for toDelete
	expires int64  // ns since 1970
	intent  intent
	// revocation is what a note of one stands for, whose index is read in L2.
	revocation Revocation
	known      bool // L2 has what the revocation was about, and only gets the note

	class class
	since int64 // when the key was first noted, ns since 1970
	place *list.Element
}

// A journal holds one note per key. It is guarded by the lock of its owner.
//
// It is bounded by entries and bytes. For room, notes of provisional records leave
// first, then the oldest of a session, then the oldest mark. A revocation never
// leaves: when nothing else is left, a new one is refused, and its writer is told so.
type journal struct {
	maxEntries int
	maxBytes   int64

	notes   map[string]*note
	classes [classes]*list.List // of *note, oldest first
	bytes   int64
	dropped uint64
}

func newJournal(maxEntries int, maxBytes int64) *journal {
	j := &journal{maxEntries: maxEntries, maxBytes: maxBytes, notes: map[string]*note{}}
	for i := range j.classes {
		j.classes[i] = list.New()
	}
	return j
}

func classOf(key string, value []byte) class {
	if kindOf(value) == revokedRecord {
		return revocations
	}
	if strings.HasPrefix(key, "j:") {
		return marks
	}
	return others
}

// put notes n in place of what was noted of its key, and reports whether there
// was room.
func (j *journal) put(n *note) bool {
	n.class = classOf(n.key, n.value)
	size := cost(n.key, n.value)
	if old := j.notes[n.key]; old != nil {
		n.since = old.since
		if n.revocation.Link == "" {
			n.revocation = old.revocation
		}
		j.remove(old)
	}
	for len(j.notes) >= j.maxEntries || j.bytes+size > j.maxBytes {
		if !j.dropFor(n.class) {
			j.dropped++
			return false
		}
	}
	j.notes[n.key] = n
	j.bytes += size
	if isProvisional(n.value) {
		n.place = j.classes[n.class].PushFront(n)
	} else {
		n.place = j.classes[n.class].PushBack(n)
	}
	return true
}

// dropFor removes a note that matters no more than one of class c.
func (j *journal) dropFor(c class) bool {
	for victim := others; victim >= c && victim > revocations; victim-- {
		if first := j.classes[victim].Front(); first != nil {
			j.remove(first.Value.(*note))
			j.dropped++
			return true
		}
	}
	return false
}

func (j *journal) remove(n *note) {
	if j.notes[n.key] != n {
		return
	}
	delete(j.notes, n.key)
	j.bytes -= cost(n.key, n.value)
	j.classes[n.class].Remove(n.place)
}

// first is the oldest note of a class, or nil.
func (j *journal) first(c class) *note {
	if front := j.classes[c].Front(); front != nil {
		return front.Value.(*note)
	}
	return nil
}

// oldest is when the longest-waiting key was noted; zero when none is.
func (j *journal) oldest() int64 {
	var at int64
	for c := revocations; c < classes; c++ {
		if n := j.first(c); n != nil && (at == 0 || n.since < at) {
			at = n.since
		}
	}
	return at
}

func (j *journal) clear() {
	j.notes = map[string]*note{}
	j.bytes = 0
	for c := revocations; c < classes; c++ {
		j.classes[c].Init()
	}
}
