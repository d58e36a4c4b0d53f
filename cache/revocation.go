package cache

import (
	"encoding/base64"
	"fmt"
	"time"
)

// A Revocation is about the records that have one link, or two, and were issued
// at a moment or earlier.
type Revocation struct {
	Link string // of the records, a listed one
	Also string // another link of theirs; empty: none is asked for
	// Mark is the link under which it is noted for records that are not stored yet.
	Mark   string
	Before time.Time     // in whole seconds
	TTL    time.Duration // of the note: as long as a record may live
	// Unproven says that anybody may have asked for it: it ends what is stored, and
	// nothing is noted, so that it takes no room. Without the shared store it is
	// refused, because what is held here would have to be searched.
	Unproven bool
}

func (r Revocation) check() error {
	if len(r.Link) != LinkSize || len(r.Mark) != LinkSize || r.Also != "" && len(r.Also) != LinkSize {
		return fmt.Errorf("%w: link of a revocation", ErrInvalid)
	}
	if r.TTL < time.Millisecond || r.TTL > MaxTTL || r.Before.Unix() < 0 {
		return fmt.Errorf("%w: time of a revocation", ErrInvalid)
	}
	return nil
}

// ClockSkew is how far the clocks of two replicas may be apart. A tombstone lasts so
// much longer than the record by the clock of whoever writes it.
const ClockSkew = time.Minute

// RevocationLeeway is how much later than Before a stored record may have been
// issued and be revoked all the same: the clocks of one provider's machines may
// differ. Whoever takes Before from another clock allows for that.
const RevocationLeeway = 5 * time.Second

// Covers reports whether r is about a live record with the header h.
func (r Revocation) Covers(h Header) bool {
	return h.State == Live && h.Issued.Unix() <= r.latest() && linkedTo(h.Links, r.Link) && (r.Also == "" || linkedTo(h.Links, r.Also))
}

func linkedTo(links []Link, name string) bool {
	for _, l := range links {
		if l.Name == name {
			return true
		}
	}
	return false
}

// covers is Covers for a stored value.
func (r Revocation) covers(value []byte) bool {
	return kindOf(value) == liveRecord && issuedOf(value) <= r.latest() && linked(value, r.Link) && (r.Also == "" || linked(value, r.Also))
}

// latest is when a record may have been issued that r revokes, in seconds since 1970.
func (r Revocation) latest() int64 {
	return r.Before.Add(RevocationLeeway).Unix()
}

// copied is a copy of r that stays as it is.
func (r Revocation) copied() *Revocation {
	kept := r
	return &kept
}

// note is the record that stands for r where a record is created: it carries its
// time as version, so that it only moves forward.
func (r Revocation) note(now time.Time) []byte {
	return AppendHeader(nil, Header{State: Revoked, Version: uint64(r.Before.Unix()), Expiry: now.Add(r.TTL)})
}

// forbids reports whether a note keeps a record from being created.
func forbids(note, record []byte) bool {
	return kindOf(note) == revokedRecord && kindOf(record) == liveRecord && uint64(issuedOf(record)) <= versionOf(note)
}

// tombstoneOf is what takes the place of a record, and how long it has to last: as
// long as any copy of the record may.
func tombstoneOf(record []byte, now time.Time) ([]byte, time.Duration) {
	end := time.UnixMilli(endOf(record)).Add(ClockSkew)
	return tombstone(versionOf(record)+1, end), end.Sub(now)
}

func tombstone(version uint64, end time.Time) []byte {
	return AppendHeader(nil, Header{State: Revoked, Version: version, Expiry: end})
}

func noteKey(link string) string {
	return "r:" + nameOf(link)
}

func indexKey(link string) string {
	return "i:" + nameOf(link)
}

// nameOf is a link as text.
func nameOf(link string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(link))
}
