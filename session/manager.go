package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// A View holds the results for one middleware of the operator's rules and the claims of a
// session. It is computed once, when the session enters memory.
type View struct {
	Allowed bool
	Reason  string // cause of a refusal; constant text for the log
	Looked  string // the claims that the reason is about and if they are present, for the log
	Subject string // a short digest of the user's subject, for the log and to distinguish users
	User    string // the name of a user that is not allowed, shown to that user only
	Headers []Field
	End     time.Time // the session ends here then at the latest; zero: the claims set no end
	// Verdicts are the verdicts of access rules, by place (policy.Place). With them,
	// Allowed says that one of them allows the user. Nil: there are no rules.
	Verdicts []*Verdict
}

// A Verdict is the decision of an access rule for a session. Places with the same
// decision share one.
type Verdict struct {
	Allowed bool
	Reason  string  // constant text for the log, if not allowed
	Headers []Field // for the backend, if allowed
	Own     bool    // the rule has headers of its own, so that Headers are not those of the View
}

// A Field is a header that the backend is given.
type Field struct {
	Name  string // canonical
	Value string
}

// A Preparer computes the View of a session. It is called with no lock held.
type Preparer interface {
	Prepare(s *Session) View
}

// An Opened is a session in memory, ready to be served: its View, and the time for which
// that is valid. It is never changed. A newer state of the session is another Opened.
type Opened struct {
	Allowed bool
	Taught  uint8 // number of header names that its requests taught; guarded by Hot.Mu
	never   reason
	Reason  string
	Subject string
	refused *refusal // nil: no details
	Headers []Field
	// Verdicts are those of the View.
	Verdicts []*Verdict

	Until time.Time // served without a read of the store until then

	created int64  // time of the sign-in, in ms since 1970
	expiry  int64  // the end of the session here, unless a touch moves it, in ns since 1970
	latest  int64  // View.End in ns since 1970; zero: none
	end     int64  // the latest end of its record, in ns since 1970
	issued  int64  // of the record, in s since 1970
	links   string // names of the record's index keys, one behind the other
	value   string // of the cookie
	key     string // of the record, by which the store reports changes
	size    int    // in memory, about
	version uint64
	epoch   uint64 // Manager.epoch when the record was read
	plan    plan
}

// A refusal has details of a session that is not allowed. Most sessions have none.
type refusal struct {
	looked, user string
}

// Looked returns View.Looked.
func (o *Opened) Looked() string {
	if o.refused == nil {
		return ""
	}
	return o.refused.looked
}

// User returns View.User.
func (o *Opened) User() string {
	if o.refused == nil {
		return ""
	}
	return o.refused.user
}

// Created returns the time of the sign-in, in milliseconds.
func (o *Opened) Created() time.Time {
	return time.UnixMilli(o.created)
}

// Value returns the value of the session's cookie.
func (o *Opened) Value() string {
	return o.value
}

// Options of a Manager. Backend, Keys, Identity and Preparer are required.
type Options struct {
	Backend     cache.Backend
	Keys        *Keyring
	Identity    string        // issuer, relying party and group: sessions of another identity do not open
	Client      string        // of the relying party at the issuer; a logout ends the sessions of all its groups
	Cookies     Cookies       // name and scope of the session cookie
	MaxAge      time.Duration // from the sign-in to the end of the session, for sessions of other middlewares too
	Ages        *Ages         // of all managers of the process; nil: of this one
	IdleTimeout time.Duration // zero: a session does not end here by being idle
	AlwaysRead  bool          // the store is read at each request; memory serves while it is unreachable
	Preparer    Preparer
	Refresher   Refresher            // nil: tokens are not refreshed
	Grace       time.Duration        // time before their expiry at which tokens are refreshed
	RetryAfter  func() time.Duration // pause that the provider demands; nil: none is known
	Observer    Observer             // nil: events are not reported
	MaxOpened   int                  // bound of the opened sessions in memory; zero: 100,000
	MaxBytes    int                  // bound of their size in bytes, about; zero: 128 MiB
	Now         func() time.Time     // nil: time.Now
}

