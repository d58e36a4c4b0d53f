package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

func ListedLinks(record []byte) []string {
	var names []string
	for _, link := range LinksOf(record) {
		if link.Listed {
			names = append(names, link.Name)
		}
	}
	return names
}

// IsLinked reports whether a value has to be listed before it is written.
func IsLinked(value []byte) bool {
	return KindOf(value) == LiveRecord && value[countAt] != 0
}

// ErrRecord is returned when bytes are not a record.
var ErrRecord = errors.New("cache: not a record")

// State is the state of a record.
type State byte

// The states of a record. Absence is the state before Live.
const (
	Live    State = 1
	Revoked State = 2
)

// A Header is the part of a record that the cache understands. The encoding is
//
//	format (1) | key id (1) | state (1) | version (8) | expiry in ms since 1970 (8) |
//	end in ms since 1970 (8) | issued in s since 1970 (8) | number of links (1) | links (17 each)
//
// with numbers big-endian. Owners of a payload authenticate the encoded header
// together with it.
type Header struct {
	KeyID   byte      // the key that the payload is sealed under
	State   State     // Live or Revoked
	Version uint64    // increases with every change of a live record
	Expiry  time.Time // end of the record; rounded down to milliseconds
	End     time.Time // the latest that Expiry will ever be; zero: Expiry
	Issued  time.Time // issue time of the ID token of the session, in seconds; zero: 1970
	Links   []Link    // at most maxLinks
}

// A Link is an index key: it ties a record to something by which it can be revoked
// together with others, such as a user. Links are in clear, so that an index can be made
// again from the records only. Their names must not reveal what they are for.
type Link struct {
	Name string // LinkSize bytes
	// Listed links are indexes: Revoke finds the record by them. The others only keep a
	// record from being created.
	Listed bool
}

// Provisional is the name of a link by which nothing is revoked. It is for a record that
// may soon be of no use, such as the session of a user that no rule allows. Such records
// are the first to be evicted from a full memory, so that they evict no others.
const Provisional = "\x00 provisional \x00\x00"

var provisionalName = []byte(Provisional)

// IsProvisional reports whether a value is a live record with that link.
func IsProvisional(b []byte) bool {
	return KindOf(b) == LiveRecord && bytes.Contains(b[HeaderSize:headerLen(b)], provisionalName)
}

// Bounds of a header.
const (
	HeaderSize = 36 // of a header without links, in bytes
	LinkSize   = 16 // of a link's name
	maxLinks   = 48
)

const (
	linkBytes = 1 + LinkSize

	// Places of the fields of an encoded header.
	versionAt = 3
	expiryAt  = 11
	endAt     = 19
	issuedAt  = 27
	countAt   = 35
)

// The upper half of the first byte identifies a record, because no UTF-8 text begins with
// it. The lower half is the format.
const (
	recordTag     = 0xA0
	recordTagMask = 0xF0
	RecordFormat  = 0xA1
)

// AppendHeader appends the encoded h to dst. Links beyond maxLinks, and names of
// another size than LinkSize, are left out.
func AppendHeader(dst []byte, h Header) []byte {
	end := h.End
	if end.Before(h.Expiry) {
		end = h.Expiry
	}
	issued := int64(0)
	if !h.Issued.IsZero() {
		issued = h.Issued.Unix()
	}
	dst = append(dst, RecordFormat, h.KeyID, byte(h.State))
	dst = binary.BigEndian.AppendUint64(dst, h.Version)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Expiry.UnixMilli()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(end.UnixMilli()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(issued))
	return appendLinks(dst, h.Links)
}

func appendLinks(dst []byte, links []Link) []byte {
	at := len(dst)
	dst = append(dst, 0)
	for _, l := range links {
		if len(l.Name) != LinkSize || dst[at] == maxLinks {
			continue
		}
		flag := byte(0)
		if l.Listed {
			flag = 1
		}
		dst = append(dst, flag)
		dst = append(dst, l.Name...)
		dst[at]++
	}
	return dst
}

// ParseRecord splits a record. A record of a later format is ErrMiss: it is taken for
// absent, and every backend leaves it alone. Any other bytes are ErrRecord.
func ParseRecord(b []byte) (Header, []byte, error) {
	switch KindOf(b) {
	case ForeignRecord:
		return Header{}, nil, fmt.Errorf("%w: the record has a later format", ErrMiss)
	case opaque:
		return Header{}, nil, ErrRecord
	}
	if !canonical(b) {
		return Header{}, nil, ErrRecord
	}
	h := Header{KeyID: b[1], Links: LinksOf(b)}
	h.State = State(b[2])
	h.Version = versionOf(b)
	h.Expiry = time.UnixMilli(ExpiryOf(b))
	h.End = time.UnixMilli(EndOf(b))
	h.Issued = time.Unix(IssuedOf(b), 0)
	return h, b[headerLen(b):], nil
}

