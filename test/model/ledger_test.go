package model

import (
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/session"
)

// The bounds within which a revocation applies at a replica. One that hears of changes as
// they happen has heard, and one that does not has unheard. The bound recovery begins when
// a replica can reach the server again.
const (
	heard    = 50 * time.Millisecond
	unheard  = 2500 * time.Millisecond
	recovery = 2500 * time.Millisecond
)

// A place has the server and the processes that know a session or a logout.
type place struct {
	born    time.Time         // of its first report
	since   time.Time         // the server has it since then; zero: it does not
	holders map[*replica]bool // processes that know it, and would give it to the server
	wiped   time.Time         // of the server's loss of data
	stored  bool              // the server had it at that loss
}

// settle records that a holder has given it to the server.
func (p *place) settle(now time.Time) {
	if !p.since.IsZero() {
		return
	}
	for r := range p.holders {
		told := r.well.Add(recovery)
		if told.Before(p.born) {
			told = p.born
		}
		if !r.dead() && !r.ill && !told.After(now) && (p.since.IsZero() || told.Before(p.since)) {
			p.since = told
		}
	}
}

// wipe records that the server lost it.
func (p *place) wipe(now time.Time) {
	p.stored = !p.since.IsZero()
	p.since = time.Time{}
	p.wiped = now
}

// held reports whether a process that lives knows it.
func (p *place) held() bool {
	for r := range p.holders {
		if !r.dead() {
			return true
		}
	}
	return false
}

// telling reports whether a process is about to give it back to a server that lost it.
// That process has been able to reach the server since.
func (p *place) telling() bool {
	for r := range p.holders {
		if p.stored && !r.dead() && !r.ill && !r.well.After(p.wiped.Add(time.Second)) {
			return true
		}
	}
	return false
}

// A life is a session in the model.
type life struct {
	place
	name     string
	value    string // of the cookie
	subject  string
	sid      string
	issued   int64     // iat of the ID token
	expiry   time.Time // by the clock of its replica
	begun    time.Time // of the sign-in
	family   *family
	endings  []*ending
	swept    bool // an operator removed it from the server
	quietly  bool // it may be gone, because no process that knew it is left
	requests int
}

// An ending is a logout: of one life by the user, or of all that match by the
// provider.
type ending struct {
	place
	name    string
	by      *replica
	life    *life          // of the user's logout
	all     session.Ending // of the provider's logout
	begun   time.Time
	done    time.Time         // of the acknowledgement; zero: there is none
	seen    map[sight]bool    // processes that have read at the server that a session ended
	told    map[*replica]bool // processes that have heard of it, and could read its sessions
	forgot  bool              // data were lost, and every process that knew it is gone
	flushed bool
}

// covers reports whether e certainly ends l. With leeway it includes those that e may end.
func (e *ending) covers(l *life, leeway int64) bool {
	if e.life != nil {
		return e.life == l
	}
	return (e.all.Subject == "" || e.all.Subject == l.subject) && (e.all.SessionID == "" || e.all.SessionID == l.sid) &&
		l.issued <= e.all.Before.Unix()+leeway
}

// leeway is the number of seconds by which a logout of the provider may reach too far.
// The clocks of the issuer and of the replica that revokes may differ.
const leeway = 60

// settle brings the ledger up to now.
func (w *world) settle() {
	w.mu.Lock()
	w.settleLocked(time.Now())
	w.mu.Unlock()
}

func (w *world) settleLocked(now time.Time) {
	for _, l := range w.lives {
		l.settle(now)
		if l.since.IsZero() && !l.held() {
			l.quietly = true
		}
	}
	for _, e := range w.endings {
		if e.done.IsZero() {
			continue
		}
		e.settle(now)
		if e.since.IsZero() && !e.held() {
			e.forgot = true
		}
		for _, r := range w.replicas {
			if w.hasHeard(r, e, now) {
				e.told[r] = true
			}
		}
	}
}

// hasHeard reports whether r was well connected from the time when the server got e until
// it can have read the sessions of e. From then on it knows, also when it is cut off.
func (w *world) hasHeard(r *replica, e *ending, now time.Time) bool {
	calm := e.since.Add(-recovery)
	return !e.since.IsZero() && now.After(e.since.Add(2*heard)) && w.c.tracks && !w.c.direct && !w.c.small &&
		!r.ill && !r.deaf && !r.well.After(calm) && !r.hears.After(calm)
}

// wipe records that the server has no data any more.
func (w *world) wipe(flushed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.wiped = now
	if flushed {
		w.flushed = now
		w.calm = true
		for _, r := range w.replicas {
			w.calm = w.calm && r.reachable(now) && !r.deaf && !r.hears.Add(recovery).After(now)
		}
	}
	for _, l := range w.lives {
		l.swept = l.swept || flushed && !l.since.IsZero()
		l.wipe(now)
		l.quietly = l.quietly || w.c.small || w.c.direct
	}
	for _, e := range w.endings {
		e.wipe(now)
		e.forgot = e.forgot || flushed || w.c.small || w.c.direct
	}
}

