package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// ErrGrantEnded is returned by a Refresher when the provider says that the refresh
// token is not valid, or not any more.
var ErrGrantEnded = errors.New("session: the provider ended the grant")

// ErrGrantSpent is returned by a Refresher when the refresh token may have been used up
// without a usable answer: it must not be sent again.
var ErrGrantSpent = errors.New("session: the answer to a renewal was lost")

// A Refresher asks the provider for new tokens. It is safe for concurrent use, and is
// called with no lock held.
type Refresher interface {
	// Refresh returns what s becomes, by one use of its refresh token: ErrGrantEnded,
	// ErrGrantSpent, or, after any other error, the token was not used up and may be
	// used later.
	Refresh(ctx context.Context, s *Session) (*Session, error)
	// Discard is told of a renewed session that came too late: what it was made
	// from was ended meanwhile, and nobody will use its tokens. It must return
	// quickly.
	Discard(s *Session)
}

// An Event is what became of a renewal.
type Event int

const (
	// Refreshed: the session has new tokens.
	Refreshed Event = iota
	// RefreshLost: the refresh token was used, and its answer lost. The session goes
	// on without one, to its end.
	RefreshLost
	// RefreshRefused: the provider ended the grant, and the session ended with it.
	RefreshRefused
	// RefreshTooLate: the session was ended while it was being renewed.
	RefreshTooLate
	// RefreshPutOff: it is tried again later.
	RefreshPutOff
	// NeverRefreshed: a session was opened whose tokens are never refreshed. The cause
	// is ErrNoRefreshToken, ErrNoExpiry or ErrEndsBefore.
	NeverRefreshed
)

// An Observer is told of events. It must return quickly, and may be called from
// several goroutines at once.
type Observer interface {
	// Observe is told the session's View.Subject and, where there is one, the cause.
	Observe(e Event, subject string, cause error)
}

// timing is how long things take at most. Tests change it.
type timing struct {
	early    time.Duration // that a request waits for a renewal of tokens that are still good
	late     time.Duration // that requests wait for one of tokens that are not
	passing  time.Duration // that a session is served from memory while it is being renewed
	contend  time.Duration // that this replica waits for another one
	provider time.Duration // for all that is asked of the provider
	store    time.Duration // for all that is written then
	lease    time.Duration
	prolong  time.Duration
	poll     time.Duration // the first wait for another replica; doubles up to lastPoll
	lastPoll time.Duration
}

func usualTiming() timing {
	return timing{
		early: 2 * time.Second, late: 25 * time.Second, passing: time.Second, contend: 40 * time.Second,
		provider: 45 * time.Second, store: 10 * time.Second, lease: 6 * time.Second, prolong: 2 * time.Second,
		poll: 50 * time.Millisecond, lastPoll: 250 * time.Millisecond,
	}
}

// maxWaiting bounds the requests that wait for one renewal. More of them are served
// what there is.
const maxWaiting = 1024

// A renewal is one attempt of this process to renew a session. It goes on without
// those who wait for it, and lets go of them whatever happens.
type renewal struct {
	m     *Manager
	p     opening // known is what was found due
	lease cache.Lease

	// What came of it, set before finish.
	opened *Opened // nil: what was known stays
	err    error   // ErrNone: there is no session any more
	wait   time.Duration
	store  bool // it was the store that could not be asked
	unsure bool // the refresh token may be used up: who tries again must not count as the same

	held   bool // the lease is to be given back
	unused bool // and the refresh token with it

	waiting []*waiter // guarded by Hot.Mu
	dropped bool      // guarded by Hot.Mu: the session was ended here meanwhile
}

// A waiter waits for the end of a renewal, or of its own patience. Its channel has
// room for both.
type waiter struct {
	told chan bool // whether the renewal is over
}

// Run tells that the waiter's patience is over.
func (w *waiter) Run() {
	w.told <- false
}

