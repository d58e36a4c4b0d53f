package hybrid

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// local has the values of this process (L1) and the writes that Redis does not have yet
// (the journal). The lock of the Hybrid guards it.
type local struct {
	direct  bool  // reads go to Redis
	maxAge  int64 // age in ns at which a value is read again although changes arrive
	ttl     int64 // age in ns at which a value is read again while changes do not arrive
	l1      *cache.LRU
	journal *journal
	work    *worker // sends the journal to Redis
	recent  *recent // nil: Redis is one server, whose latest writes are in memory
	flushed int64   // when an operator flushed Redis last, ns since 1970

	epoch   uint64             // increases when everything becomes stale
	flights map[string]*flight // reads under way that others may join
	tokens  map[string]*token  // keys being read or written
	echoes  map[string]int     // changes made here that Redis will report
}

// held returns the value that this process has for key, with or without Redis knowing it.
// True with a nil value says that the key was deleted here.
func (l *local) held(key string, now int64) ([]byte, bool) {
	if e := l.l1.Live(key, now); e != nil {
		return present(e.Value), true
	}
	n := l.journal.notes[key]
	if n == nil || n.Expires <= now {
		return nil, false
	}
	if n.Intent == cache.ToDelete {
		return nil, true
	}
	return present(n.Value), true
}

// present returns an empty value as one that differs from none.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// fill stores the value of Redis, and returns the one that applies.
func (l *local) fill(q inquiry, value []byte, now time.Time) []byte {
	held, _ := l.held(q.key, now.UnixNano())
	if cache.Outranks(held, value) {
		l.repair(q.key, held, now)
		return held
	}
	ttl := l.remaining(q.key, value, now)
	if l.direct || ttl <= 0 {
		if e := l.l1.Entries[q.key]; e != nil && e.On != l.l1.Revoked {
			l.l1.Remove(e)
		}
		return value
	}
	e := l.l1.Put(q.key, value, now, ttl)
	l.confirmed(e, now, l.current(q))
	return value
}

// confirmed records that e has the value that Redis had at now, or is to have.
func (l *local) confirmed(e *cache.Entry, now time.Time, current bool) {
	e.Epoch = l.epoch
	e.ConfirmedAt = now.UnixNano()
	e.Stale = !current
}

// remaining returns the time for which memory may hold a value from Redis. Records carry
// their expiry. Other values keep the one that they are held with, if any.
func (l *local) remaining(key string, value []byte, now time.Time) time.Duration {
	switch cache.KindOf(value) {
	case cache.LiveRecord, cache.RevokedRecord:
		left := cache.ExpiryOf(value) - now.UnixMilli()
		if left > int64(cache.MaxTTL/time.Millisecond) {
			return cache.MaxTTL
		}
		return time.Duration(left) * time.Millisecond
	}
	if e := l.l1.Entries[key]; e != nil && bytes.Equal(e.Value, value) {
		return time.Duration(e.Expires - now.UnixNano())
	}
	return 0
}

// repair sends Redis a record again that is in a higher state here than there, as after a
// failover.
func (l *local) repair(key string, held []byte, now time.Time) {
	expires := now.UnixNano()
	if e := l.l1.Entries[key]; e != nil {
		expires = e.Expires
	}
	if l.journal.notes[key] == nil && expires > now.UnixNano() {
		l.journal.put(&cache.Note{Key: key, Value: held, Expires: expires, Intent: cache.ToMerge, Since: now.UnixNano()})
		l.work.kick()
	}
}

// revokeEntries revokes records that are held here, here and in the journal. The error is
// ErrJournalled if there were any.
func (l *local) revokeEntries(covered []*cache.Entry, now time.Time) ([]string, error) {
	var keys []string
	var err error
	for _, e := range covered {
		value, ttl := cache.TombstoneOf(e.Value, now)
		failed := l.apply(cache.Change{Op: cache.OpSet, Key: e.Key, Value: value, TTL: ttl}, now)
		if err == nil || !cache.Applied(failed) {
			err = failed
		}
		keys = append(keys, e.Key)
	}
	return keys, err
}

// storeRevocation stores the revocation entry of r here and in the journal.
func (l *local) storeRevocation(r cache.Revocation, now time.Time) error {
	key := cache.RevocationKey(r.Name)
	err := l.apply(cache.Change{Op: cache.OpSet, Key: key, Value: r.Record(now), TTL: r.TTL}, now)
	if n := l.journal.notes[key]; n != nil && (n.Revocation.Link == "" || n.Revocation.Before.Before(r.Before)) {
		n.Revocation = r
	}
	if e := l.l1.Entries[key]; e != nil && (e.About == nil || e.About.Before.Before(r.Before)) {
		e.About = r.Copied()
	}
	return err
}

func (l *local) hold(n *cache.Note, now time.Time) {
	ttl := time.Duration(n.Expires - now.UnixNano())
	if ttl < time.Millisecond || n.Intent == cache.ToDelete || n.Class == cache.Others && (l.direct || !kept(n.Key)) {
		return
	}
	e := l.l1.Live(n.Key, now.UnixNano())
	if e != nil && (n.Class == cache.Markers || cache.Merge(e.Value, n.Value) != cache.Replaces) {
		return
	}
	l.changed(n.Key)
	e = l.l1.Put(n.Key, n.Value, now, ttl)
	l.confirmed(e, now, false)
	if n.Revocation.Link != "" {
		e.About = n.Revocation.Copied()
	}
}

