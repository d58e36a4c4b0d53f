package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Owed is the data of a store that the next one may lack, class by class. Its notes are
// its own.
type Owed struct {
	Unsent [Classes][]*Note // missing in the shared store
	Held   [Classes][]*Note // present in it, now or earlier
}

// Settled returns nil also if the stored value outranks the one to be written.
func Settled(err error) error {
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) || errors.Is(err, ErrMiss) {
		return nil
	}
	return err
}

// ToSend lists the notes of a class that the next shared store is to get.
func (o *Owed) ToSend(c Class, s Scope) []*Note {
	if c == Others && s == ofAnother {
		return nil
	}
	notes := append([]*Note{}, o.Unsent[c]...)
	if c == Others && s != OfLost && s != ofAll {
		return notes
	}
	for _, n := range o.Held[c] {
		// The same data set has revoked its records already.
		n.Known = s == OfSame
		notes = append(notes, n)
	}
	return notes
}

// An Identity distinguishes data sets and runs of a Redis server.
type Identity struct {
	Run     string // of the server process; empty where INFO is forbidden
	DataSet string // of the data set
	Evicts  string // the policy by which Redis may evict keys; empty if it does not
}

// A Store is a Backend that another one can replace: see TakeOver.
type Store interface {
	Backend
	// Transfer returns the object by which the store takes over and hands over. It is
	// always the same.
	Transfer() Transfer
}

// A Transfer takes over the data of the store before, and hands its own data to the next
// one.
type Transfer interface {
	// DataSet returns the place of the store's records. With fresh it queries Redis.
	DataSet(ctx context.Context, fresh bool) (DataSet, error)
	// Owed lists the data of the store.
	Owed() *Owed
	// Take takes over the data of another store. It returns nil when the shared store has
	// all of it.
	Take(ctx context.Context, o *Owed, s Scope) error
	// Inherit applies a change that was made in another store, and InheritAll
	// revocations.
	Inherit(c Change) error
	InheritAll(revocations []Revocation) error
	// Following returns the stores that replace this one.
	Following() *Followers
}

// A DataSet is the place of a store's records.
type DataSet struct {
	memory bool   // only in this process
	Met    bool   // Redis has responded once
	Place  string // of the server: address, database and prefix
	ID     Identity
}

// A Scope selects the data that the next store takes over. Revocations and replay markers
// are always included.
type Scope int

const (
	// ofAnother data set: nothing else, because sessions stay where they are.
	ofAnother Scope = iota
	// ofFlushed data set: also the records made since then in an outage.
	ofFlushed
	// OfSame data set: also the records that the shared store does not have yet.
	OfSame
	// OfLost: Redis lost its data, and gets every record that is held.
	OfLost
	// ofAll: every record that is held. The Redis server may lag behind the one before,
	// as after a failover, or the store before was memory.
	ofAll
)

// scopeOf compares the data set of a store with that of the next one. A store that never
// reached its Redis server has the data set of the next one.
func scopeOf(before, next DataSet) Scope {
	switch {
	case before.memory:
		return ofAll
	case !before.Met:
		return OfSame
	case next.memory:
		return ofAnother
	case before.ID.DataSet == next.ID.DataSet && before.ID.Run == next.ID.Run && before.Place == next.Place:
		return OfSame
	case before.ID.DataSet == next.ID.DataSet:
		return ofAll
	case before.Place != next.Place:
		return ofAnother
	case before.ID.Run == next.ID.Run && next.ID.Run != "":
		return ofFlushed
	}
	return OfLost
}

// A Handover passes changes from a store to the one that replaced it. They come from
// requests that began before.
type Handover struct {
	of *Followers
	to *follower
}

// TakeOver lets next take over the data of before that next may lack: its revocations and
// replay markers. Within one data set it also takes over the sessions that the shared
// store does not have yet. It returns nil when the shared store of next has all of it, so
// that next may serve.
//
// From the beginning, and until the Handover ends, changes of before are passed on to
// next, so that none is lost between the two. A change that before has acknowledged is in
// next as well.
//
// Any number of calls for the same two stores may run: one does the work. After an error
// nothing is handed over any more, and the call can be repeated. If before replaced next
// earlier, next passes nothing on to it any more.
func TakeOver(ctx context.Context, before, next Store) (*Handover, error) {
	to, err := next.Transfer().DataSet(ctx, true)
	if err != nil {
		return nil, err
	}
	from, err := before.Transfer().DataSet(ctx, false)
	if err != nil {
		return nil, err
	}
	of := before.Transfer().Following()
	h := &Handover{of: of, to: of.join(next.Transfer(), scopeOf(from, to))}
	if err := h.complete(ctx, before.Transfer()); err != nil {
		h.End()
		return nil, fmt.Errorf("cache: take over the data of the store before: %w", err)
	}
	next.Transfer().Following().drop(of)
	return h, nil
}

// complete lets the next store take the data of the one before, unless it did.
func (h *Handover) complete(ctx context.Context, before Transfer) error {
	h.to.turn <- struct{}{}
	defer h.to.rest()
	s, done := h.of.begin(h.to)
	if done {
		return nil
	}
	if err := h.to.next.Take(ctx, before.Owed(), s); err != nil {
		return err
	}
	return h.of.finish(h.to)
}

// End ends the handover: no more changes are passed on to next.
func (h *Handover) End() {
	h.of.leave(h.to)
}

