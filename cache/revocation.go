package cache

import (
	"encoding/base64"
	"fmt"
	"time"
)

// A Revocation covers the records that have one link, or two, and were issued at a moment
// or earlier.
type Revocation struct {
	Link string // of the records, a listed one
	Also string // another link of theirs; empty: not required
	// Name is the link that names its revocation entry, for records that are stored
	// later.
	Name   string
	Before time.Time     // in whole seconds
	TTL    time.Duration // of the entry: the longest lifetime of a record
	// Unproven says that anyone may have requested it. It ends stored records only, and
	// no entry is written, so that it takes no room. Without the shared store it is
	// refused, because the records held here would have to be searched.
	Unproven bool
}

func (r Revocation) Check() error {
	if len(r.Link) != LinkSize || len(r.Name) != LinkSize || r.Also != "" && len(r.Also) != LinkSize {
		return fmt.Errorf("%w: the link of a revocation", ErrInvalid)
	}
	if r.TTL < time.Millisecond || r.TTL > MaxTTL || r.Before.Unix() < 0 {
		return fmt.Errorf("%w: the time of a revocation", ErrInvalid)
	}
	return nil
}

// ClockSkew is the largest difference between the clocks of two replicas. A tombstone
// lasts so much longer than the record, by the clock of its writer.
const ClockSkew = time.Minute

// RevocationLeeway is the time after Before at which a stored record may have been issued
// and is still revoked, because the clocks of one provider's machines may differ. A
// caller that takes Before from another clock allows for that difference too.
const RevocationLeeway = 5 * time.Second

// Covers reports whether r covers a live record with the header h.
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

// Latest is the latest issue time of a record that r revokes, in seconds since 1970.
func (r Revocation) Latest() int64 {
	return r.Before.Add(RevocationLeeway).Unix()
}

// Copied returns a copy of r that stays as it is.
func (r Revocation) Copied() *Revocation {
	kept := r
	return &kept
}

// Record returns the revocation entry of r. It has its time as version, so that it only
// moves forward.
func (r Revocation) Record(now time.Time) []byte {
	return AppendHeader(nil, Header{State: Revoked, Version: uint64(r.Before.Unix()), Expiry: now.Add(r.TTL)})
}

// Forbids reports whether a revocation entry keeps a record from being created.
func Forbids(entry, record []byte) bool {
	return KindOf(entry) == RevokedRecord && KindOf(record) == LiveRecord && uint64(IssuedOf(record)) <= versionOf(entry)
}

// TombstoneOf returns the tombstone that replaces a record, and its lifetime, which is as
// long as any copy of the record may last.
func TombstoneOf(record []byte, now time.Time) ([]byte, time.Duration) {
	end := time.UnixMilli(EndOf(record)).Add(ClockSkew)
	return Tombstone(versionOf(record)+1, end), end.Sub(now)
}

func Tombstone(version uint64, end time.Time) []byte {
	return AppendHeader(nil, Header{State: Revoked, Version: version, Expiry: end})
}

func RevocationKey(link string) string {
	return "r:" + nameOf(link)
}

func IndexKey(link string) string {
	return "i:" + nameOf(link)
}

// nameOf returns a link as text.
func nameOf(link string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(link))
}
