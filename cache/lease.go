package cache

import (
	"fmt"
	"strings"
	"time"
)

// A Lease is the right to use the grant of a record: the refresh token of a
// session. It ends by itself when its holder dies; that the grant was used is
// remembered longer. Both keys are made of the record's, with the same hash tag.
type Lease struct {
	Record  string        // key of the record, s: and more
	Version uint64        // of the record that was read
	Grant   string        // what is to be used once, as a digest; at most 64 bytes
	Owner   string        // a nonce of this attempt; at most 64 bytes
	TTL     time.Duration // until the next Prolong
	Keep    time.Duration // how long the grant is remembered as used
}

func (l Lease) Key() string {
	return "l:" + l.Record[2:]
}

// UsedKey is where the grant is noted as used.
func (l Lease) UsedKey() string {
	return l.Key() + ":used"
}

// Used is what is noted there: the grant, and who used it.
func (l Lease) Used() string {
	return l.UsedBy() + l.Owner
}

// UsedBy is what used begins with, whoever the owner is.
func (l Lease) UsedBy() string {
	return l.Grant + "\n"
}

func (l Lease) Check() error {
	if len(l.Record) < 3 || len(l.Record) > MaxKey-8 || !strings.HasPrefix(l.Record, "s:") {
		return fmt.Errorf("%w: record of a lease", ErrInvalid)
	}
	if l.Grant == "" || len(l.Grant) > 64 || l.Owner == "" || len(l.Owner) > 64 {
		return fmt.Errorf("%w: grant or owner of a lease", ErrInvalid)
	}
	if l.TTL < time.Millisecond || l.Keep < l.TTL || l.Keep > MaxTTL {
		return fmt.Errorf("%w: ttl of a lease", ErrInvalid)
	}
	return nil
}

// Acquirable decides about a lease by what is stored: its key, the record, and
// the note of a used grant; nil for what is absent.
func (l Lease) Acquirable(held, record, used []byte) error {
	switch {
	case record == nil || KindOf(record) == ForeignRecord:
		return ErrMiss
	case KindOf(record) != LiveRecord || versionOf(record) != l.Version:
		return ErrConflict
	case held != nil && string(held) != l.Owner:
		return ErrExists
	case used != nil && strings.HasPrefix(string(used), l.UsedBy()) && string(used) != l.Used():
		return ErrSpent
	}
	return nil
}

// Prolongable reports whether a lease is its owner's still, or again: one that ended
// before its holder, or was lost by the server, is taken again unless somebody else
// took it or used the grant.
func (l Lease) Prolongable(held, used []byte) bool {
	if held != nil && string(held) != l.Owner {
		return false
	}
	return used == nil || !strings.HasPrefix(string(used), l.UsedBy()) || string(used) == l.Used()
}
