package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrRecord is returned when bytes are not a record.
var ErrRecord = errors.New("cache: not a record")

// State is what a record stands for.
type State byte

// The states of a record. Absence is the state before Live.
const (
	Live    State = 1
	Revoked State = 2
)

// A Header is the part of a record that the cache understands. The encoding is
//
//	format (1) | key id (1) | state (1) | version (8) | expiry in ms since 1970 (8)
//
// with numbers big-endian. Owners of a payload authenticate the encoded header
// together with it.
type Header struct {
	KeyID   byte      // the key that the payload is sealed under
	State   State     // Live or Revoked
	Version uint64    // counts up with every change of a live record
	Expiry  time.Time // when the record is void; rounded down to milliseconds
}

// HeaderSize is the length of an encoded Header in bytes.
const HeaderSize = 19

// The upper half of the first byte marks a record, which no UTF-8 text starts
// with; the lower half counts formats.
const (
	recordMark     = 0xA0
	recordMarkMask = 0xF0
	recordFormat   = 0xA1
)

// AppendHeader appends the encoded h to dst.
func AppendHeader(dst []byte, h Header) []byte {
	dst = append(dst, recordFormat, h.KeyID, byte(h.State))
	dst = binary.BigEndian.AppendUint64(dst, h.Version)
	return binary.BigEndian.AppendUint64(dst, uint64(h.Expiry.UnixMilli()))
}

// ParseRecord splits a record. A record of a later format is ErrMiss: it counts
// as absent, and every backend leaves it alone. Anything else that is no record
// is ErrRecord.
func ParseRecord(b []byte) (Header, []byte, error) {
	switch kindOf(b) {
	case foreignRecord:
		return Header{}, nil, fmt.Errorf("%w: record of a later format", ErrMiss)
	case opaque:
		return Header{}, nil, ErrRecord
	}
	h := Header{KeyID: b[1]}
	h.State = State(b[2])
	h.Version = binary.BigEndian.Uint64(b[3:])
	h.Expiry = time.UnixMilli(int64(binary.BigEndian.Uint64(b[11:])))
	return h, b[HeaderSize:], nil
}

type valueKind int

const (
	opaque valueKind = iota
	liveRecord
	revokedRecord
	foreignRecord // of a later format
)

func kindOf(b []byte) valueKind {
	if len(b) == 0 || b[0]&recordMarkMask != recordMark {
		return opaque
	}
	if b[0] > recordFormat {
		return foreignRecord
	}
	if len(b) < HeaderSize || b[0] != recordFormat {
		return opaque
	}
	switch State(b[2]) {
	case Live:
		return liveRecord
	case Revoked:
		return revokedRecord
	}
	return opaque
}

// versionOf is the version of a value that is a record.
func versionOf(b []byte) uint64 {
	return binary.BigEndian.Uint64(b[3:])
}

// expiryOf is the expiry of a value that is a record, in ms since 1970.
func expiryOf(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b[11:]))
}

// A verdict says what becomes of a write where something is stored already.
type verdict int

const (
	replaces verdict = iota
	remains          // what is stored says as much; the write succeeds
	conflicts
)

// merge decides between what is stored and what is to be written. It is the
// only rule by which a record changes: revoked wins, then the higher version.
// mergeScript says the same to Redis.
func merge(stored, next []byte) verdict {
	is, will := kindOf(stored), kindOf(next)
	switch {
	case is == foreignRecord:
		return conflicts
	case is == revokedRecord && will != revokedRecord:
		return conflicts
	case is == revokedRecord:
		return mergeRevoked(stored, next)
	case is == liveRecord && will == liveRecord:
		return mergeLive(stored, next)
	}
	return replaces
}

// mergeRevoked keeps the mark with the higher version, then the one that lasts
// longer: a not-before mark carries its time as version.
func mergeRevoked(stored, next []byte) verdict {
	is, will := versionOf(stored), versionOf(next)
	if will > is || will == is && expiryOf(next) > expiryOf(stored) {
		return replaces
	}
	return remains
}

// mergeLive lets the same bytes through, so that their time to live is renewed.
func mergeLive(stored, next []byte) verdict {
	if versionOf(next) > versionOf(stored) || bytes.Equal(stored, next) {
		return replaces
	}
	return conflicts
}

// outranks reports whether a record is in a higher state than another.
func outranks(record, other []byte) bool {
	is, was := kindOf(record), kindOf(other)
	return is == revokedRecord && was == liveRecord ||
		is == liveRecord && was == liveRecord && versionOf(record) > versionOf(other)
}

// compare decides whether next may replace stored as the successor of version.
// Finding next itself stored means that an earlier attempt arrived.
func compare(stored []byte, version uint64, next []byte) error {
	switch kindOf(stored) {
	case foreignRecord:
		return ErrMiss
	case liveRecord:
		if versionOf(stored) == version || bytes.Equal(stored, next) {
			return nil
		}
	case revokedRecord:
		if bytes.Equal(stored, next) {
			return nil
		}
	}
	return ErrConflict
}

// checkSuccessor refuses a value that no record of that version may become.
func checkSuccessor(version uint64, value []byte) error {
	switch kindOf(value) {
	case revokedRecord:
		return nil
	case liveRecord:
		if versionOf(value) > version {
			return nil
		}
	}
	return fmt.Errorf("%w: not a successor of version %d", ErrInvalid, version)
}
