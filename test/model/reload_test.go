package model

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/internal/registry"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/session"
)

// A loading is the result of one reload of Traefik's configuration at a replica: the
// middleware, and the store of its options.
type loading struct {
	m      *session.Manager
	next   *cache.Trial // nil: the store did not change
	store  *store
	cancel context.CancelFunc // of the use of the store
}

// end ends the loading a while after the next reload.
func (l *loading) end() {
	l.cancel()
	if l.next != nil {
		l.next.Close()
	}
	l.m.Close()
	l.store.Close()
}

// A store is shared by the loadings with the same options.
type store struct {
	hybrid  *hybrid.Hybrid
	options redis.Options
	closing sync.Once
}

// Build implements registry.Builder.
func (s *store) Build() (registry.Resource, error) {
	s.hybrid.Start()
	return s, nil
}

// Close implements registry.Resource.
func (s *store) Close() {
	s.closing.Do(s.hybrid.Close)
}

// Backend implements cache.Candidate.
func (s *store) Backend() cache.Store {
	return s.hybrid
}

// Verify implements cache.Candidate.
func (s *store) Verify(ctx context.Context) error {
	if err := redis.Verify(ctx, s.options); err != nil {
		return err
	}
	for {
		err := s.hybrid.Health(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// newStore returns a store with options that differ by the size of the pool.
func (r *replica) newStore(pool int) *store {
	s := &store{options: redis.Options{Server: resp.Options{Address: "model:6379", Dial: r.path().dial, PoolSize: pool}}}
	s.hybrid = hybrid.New(hybrid.Options{
		Redis: s.options, Memory: cache.MemoryOptions{MaxEntries: r.w.c.entries, Now: r.now}, Direct: r.w.c.direct, Observer: r,
	})
	return s
}

// load acts like the plugin when Traefik has read a file with that size of the pool.
func (r *replica) load(pool int) {
	key := fmt.Sprintf("way %d, pool %d", len(r.paths), pool)
	r.w.trace("%s: the options say %s", r, key)
	ctx, cancel := context.WithCancel(context.Background())
	l := &loading{cancel: cancel}
	kept, err := r.stores.Acquire(ctx, key, r.newStore(pool))
	if err != nil {
		panic(err)
	}
	l.store = kept.(*store)
	var backend cache.Backend = l.store.hybrid
	if served, _ := r.stores.Succeed("middleware", key); served != "" {
		held, release := context.WithCancel(context.Background())
		before, err := r.stores.Acquire(held, served, nil)
		if err != nil {
			panic(err)
		}
		stores := cache.NewSwitch(before.(*store).hybrid)
		l.next = cache.NewTrial(cache.TrialOptions{
			Switch: stores, Next: l.store, Claim: &claim{r: r, key: key}, Linger: registry.Linger,
			Settled: func(err error) {
				r.w.trace("%s: %s: %v", r, key, err)
				if err == nil {
					r.mending.Store(false)
					release()
				}
			},
		})
		l.next.Start()
		backend = stores
	}
	c := &r.w.c
	l.m = session.NewManager(session.Options{
		Backend: &spy{Backend: backend, r: r}, Keys: r.w.keys, Identity: "identity", Client: "client",
		Cookies: session.Cookies{Name: "oidc"}, MaxAge: c.maxAge, IdleTimeout: c.idle, AlwaysRead: c.direct,
		Preparer: r, Refresher: r, Grace: c.grace, MaxOpened: c.entries, Now: r.now,
	})
	r.mu.Lock()
	if n := len(r.loaded); n > 0 {
		r.loaded[n-1].cancel()
	}
	r.loaded = append(r.loaded, l)
	r.mu.Unlock()
}

// manager returns the sessions of the newest middleware.
func (r *replica) manager() *session.Manager {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loaded[len(r.loaded)-1].m
}

// A claim is the claim of a replica's store to serve its middleware.
type claim struct {
	r   *replica
	key string
}

// Wanted implements cache.Claim.
func (c *claim) Wanted() bool {
	return c.r.stores.Wants("middleware", c.key)
}

// Serve implements cache.Claim.
func (c *claim) Serve() bool {
	return c.r.stores.Serve("middleware", c.key)
}
