package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// An Origin is what the provider calls a session by: the claims iss, sub and sid
// of the ID token that it began with, and the token's iat.
type Origin struct {
	Issuer    string
	Subject   string
	SessionID string // empty: the provider did not say
	Issued    time.Time
}

// An Ending is about the sessions of one person, those of one session at the
// provider, or, with both, those of the one in the other: what was issued at Before
// or earlier.
type Ending struct {
	Issuer    string
	Subject   string // empty: of anybody
	SessionID string // empty: any
	Before    time.Time
	// Unproven says that anybody could have made it up: it ends the sessions that are
	// stored, and nothing is remembered for those on their way to be.
	Unproven bool
}

// errNobody is returned for an Ending that says nothing.
var errNobody = errors.New("session: neither a subject nor a session is named")

// marksLast is how long it is remembered at least that a session ended that may
// still be on its way to be stored: longer than any sign-in, and as long as sessions last
// by default, as other processes may have longer ones than this one.
const marksLast = 24 * time.Hour

// The kinds of links. Records are found by those of one claim; that of both keeps a
// record alone from being created.
const (
	linkSession = "sid"
	linkSubject = "sub"
	linkPair    = "pair"
	linkUnnamed = "sub without sid"
)

// links are what a record of that origin is found by, under every key of the ring,
// so that replicas in the middle of a key rotation find it. They do not tell the
// group: the provider knows the client alone.
func (m *Manager) links(o Origin) []cache.Link {
	var links []cache.Link
	for _, k := range m.o.Keys.keys {
		if o.SessionID != "" {
			links = append(links, cache.Link{Name: m.link(k, o.Issuer, linkSession, o.SessionID), Listed: true})
		}
		if o.Subject != "" {
			links = append(links, cache.Link{Name: m.link(k, o.Issuer, linkSubject, o.Subject), Listed: true})
		}
		if o.SessionID == "" && o.Subject != "" {
			links = append(links, cache.Link{Name: m.link(k, o.Issuer, linkUnnamed, o.Subject), Listed: true})
		}
		if o.SessionID != "" && o.Subject != "" {
			links = append(links, cache.Link{Name: m.link(k, o.Issuer, linkPair, o.SessionID, o.Subject)})
		}
	}
	return links
}

// linksOf are links, and that of a record that is the first to leave a full store.
func (m *Manager) linksOf(s *Session, o Origin) []cache.Link {
	links := m.links(o)
	if s.Refused {
		links = append(links, cache.Link{Name: cache.Provisional})
	}
	return links
}

// MaxSessions is how many sessions a user may have at one client, in all of its
// middlewares.
const MaxSessions = 500

// EndOldest ends the oldest sessions of the user that o names, where there are more
// than MaxSessions, and returns how many. The one of the cookie value newest stays.
func (m *Manager) EndOldest(ctx context.Context, o Origin, newest string) (int, error) {
	t, err := m.o.Keys.ticket(newest, m.o.Cookies.Name, m.o.Identity)
	if err != nil || o.Subject == "" {
		return 0, err
	}
	ended := 0
	for _, k := range m.o.Keys.keys {
		n, err := m.o.Backend.Trim(ctx, m.link(k, o.Issuer, linkSubject, o.Subject), MaxSessions, t.recordKey())
		ended += n
		if err != nil {
			return ended, fmt.Errorf("%w: end the oldest: %w", ErrUnavailable, err)
		}
	}
	return ended, nil
}

func withoutProvisional(links []cache.Link) []cache.Link {
	kept := make([]cache.Link, 0, len(links))
	for _, l := range links {
		if l.Name != cache.Provisional {
			kept = append(kept, l)
		}
	}
	return kept
}

// link is a keyed digest, so that a dump of the store names nobody.
func (m *Manager) link(k *masterKey, issuer, kind string, values ...string) string {
	parts := append([]string{"link", issuer, m.o.Client, kind}, values...)
	return string(k.digest(parts)[:cache.LinkSize])
}