// wrote applies to memory a write that Redis acknowledged. Redis may report the change
// before the acknowledgement, and a change by another replica after it. If a change
// became known since q began, the entry is stale from the start.
func (l *local) wrote(c cache.Change, q inquiry, v cache.Verdict, now time.Time) {
	current := l.current(q)
	l.changed(c.Key)
	if v != cache.Remains {
		l.recent.put(c, now)
	}
	if n := l.journal.notes[c.Key]; n != nil && n.Class != cache.Revocations {
		l.journal.remove(n)
	}
	e := l.l1.Live(c.Key, now.UnixNano())
	if c.Op == cache.OpDelete {
		if e != nil {
			l.l1.Remove(e)
		}
		return
	}
	marker := c.Op == cache.OpAdd && strings.HasPrefix(c.Key, "j:")
	final := cache.KindOf(c.Value) == cache.RevokedRecord
	if !marker && !kept(c.Key) || l.direct && !marker && !final {
		if e != nil && e.On != l.l1.Revoked {
			l.l1.Remove(e)
		}
		return
	}
	if v == cache.Remains && e != nil && e.On == l.l1.Revoked || e != nil && cache.Merge(e.Value, c.Value) != cache.Replaces {
		return
	}
	e = l.l1.Put(c.Key, c.Value, now, c.TTL)
	e.WrittenAt = now.UnixNano()
	l.confirmed(e, now, current && !marker && v == cache.Replaces)
}

// apply applies a change here and notes it for Redis. It refuses leases, because other
// replicas would not know of them.
func (l *local) apply(c cache.Change, now time.Time) error {
	if strings.HasPrefix(c.Key, "l:") {
		return fmt.Errorf("%w: there is no lease without Redis", cache.ErrUnavailable)
	}
	held, known := l.held(c.Key, now.UnixNano())
	if err := permitted(&c, held, known); err != nil {
		return err
	}
	if c.Op == cache.OpAdd && l.l1.Forbidden(c.Value, now.UnixNano()) {
		return l.revokeForbidden(c, now)
	}
	n := &cache.Note{Key: c.Key, Value: c.Value, Expires: now.Add(c.TTL).UnixNano(), Since: now.UnixNano()}
	switch {
	case c.Op == cache.OpDelete:
		n.Intent = cache.ToDelete
		n.Expires = now.Add(cache.MaxTTL).UnixNano()
	case c.Op == cache.OpAdd && strings.HasPrefix(c.Key, "j:"):
		n.Intent = cache.ToAdd
	}
	dropped := l.journal.dropped
	ok := l.journal.put(n)
	if l.journal.dropped != dropped {
		l.journal.overflow = true
		l.work.kick()
	}
	full := fmt.Errorf("%w: the journal is full", cache.ErrUnavailable)
	if !ok && cache.KindOf(c.Value) != cache.RevokedRecord {
		return full
	}
	e := l.l1.Entries[c.Key]
	if c.Op == cache.OpDelete {
		if e != nil {
			l.l1.Remove(e)
		}
		return cache.ErrJournalled
	}
	e = l.l1.Put(c.Key, c.Value, now, c.TTL)
	l.confirmed(e, now, false)
	if !ok {
		return full // and still revoked here
	}
	return cache.ErrJournalled
}

// revokeForbidden revokes a record that came after its revocation. Redis may have stored
// it before the revocation was known here.
func (l *local) revokeForbidden(c cache.Change, now time.Time) error {
	value, ttl := cache.TombstoneOf(c.Value, now)
	if ttl >= time.Millisecond {
		_ = l.apply(cache.Change{Op: cache.OpSet, Key: c.Key, Value: value, TTL: ttl}, now)
	}
	return cache.ErrConflict
}

// permitted decides about a change by the values of this process, as Redis would. If the
// stored revocation covers more than the new one, the stored one is noted instead.
func permitted(c *cache.Change, held []byte, known bool) error {
	switch c.Op {
	case cache.OpAdd:
		if held != nil {
			return cache.ErrExists
		}
	case cache.OpCompare:
		if held == nil {
			_, err := answerHeld(nil, known)
			return err
		}
		return cache.Compare(held, c.Version, c.Value)
	case cache.OpSet:
		if held == nil {
			return nil
		}
		switch cache.Merge(held, c.Value) {
		case cache.Conflicts:
			return cache.ErrConflict
		case cache.Remains:
			c.Value = held
		}
	}
	return nil
}

func newLocal(o Options) *local {
	l1 := cache.NewLRU(o.Memory)
	l1.Unlisted = true // the index is in Redis; without it, few revocations search
	if o.JournalEntries <= 0 {
		o.JournalEntries = l1.MaxEntries
	}
	if o.JournalBytes <= 0 {
		o.JournalBytes = l1.MaxBytes.Load()
	}
	var r *recent
	if o.Redis.Server.Location != nil {
		r = newRecent()
	}
	return &local{
		recent: r, direct: o.Direct, ttl: int64(o.L1TTL), maxAge: int64(o.MaxL1Age), l1: l1, journal: newJournal(o.JournalEntries, o.JournalBytes),
		flights: map[string]*flight{}, tokens: map[string]*token{}, echoes: map[string]int{},
	}
}

// answerHeld returns the result of a read without Redis.
func answerHeld(held []byte, known bool) ([]byte, error) {
	if held != nil {
		return held, nil
	}
	if known {
		return nil, cache.ErrMiss
	}
	return nil, cache.ErrUnavailable
}
