package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// An Origin is the provider's name of a session: the claims iss, sub and sid of the ID
// token that it began with, and the token's iat.
type Origin struct {
	Issuer    string
	Subject   string
	SessionID string // empty: the provider gave none
	Issued    time.Time
}

// An Ending selects the sessions of one user, those of one session at the provider, or,
// with both, those of that user in that session. It covers sessions that were issued at
// Before or earlier.
type Ending struct {
	Issuer    string
	Subject   string // empty: of any user
	SessionID string // empty: any
	Before    time.Time
	// Unproven says that anyone could have made it up. It ends the sessions that are
	// stored, and nothing is remembered for those that are stored later.
	Unproven bool
}

// errNoSubject is returned for an Ending that names nothing.
var errNoSubject = errors.New("session: neither a subject nor a session is named")

// rememberedAtLeast is the shortest time for which an ending applies to sessions that are
// stored later. It is longer than any sign-in. It is as long as sessions last by default,
// because other processes may have longer ones than this one.
const rememberedAtLeast = 24 * time.Hour

// The kinds of index keys. Those of one claim find records. The one of both claims only
// keeps a record from being created.
const (
	linkSession = "sid"
	linkSubject = "sub"
	linkPair    = "pair"
	linkUnnamed = "sub without sid"
)

// links returns the index keys by which a record of that origin is found. There is one
// for every key of the ring, so that replicas in the middle of a key rotation find it.
// They do not include the group, because the provider knows only the client.
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

// linksOf returns links, and for a refused session that of the records that leave a full
// store first.
func (m *Manager) linksOf(s *Session, o Origin) []cache.Link {
	links := m.links(o)
	if s.Refused {
		links = append(links, cache.Link{Name: cache.Provisional})
	}
	return links
}

// MaxSessions bounds the sessions of a user at one client, in all of its middlewares.
const MaxSessions = 500

// EndOldest ends the oldest sessions of the user that o names, if there are more than
// MaxSessions. It returns their number. The session of the cookie value newest stays.
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
			return ended, fmt.Errorf("%w: end the oldest sessions: %w", ErrUnavailable, err)
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

// link returns an index key: a keyed digest, so that a dump of the store names no user.
func (m *Manager) link(k *masterKey, issuer, kind string, values ...string) string {
	parts := append([]string{"link", issuer, m.o.Client, kind}, values...)
	return string(k.digest(parts)[:cache.LinkSize])
}

// EndAll revokes every session that e selects, including those at other replicas and
// those that are stored later. It returns nil when the shared store has all of that.
//
// After ErrUnavailable the sessions that are known here are revoked, and the rest follows
// when the store is back. The call can be repeated. It is not given up when ctx is done.
func (m *Manager) EndAll(ctx context.Context, e Ending) error {
	if e.Subject == "" && e.SessionID == "" {
		return errNoSubject
	}
	var all []cache.Revocation
	for _, k := range m.o.Keys.keys {
		all = append(all, m.revocation(k, e))
		if e.SessionID != "" && e.Subject != "" {
			all = append(all, m.unnamed(k, e))
		}
	}
	if err := m.o.Backend.Revoke(context.WithoutCancel(ctx), all); err != nil {
		return fmt.Errorf("%w: end all sessions: %w", ErrUnavailable, err)
	}
	return nil
}

func (m *Manager) revocation(k *masterKey, e Ending) cache.Revocation {
	r := cache.Revocation{Before: e.Before.Truncate(time.Second), TTL: m.remembered(), Unproven: e.Unproven}
	switch {
	case e.Subject == "":
		r.Link = m.link(k, e.Issuer, linkSession, e.SessionID)
		r.Name = r.Link
	case e.SessionID == "":
		r.Link = m.link(k, e.Issuer, linkSubject, e.Subject)
		r.Name = r.Link
	default:
		r.Link = m.link(k, e.Issuer, linkSession, e.SessionID)
		r.Also = m.link(k, e.Issuer, linkSubject, e.Subject)
		r.Name = m.link(k, e.Issuer, linkPair, e.SessionID, e.Subject)
	}
	return r
}

// unnamed returns the revocation of the sessions of e's user for which the provider gave
// no sid. The ending e may be about any of them.
func (m *Manager) unnamed(k *masterKey, e Ending) cache.Revocation {
	link := m.link(k, e.Issuer, linkUnnamed, e.Subject)
	return cache.Revocation{Link: link, Name: link, Before: e.Before.Truncate(time.Second), TTL: m.remembered(), Unproven: e.Unproven}
}

// remembered returns the time for which an ending applies to sessions that are stored
// later. A replica without the store may hold a session of another middleware of this
// client, until that middleware's MaxAge.
func (m *Manager) remembered() time.Duration {
	longest := m.o.Ages.longestAge()
	if longest < rememberedAtLeast {
		longest = rememberedAtLeast
	}
	return longest + cache.ClockSkew
}

// joinLinks returns the names of links, one behind the other.
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

// Revoked is called by the backend, while the shared store is unreachable, with a
// revocation of records. It also ends opened sessions without a record in memory. A
// tombstone keeps them ended.
func (m *Manager) Revoked(r cache.Revocation) {
	for _, h := range m.covered(r) {
		m.drop(h.key)
		_ = m.writeTombstone(context.Background(), h.key, h.header)
	}
}

// A coveredRecord is one that a revocation covers.
type coveredRecord struct {
	key    string
	header cache.Header
}

// covered lists the opened sessions that r covers. It reads no more of each than it must,
// because other requests wait for the lock meanwhile.
func (m *Manager) covered(r cache.Revocation) []coveredRecord {
	m.hot.Mu.Lock()
	found := coveredIn(m.hot.Opened, r)
	for _, g := range m.older {
		found = append(found, coveredIn(g.opened, r)...)
	}
	m.hot.Mu.Unlock()
	return found
}

func coveredIn(opened map[string]*Opened, r cache.Revocation) []coveredRecord {
	var found []coveredRecord
	for _, o := range opened {
		if !strings.Contains(o.links, r.Link) {
			continue
		}
		h := cache.Header{
			State: cache.Live, Version: o.version, End: time.Unix(0, o.end), Issued: time.Unix(o.issued, 0), Links: splitLinks(o.links),
		}
		if r.Covers(h) {
			found = append(found, coveredRecord{key: o.key, header: h})
		}
	}
	return found
}
