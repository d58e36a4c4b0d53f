package session

import (
	"errors"
	"strconv"
	"time"
)

const (
	// refreshGap is the shortest time between two refreshes of a session, or half of the
	// new tokens' lifetime if that is less.
	refreshGap = 10 * time.Second
	// shortestGap applies whatever lifetimes a provider gives.
	shortestGap = time.Second

	// A failed refresh is tried again after firstPause, which doubles up to lastPause.
	firstPause = 5 * time.Second
	lastPause  = time.Minute

	grantBytes = 16
)

// The reasons for which the tokens of a session are never refreshed. Each is the cause of
// a NeverRefreshed.
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

// A plan holds the time at which the tokens of a session are refreshed. Its times are in
// ns since 1970, because each session in memory has one.
type plan struct {
	due     int64    // zero: never
	expires int64    // from then on the old tokens serve only if a refresh brings no newer ones
	attempt *attempt // nil: the refresh was not due yet; it is never changed
}

// An attempt holds the state of a refresh that is due.
type attempt struct {
	retry time.Time     // earliest time, after a refresh that failed; zero: none did
	pause time.Duration // the last pause
	grant string        // names the use of the refresh token
	owner string        // name of this replica towards those that may be refreshing the tokens too, until it has used the refresh token
}

// tried returns the attempt so far.
func (p plan) tried() attempt {
	if p.attempt == nil {
		return attempt{}
	}
	return *p.attempt
}

// next returns the time of the next refresh; zero: never.
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

// dueAt reports whether a refresh is to be tried now.
func (p plan) dueAt(now time.Time) bool {
	return p.tried().grant != "" && !now.Before(p.next())
}

// putOff returns p after a refresh that failed, for at least the time given. The name
// owner stays that of this replica towards the others. The pause grows with each fault of
// the provider, and not with one of the store.
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

// setPlan gives o, which shows s, its plan, or the reason for which its tokens are never
// refreshed.
func (m *Manager) setPlan(o *Opened, s *Session, t ticket, known *Opened) {
	o.plan = m.plan(s, t, known)
	if o.plan.due == 0 {
		_, err := m.due(s)
		o.never = reasonOf(err)
	}
}

// plan returns the plan of s. A pause of the session in memory, known, stays.
func (m *Manager) plan(s *Session, t ticket, known *Opened) plan {
	due, _ := m.due(s)
	if due.IsZero() {
		return plan{}
	}
	p := plan{due: due.UnixNano(), expires: s.AccessExpiry.UnixNano()}
	next := attempt{}
	if known != nil && known.plan.due == p.due {
		next = known.plan.tried()
		next.grant = ""
		p.attempt = known.plan.attempt
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

// due returns the time at which the tokens of s are refreshed: Grace before they expire,
// or in the middle of shorter lifetimes. The zero time is never, with the reason unless
// there is no Refresher.
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

// reportNever reports to the Observer that the tokens of o are never refreshed. A reason
// is reported once: not again while memory holds the session as known, which has the same
// one.
func (m *Manager) reportNever(o, known *Opened) {
	if o.never == 0 || m.o.Observer == nil || known != nil && known.never == o.never {
		return
	}
	m.o.Observer.Observe(NeverRefreshed, o.Subject, errorOf(o.never))
}

// gapOf returns the shortest time between two refreshes of tokens with that lifetime. A
// lifetime that was over before it began says nothing.
func gapOf(lifetime time.Duration) time.Duration {
	gap := lifetime / 2
	switch {
	case lifetime <= 0 || gap > refreshGap:
		return refreshGap
	case gap < shortestGap:
		return shortestGap
	}
	return gap
}

// grant names one use of a session's refresh token in the store, and does not reveal the
// token. It includes the time of the last refresh, because many providers give the same
// token again.
func (t ticket) grant(s *Session) string {
	last := ""
	if !s.Refreshed.IsZero() {
		last = strconv.FormatInt(s.Refreshed.UnixMilli(), 10)
	}
	return string(t.key.digest([]string{"grant", s.RefreshToken, last})[:grantBytes])
}
