package traefikoidc

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"reflect"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// Traefik makes a Config for each router, and calls New for all of them at each change
// of anything. So a configuration is identified by its content. It is parsed once, and
// a middleware with the same content is found again at little cost.

// digestOf is the same for two configurations if every option has the same value of the
// same type. Its input contains secrets, and is not kept.
func digestOf(c *Config) string {
	h := sha256.New()
	fmt.Fprintf(h, "%#v", c)
	return string(h.Sum(nil))
}

// A setup has the middleware of one name as it was configured last, and the end of the
// contexts that it was configured with. The contexts of one generation of Traefik's
// configuration end together.
type setup struct {
	mu         sync.Mutex // guards the fields below
	latest     *made      // nil: none was made
	generation <-chan struct{}
}

// made is a middleware with its inputs.
type made struct {
	config     *Config        // of the middleware
	digest     string         // of the configuration at that time
	record     *config.Record // of the variables and files of config
	keys       []string       // of the registry: all that it uses
	storeKey   string         // one of keys
	served     string         // key of the store that served it before that one; see findPredecessor
	turn       int
	store      *store
	log        *slog.Logger
	middleware *sharedMiddleware
}

// Close has no effect: there are no resources to release.
func (s *setup) Close() {}

func (s *setup) get() (*made, <-chan struct{}) {
	s.mu.Lock()
	m := s.latest
	g := s.generation
	s.mu.Unlock()
	return m, g
}

func (s *setup) set(m *made, generation <-chan struct{}) {
	s.mu.Lock()
	s.latest = m
	s.generation = generation
	s.mu.Unlock()
}

type setupBuilder struct{}

// Build returns a setup without a middleware.
func (b *setupBuilder) Build() (registry.Resource, error) {
	return &setup{}, nil
}

// setupKey returns the registry's key of the setup of a name.
func setupKey(name string) string {
	return "setup " + name
}

// again returns the middleware of a name for as long as ctx is not done. It returns nil
// unless the middleware was configured with the same content last, its variables and
// files are unchanged, and its store is to serve it as before.
func again(ctx context.Context, c *Config, name string) *sharedMiddleware {
	r := registry.Shared.Kept(setupKey(name))
	if r == nil {
		return nil
	}
	s := r.(*setup)
	m, generation := s.get()
	if m == nil || !m.isOf(c) || !m.record.Holds() {
		return nil
	}
	done := ctx.Done()
	if done == nil || done != generation || ctx.Err() != nil {
		if !m.again(ctx, name) {
			return nil
		}
		s.set(m, done)
	}
	return m.middleware
}

// isOf reports whether c is the configuration of m, by its content. A comparison by the
// standard library costs a quarter of a digest. It is valid only for another Config,
// because one always equals itself.
func (m *made) isOf(c *Config) bool {
	if c == m.config {
		return digestOf(c) == m.digest
	}
	return reflect.DeepEqual(c, m.config)
}

// again begins another use of the middleware, for handlers of another generation. It
// returns false if the middleware or a resource that it uses was replaced.
func (m *made) again(ctx context.Context, name string) bool {
	served, turn := registry.Shared.Succeed(groupOf(name), m.storeKey)
	if served != m.served || served != "" && turn != m.turn {
		return false
	}
	if !registry.Shared.Again(ctx, m.keys) {
		return false
	}
	m.store.logTo(m.log)
	m.middleware.wake()
	return true
}

// build returns the middleware of c and name for as long as ctx is not done, with the
// resources that it shares with others. It records its inputs.
func build(ctx context.Context, c *Config, name string) (*sharedMiddleware, error) {
	digest := digestOf(c)
	u := &user{ctx: ctx}
	var rb registry.Builder = &readingBuilder{}
	r, err := u.acquire("settings "+digest, rb)
	if err != nil {
		return nil, err
	}
	settings, record, err := r.(*reading).of(c)
	if err != nil {
		return nil, err
	}
	out, err := logWriter(u, settings.Log.File)
	if err != nil {
		return nil, err
	}
	var sb registry.Builder = &setupBuilder{}
	r, err = u.acquire(setupKey(name), sb)
	if err != nil {
		return nil, err
	}
	m := &made{config: c, digest: digest, record: record, log: newLogger(out, settings.Log, name)}
	if err := m.acquire(u, settings, name); err != nil {
		return nil, err
	}
	m.keys = u.keys
	r.(*setup).set(m, ctx.Done())
	return m.middleware, nil
}

// A user is a handler that is being built, with its context and the resources that it
// uses so far.
type user struct {
	ctx  context.Context
	keys []string // of the registry
}

// acquire is that of the registry.
func (u *user) acquire(key string, b registry.Builder) (registry.Resource, error) {
	r, err := registry.Shared.Acquire(u.ctx, key, b)
	if err == nil {
		u.keys = append(u.keys, key)
	}
	return r, err
}

// A reading has the settings of all configurations with one content.
type reading struct {
	mu       sync.Mutex // guards the fields below
	record   *config.Record
	settings *config.Settings
	err      error
}

// Close has no effect: there are no resources to release.
func (r *reading) Close() {}

// of returns the settings of c, which has the content of this reading, and the record
// of its variables and files, or the error. It parses c again if these have changed.
func (r *reading) of(c *Config) (*config.Settings, *config.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.record == nil || !r.record.Holds() {
		record := &config.Record{}
		settings, err := config.Parse(c, config.System().Recorded(record))
		r.record = record
		r.settings = settings
		r.err = err
	}
	return r.settings, r.record, r.err
}

type readingBuilder struct{}

// Build returns a reading without settings.
func (b *readingBuilder) Build() (registry.Resource, error) {
	return &reading{}, nil
}