// SplitRecord returns the encoded header of a record, and its payload; false for other
// values.
func SplitRecord(b []byte) ([]byte, []byte, bool) {
	kind := KindOf(b)
	if kind != LiveRecord && kind != RevokedRecord {
		return nil, nil, false
	}
	n := headerLen(b)
	return b[:n], b[n:], true
}

type valueKind int

const (
	opaque valueKind = iota
	LiveRecord
	RevokedRecord
	ForeignRecord // of a later format
)

func KindOf(b []byte) valueKind {
	if len(b) == 0 || b[0]&recordTagMask != recordTag {
		return opaque
	}
	if b[0] > RecordFormat {
		return ForeignRecord
	}
	if len(b) < HeaderSize || b[0] != RecordFormat || b[countAt] > maxLinks || len(b) < headerLen(b) {
		return opaque
	}
	switch State(b[2]) {
	case Live:
		return LiveRecord
	case Revoked:
		return RevokedRecord
	}
	return opaque
}

// The functions below read the header of a value that is a record.

func versionOf(b []byte) uint64 {
	return binary.BigEndian.Uint64(b[versionAt:])
}

// ExpiryOf is in ms since 1970, and so is EndOf.
func ExpiryOf(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b[expiryAt:]))
}

func EndOf(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b[endAt:]))
}

// IssuedOf is in seconds since 1970.
func IssuedOf(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b[issuedAt:]))
}

func headerLen(b []byte) int {
	return HeaderSize + linkBytes*int(b[countAt])
}

// canonical reports whether the header of a record is in the form that AppendHeader
// writes.
func canonical(b []byte) bool {
	for at := HeaderSize; at < headerLen(b); at += linkBytes {
		if b[at] > 1 {
			return false
		}
	}
	return EndOf(b) >= ExpiryOf(b) && IssuedOf(b) >= 0
}

func LinksOf(b []byte) []Link {
	var links []Link
	for at := HeaderSize; at < headerLen(b); at += linkBytes {
		links = append(links, Link{Name: string(b[at+1 : at+linkBytes]), Listed: b[at] == 1})
	}
	return links
}

// Linked reports whether a record has the link of that name.
func Linked(b []byte, name string) bool {
	for at := HeaderSize; at < headerLen(b); at += linkBytes {
		if string(b[at+1:at+linkBytes]) == name {
			return true
		}
	}
	return false
}

// A Verdict is the result of a write over a stored value.
type Verdict int

const (
	Replaces Verdict = iota
	Remains          // the stored value stays and covers the new one; the write succeeds
	Conflicts
)

// Merge decides between the stored value and the one to be written. It is the only rule
// by which a record changes: revoked wins, then the higher version. The merge script
// applies the same rule in Redis.
func Merge(stored, next []byte) Verdict {
	is, will := KindOf(stored), KindOf(next)
	switch {
	case is == ForeignRecord:
		return Conflicts
	case is == RevokedRecord && will != RevokedRecord:
		return Conflicts
	case is == RevokedRecord:
		return mergeRevoked(stored, next)
	case is == LiveRecord && will == LiveRecord:
		return mergeLive(stored, next)
	}
	return Replaces
}

// mergeRevoked keeps the tombstone with the higher version, then the one that lasts
// longer. A revocation entry has its time as version.
func mergeRevoked(stored, next []byte) Verdict {
	is, will := versionOf(stored), versionOf(next)
	if will > is || will == is && ExpiryOf(next) > ExpiryOf(stored) {
		return Replaces
	}
	return Remains
}

// mergeLive accepts the same bytes again, so that their time to live starts anew.
func mergeLive(stored, next []byte) Verdict {
	if versionOf(next) > versionOf(stored) || bytes.Equal(stored, next) {
		return Replaces
	}
	return Conflicts
}

// Outranks reports whether a record is in a higher state than another.
func Outranks(record, other []byte) bool {
	is, was := KindOf(record), KindOf(other)
	return is == RevokedRecord && was == LiveRecord ||
		is == LiveRecord && was == LiveRecord && versionOf(record) > versionOf(other)
}

// Compare decides whether next may replace stored as the successor of version.
// Finding next itself stored means that an earlier attempt arrived.
func Compare(stored []byte, version uint64, next []byte) error {
	switch KindOf(stored) {
	case ForeignRecord:
		return ErrMiss
	case LiveRecord:
		if versionOf(stored) == version || bytes.Equal(stored, next) {
			return nil
		}
	case RevokedRecord:
		if bytes.Equal(stored, next) {
			return nil
		}
	}
	return ErrConflict
}

// CheckSuccessor refuses a value that cannot follow a record of that version.
func CheckSuccessor(version uint64, value []byte) error {
	switch KindOf(value) {
	case RevokedRecord:
		return nil
	case LiveRecord:
		if versionOf(value) > version {
			return nil
		}
	}
	return fmt.Errorf("%w: the value is no successor of version %d", ErrInvalid, version)
}
