package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// readAgain bounds the time for which an opened session is served without a read of its
// record. A store that drops unused records must see which sessions are in use.
const readAgain = 5 * time.Minute

// load returns the session of a ticket with a valid MAC. It comes from memory while it is
// fresh, else from the store, which is read once for any number of requests. Tokens that
// are due are refreshed.
func (m *Manager) load(ctx context.Context, value string, t ticket) (*Opened, error) {
	now := m.o.Now()
	key := t.recordKey()
	m.hot.Mu.Lock()
	known := m.knownLocked(value)
	if known != nil && known.epoch == m.epoch && now.Before(known.Until) {
		m.keepLocked(known)
		m.hot.Mu.Unlock()
		return known, nil
	}
	f := m.flights[value]
	if f != nil {
		m.hot.Mu.Unlock()
		<-f.done
		return m.current(ctx, f, t)
	}
	f = &flight{key: key, done: make(chan struct{}), err: ErrUnavailable}
	m.flights[value] = f
	epoch := m.epoch
	m.hot.Mu.Unlock()
	m.runFlight(ctx, f, opening{value: value, key: key, epoch: epoch, ticket: t, known: known})
	return m.current(ctx, f, t)
}

// Adopt returns the value that this middleware would have given the cookie of a session.
// Another middleware of its identity gave that cookie the value under name. It returns
// false for a cookie of another identity.
func (m *Manager) Adopt(name, value string) (string, bool) {
	t, err := m.o.Keys.ticket(value, name, m.o.Identity)
	if err != nil {
		return "", false
	}
	return t.value(m.o.Cookies.Name, m.o.Identity), true
}

// An opening is the subject of a flight.
type opening struct {
	value  string
	key    string
	epoch  uint64
	ticket ticket
	known  *Opened // the session in memory, stale or due for a touch; nil: none
}

// runFlight performs f and always releases the requests that wait for it. A record that
// was read before a change is not kept.
func (m *Manager) runFlight(ctx context.Context, f *flight, p opening) {
	defer m.finishFlight(f, p)
	f.opened, f.err = m.open(context.WithoutCancel(ctx), p)
}

func (m *Manager) finishFlight(f *flight, p opening) {
	m.hot.Mu.Lock()
	if m.flights[p.value] == f {
		delete(m.flights, p.value)
	}
	switch {
	case errors.Is(f.err, ErrNone):
		m.dropLocked(p.key)
	case f.err == nil && !f.stale && f.opened.epoch == m.epoch:
		m.keepLocked(f.opened)
	}
	m.hot.Mu.Unlock()
	close(f.done)
}

// open reads the record and computes all that a request needs of it.
func (m *Manager) open(ctx context.Context, p opening) (*Opened, error) {
	now := m.o.Now()
	s, h, err := m.read(ctx, p.ticket)
	if err != nil {
		if errors.Is(err, ErrUnavailable) && p.known != nil && now.UnixNano() < p.known.expiry {
			return p.known, nil
		}
		return nil, err
	}
	o := m.present(p, s, h)
	if now.UnixNano() >= o.expiry {
		return nil, ErrNone // another middleware may still serve it
	}
	m.touch(ctx, o, s, h, p.ticket)
	m.setPlan(o, s, p.ticket, p.known)
	m.reportNever(o, p.known)
	if next := o.plan.next(); !next.IsZero() && next.Before(o.Until) {
		o.Until = next
	}
	if m.o.AlwaysRead {
		o.Until = now
	}
	return o, nil
}

// present returns s as memory keeps it, where h is the header of its record.
func (m *Manager) present(p opening, s *Session, h cache.Header) *Opened {
	o := &Opened{
		created: p.ticket.created.UnixMilli(), end: h.End.UnixNano(), issued: h.Issued.Unix(),
		links: joinLinks(h.Links), value: p.value, key: p.key, version: h.Version, epoch: p.epoch,
	}
	if p.known != nil && p.known.version == h.Version {
		o.show(View{Allowed: p.known.Allowed, Reason: p.known.Reason, Looked: p.known.Looked(), Subject: p.known.Subject, User: p.known.User(), Headers: p.known.Headers, Verdicts: p.known.Verdicts})
		o.latest = p.known.latest
	} else {
		v := m.o.Preparer.Prepare(s)
		o.show(v)
		if !v.End.IsZero() {
			o.latest = v.End.UnixNano()
		}
	}
	o.expiry = m.expiry(o, s, h)
	return o
}

func (o *Opened) show(v View) {
	o.Allowed = v.Allowed
	o.Reason = v.Reason
	o.Subject = v.Subject
	if v.Looked != "" || v.User != "" {
		o.refused = &refusal{looked: v.Looked, user: v.User}
	}
	o.Headers = v.Headers
	o.size = openedOverhead + len(o.value) + len(o.key) + len(o.links) + len(v.Looked) + len(v.User)
	for _, f := range v.Headers {
		o.size += len(f.Name) + len(f.Value)
	}
	o.Verdicts = v.Verdicts
	o.size += verdictPlace * len(v.Verdicts)
	for _, verdict := range v.Verdicts {
		if verdict.Own {
			o.size += verdict.bytes()
		}
	}
}

// verdictPlace is the size of a place in Opened.Verdicts, and verdictOverhead that of a
// Verdict beside its texts, in bytes.
const (
	verdictPlace    = 16
	verdictOverhead = 128
)