// A follower is a store that replaces another one.
type follower struct {
	next Transfer
	turn chan struct{} // of size one, full while it takes over the data of the other one

	// The lock of followers guards the fields below.
	scope  Scope
	uses   int
	done   bool // it has taken over the data of the other one
	missed bool // a change that was passed on to it was not taken
}

// rest lets another goroutine have it take over.
func (x *follower) rest() {
	<-x.turn
}

// Followers are the stores that replace one.
type Followers struct {
	mu   sync.Mutex // guards list
	list []*follower
}

// join adds a use of next.
func (f *Followers) join(next Transfer, s Scope) *follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.list {
		if x.next.Following() == next.Following() {
			x.uses++
			if !x.done {
				x.scope = s
			}
			return x
		}
	}
	x := &follower{next: next, turn: make(chan struct{}, 1), scope: s, uses: 1}
	list := make([]*follower, 0, len(f.list)+1)
	list = append(list, f.list...)
	f.list = append(list, x)
	return x
}

// leave ends a use of x.
func (f *Followers) leave(x *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.uses--
	if x.uses <= 0 {
		f.removeLocked(x)
	}
}

// drop ends all uses of a store that follows.
func (f *Followers) drop(one *Followers) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.list {
		if x.next.Following() == one {
			f.removeLocked(x)
		}
	}
}

func (f *Followers) removeLocked(x *follower) {
	var kept []*follower
	for _, other := range f.list {
		if other != x {
			kept = append(kept, other)
		}
	}
	f.list = kept
}

// Clear ends all uses.
func (f *Followers) Clear() {
	f.mu.Lock()
	f.list = nil
	f.mu.Unlock()
}

// begin returns the scope of the data that x takes over, and whether x has taken it.
func (f *Followers) begin(x *follower) (Scope, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.missed = false
	return x.scope, x.done
}

// finish records that x has taken over the data, unless it missed a change meanwhile.
func (f *Followers) finish(x *follower) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.done = !x.missed
	if x.missed {
		return fmt.Errorf("%w: a change during the takeover was not taken", ErrUnavailable)
	}
	return nil
}

// A reached store follows directly, or through others that follow.
type reached struct {
	x    *follower
	of   *Followers
	same bool // all the way within one data set
	all  bool // its server replicates no change, so that it gets each one
}

// direct lists the stores that follow directly.
func (f *Followers) direct(same, all bool) []reached {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []reached
	for _, x := range f.list {
		found = append(found, reached{x: x, of: f, same: same && x.scope != ofAnother, all: all && x.scope == ofAll})
	}
	return found
}

// Pass passes a change that ended with err on to the followers. It returns the result for
// the caller: a revocation that one of them did not take is not applied.
func (f *Followers) Pass(c Change, err error) error {
	return f.spread(message{c: c, final: KindOf(c.Value) == RevokedRecord}, err)
}

// PassLease sends a lease to the stores that follow, so that no other holder uses the grant.
func (f *Followers) PassLease(l Lease) {
	_ = f.Pass(Change{Op: OpSet, Key: l.UsedKey(), Value: []byte(l.Used()), TTL: l.Keep}, nil)
	_ = f.Pass(Change{Op: OpSet, Key: l.Key(), Value: []byte(l.Owner), TTL: l.TTL}, nil)
}

// PassEnd removes a key from the stores that follow.
func (f *Followers) PassEnd(key string) {
	_ = f.Pass(Change{Op: OpDelete, Key: key, TTL: time.Second}, nil)
}

// PassAll is Pass for revocations.
func (f *Followers) PassAll(revocations []Revocation, err error) error {
	if len(revocations) == 0 {
		return err
	}
	return f.spread(message{revocations: revocations, final: true}, err)
}

// A message is a change, or revocations, for the followers.
type message struct {
	c           Change
	revocations []Revocation
	final       bool // it revokes
}

// concerns reports whether a follower gets m, which ended with err. Another data set gets
// only revocations and used values.
func (m message) concerns(same bool, err error) bool {
	marker := m.c.Op == OpAdd && strings.HasPrefix(m.c.Key, "j:")
	return m.final || marker || same && errors.Is(err, ErrJournalled)
}

func (m message) send(next Transfer) error {
	if m.revocations != nil {
		return next.InheritAll(m.revocations)
	}
	return next.Inherit(m.c)
}

// spread sends m to every follower, each once, because a store may follow one that
// follows it. It lists the followers of a store after that store was sent m. So a store
// that begins to follow meanwhile is sent m or finds it there.
func (f *Followers) spread(m message, err error) error {
	if !Applied(err) {
		return err
	}
	seen := []*Followers{f}
	waiting := f.direct(true, true)
	ended := err
	for at := 0; at < len(waiting); at++ {
		to := waiting[at]
		beyond := to.x.next.Following()
		if within(seen, beyond) {
			continue
		}
		seen = append(seen, beyond)
		if to.all || m.concerns(to.same, err) {
			failed := to.of.heard(to.x, m.send(to.x.next))
			if m.final && failed != nil {
				ended = failed
			}
		}
		waiting = append(waiting, beyond.direct(to.same, to.all)...)
	}
	return ended
}

func within(list []*Followers, one *Followers) bool {
	for _, f := range list {
		if f == one {
			return true
		}
	}
	return false
}

// heard records the result of sending x a change. It returns an error if x did not take
// the change and had taken over everything else. Before that, x takes over everything
// again. A change that x has journalled is its own to send on.
func (f *Followers) heard(x *follower, failed error) error {
	if Applied(failed) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x.missed = true
	if x.done {
		return failed
	}
	return nil
}
