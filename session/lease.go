package session

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

// writeAttempts bounds the attempts to write a refreshed session. There are several,
// because a refresh token was used for it.
const writeAttempts = 8

// prepare fills in the lease that the refresh needs. Until this replica has used the
// refresh token, it keeps its owner name towards the others.
func (r *refresh) prepare() error {
	known := r.p.known
	tried := known.plan.tried()
	owner := tried.owner
	if owner == "" {
		b, err := random(12)
		if err != nil {
			return err
		}
		owner = base64.RawURLEncoding.EncodeToString(b)
	}
	r.lease = cache.Lease{
		Record: r.p.key, Version: known.version, Grant: tried.grant, Owner: owner,
		TTL: r.m.timing.lease, Keep: time.Unix(0, known.end).Sub(r.m.o.Now()),
	}
	if r.lease.Keep < r.lease.TTL {
		r.lease.Keep = r.lease.TTL
	}
	return nil
}

// step acquires the lease and refreshes the tokens. It returns false if the lease has to
// be requested again: another replica has it, or the record changed.
func (r *refresh) step(ctx context.Context) bool {
	b, err := r.m.o.Backend.Acquire(ctx, r.lease)
	switch {
	case err == nil:
		r.hold(b)
	case errors.Is(err, cache.ErrExists) || errors.Is(err, cache.ErrConflict):
		return r.look(b)
	case errors.Is(err, cache.ErrSpent):
		r.goOnWithout(b)
	case errors.Is(err, cache.ErrMiss):
		r.gone()
	default:
		// The lease may have been given all the same.
		r.release(true)
		r.unsure = false
		r.putOff(err)
	}
	return true
}

// look handles the record that the store has by now. If its tokens were refreshed, or it
// ended, this refresh is over. A record that was only touched is refreshed in its new
// version.
func (r *refresh) look(b []byte) bool {
	if b == nil {
		return false
	}
	s, h, err := r.m.parse(r.p.ticket, b)
	if err != nil {
		r.gone()
		return true
	}
	if h.Version == r.lease.Version {
		return false
	}
	if h.Version < r.lease.Version {
		// The store was restored: the tokens of its record were refreshed already.
		r.putOff(cache.ErrConflict)
		return true
	}
	due, _ := r.m.due(s)
	if due.IsZero() || r.m.o.Now().Before(due) {
		r.adopt(s, h)
		return true
	}
	r.lease.Version = h.Version
	r.lease.Grant = r.p.ticket.grant(s)
	return false
}

// hold refreshes the tokens while the lease keeps others away.
func (r *refresh) hold(b []byte) {
	s, h, err := r.m.parse(r.p.ticket, b)
	if err != nil {
		r.release(true)
		r.gone()
		return
	}
	if h.Version != r.lease.Version {
		// The session held here is ahead of the store, and has another refresh token.
		r.release(true)
		r.putOff(cache.ErrUnavailable)
		return
	}
	beat := startHeartbeat(r.m, r.lease)
	defer beat.stop()
	ctx, cancel := context.WithTimeout(context.Background(), r.m.timing.provider)
	defer cancel()
	next, err := r.m.o.Refresher.Refresh(ctx, s)
	unused := false
	switch {
	case err == nil:
		refreshed := *next
		refreshed.Refreshed = r.m.o.Now()
		r.write(change{from: s, to: &refreshed, header: h, came: true})
	case errors.Is(err, ErrGrantSpent):
		r.forgetGrant(s, h, err)
	case errors.Is(err, ErrGrantEnded):
		unused = r.endUnlessRefreshed(s, err)
	default:
		unused = true
		r.putOff(err)
	}
	r.unsure = !unused
	r.held = true
	r.unused = unused
}

// release gives the lease back. A lease that is not given back ends by itself.
func (r *refresh) release(unused bool) {
	ctx, cancel := context.WithTimeout(context.Background(), r.m.timing.store)
	_ = r.m.o.Backend.Release(ctx, r.lease, unused)
	cancel()
}

// goOnWithout handles a session with a refresh token that was used by a holder that is
// gone. The result of that use is unknown, so the token is not used again.
func (r *refresh) goOnWithout(b []byte) {
	s, h, err := r.m.parse(r.p.ticket, b)
	if b == nil {
		s, h, err = r.fresh()
	}
	switch {
	case errors.Is(err, ErrNone):
		r.gone()
	case err != nil:
		r.putOff(err)
	default:
		r.forgetGrant(s, h, ErrGrantSpent)
	}
}

// forgetGrant stores the session without its refresh token, so that no replica uses it
// again. Its claims serve on.
func (r *refresh) forgetGrant(s *Session, h cache.Header, cause error) {
	bare := *s
	bare.RefreshToken = ""
	if r.write(change{from: s, to: &bare, header: h}) {
		r.observe(RefreshLost, cause)
	}
}