// current returns what a flight brought, renewed if that is due. While the tokens are
// good still, one request sees to it, for a while, and the others pass; then all wait.
func (m *Manager) current(ctx context.Context, f *flight, t ticket) (*Opened, error) {
	o := f.opened
	if f.err != nil || !o.renewal.dueAt(m.o.Now()) {
		return o, f.err
	}
	r, w, patience := m.board(o, t)
	if w == nil {
		return o, nil
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	background.Done(waiting, w)
	over := <-w.told
	cancel()
	switch {
	case over && r.err != nil:
		return nil, r.err
	case over && r.opened != nil && !r.dropped:
		return r.opened, nil
	}
	return m.still(ctx, o)
}

// still returns o, which somebody waited for something better than, unless it ended
// meanwhile.
func (m *Manager) still(ctx context.Context, o *Opened) (*Opened, error) {
	b, err := m.o.Backend.Get(ctx, o.key)
	if errors.Is(err, cache.ErrMiss) || err == nil && !m.live(b) || m.o.Now().UnixNano() >= o.expiry {
		m.drop(o.key)
		return nil, errEnded
	}
	return o, nil
}

// live reports whether a record is that of a session that has not ended.
func (m *Manager) live(record []byte) bool {
	h, _, err := cache.ParseRecord(record)
	return err == nil && h.State == cache.Live && m.o.Now().Before(h.Expiry)
}

// board returns the renewal of o's record, which it starts unless there is one, and
// a waiter for it with its patience; no waiter for who need not wait.
func (m *Manager) board(o *Opened, t ticket) (*renewal, *waiter, time.Duration) {
	now := m.o.Now()
	expired := now.UnixNano() >= o.renewal.expires
	m.hot.Mu.Lock()
	m.passLocked(o, now)
	r := m.renewals[o.key]
	first := r == nil
	if first && m.wasPutOffLocked(o, now) {
		m.hot.Mu.Unlock()
		return nil, nil, 0
	}
	if !first && (!expired || len(r.waiting) >= maxWaiting) {
		m.hot.Mu.Unlock()
		return r, nil, 0
	}
	if first {
		r = &renewal{m: m, p: opening{value: o.value, key: o.key, epoch: m.epoch, ticket: t, known: o}}
		m.renewals[o.key] = r
	}
	w := &waiter{told: make(chan bool, 2)}
	r.waiting = append(r.waiting, w)
	m.hot.Mu.Unlock()
	if first {
		background.Start(r)
	}
	if expired {
		return r, w, m.timing.late
	}
	return r, w, m.timing.early
}

// wasPutOffLocked reports whether a renewal of o failed after o was read: a request
// may have come to know o before, and come here after.
func (m *Manager) wasPutOffLocked(o *Opened, now time.Time) bool {
	known := m.knownLocked(o.value)
	return known != nil && known.renewal.due == o.renewal.due && now.Before(known.renewal.tried().retry)
}

// passLocked lets requests for o pass for a moment, while its tokens are good, if o
// is what memory holds: anything else came of a change, and is asked for again.
func (m *Manager) passLocked(o *Opened, now time.Time) {
	if m.hot.Opened[o.value] != o || m.o.AlwaysAsk {
		return
	}
	passing := *o
	passing.Until = now.Add(m.timing.passing)
	if expires := time.Unix(0, o.renewal.expires); passing.Until.After(expires) {
		passing.Until = expires
	}
	if expiry := time.Unix(0, o.expiry); passing.Until.After(expiry) {
		passing.Until = expiry
	}
	m.hot.Opened[o.value] = &passing
}

// Run renews the session.
func (r *renewal) Run() {
	defer r.finish()
	r.unsure = true // until something else is known: a panic tells nothing
	if err := r.prepare(); err != nil {
		r.putOff(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.m.timing.contend)
	defer cancel()
	wait := r.m.timing.poll
	for {
		version := r.lease.Version
		if r.step(ctx) {
			return
		}
		if r.lease.Version != version {
			continue
		}
		rest(ctx, wait)
		if ctx.Err() != nil {
			r.putOff(ctx.Err())
			return
		}
		if wait *= 2; wait > r.m.timing.lastPoll {
			wait = r.m.timing.lastPoll
		}
	}
}

// rest returns after d, or when ctx is done.
func rest(ctx context.Context, d time.Duration) {
	timed, cancel := context.WithTimeout(ctx, d)
	<-timed.Done()
	cancel()
}

// finish tells who waits what came of the renewal.
func (r *renewal) finish() {
	m := r.m
	now := m.o.Now()
	m.hot.Mu.Lock()
	delete(m.renewals, r.p.key)
	switch {
	case r.err != nil || r.dropped:
		m.dropLocked(r.p.key)
	case r.opened != nil:
		// Its Until is over: what changed since it was written is to be asked for.
		m.keepLocked(r.opened)
	default:
		r.putOffLocked(now)
	}
	waiting := r.waiting
	r.waiting = nil
	m.hot.Mu.Unlock()
	for _, w := range waiting {
		w.told <- true
	}
	if r.held {
		r.release(r.unused)
	}
}

// putOffLocked notes with what memory holds of the session when it is tried again.
func (r *renewal) putOffLocked(now time.Time) {
	known := r.m.knownLocked(r.p.value)
	if known == nil || known.renewal.due != r.p.known.renewal.due {
		return
	}
	owner := r.lease.Owner
	if r.unsure {
		owner = ""
	}
	later := *known
	later.renewal = known.renewal.putOff(now, r.wait, owner, r.store)
	r.m.replaceLocked(&later)
}

// putOff ends the attempt without an outcome.
func (r *renewal) putOff(cause error) {
	r.store = errors.Is(cause, cache.ErrUnavailable) || errors.Is(cause, ErrUnavailable)
	if r.m.o.RetryAfter != nil && !r.store {
		r.wait = r.m.o.RetryAfter()
	}
	if r.wait > lastPause {
		r.wait = lastPause
	}
	r.observe(RefreshPutOff, cause)
}

// adopt ends the attempt with a session that is stored.
func (r *renewal) adopt(s *Session, h cache.Header) {
	o := r.m.present(r.p, s, h)
	if r.m.o.Now().UnixNano() >= o.expiry {
		r.gone() // here
		return
	}
	r.m.setPlan(o, s, r.p.ticket, nil)
	if s.RefreshToken != "" { // its loss has an event of its own
		r.m.reportNever(o, r.p.known)
	}
	r.opened = o
}

// errEnded is an ErrNone.
var errEnded = fmt.Errorf("%w: it ended while it was being renewed", ErrNone)

// gone ends the attempt where there is no session any more.
func (r *renewal) gone() {
	r.err = errEnded
}

func (r *renewal) observe(e Event, cause error) {
	if r.m.o.Observer != nil {
		r.m.o.Observer.Observe(e, r.p.known.Subject, cause)
	}
}
