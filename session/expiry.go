package session

import (
	"context"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// touches is how often an idle timeout is pushed on: once in each tenth of it.
const touches = 10

// end is when a record of s ends in the store if nobody asks for s after now.
func (m *Manager) end(s *Session, now time.Time) time.Time {
	if refused := s.Created.Add(refusedFor); s.Refused && refused.Before(s.Expiry) {
		return refused
	}
	if m.o.IdleTimeout > 0 && now.Add(m.o.IdleTimeout).Before(s.Expiry) {
		return now.Add(m.o.IdleTimeout)
	}
	return s.Expiry
}

// expiry is when s, whose record has the header h, ends for this middleware, in ns
// since 1970: at the end of the record, or at what this middleware's limits and
// o's View say, counted from the sign-in and the last use, if that is earlier. The
// middleware that made the session may have had longer limits, or none.
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

// used is s as it is used at now, and as this middleware met it.
func (m *Manager) used(s *Session, now time.Time) *Session {
	u := *s
	u.Used = now
	u.Idle = m.shortestIdle(s)
	return &u
}

// shortestIdle is the shortest idle timeout of this middleware and of those that
// met s before; zero: none has one. The use of s is noted often enough for it, also
// by a middleware that has a longer one.
func (m *Manager) shortestIdle(s *Session) time.Duration {
	if s.Idle == 0 || m.o.IdleTimeout > 0 && m.o.IdleTimeout < s.Idle {
		return m.o.IdleTimeout
	}
	return s.Idle
}

// touch notes that s is used when a tenth of the shortest idle timeout has passed
// since that was noted, and sets until when o is served without asking. A touch
// that fails or meets a newer version costs nothing: the next request tries again.
// A request of a user whom the rules refuse here is no use. One whom they allow
// here, and refused where the user signed in, has a session like any other from
// then on.
func (m *Manager) touch(ctx context.Context, o *Opened, s *Session, h cache.Header, t ticket) {
	now := m.o.Now()
	idle := m.shortestIdle(s)
	step := idle / touches
	// From the last use to the absolute end it takes less than any idle timeout.
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
	next := now.Add(askAgain)
	if o.Allowed && idle > 0 && !settled && s.Used.Add(step).Before(next) {
		next = s.Used.Add(step)
	}
	if !now.Before(next) || o.Allowed && s.Refused {
		next = now.Add(time.Second)
	}
	o.Until = time.Unix(0, earlier(next.UnixNano(), o.expiry))
}