// endUnlessRefreshed ends a session that the provider ended, unless another replica
// refreshed its tokens before. It reports whether the session has still to be ended.
func (r *refresh) endUnlessRefreshed(s *Session, cause error) bool {
	now, h, err := r.fresh()
	switch {
	case errors.Is(err, ErrNone):
		r.gone()
		return false
	case err != nil:
		r.putOff(err)
		return true
	case now.RefreshToken != "" && now.RefreshToken != s.RefreshToken:
		r.adopt(now, h)
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.m.timing.store)
	defer cancel()
	if err := r.m.writeTombstone(ctx, r.p.key, h); !cache.Applied(err) {
		r.putOff(err)
		return true
	}
	r.gone()
	r.observe(RefreshRefused, cause)
	return false
}

// fresh returns the session as every replica has it now. ErrNone: it ended.
func (r *refresh) fresh() (*Session, cache.Header, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.m.timing.store)
	defer cancel()
	b, err := r.m.o.Backend.Fresh(ctx, r.p.key)
	if errors.Is(err, cache.ErrMiss) {
		return nil, cache.Header{}, ErrNone
	}
	if err == nil {
		return r.m.parse(r.p.ticket, b)
	}
	// Its end may be known only to this replica.
	b, known := r.m.o.Backend.Get(ctx, r.p.key)
	if known == nil && !r.m.live(b) {
		return nil, cache.Header{}, ErrNone
	}
	return nil, cache.Header{}, err
}

// A change is the session that replaces a stored one.
type change struct {
	from   *Session
	to     *Session
	header cache.Header // of the record of from
	came   bool         // to has tokens of the provider
}

// write stores a change over the version that it came from. It reports whether the change
// is the stored session now.
func (r *refresh) write(c change) bool {
	c.to = r.m.used(c.to, r.m.o.Now())
	ctx, cancel := context.WithTimeout(context.Background(), r.m.timing.store)
	defer cancel()
	for i := 0; i < writeAttempts && ctx.Err() == nil; i++ {
		h, err := r.replace(ctx, c)
		if cache.Applied(err) {
			r.adopt(c.to, h)
			if c.came {
				r.observe(Refreshed, nil)
			}
			return true
		}
		if errors.Is(err, cache.ErrConflict) || errors.Is(err, cache.ErrMiss) {
			s, h, err := r.fresh()
			if r.outdone(c, s, h, err) {
				return false
			}
			if err == nil {
				c.header = h
				continue
			}
		}
		background.Pause(ctx, r.m.timing.poll)
	}
	r.putOff(ErrUnavailable)
	return false
}

func (r *refresh) replace(ctx context.Context, c change) (cache.Header, error) {
	now := r.m.o.Now()
	end := r.m.end(c.to, now)
	if end.Before(c.header.Expiry) {
		end = c.header.Expiry
	}
	h := successor(c.header, end)
	record, err := r.p.ticket.sealRecord(c.to, h, r.m.o.Identity)
	if err != nil {
		return h, err
	}
	return h, r.m.o.Backend.CompareAndSet(ctx, r.p.key, c.header.Version, record, end.Sub(now))
}

// outdone ends the refresh if the stored session leaves no place for c, because it ended
// or has another refresh token. A session that was only touched leaves a place. So does
// one from which another replica removed the refresh token because it took this response
// for lost.
func (r *refresh) outdone(c change, s *Session, h cache.Header, err error) bool {
	switch {
	case errors.Is(err, ErrNone):
		if c.came {
			r.m.o.Refresher.Discard(c.to)
			r.observe(RefreshTooLate, nil)
		}
		r.gone()
		return true
	case err != nil || s.RefreshToken == c.from.RefreshToken || s.RefreshToken == "" && c.came:
		return false
	}
	// Its tokens are of the same grant, so revoking ours could end those.
	r.adopt(s, h)
	return true
}

// A heartbeat prolongs a lease while its holder is at work. A holder that loses the lease
// all the same goes on, because the version of the record decides.
type heartbeat struct {
	m     *Manager
	lease cache.Lease

	turn    chan bool // holds one value, which is taken before a use of the fields below
	stopped bool
	timer   *time.Timer
}

func startHeartbeat(m *Manager, l cache.Lease) *heartbeat {
	b := &heartbeat{m: m, lease: l, turn: make(chan bool, 1)}
	b.timer = background.After(m.timing.prolong, b)
	b.turn <- true
	return b
}

// Run prolongs the lease, and schedules itself again.
func (b *heartbeat) Run() {
	<-b.turn
	defer b.pass()
	if b.stopped {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.m.timing.prolong)
	err := b.m.o.Backend.Prolong(ctx, b.lease)
	cancel()
	if !errors.Is(err, cache.ErrMiss) {
		b.timer = background.After(b.m.timing.prolong, b)
	}
}

func (b *heartbeat) pass() {
	b.turn <- true
}

// stop returns when the lease is not prolonged any more. A later call would take again a
// lease that was given back.
func (b *heartbeat) stop() {
	<-b.turn
	b.stopped = true
	b.timer.Stop()
	b.pass()
}
