package cache

import (
	"fmt"
	"strings"
	"time"
)

// A Lease is the right to use the grant of a record: the refresh token of a session. It
// ends by itself when its holder dies. The entry that the grant was used lasts longer.
// Both keys are made from the record's, with the same hash tag.
type Lease struct {
	Record  string        // key of the record, s: and more
	Version uint64        // of the record that was read
	Grant   string        // names the grant, as a digest; at most 64 bytes
	Owner   string        // a nonce of this attempt; at most 64 bytes
	TTL     time.Duration // until the next Prolong
	Keep    time.Duration // time for which the grant stays recorded as used
}

func (l Lease) Key() string {
	return "l:" + l.Record[2:]
}

// UsedKey is the key of the entry that the grant was used.
func (l Lease) UsedKey() string {
	return l.Key() + ":used"
}

// Used is the value of that entry: the grant and its holder.
func (l Lease) Used() string {
	return l.UsedBy() + l.Owner
}

// UsedBy is the beginning of Used, the same for every owner.
func (l Lease) UsedBy() string {
	return l.Grant + "\n"
}

func (l Lease) Check() error {
	if len(l.Record) < 3 || len(l.Record) > MaxKey-8 || !strings.HasPrefix(l.Record, "s:") {
		return fmt.Errorf("%w: the record of a lease", ErrInvalid)
	}
	if l.Grant == "" || len(l.Grant) > 64 || l.Owner == "" || len(l.Owner) > 64 {
		return fmt.Errorf("%w: the grant or the owner of a lease", ErrInvalid)
	}
	if l.TTL < time.Millisecond || l.Keep < l.TTL || l.Keep > MaxTTL {
		return fmt.Errorf("%w: the ttl of a lease", ErrInvalid)
	}
	return nil
}

// Acquirable decides about a lease by the stored values: that of its key, the record, and
// the entry of a used grant; nil for absent ones.
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

// MayProlong reports whether a lease is its owner's still, or again. A lease that ended
// before its holder, or that Redis lost, is taken again unless another holder took it or
// used the grant.
func (l Lease) MayProlong(held, used []byte) bool {
	if held != nil && string(held) != l.Owner {
		return false
	}
	return used == nil || !strings.HasPrefix(string(used), l.UsedBy()) || string(used) == l.Used()
}