// A Manager creates, opens, touches and ends the sessions of one middleware. It is safe
// for concurrent use.
type Manager struct {
	o Options

	hot *Hot // its lock guards the fields below too
	// Opened sessions that are not hot any more, the newest generation first. They serve
	// when the store is unreachable.
	older   []*generation
	indexed map[string]string  // of the hot generation: record key to cookie value
	bytes   int                // of the hot generation
	flights map[string]*flight // by cookie value: sessions being opened
	epoch   uint64             // counts ChangedAll: records read in an earlier epoch are stale
	// By record key: token refreshes under way.
	refreshes map[string]*refresh

	timing timing
}

// Hot is the place in which the path of every request looks a session up by its cookie's
// value, without a call: lock Mu, read Opened, unlock. A session found there is served
// while now is before its Until.
type Hot struct {
	Mu     sync.Mutex
	Opened map[string]*Opened
}

// A generation is a set of opened sessions that were in use at one time.
type generation struct {
	opened  map[string]*Opened // by cookie value
	indexed map[string]string  // record key to cookie value
	bytes   int
}

// generationsKept bounds the generations beside the hot one.
const generationsKept = 4

// A flight is one opening of a record. Any number of requests wait for it.
type flight struct {
	key    string        // of the record
	done   chan struct{} // closed when opened and err are set
	opened *Opened
	err    error
	stale  bool // guarded by Hot.Mu: the record changed while it was being read
}