// EndAll revokes every session that e is about, those at other replicas and those
// that are still on their way to be stored. It is nil when the shared store has all
// of that. After ErrUnavailable it holds here as far as sessions are known, and
// will be carried over; it can be repeated. It is not given up when ctx is done.
func (m *Manager) EndAll(ctx context.Context, e Ending) error {
	if e.Subject == "" && e.SessionID == "" {
		return errNobody
	}
	var all []cache.Revocation
	for _, k := range m.o.Keys.keys {
		all = append(all, m.revocation(k, e))
		if e.SessionID != "" && e.Subject != "" {
			all = append(all, m.unnamed(k, e))
		}
	}
	if err := m.o.Backend.Revoke(context.WithoutCancel(ctx), all); err != nil {
		return fmt.Errorf("%w: end all: %w", ErrUnavailable, err)
	}
	return nil
}

func (m *Manager) revocation(k *masterKey, e Ending) cache.Revocation {
	r := cache.Revocation{Before: e.Before.Truncate(time.Second), TTL: m.remembered(), Unproven: e.Unproven}
	switch {
	case e.Subject == "":
		r.Link = m.link(k, e.Issuer, linkSession, e.SessionID)
		r.Mark = r.Link
	case e.SessionID == "":
		r.Link = m.link(k, e.Issuer, linkSubject, e.Subject)
		r.Mark = r.Link
	default:
		r.Link = m.link(k, e.Issuer, linkSession, e.SessionID)
		r.Also = m.link(k, e.Issuer, linkSubject, e.Subject)
		r.Mark = m.link(k, e.Issuer, linkPair, e.SessionID, e.Subject)
	}
	return r
}

// unnamed is about the sessions of e's person of which the provider did not say by
// what it calls them: e may be about any.
func (m *Manager) unnamed(k *masterKey, e Ending) cache.Revocation {
	link := m.link(k, e.Issuer, linkUnnamed, e.Subject)
	return cache.Revocation{Link: link, Mark: link, Before: e.Before.Truncate(time.Second), TTL: m.remembered(), Unproven: e.Unproven}
}

// remembered is how long an ending counts for sessions that are still to be stored. One
// of another middleware of this client may be held by a replica that does not reach the
// store, until it ends by that middleware's MaxAge.
func (m *Manager) remembered() time.Duration {
	longest := m.o.Ages.Longest()
	if longest < marksLast {
		longest = marksLast
	}
	return longest + cache.ClockSkew
}

// joinLinks are the names of links, one behind the other.
func joinLinks(links []cache.Link) string {
	names := make([]byte, 0, len(links)*cache.LinkSize)
	for _, l := range links {
		names = append(names, l.Name...)
	}
	return string(names)
}

func splitLinks(names string) []cache.Link {
	var links []cache.Link
	for ; len(names) >= cache.LinkSize; names = names[cache.LinkSize:] {
		links = append(links, cache.Link{Name: names[:cache.LinkSize]})
	}
	return links
}

// Revoked is told by the backend, while the shared store cannot be asked, which
// records are revoked: sessions that are opened here and whose records are not held
// any more end too. A tombstone keeps them so.
func (m *Manager) Revoked(r cache.Revocation) {
	for _, h := range m.covered(r) {
		m.drop(h.key)
		_ = m.bury(context.Background(), h.key, h.header)
	}
}

// A buried record is one that a revocation is about.
type buried struct {
	key    string
	header cache.Header
}

// covered lists the opened sessions that r is about. It reads no more of each than it
// must: who asks for a session meanwhile waits.
func (m *Manager) covered(r cache.Revocation) []buried {
	m.hot.Mu.Lock()
	found := coveredIn(m.hot.Opened, r)
	for _, g := range m.older {
		found = append(found, coveredIn(g.opened, r)...)
	}
	m.hot.Mu.Unlock()
	return found
}

func coveredIn(opened map[string]*Opened, r cache.Revocation) []buried {
	var found []buried
	for _, o := range opened {
		if !strings.Contains(o.links, r.Link) {
			continue
		}
		h := cache.Header{
			State: cache.Live, Version: o.version, End: time.Unix(0, o.end), Issued: time.Unix(o.issued, 0), Links: splitLinks(o.links),
		}
		if r.Covers(h) {
			found = append(found, buried{key: o.key, header: h})
		}
	}
	return found
}
