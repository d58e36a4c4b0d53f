package model

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/registry"
	"github.com/traefikoidc/traefikoidc/session"
)

// A replica is one Traefik process. It has the real store and the real sessions, on a
// path and a clock of its own.
type replica struct {
	w      *world
	name   string
	skew   time.Duration
	paths  []*path // those of the options so far, the present one last
	stores *registry.Registry
	ended  atomic.Bool
	// The options were mended, and do not serve yet.
	mending atomic.Bool

	mu     sync.Mutex // guards the fields below
	loaded []*loading // its middlewares, the newest last

	// The fields below are the driver's.
	spoilt bool      // the options lead nowhere
	ill    bool      // it cannot reach the server
	well   time.Time // it can reach the server since then
	deaf   bool      // the messages on the invalidation link do not arrive
	hears  time.Time // they arrive since then
}

func (r *replica) String() string {
	return r.name
}

// path returns the way to the server of the present options.
func (r *replica) path() *path {
	return r.paths[len(r.paths)-1]
}

func (r *replica) now() time.Time {
	return time.Now().Add(r.skew)
}

func (r *replica) dead() bool {
	return r.ended.Load()
}

// start makes a replica's process.
func (w *world) start(name string, skew time.Duration) *replica {
	w.processes++
	r := &replica{w: w, name: fmt.Sprintf("%s%d", name, w.processes), skew: skew, well: time.Now(), hears: time.Now()}
	r.paths = []*path{w.net.path(uint64(w.processes))}
	r.stores = registry.New(registry.Linger)
	r.load(w.c.pool)
	return r
}

// close ends the process as far as that is possible here. Its connections are gone, and
// its later results reach nobody.
func (r *replica) close() {
	r.ended.Store(true)
	for _, p := range r.paths {
		p.leave()
	}
	r.mu.Lock()
	loaded := r.loaded
	r.mu.Unlock()
	for _, l := range loaded {
		l.end()
	}
}

// Observe implements hybrid.Observer.
func (r *replica) Observe(e hybrid.Event, cause error) {
	r.w.trace("%s: %s", r, e.Text())
	r.w.saw(e)
}

// Prepare implements session.Preparer.
func (r *replica) Prepare(s *session.Session) session.View {
	return session.View{Allowed: true, Subject: s.IDToken}
}

// An account has the effects of one call of a replica on the store.
type account struct {
	mu      sync.Mutex // guards the fields below
	journal bool       // something has only been applied there
	written bool       // something is in the shared store
}

type accountKey struct{}

// A spy records in the account of a call if it was journalled.
type spy struct {
	cache.Backend
	r *replica
}

func (s *spy) note(what, key string, err error) error {
	if s.r.w.verbose() {
		s.r.w.trace("%s: %s %s: %v", s.r, what, key, err)
	}
	return err
}

func (s *spy) wrote(ctx context.Context, what, key string, err error) error {
	if a, _ := ctx.Value(accountKey{}).(*account); a != nil {
		a.mu.Lock()
		a.journal = a.journal || errors.Is(err, cache.ErrJournalled)
		a.written = a.written || err == nil
		a.mu.Unlock()
	}
	return s.note(what, key, err)
}

func (s *spy) Get(ctx context.Context, key string) ([]byte, error) {
	b, err := s.Backend.Get(ctx, key)
	return b, s.note("Get", key, err)
}

func (s *spy) Fresh(ctx context.Context, key string) ([]byte, error) {
	b, err := s.Backend.Fresh(ctx, key)
	return b, s.note("Fresh", key, err)
}

func (s *spy) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.wrote(ctx, "Set", key, s.Backend.Set(ctx, key, value, ttl))
}

func (s *spy) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.wrote(ctx, "Add", key, s.Backend.Add(ctx, key, value, ttl))
}

func (s *spy) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	return s.note(fmt.Sprintf("CompareAndSet %d", version), key, s.Backend.CompareAndSet(ctx, key, version, value, ttl))
}

func (s *spy) Acquire(ctx context.Context, l cache.Lease) ([]byte, error) {
	b, err := s.Backend.Acquire(ctx, l)
	return b, s.note(fmt.Sprintf("Acquire %d", l.Version), l.Record, err)
}

func (s *spy) Prolong(ctx context.Context, l cache.Lease) error {
	return s.note("Prolong", l.Record, s.Backend.Prolong(ctx, l))
}

func (s *spy) Release(ctx context.Context, l cache.Lease, unused bool) error {
	return s.note(fmt.Sprintf("Release unused=%t", unused), l.Record, s.Backend.Release(ctx, l, unused))
}

func (s *spy) Revoke(ctx context.Context, all []cache.Revocation) error {
	return s.wrote(ctx, "Revoke", "", s.Backend.Revoke(ctx, all))
}

// An answer is the outcome of a request.
type answer int

const (
	served answer = iota
	none
	unavailable
)

func (a answer) String() string {
	return []string{"served", "none", "unavailable"}[a]
}

// request requests a page with a cookie. Like the middleware it looks among the opened
// sessions first.
func (r *replica) request(value string) (answer, string, error) {
	m := r.manager()
	hot := m.Hot()
	hot.Mu.Lock()
	found := hot.Opened[value]
	hot.Mu.Unlock()
	if found != nil && r.now().Before(found.Until) {
		return served, found.Subject, nil
	}
	o, err := m.Load(context.Background(), withCookie(value))
	switch {
	case err == nil:
		return served, o.Subject, nil
	case errors.Is(err, session.ErrNone):
		return none, "", err
	}
	return unavailable, "", err
}

func withCookie(value string) *http.Request {
	return &http.Request{Header: http.Header{"Cookie": {"oidc=" + value}}}
}