// NewManager returns a manager that watches its backend.
func NewManager(o Options) *Manager {
	if o.MaxOpened == 0 {
		o.MaxOpened = 100000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 128 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ages == nil {
		o.Ages = &Ages{}
	}
	o.Ages.Add(o.MaxAge)
	m := &Manager{
		o: o, hot: &Hot{Opened: map[string]*Opened{}}, indexed: map[string]string{}, flights: map[string]*flight{},
		refreshes: map[string]*refresh{}, timing: usualTiming(),
	}
	o.Backend.Watch(m)
	return m
}

// Close ends the watch. The sessions live on in the backend.
func (m *Manager) Close() {
	m.o.Backend.Unwatch(m)
}

// Hot returns the map in which opened sessions are looked up.
func (m *Manager) Hot() *Hot {
	return m.hot
}

// Load returns the session of the request's cookies. It returns ErrNone when there is
// none, and ErrUnavailable when the store could not be reached and the session is not
// known here.
func (m *Manager) Load(ctx context.Context, r *http.Request) (*Opened, error) {
	err := ErrNone // the worst error of the cookies; one of the store is worse than a miss
	for _, v := range values(r.Header["Cookie"], m.o.Cookies.Name) {
		t, e := m.o.Keys.ticket(v, m.o.Cookies.Name, m.o.Identity)
		if e != nil {
			if err == ErrNone {
				err = ErrForeign
			}
			continue
		}
		o, e := m.load(ctx, v, t)
		if e == nil {
			return o, nil
		}
		if !errors.Is(e, ErrNone) || err == ErrForeign {
			err = e
		}
	}
	return nil, err
}

// Create stores s under a new id and returns the value of its cookie. It sets Expiry,
// Used and Idle of s. The id is new at every sign-in, so that a cookie planted before is
// worth nothing after it. For attempt see Lost. By origin the provider may end the
// session. ErrRevoked: it did so already.
func (m *Manager) Create(ctx context.Context, s *Session, attempt int, origin Origin) (string, error) {
	b, err := random(idBytes + secretBytes)
	if err != nil {
		return "", err
	}
	t := ticket{key: m.o.Keys.keys[0], created: s.Created, attempt: byte(attempt), id: b[:idBytes], secret: b[idBytes:]}
	s.Expiry = s.Created.Add(m.o.MaxAge)
	s.Used = s.Created
	s.Idle = m.o.IdleTimeout
	end := m.end(s, m.o.Now())
	record, err := t.sealRecord(s, cache.Header{
		State: cache.Live, Version: 1, Expiry: end, End: s.Expiry, Issued: origin.Issued, Links: m.linksOf(s, origin),
	}, m.o.Identity)
	if err != nil {
		return "", err
	}
	err = m.o.Backend.Add(ctx, t.recordKey(), record, end.Sub(m.o.Now()))
	if errors.Is(err, cache.ErrConflict) || errors.Is(err, cache.ErrExists) {
		return "", ErrRevoked // the record that has this id already is its tombstone
	}
	if !cache.Applied(err) {
		return "", fmt.Errorf("%w: store a new session: %w", ErrUnavailable, err)
	}
	return t.value(m.o.Cookies.Name, m.o.Identity), nil
}

// lostWithin is the time after the sign-in within which a session that is not found is
// taken for lost. A lost session did not end, and cannot be found by the replica that
// needs it.
const lostWithin = time.Minute

// Lost returns the number of sign-ins in a row that brought this browser a session that
// was lost right after. It is zero for a request without the cookie of a session that was
// just made.
func (m *Manager) Lost(r *http.Request) int {
	lost := 0
	for _, v := range values(r.Header["Cookie"], m.o.Cookies.Name) {
		t, err := m.o.Keys.ticket(v, m.o.Cookies.Name, m.o.Identity)
		if err == nil && m.o.Now().Sub(t.created) < lostWithin && int(t.attempt) >= lost {
			lost = int(t.attempt) + 1
		}
	}
	return lost
}

// End revokes the session of the request's cookies and returns it, if it can still be
// opened. A session that was already gone is not an error (nil, nil). ErrUnavailable: a
// revocation did not reach the store. A sign-out is completed even if its client leaves,
// so End is not given up when ctx is done.
func (m *Manager) End(ctx context.Context, r *http.Request) (*Session, error) {
	ctx = context.WithoutCancel(ctx)
	var ended *Session
	var failed error
	for _, v := range values(r.Header["Cookie"], m.o.Cookies.Name) {
		t, err := m.o.Keys.ticket(v, m.o.Cookies.Name, m.o.Identity)
		if err != nil {
			continue
		}
		s, err := m.revoke(ctx, t)
		if err != nil {
			failed = err
		}
		if s != nil {
			ended = s
		}
	}
	return ended, failed
}

// longestAge is the longest MaxAge that a middleware may have, because browsers keep no
// cookie for longer.
const longestAge = 400 * 24 * time.Hour

// revoke writes a tombstone over the record. It lives as long as any copy of the record
// can. A record that is missing gets one too, because another replica may hold it and not
// have reached the store yet. Only the middleware that made such a record knows its
// lifetime, which may be longer than MaxAge here.
func (m *Manager) revoke(ctx context.Context, t ticket) (*Session, error) {
	key := t.recordKey()
	s, h, err := m.read(ctx, t)
	if errors.Is(err, ErrNone) && h.State == cache.Revoked {
		m.drop(key)
		return nil, nil
	}
	if err != nil && h.State != cache.Live {
		h = cache.Header{KeyID: t.key.id, End: t.created.Add(longestAge)}
	}
	err = m.writeTombstone(ctx, key, h)
	m.drop(key)
	if errors.Is(err, cache.ErrConflict) {
		return nil, nil // a record of a later format is no session
	}
	if !cache.Applied(err) {
		return nil, fmt.Errorf("%w: revoke the session: %w", ErrUnavailable, err)
	}
	return s, nil
}

// writeTombstone writes a tombstone over the record that has the header h. It outlasts
// the session by the clock of every replica.
func (m *Manager) writeTombstone(ctx context.Context, key string, h cache.Header) error {
	end := h.End.Add(cache.ClockSkew)
	ttl := end.Sub(m.o.Now())
	if ttl < time.Millisecond {
		return nil
	}
	tombstone := cache.AppendHeader(nil, cache.Header{KeyID: h.KeyID, State: cache.Revoked, Version: h.Version + 1, Expiry: end})
	return m.o.Backend.Set(ctx, key, tombstone, ttl)
}
