package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// ErrGrantEnded is returned by a Refresher when the provider says that the refresh token
// is not valid, or not any more.
var ErrGrantEnded = errors.New("session: the provider ended the grant")

// ErrGrantSpent is returned by a Refresher when the refresh token may have been used up
// without a usable response. It must not be sent again.
var ErrGrantSpent = errors.New("session: the response to a token refresh was lost")

// A Refresher requests new tokens from the provider. It is safe for concurrent use, and
// is called with no lock held.
type Refresher interface {
	// Refresh returns s with new tokens, by one use of its refresh token. It returns
	// ErrGrantEnded, ErrGrantSpent, or any other error if the token was not used up and
	// may be used later.
	Refresh(ctx context.Context, s *Session) (*Session, error)
	// Discard is called with a refreshed session that came too late: the stored one was
	// ended meanwhile, and its new tokens are not used. It must return quickly.
	Discard(s *Session)
}

// An Event is the result of a token refresh.
type Event int

const (
	// Refreshed: the session has new tokens.
	Refreshed Event = iota
	// RefreshLost: the refresh token was used, and its response lost. The session goes on
	// without one, to its end.
	RefreshLost
	// RefreshRefused: the provider ended the grant, and the session ended with it.
	RefreshRefused
	// RefreshTooLate: the session was ended while its tokens were refreshed.
	RefreshTooLate
	// RefreshPutOff: it is tried again later.
	RefreshPutOff
	// NeverRefreshed: the tokens of a session that was opened are never refreshed. The
	// cause is ErrNoRefreshToken, ErrNoExpiry or ErrEndsBefore.
	NeverRefreshed
)

// An Observer receives events. It must return quickly, and may be called from several
// goroutines at once.
type Observer interface {
	// Observe receives the session's View.Subject and, if there is one, the cause.
	Observe(e Event, subject string, cause error)
}

