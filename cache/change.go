package cache

import (
	"container/list"
	"strings"
	"time"
)

// Class is the order in which a journal is carried to L2.
type Class int

const (
	Revocations Class = iota
	Marks             // of replay protection
	Others
	Classes
)

// An intent is what a note asks of L2.
type intent int

const (
	ToMerge intent = iota // Set, under the rule of records
	ToAdd                 // Add, to find out who was first
	ToDelete
)

// A Note is the last state of a key that L2 does not have yet.
type Note struct {
	Key     string
	Value   []byte // nil for toDelete
	Expires int64  // ns since 1970
	Intent  intent
	// revocation is what a note of one stands for, whose index is read in L2.
	Revocation Revocation
	Known      bool // L2 has what the revocation was about, and only gets the note

	Class Class
	Since int64 // when the key was first noted, ns since 1970
	Place *list.Element
}

func ClassOf(key string, value []byte) Class {
	if KindOf(value) == RevokedRecord {
		return Revocations
	}
	if strings.HasPrefix(key, "j:") {
		return Marks
	}
	return Others
}

// Copied is a copy of n that no journal has.
func (n *Note) Copied() *Note {
	return &Note{Key: n.Key, Value: n.Value, Expires: n.Expires, Intent: n.Intent, Revocation: n.Revocation, Class: n.Class}
}

// A Holding is an entry of L1 that is given to L2 again.
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
	Version uint64 // of opCompare
}
