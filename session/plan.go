package session

import (
	"errors"
	"strconv"
	"time"
)

const (
	// renewalGap is how long a session is left alone after a renewal, or half of
	// the new tokens' lifetime if that is less.
	renewalGap = 10 * time.Second
	// shortestGap holds whatever a provider says of lifetimes.
	shortestGap = time.Second

	// A renewal that failed is tried again after firstPause, which doubles.
	firstPause = 5 * time.Second
	lastPause  = time.Minute

	grantBytes = 16
)

// The reasons why a session is never refreshed, as the cause of NeverRefreshed.
var (
	// ErrNoRefreshToken: the session has no refresh token.
	ErrNoRefreshToken = errors.New("session: there is no refresh token")
	// ErrNoExpiry: the lifetime of the tokens is unknown.
	ErrNoExpiry = errors.New("session: the provider gave no expiry")
	// ErrEndsBefore: the session ends before its next refresh is due.
	ErrEndsBefore = errors.New("session: it ends before its tokens are due for a refresh")
)

// A reason is one of these errors in a byte, because each session in memory has one. The
// zero value is none.
type reason uint8

func reasonOf(err error) reason {
	switch err {
	case ErrNoRefreshToken:
		return 1
	case ErrNoExpiry:
		return 2
	case ErrEndsBefore:
		return 3
	}
	return 0
}

func errorOf(r reason) error {
	switch r {
	case 1:
		return ErrNoRefreshToken
	case 2:
		return ErrNoExpiry
	case 3:
		return ErrEndsBefore
	}
	return nil
}

// A plan is when a session is to be renewed. Its times are in ns since 1970: there is
// one for each session in memory.
type plan struct {
	due     int64    // zero: never
	expires int64    // from then on what there is serves only if there is no better
	attempt *attempt // nil: it was not due yet. It is never changed
}

// An attempt is what is known of a renewal that is due.
type attempt struct {
	retry time.Time     // not before, after a renewal that failed; zero: none did
	pause time.Duration // that it was put off by
	grant string        // names the use of the refresh token
	owner string        // who this replica is towards those that may be renewing it too, while it has not used it
}

// tried is what was tried so far.
func (p plan) tried() attempt {
	if p.attempt == nil {
		return attempt{}
	}
	return *p.attempt
}

// next is when a renewal is tried; zero: never.
func (p plan) next() time.Time {
	if p.due == 0 {
		return time.Time{}
	}
	due := time.Unix(0, p.due)
	if retry := p.tried().retry; retry.After(due) {
		return retry
	}
	return due
}

// dueAt reports whether a renewal is to be tried now.
func (p plan) dueAt(now time.Time) bool {
	return p.tried().grant != "" && !now.Before(p.next())
}

// putOff is p after a renewal that failed, for at least the time given; owner is who
// this replica stays towards the others. The provider is spared longer each time it
// fails; the store alone is no reason for that.
func (p plan) putOff(now time.Time, atLeast time.Duration, owner string, store bool) plan {
	next := p.tried()
	next.pause *= 2
	if store {
		next.pause = 0
	}
	if next.pause < firstPause {
		next.pause = firstPause
	}
	if next.pause > lastPause {
		next.pause = lastPause
	}
	wait := next.pause
	if wait < atLeast {
		wait = atLeast
	}
	next.retry = now.Add(wait)
	next.owner = owner
	p.attempt = &next
	return p
}

// setPlan gives o, which shows s, its plan, or the reason why it is never refreshed.
func (m *Manager) setPlan(o *Opened, s *Session, t ticket, known *Opened) {
	o.renewal = m.plan(s, t, known)
	if o.renewal.due == 0 {
		_, err := m.due(s)
		o.never = reasonOf(err)
	}
}

// plan returns when s is to be renewed. Of what memory knew, that it was put off
// stays.
func (m *Manager) plan(s *Session, t ticket, known *Opened) plan {
	due, _ := m.due(s)
	if due.IsZero() {
		return plan{}
	}
	p := plan{due: due.UnixNano(), expires: s.AccessExpiry.UnixNano()}
	next := attempt{}
	if known != nil && known.renewal.due == p.due {
		next = known.renewal.tried()
		next.grant = ""
		p.attempt = known.renewal.attempt
	}
	if m.o.Now().Before(p.next()) {
		if next.retry.IsZero() {
			p.attempt = nil
		}
		return p
	}
	next.grant = t.grant(s)
	p.attempt = &next
	return p
}

// due is when s is to be renewed: Grace before its tokens expire, or in the middle
// of lifetimes that are shorter. The zero time is never, with the reason unless there
// is no Refresher.
func (m *Manager) due(s *Session) (time.Time, error) {
	if m.o.Refresher == nil {
		return time.Time{}, nil
	}
	if s.RefreshToken == "" {
		return time.Time{}, ErrNoRefreshToken
	}
	if s.AccessExpiry.IsZero() {
		return time.Time{}, ErrNoExpiry
	}
	since := s.Refreshed
	if since.IsZero() {
		since = s.Created
	}
	lifetime := s.AccessExpiry.Sub(since)
	due := s.AccessExpiry.Add(-m.o.Grace)
	if m.o.Grace >= lifetime {
		due = since.Add(lifetime / 2)
	}
	if earliest := since.Add(gapOf(lifetime)); due.Before(earliest) {
		due = earliest
	}
	if !due.Before(s.Expiry) {
		return time.Time{}, ErrEndsBefore
	}
	return due, nil
}

// reportNever reports to the Observer that o is never refreshed. A reason is reported
// once: not again while memory holds the session as known, which has the same one.
func (m *Manager) reportNever(o, known *Opened) {
	if o.never == 0 || m.o.Observer == nil || known != nil && known.never == o.never {
		return
	}
	m.o.Observer.Observe(NeverRefreshed, o.Subject, errorOf(o.never))
}

// gapOf is how long tokens of a lifetime are left alone. Of one that is over before it
// began nothing can be told.
func gapOf(lifetime time.Duration) time.Duration {
	gap := lifetime / 2
	switch {
	case lifetime <= 0 || gap > renewalGap:
		return renewalGap
	case gap < shortestGap:
		return shortestGap
	}
	return gap
}

// grant names one use of a session's refresh token in the store, without telling the
// token. The time of the last renewal is in it, since many providers give the same
// token again.
func (t ticket) grant(s *Session) string {
	last := ""
	if !s.Refreshed.IsZero() {
		last = strconv.FormatInt(s.Refreshed.UnixMilli(), 10)
	}
	return string(t.key.digest([]string{"grant", s.RefreshToken, last})[:grantBytes])
}