// timing has upper limits. Tests change it.
type timing struct {
	early    time.Duration // for a request that waits for a refresh of tokens that are still valid
	late     time.Duration // for requests that wait for a refresh of tokens that are not
	passing  time.Duration // for which a session is served from memory during a refresh
	contend  time.Duration // for which this replica waits for another one
	provider time.Duration // for all requests to the provider
	store    time.Duration // for all writes after them
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

// maxWaiting bounds the requests that wait for one refresh. Further ones are served with
// the old tokens.
const maxWaiting = 1024

// A refresh is one attempt of this process to refresh the tokens of a session. It goes on
// without the requests that wait for it, and always releases them.
type refresh struct {
	m     *Manager
	p     opening // known is the session that was found due
	lease cache.Lease

	// The result, set before finish.
	opened *Opened // nil: the known session stays
	err    error   // ErrNone: there is no session any more
	wait   time.Duration
	store  bool // the store was unreachable
	unsure bool // the refresh token may be used up; the next attempt needs another owner name

	held   bool // the lease is to be given back
	unused bool // and the refresh token with it

	waiting []*waiter // guarded by Hot.Mu
	dropped bool      // guarded by Hot.Mu: the session was ended here meanwhile
}

// A waiter waits for the end of a refresh, or for the end of its patience. Its channel
// has room for both.
type waiter struct {
	ended chan bool // true at the end of the refresh, false at the end of the patience
}

// Run reports the end of the waiter's patience.
func (w *waiter) Run() {
	w.ended <- false
}

// current returns the session of a flight, with its tokens refreshed if that is due.
// While the tokens are valid, one request waits for the refresh, for a while, and the
// others pass. After that all wait.
func (m *Manager) current(ctx context.Context, f *flight, t ticket) (*Opened, error) {
	o := f.opened
	if f.err != nil || !o.plan.dueAt(m.o.Now()) {
		return o, f.err
	}
	r, w, patience := m.join(o, t)
	if w == nil {
		return o, nil
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	background.Done(waiting, w)
	over := <-w.ended
	cancel()
	switch {
	case over && r.err != nil:
		return nil, r.err
	case over && r.opened != nil && !r.dropped:
		return r.opened, nil
	}
	return m.still(ctx, o)
}

// still returns o to a request that waited for a newer one in vain, unless o ended
// meanwhile.
func (m *Manager) still(ctx context.Context, o *Opened) (*Opened, error) {
	b, err := m.o.Backend.Get(ctx, o.key)
	if errors.Is(err, cache.ErrMiss) || err == nil && !m.live(b) || m.o.Now().UnixNano() >= o.expiry {
		m.drop(o.key)
		return nil, errEnded
	}
	return o, nil
}

// live reports whether a record is of a session that has not ended.
func (m *Manager) live(record []byte) bool {
	h, _, err := cache.ParseRecord(record)
	return err == nil && h.State == cache.Live && m.o.Now().Before(h.Expiry)
}

// join returns the refresh of o's record, which it starts unless there is one, and a
// waiter for it with its patience. There is no waiter for a request that need not wait.
func (m *Manager) join(o *Opened, t ticket) (*refresh, *waiter, time.Duration) {
	now := m.o.Now()
	expired := now.UnixNano() >= o.plan.expires
	m.hot.Mu.Lock()
	m.passLocked(o, now)
	r := m.refreshes[o.key]
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
		r = &refresh{m: m, p: opening{value: o.value, key: o.key, epoch: m.epoch, ticket: t, known: o}}
		m.refreshes[o.key] = r
	}
	w := &waiter{ended: make(chan bool, 2)}
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

// wasPutOffLocked reports whether a refresh of o failed after o was read. A request may
// read o before that and come here after it.
func (m *Manager) wasPutOffLocked(o *Opened, now time.Time) bool {
	known := m.knownLocked(o.value)
	return known != nil && known.plan.due == o.plan.due && now.Before(known.plan.tried().retry)
}

// passLocked lets requests for o pass for a moment, while its tokens are valid, if memory
// holds o itself. Any other session there came of a change, and is read again.
func (m *Manager) passLocked(o *Opened, now time.Time) {
	if m.hot.Opened[o.value] != o || m.o.AlwaysRead {
		return
	}
	passing := *o
	passing.Until = now.Add(m.timing.passing)
	if expires := time.Unix(0, o.plan.expires); passing.Until.After(expires) {
		passing.Until = expires
	}
	if expiry := time.Unix(0, o.expiry); passing.Until.After(expiry) {
		passing.Until = expiry
	}
	m.hot.Opened[o.value] = &passing
}

// Run refreshes the tokens of the session.
func (r *refresh) Run() {
	defer r.finish()
	r.unsure = true // until the result is known; a panic leaves it unknown
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
		background.Pause(ctx, wait)
		if ctx.Err() != nil {
			r.putOff(ctx.Err())
			return
		}
		if wait *= 2; wait > r.m.timing.lastPoll {
			wait = r.m.timing.lastPoll
		}
	}
}

// finish hands the result of the refresh to the requests that wait.
func (r *refresh) finish() {
	m := r.m
	now := m.o.Now()
	m.hot.Mu.Lock()
	delete(m.refreshes, r.p.key)
	switch {
	case r.err != nil || r.dropped:
		m.dropLocked(r.p.key)
	case r.opened != nil:
		// Its Until is over, so that later changes are read.
		m.keepLocked(r.opened)
	default:
		r.putOffLocked(now)
	}
	waiting := r.waiting
	r.waiting = nil
	m.hot.Mu.Unlock()
	for _, w := range waiting {
		w.ended <- true
	}
	if r.held {
		r.release(r.unused)
	}
}

// putOffLocked stores the time of the next attempt with the session in memory.
func (r *refresh) putOffLocked(now time.Time) {
	known := r.m.knownLocked(r.p.value)
	if known == nil || known.plan.due != r.p.known.plan.due {
		return
	}
	owner := r.lease.Owner
	if r.unsure {
		owner = ""
	}
	later := *known
	later.plan = known.plan.putOff(now, r.wait, owner, r.store)
	r.m.replaceLocked(&later)
}

// putOff ends the attempt without an outcome.
func (r *refresh) putOff(cause error) {
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
func (r *refresh) adopt(s *Session, h cache.Header) {
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
var errEnded = fmt.Errorf("%w: it ended while its tokens were refreshed", ErrNone)

// gone ends the attempt where there is no session any more.
func (r *refresh) gone() {
	r.err = errEnded
}

func (r *refresh) observe(e Event, cause error) {
	if r.m.o.Observer != nil {
		r.m.o.Observer.Observe(e, r.p.known.Subject, cause)
	}
}
