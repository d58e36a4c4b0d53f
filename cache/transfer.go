package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Owed is what a store knows that the next one may not, class by class. Its notes are
// its own.
type Owed struct {
	Unsent [Classes][]*Note // what the shared store does not have yet
	Held   [Classes][]*Note // what it has, or had
}

// Settled is nil too where what is stored outranks what was to be.
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
		// The same data set has what the revocation was about.
		n.Known = s == OfSame
		notes = append(notes, n)
	}
	return notes
}

// An Identity tells data sets and runs of a server apart.
type Identity struct {
	Run     string // of the server process; empty where INFO is forbidden
	DataSet string // of the data set
	Evicts  string // the policy by which the server may evict keys; empty if it does not
}

// A Store is a Backend in whose place another one can step: see TakeOver.
type Store interface {
	Backend
	// Transfer returns how the store takes over and hands over. It is always the same.
	Transfer() Transfer
}

// A Transfer is how a store takes over the data of the one before, and hands its own
// data to the next.
type Transfer interface {
	// DataSet tells where the store keeps its records; fresh has the server asked.
	DataSet(ctx context.Context, fresh bool) (DataSet, error)
	// Owed lists what the store knows.
	Owed() *Owed
	// Take takes over what another store knows. It is nil when the shared store has
	// all of it.
	Take(ctx context.Context, o *Owed, s Scope) error
	// Inherit applies a change that was made in another store, and InheritAll
	// revocations.
	Inherit(c Change) error
	InheritAll(revocations []Revocation) error
	// Following returns the stores that take the place of this one.
	Following() *Followers
}

// A DataSet is where a store keeps its records.
type DataSet struct {
	memory bool   // in this process alone
	Met    bool   // the server has answered once
	Place  string // of the server: address, database and prefix
	ID     Identity
}

// A Scope is how much of what a store knows the next one takes over. Revocations and
// replay markers always go over.
type Scope int

const (
	// ofAnother data set: nothing else, because sessions stay where they are.
	ofAnother Scope = iota
	// ofFlushed data set: what was made since in an outage too.
	ofFlushed
	// OfSame data set: what the shared store does not have yet too.
	OfSame
	// OfLost: the server lost its data, and gets every record that is held.
	OfLost
	// ofAll: the server may lag behind the one before, as after a failover, or the store
	// before was memory. It gets every record that is held.
	ofAll
)

// scopeOf compares the data set of a store with that of the next one. A store that
// never reached its server has made no other data set than the one that is to be.
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

// A Handover is what is between a store and the one that took its place: whatever the
// former is still told, by whoever began before, it tells the latter.
type Handover struct {
	of *Followers
	to *follower
}

// TakeOver lets next take over what before knows and next may not: its revocations
// and replay markers, and within one data set also the sessions that the shared store
// has not got yet. It is nil when the shared store of next has all of it, so that next
// may serve. From the beginning, and until the Handover ends, next is told too of
// what before is told, so that nothing falls between; a change that before has
// acknowledged next has as well.
//
// Any number of calls for the same two stores may run: one does the work. After an
// error nothing is handed over any more, and the call can be repeated. Where before
// took the place of next earlier, next tells it nothing any more.
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
	h := &Handover{of: of, to: of.join(next.Transfer(), scopeOf(from, to), from.memory)}
	if err := h.complete(ctx, before.Transfer()); err != nil {
		h.End()
		return nil, fmt.Errorf("cache: taking over what the store before knows: %w", err)
	}
	next.Transfer().Following().drop(of)
	return h, nil
}

// complete has the next store take what the one before knows, unless it did.
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

// End ends the handover: next is told of nothing more.
func (h *Handover) End() {
	h.of.leave(h.to)
}

// A follower is a store that takes the place of another one.
type follower struct {
	next Transfer
	turn chan struct{} // of size one, full while it takes over what the other one knows

	// The lock of followers guards the fields below.
	scope  Scope
	memory bool // the other one is memory
	uses   int
	done   bool // it has taken over what the other one knew
	missed bool // something that it was told it did not take
}

// rest lets somebody else have it take over.
func (x *follower) rest() {
	<-x.turn
}

// Followers are the stores that take the place of one.
type Followers struct {
	mu   sync.Mutex // guards list
	list []*follower
}

// join adds a use of next.
func (f *Followers) join(next Transfer, s Scope, memory bool) *follower {
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
	x := &follower{next: next, turn: make(chan struct{}, 1), scope: s, memory: memory, uses: 1}
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

// begin returns how much x has to take over, and whether it has.
func (f *Followers) begin(x *follower) (Scope, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.missed = false
	return x.scope, x.done
}

// finish notes that x has taken over what there was, unless it missed what came
// meanwhile.
func (f *Followers) finish(x *follower) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.done = !x.missed
	if x.missed {
		return fmt.Errorf("%w: what came meanwhile was not taken", ErrUnavailable)
	}
	return nil
}

// A reached store is one that follows, or that follows one that does.
type reached struct {
	x    *follower
	of   *Followers
	same bool // all the way within one data set
	all  bool // from memory: it has every change
}

// direct lists those who follow directly.
func (f *Followers) direct(same, all bool) []reached {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []reached
	for _, x := range f.list {
		found = append(found, reached{x: x, of: f, same: same && x.scope != ofAnother, all: all && x.memory})
	}
	return found
}

// Pass tells those who follow of a change that ended so. It returns how it ended: a
// revocation that one of them did not take is not applied.
func (f *Followers) Pass(c Change, err error) error {
	return f.spread(message{c: c, final: KindOf(c.Value) == RevokedRecord}, err)
}

// PassAll is pass for revocations.
func (f *Followers) PassAll(revocations []Revocation, err error) error {
	if len(revocations) == 0 {
		return err
	}
	return f.spread(message{revocations: revocations, final: true}, err)
}

// A message is a change, or revocations, of which those who follow are told.
type message struct {
	c           Change
	revocations []Revocation
	final       bool // it revokes
}

// concerns reports whether a follower has to know of m, which ended so: of what
// another data set has only what revokes, and what was used.
func (m message) concerns(same bool, err error) bool {
	mark := m.c.Op == OpAdd && strings.HasPrefix(m.c.Key, "j:")
	return m.final || mark || same && errors.Is(err, ErrJournalled)
}

func (m message) tell(next Transfer) error {
	if m.revocations != nil {
		return next.InheritAll(m.revocations)
	}
	return next.Inherit(m.c)
}

// spread tells everyone who follows, each once: a store may follow one that follows
// it. The follower of a store is asked after that was told, so that one that begins to
// meanwhile either is told or finds it there.
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
			failed := to.of.heard(to.x, m.tell(to.x.next))
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

// heard notes how x took what it was told. It returns an error when x did not take it
// and had taken over everything else: before, it is asked to take all over again. What
// x has journalled is its own to send on.
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
