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

func (r Revocation) Check() error {
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
	return h.State == Live && h.Issued.Unix() <= r.Latest() && linkedTo(h.Links, r.Link) && (r.Also == "" || linkedTo(h.Links, r.Also))
}

func linkedTo(links []Link, name string) bool {
	for _, l := range links {
		if l.Name == name {
			return true
		}
	}
	return false
}

// CoversRecord is Covers for a stored value.
func (r Revocation) CoversRecord(value []byte) bool {
	return KindOf(value) == LiveRecord && IssuedOf(value) <= r.Latest() && Linked(value, r.Link) && (r.Also == "" || Linked(value, r.Also))
}

// Latest is when a record may have been issued that r revokes, in seconds since 1970.
func (r Revocation) Latest() int64 {
	return r.Before.Add(RevocationLeeway).Unix()
}

// Copied is a copy of r that stays as it is.
func (r Revocation) Copied() *Revocation {
	kept := r
	return &kept
}

// Note is the record that stands for r where a record is created: it carries its
// time as version, so that it only moves forward.
func (r Revocation) Note(now time.Time) []byte {
	return AppendHeader(nil, Header{State: Revoked, Version: uint64(r.Before.Unix()), Expiry: now.Add(r.TTL)})
}

// Forbids reports whether a note keeps a record from being created.
func Forbids(note, record []byte) bool {
	return KindOf(note) == RevokedRecord && KindOf(record) == LiveRecord && uint64(IssuedOf(record)) <= versionOf(note)
}

// TombstoneOf is what takes the place of a record, and how long it has to last: as
// long as any copy of the record may.
func TombstoneOf(record []byte, now time.Time) ([]byte, time.Duration) {
	end := time.UnixMilli(EndOf(record)).Add(ClockSkew)
	return Tombstone(versionOf(record)+1, end), end.Sub(now)
}

func Tombstone(version uint64, end time.Time) []byte {
	return AppendHeader(nil, Header{State: Revoked, Version: version, Expiry: end})
}

func NoteKey(link string) string {
	return "r:" + nameOf(link)
}

func IndexKey(link string) string {
	return "i:" + nameOf(link)
}

// nameOf is a link as text.
func nameOf(link string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(link))
}