// forgotten reports whether no process can know that r used a token at that time. The
// server lost its data since, and r is dead, or was cut off from it.
func (w *world) forgotten(r *replica, at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.wiped.Before(at) && (r.dead() || r.ill || r.well.After(w.wiped.Add(time.Second)))
}

// restoring reports whether r may still take the server's data for incomplete at start.
// It does so for a while after it noticed their loss.
func (w *world) restoring(r *replica, start time.Time) bool {
	if w.wiped.IsZero() {
		return false
	}
	if w.flushed.Equal(w.wiped) && !w.c.tracks {
		return true // it notices at its next command
	}
	noticed := w.wiped
	for _, at := range []time.Time{r.well, r.hears} {
		if at.After(noticed) {
			noticed = at
		}
	}
	return r.deaf || noticed.Add(recovery+3*time.Second).After(start)
}

// reachable reports whether r has been able to reach the server since a time that is
// long enough before start.
func (r *replica) reachable(start time.Time) bool {
	return !r.ill && !r.well.After(start.Add(-recovery))
}

// judge compares an answer with the rules.
func (w *world) judge(r *replica, l *life, start time.Time, a answer, subject string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if r.dead() {
		return
	}
	w.settleLocked(now)
	w.answers[a]++
	switch a {
	case served:
		w.judgeServed(r, l, start, subject)
	case none:
		if why := w.whyGone(r, l, now); why == "" {
			w.failLocked("signed out without cause: %s at %s (%v)", l.name, r, err)
		}
		for _, e := range w.endings {
			if e.covers(l, 0) && !e.done.IsZero() && !e.since.IsZero() && e.since.Before(start) {
				e.seen[sight{r, l}] = true
				e.holders[r] = true
			}
		}
	case unavailable:
		if r.reachable(start) && !w.restoring(r, start) {
			w.failLocked("unavailable without cause: %s at %s (%v)", l.name, r, err)
		}
	}
}

func (w *world) judgeServed(r *replica, l *life, start time.Time, subject string) {
	if subject != l.name {
		w.failLocked("%s got the session of %s", l.name, subject)
	}
	if start.Add(r.skew).After(l.expiry.Add(time.Second)) {
		w.failLocked("%s served %s after its end", r, l.name)
	}
	if l.swept && w.calm && w.c.tracks && start.After(w.flushed.Add(unheard)) {
		w.failLocked("%s served %s after FLUSHALL", r, l.name)
	}
	for _, e := range w.endings {
		if e.covers(l, 0) && w.knows(r, l, e, start) {
			w.failLocked("%s served %s after %s", r, l.name, e.name)
		}
	}
	if !w.c.small {
		l.holders[r] = true
	}
}

// A sight is a process that found a session ended.
type sight struct {
	r *replica
	l *life
}

// carriedOut reports whether r itself ended l at the server by e. No other logout may
// have ended l, because r need not have heard of that one.
func (w *world) carriedOut(r *replica, l *life, e *ending) bool {
	if e.by == r && e.life == l {
		return !w.c.direct || r.reachable(e.done)
	}
	if e.by != r {
		return false
	}
	for _, other := range w.endings {
		if other != e && other.covers(l, leeway) {
			return false
		}
	}
	return !l.since.IsZero() && l.since.Before(e.begun)
}

// knows reports whether r must know at start that e ended l.
func (w *world) knows(r *replica, l *life, e *ending, start time.Time) bool {
	if e.done.IsZero() || !start.After(e.done) || e.forgot {
		return false
	}
	if l.swept && !e.seen[sight{r, l}] {
		return false // a process that has it does not learn by which logout it ended
	}
	if e.seen[sight{r, l}] || w.carriedOut(r, l, e) || e.told[r] && l.born.Before(e.begun) && start.After(e.since.Add(2*heard)) {
		return true
	}
	if e.since.IsZero() || !r.reachable(start) {
		return false
	}
	bound := heard
	if !w.c.tracks || r.deaf || r.hears.Add(recovery).After(e.since) {
		bound = unheard
	}
	return start.After(e.since.Add(bound))
}

// endsSoon reports whether l has ended by the clock of any replica.
func (w *world) endsSoon(l *life, now time.Time) bool {
	for _, r := range w.replicas {
		if now.Add(r.skew).After(l.expiry.Add(-time.Second)) {
			return true
		}
	}
	return false
}

// whyGone returns a cause for which r may not have l, or nothing.
func (w *world) whyGone(r *replica, l *life, now time.Time) string {
	for _, e := range w.endings {
		if e.covers(l, leeway) && !e.begun.After(now) {
			return "logout"
		}
	}
	switch {
	case w.endsSoon(l, now):
		return "its end"
	case !w.flushed.Before(l.begun):
		return "operator"
	case w.provider.ended(l.family):
		return "invalid_grant"
	case l.quietly:
		return "no process knew it"
	case l.since.IsZero() && !l.holders[r] && !l.telling():
		return "not known here"
	}
	return ""
}

// failLocked records a broken rule. The first one is the failure of the run.
func (w *world) failLocked(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.traceLocked("FAILURE: %s", text)
	if w.failure == "" {
		w.failure = text
	}
}
