package hybrid

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// local is what this process holds (L1) and what L2 does not have yet (the journal).
// The lock of the Hybrid guards it.
type local struct {
	direct  bool  // reads are L2's
	maxAge  int64 // the age at which a value is asked again although changes arrive, in ns
	ttl     int64 // the age at which a value is asked again while changes do not arrive, in ns
	l1      *cache.LRU
	journal *journal
	work    *worker // brings the journal to L2
	recent  *recent // nil: L2 is one server, which forgets no write that it confirmed

	epoch   uint64             // counts what made everything stale
	flights map[string]*flight // reads under way that others may join
	tokens  map[string]*token  // keys being read or written
	echoes  map[string]int     // of changes made here, which the server will tell of
}

// held is the value that this process has for key, whether L2 knows it or
// not. True with a nil value says that the key was deleted here.
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

// present makes an empty value differ from none.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// fill takes over what L2 has, and returns what counts.
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

// confirmed notes that e is what L2 had at now, or what it is to have.
func (l *local) confirmed(e *cache.Entry, now time.Time, current bool) {
	e.Epoch = l.epoch
	e.Asked = now.UnixNano()
	e.Stale = !current
}

// remaining is how long L1 may hold a value that L2 returned: records
// carry their expiry; other values keep the one that they are held with, if any.
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

// repair has a record written again that L2 had, or is to get, in a higher
// state than it has now, as after a failover.
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

// buryEntries revokes records that are held here, here and in the journal. The
// error is ErrJournalled if there were any.
func (l *local) buryEntries(covered []*cache.Entry, now time.Time) ([]string, error) {
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

// noteHere notes r here and in the journal.
func (l *local) noteHere(r cache.Revocation, now time.Time) error {
	key := cache.NoteKey(r.Mark)
	err := l.apply(cache.Change{Op: cache.OpSet, Key: key, Value: r.Note(now), TTL: r.TTL}, now)
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

// wrote brings L1 up to what L2 acknowledged. The server's own word of the
// change can come before its acknowledgement, and another's change after ours:
// if anything became known since q began, the entry is stale from the start.
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
	mark := c.Op == cache.OpAdd && strings.HasPrefix(c.Key, "j:")
	final := cache.KindOf(c.Value) == cache.RevokedRecord
	if !mark && !kept(c.Key) || l.direct && !mark && !final {
		if e != nil && e.On != l.l1.Revoked {
			l.l1.Remove(e)
		}
		return
	}
	if v == cache.Remains && e != nil && e.On == l.l1.Revoked || e != nil && cache.Merge(e.Value, c.Value) != cache.Replaces {
		return
	}
	e = l.l1.Put(c.Key, c.Value, now, c.TTL)
	l.confirmed(e, now, current && !mark && v == cache.Replaces)
}

// apply applies a change here and notes it for L2. A lease that only this
// process knew of would be none.
func (l *local) apply(c cache.Change, now time.Time) error {
	if strings.HasPrefix(c.Key, "l:") {
		return fmt.Errorf("%w: no lease", cache.ErrUnavailable)
	}
	held, known := l.held(c.Key, now.UnixNano())
	if err := permitted(&c, held, known); err != nil {
		return err
	}
	if c.Op == cache.OpAdd && l.l1.Forbidden(c.Value, now.UnixNano()) {
		return l.bury(c, now)
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
	full := fmt.Errorf("%w: journal full", cache.ErrUnavailable)
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
		return full // and yet revoked here
	}
	return cache.ErrJournalled
}

// bury revokes a record that L2 may have got before it was known here that a
// revocation came first.
func (l *local) bury(c cache.Change, now time.Time) error {
	value, ttl := cache.TombstoneOf(c.Value, now)
	if ttl >= time.Millisecond {
		_ = l.apply(cache.Change{Op: cache.OpSet, Key: c.Key, Value: value, TTL: ttl}, now)
	}
	return cache.ErrConflict
}

// permitted decides about a change by what this process holds, as L2 would.
// Where the stored revocation says more than the new one, it is noted instead.
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
	l1.Unlisted = true // the index is L2's; without it, few revocations search
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

// answerHeld answers from this process alone.
func answerHeld(held []byte, known bool) ([]byte, error) {
	if held != nil {
		return held, nil
	}
	if known {
		return nil, cache.ErrMiss
	}
	return nil, cache.ErrUnavailable
}
