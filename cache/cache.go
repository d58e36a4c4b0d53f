// Package cache keeps values under keys for a limited time: in this process (Memory), in
// Redis (package redis), or in both, coherently (package hybrid).
//
// A value is either opaque bytes or a record: a Header followed by a payload that only
// its owner can open. One rule decides for every backend if a record may be replaced. A
// record moves from absent to live, from a version to a higher one, and to revoked, and
// never back.
package cache

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

var (
	// ErrMiss is returned when the backend was read and has nothing under the key.
	ErrMiss = errors.New("cache: miss")
	// ErrExists is returned when Add finds a value under the key.
	ErrExists = errors.New("cache: key exists")
	// ErrConflict is returned when the stored value outranks the one to be written.
	ErrConflict = errors.New("cache: a newer state is stored")
	// ErrSpent is returned when Acquire finds that a grant was used before, by a holder
	// that is gone. The result of that use is not known.
	ErrSpent = errors.New("cache: grant used before")
	// ErrUnavailable is returned when the backend could not be reached. Nothing is known
	// about the key.
	ErrUnavailable = errors.New("cache: unavailable")
	// ErrInvalid is returned when a key, a value or a ttl is out of bounds.
	ErrInvalid = errors.New("cache: invalid argument")
	// ErrJournalled is returned when a write was applied in this process and will be sent
	// on, but the shared store does not have it yet. See Applied.
	ErrJournalled = errors.New("cache: applied here, not yet in the shared store")
)

// Bounds of keys, values and lifetimes.
const (
	MaxKey   = 512     // bytes
	MaxValue = 1 << 20 // bytes
	MaxTTL   = 10 * 365 * 24 * time.Hour
)

// A Backend is safe for concurrent use by multiple goroutines.
//
// A miss is not an error of the backend, and an error is never a miss. ErrMiss says that
// the key is absent or expired, ErrUnavailable that this is unknown. Every write takes a
// ttl between a millisecond and MaxTTL. Anything else is ErrInvalid, as is an empty or
// too long key and a too large value. An empty value is a value. Bytes that were given to
// a backend or came from it are shared and must not be changed.
//
// A context that is done can end a call with the context's error before its effect, never
// a write half done. Writes that only this process has yet return ErrJournalled.
type Backend interface {
	// Get returns the value of key, or ErrMiss.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set stores value. If value or the stored one is a record, the higher state stays.
	// ErrConflict says that the stored one did. Revoking a revoked record succeeds.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Add stores value if the key is absent, or returns ErrExists. Of any number of
	// concurrent calls one succeeds. A live record is first listed under its index keys.
	// ErrConflict says that it was revoked before it was stored: see Revoke.
	Add(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// CompareAndSet replaces a live record of the given version by value, a record that
	// is revoked or of a higher version. It returns ErrMiss when the key is absent, and
	// ErrConflict when something else is stored.
	CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error
	// Fresh returns the value of key in the shared store as it is after the call began,
	// or ErrMiss. It ignores the copy in this process.
	Fresh(ctx context.Context, key string) ([]byte, error)
	// Revoke ends every record that one of the revocations covers, stored now or later.
	// It returns nil when the shared store has all of it. After any other error a part
	// may be done, and the call can be repeated.
	Revoke(ctx context.Context, revocations []Revocation) error
	// Trim ends live records listed under a link until at most so many are left, and
	// returns their number. The ones that were issued first end first. The record under
	// the key newest never ends. One call reads a thousand records and ends some dozens
	// at most. Later calls end the rest.
	Trim(ctx context.Context, link string, most int, newest string) (int, error)
	// Acquire gives the right to use a grant once, and returns the record of the lease.
	// ErrExists: another holder has that right; try again later. ErrConflict: the record
	// is not live or of another version. Both errors come with the record. ErrSpent: see
	// there. ErrMiss: there is no record.
	Acquire(ctx context.Context, l Lease) ([]byte, error)
	// Prolong says that the holder of a lease is still at work. A lease that ran out, or
	// that Redis lost, is taken again. ErrMiss: another holder has it by now.
	Prolong(ctx context.Context, l Lease) error
	// Release ends a lease. An unused grant may be acquired again. A lease that has
	// run out is no error.
	Release(ctx context.Context, l Lease, unused bool) error
	// Delete removes key. An absent key is no error.
	Delete(ctx context.Context, key string) error
	// Exists reports whether Get would return a value.
	Exists(ctx context.Context, key string) (bool, error)
	// Clear removes every key of this backend. It removes no key of another one on the
	// same Redis server.
	Clear(ctx context.Context) error
	// Health returns nil when the backend can be reached, ErrUnavailable otherwise.
	Health(ctx context.Context) error
	// Watch calls w, a pointer, for changes from now on, until Unwatch.
	Watch(w Watcher)
	// Unwatch ends Watch. A call that is already under way can still arrive.
	Unwatch(w Watcher)
}

// A Watcher receives changes of keys. A call only says that copies of the key are stale
// and must be read again, so no order of calls lets an older change win. Calls come after
// the change can be read, outside of any lock, and from any goroutine. They may come more
// than once, and come also for own writes. They must return quickly.
type Watcher interface {
	// Changed says that key was written, revoked, deleted or evicted.
	Changed(key string)
	// ChangedAll says that any key may have changed.
	ChangedAll()
	// Revoked reports a revocation while the shared store cannot be reached. This process
	// may hold no copy of the records that it covers.
	Revoked(r Revocation)
}

// Applied reports whether a write took effect in this process: it is stored, or applied
// here and journalled. A caller that promises more, such as a response of 200 to a logout
// token, needs a nil error instead.
func Applied(err error) bool {
	return err == nil || errors.Is(err, ErrJournalled)
}

func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("%w: key of %d bytes", ErrInvalid, len(key))
	}
	return nil
}

func CheckWrite(key string, value []byte, ttl time.Duration) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("%w: key of %d bytes", ErrInvalid, len(key))
	}
	if len(value) > MaxValue {
		return fmt.Errorf("%w: value of %d bytes", ErrInvalid, len(value))
	}
	if ttl < time.Millisecond || ttl > MaxTTL {
		return fmt.Errorf("%w: ttl %s", ErrInvalid, ttl)
	}
	return nil
}

// WithWatcher returns a copy of list that ends with w.
func WithWatcher(list []Watcher, w Watcher) []Watcher {
	grown := make([]Watcher, 0, len(list)+1)
	grown = append(grown, list...)
	return append(grown, w)
}

// WithoutWatcher returns a copy of list that lacks w. It compares watchers by their
// address, because equal interface values can compare as different in the interpreter.
func WithoutWatcher(list []Watcher, w Watcher) []Watcher {
	leaves := reflect.ValueOf(w).Pointer()
	kept := make([]Watcher, 0, len(list))
	for _, one := range list {
		if reflect.ValueOf(one).Pointer() != leaves {
			kept = append(kept, one)
		}
	}
	return kept
}

func Announce(list []Watcher, key string) {
	for _, w := range list {
		w.Changed(key)
	}
}

func AnnounceAll(list []Watcher) {
	for _, w := range list {
		w.ChangedAll()
	}
}
