package session

import (
	"context"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// touches bounds the stored uses within an idle timeout: one in each tenth of it.
const touches = 10

// end returns the end of a record of s in the store if no request for s comes after now.
func (m *Manager) end(s *Session, now time.Time) time.Time {
	if refused := s.Created.Add(refusedFor); s.Refused && refused.Before(s.Expiry) {
		return refused
	}
	if m.o.IdleTimeout > 0 && now.Add(m.o.IdleTimeout).Before(s.Expiry) {
		return now.Add(m.o.IdleTimeout)
	}
	return s.Expiry
}

// expiry returns the end of s for this middleware, in ns since 1970, where h is the
// header of its record. It is the earliest of three: the end of the record, this
// middleware's limits counted from the sign-in and the last use, and the end in the View
// of o. The middleware that made the session may have longer limits, or none.
func (m *Manager) expiry(o *Opened, s *Session, h cache.Header) int64 {
	expiry := earlier(h.Expiry.UnixNano(), s.Created.Add(m.o.MaxAge).UnixNano())
	if m.o.IdleTimeout > 0 && !s.Used.IsZero() {
		expiry = earlier(expiry, s.Used.Add(m.o.IdleTimeout).UnixNano())
	}
	if o.latest != 0 {
		expiry = earlier(expiry, o.latest)
	}
	return expiry
}

func earlier(a, b int64) int64 {
	if b < a {
		return b
	}
	return a
}

// used returns s with a use at now by this middleware.
func (m *Manager) used(s *Session, now time.Time) *Session {
	u := *s
	u.Used = now
	u.Idle = m.shortestIdle(s)
	return &u
}

// shortestIdle returns the shortest idle timeout of this middleware and of those that met
// s before; zero: none has one. Middlewares with longer ones also store the use of s
// often enough for it.
func (m *Manager) shortestIdle(s *Session) time.Duration {
	if s.Idle == 0 || m.o.IdleTimeout > 0 && m.o.IdleTimeout < s.Idle {
		return m.o.IdleTimeout
	}
	return s.Idle
}

// touch stores the use of s when a tenth of the shortest idle timeout has passed since
// the last one was stored. It sets the time until which o is served without a read of the
// store.
//
// A touch that fails or meets a newer version costs nothing, because the next request
// tries again. A request of a user that the rules refuse here is no use. The first
// allowed request of a session that was refused at the sign-in makes it a session like
// any other.
func (m *Manager) touch(ctx context.Context, o *Opened, s *Session, h cache.Header, t ticket) {
	now := m.o.Now()
	idle := m.shortestIdle(s)
	step := idle / touches
	// The time from the last use to the absolute end is shorter than any idle timeout.
	settled := !s.Used.Add(idle).Before(s.Expiry)
	due := s.Refused || idle > 0 && (idle != s.Idle || !settled && now.Sub(s.Used) >= step)
	if o.Allowed && due {
		touched := m.used(s, now)
		touched.Refused = false
		header := successor(h, m.end(touched, now))
		header.Links = withoutProvisional(h.Links)
		if header.Expiry.Before(h.Expiry) {
			header.Expiry = h.Expiry
		}
		record, err := t.sealRecord(touched, header, m.o.Identity)
		if err == nil && cache.Applied(m.o.Backend.CompareAndSet(ctx, o.key, o.version, record, header.Expiry.Sub(now))) {
			s = touched
			o.version = header.Version
			o.expiry = m.expiry(o, s, header)
			settled = !s.Used.Add(idle).Before(s.Expiry)
		}
	}
	next := now.Add(readAgain)
	if o.Allowed && idle > 0 && !settled && s.Used.Add(step).Before(next) {
		next = s.Used.Add(step)
	}
	if !now.Before(next) || o.Allowed && s.Refused {
		next = now.Add(time.Second)
	}
	o.Until = time.Unix(0, earlier(next.UnixNano(), o.expiry))
}
