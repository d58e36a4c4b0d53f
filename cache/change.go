package cache

import (
	"container/list"
	"strings"
	"time"
)

// Class is the order in which a journal is sent to the shared store.
type Class int

const (
	Revocations Class = iota
	Markers           // replay markers
	Others
	Classes
)

// An intent is the command by which a note is sent to the shared store.
type intent int

const (
	ToMerge intent = iota // Set, under the rule of records
	ToAdd                 // Add, to learn if the key is used already
	ToDelete
)

// A Note is the last state of a key that the shared store does not have yet.
type Note struct {
	Key     string
	Value   []byte // nil for ToDelete
	Expires int64  // ns since 1970
	Intent  intent
	// Revocation is the one of a revocation entry. Its index is read in the shared store.
	Revocation Revocation
	Known      bool // the shared store has revoked the records and only lacks the entry

	Class Class
	Since int64 // time of the key's first note, ns since 1970
	Place *list.Element
}

func ClassOf(key string, value []byte) Class {
	if KindOf(value) == RevokedRecord {
		return Revocations
	}
	if strings.HasPrefix(key, "j:") {
		return Markers
	}
	return Others
}

// Copied returns a copy of n that no journal has.
func (n *Note) Copied() *Note {
	return &Note{Key: n.Key, Value: n.Value, Expires: n.Expires, Intent: n.Intent, Revocation: n.Revocation, Class: n.Class}
}

// A Holding is an entry of memory that is given to Redis again.
type Holding struct {
	Key     string
	Value   []byte
	Expires int64 // ns since 1970
}

type op int

const (
	OpSet op = iota
	OpAdd
	OpCompare
	OpDelete
)

// A Change is a write by a caller.
type Change struct {
	Op      op
	Key     string
	Value   []byte
	TTL     time.Duration
	Version uint64 // of OpCompare
}