// bytes is the approximate size of a verdict with headers of its own.
func (v *Verdict) bytes() int {
	n := verdictOverhead
	for _, f := range v.Headers {
		n += len(f.Name) + len(f.Value)
	}
	return n
}

// openedOverhead is the size of an opened session beside its texts, in bytes.
const openedOverhead = 512

// read returns the live session of t and its record's header.
func (m *Manager) read(ctx context.Context, t ticket) (*Session, cache.Header, error) {
	b, err := m.o.Backend.Get(ctx, t.recordKey())
	if errors.Is(err, cache.ErrMiss) {
		return nil, cache.Header{}, ErrNone
	}
	if err != nil {
		return nil, cache.Header{}, fmt.Errorf("%w: read the session: %w", ErrUnavailable, err)
	}
	return m.parse(t, b)
}

// parse returns the live session of a record, and its header. For any other record it
// returns ErrNone, and the header if there is one.
func (m *Manager) parse(t ticket, record []byte) (*Session, cache.Header, error) {
	h, _, err := cache.ParseRecord(record)
	if err != nil || h.State != cache.Live || !m.o.Now().Before(h.Expiry) {
		return nil, h, ErrNone
	}
	s, err := t.openRecord(record, m.o.Identity)
	if err != nil || !m.o.Now().Before(s.Expiry) {
		return nil, h, ErrNone
	}
	return s, h, nil
}

// successor returns the header of the record that replaces a live one and is valid until
// expiry. The issue time, the end and the index keys stay.
func successor(h cache.Header, expiry time.Time) cache.Header {
	h.Version++
	h.Expiry = expiry
	return h
}

// staleCopy returns a copy of o that is read again before it is served.
func (o *Opened) staleCopy() *Opened {
	c := *o
	c.Until = time.Time{}
	return &c
}

// knownLocked returns the session in memory for a cookie value, or nil.
func (m *Manager) knownLocked(value string) *Opened {
	if o := m.hot.Opened[value]; o != nil {
		return o
	}
	for _, g := range m.older {
		if o := g.opened[value]; o != nil {
			return o
		}
	}
	return nil
}

// replaceLocked puts o in the place of the session from which it was made.
func (m *Manager) replaceLocked(o *Opened) {
	if m.hot.Opened[o.value] != nil {
		m.hot.Opened[o.value] = o
		return
	}
	for _, g := range m.older {
		if g.opened[o.value] != nil {
			g.opened[o.value] = o
			return
		}
	}
}

// keepLocked makes o hot. A full hot generation becomes the older one, and sessions
// without requests are dropped with the oldest.
func (m *Manager) keepLocked(o *Opened) {
	before := m.hot.Opened[o.value]
	if before == nil {
		if len(m.hot.Opened) >= (m.o.MaxOpened+1)/2 || m.bytes+o.size > m.o.MaxBytes/2 {
			m.coolLocked()
		}
		m.indexed[o.key] = o.value
	} else {
		m.bytes -= before.size
	}
	m.bytes += o.size
	m.hot.Opened[o.value] = o
}

// coolLocked begins a new hot generation. It drops the oldest ones until the others have
// at most half of the bound.
func (m *Manager) coolLocked() {
	if len(m.hot.Opened) == 0 {
		return
	}
	kept := []*generation{{opened: m.hot.Opened, indexed: m.indexed, bytes: m.bytes}}
	left := (m.o.MaxOpened+1)/2 - len(m.hot.Opened)
	room := m.o.MaxBytes/2 - m.bytes
	for _, g := range m.older {
		left -= len(g.opened)
		room -= g.bytes
		if left < 0 || room < 0 || len(kept) == generationsKept {
			break
		}
		kept = append(kept, g)
	}
	m.older = kept
	m.bytes = 0
	m.hot.Opened = map[string]*Opened{}
	m.indexed = map[string]string{}
}

func (m *Manager) drop(key string) {
	m.hot.Mu.Lock()
	m.dropLocked(key)
	m.hot.Mu.Unlock()
}

func (m *Manager) dropLocked(key string) {
	if r := m.refreshes[key]; r != nil {
		r.dropped = true
	}
	v := m.indexed[key]
	if o := m.hot.Opened[v]; o != nil {
		m.bytes -= o.size
	}
	delete(m.hot.Opened, v)
	delete(m.indexed, key)
	for _, g := range m.older {
		delete(g.opened, g.indexed[key])
		delete(g.indexed, key)
	}
}

// Changed is called by the backend when the record of key changed or was removed. Memory
// reads the record again before it serves the session. Requests that come after it do not
// wait for an earlier read.
func (m *Manager) Changed(key string) {
	m.hot.Mu.Lock()
	if o := m.hot.Opened[m.indexed[key]]; o != nil {
		m.hot.Opened[o.value] = o.staleCopy()
	}
	for _, g := range m.older {
		if o := g.opened[g.indexed[key]]; o != nil {
			g.opened[o.value] = o.staleCopy()
		}
	}
	for v, f := range m.flights {
		if f.key == key {
			f.stale = true
			delete(m.flights, v)
		}
	}
	m.hot.Mu.Unlock()
}

// ChangedAll is called by the backend when any record may have changed. No session is hot
// then, and none is dropped.
func (m *Manager) ChangedAll() {
	m.hot.Mu.Lock()
	m.epoch++
	m.flights = map[string]*flight{}
	m.coolLocked()
	m.hot.Mu.Unlock()
}
