package registry

import (
	"context"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
)

const (
	firstVerification = time.Second
	lastVerification  = 30 * time.Second
	verificationTime  = 10 * time.Second
)

// A Candidate is a store that is to take another one's place. Verify asks it for
// all that it will be asked for; the error says which step failed and names no
// secret.
type Candidate interface {
	Verify(ctx context.Context) error
	Backend() cache.Backend
}

// A Succession is a backend in whose place another one steps once that was
// verified, and not before: an operator's mistake in the options of a store signs
// nobody out. Requests under way finish where they began.
type Succession struct {
	next    Candidate
	settled func(err error) // told of each verification; nil error: the next one serves

	mu       sync.Mutex // guards the fields below
	serving  cache.Backend
	watchers []cache.Watcher
	pause    time.Duration
	done     bool // next serves
	over     bool // nothing is verified any more
}

var _ cache.Backend = (*Succession)(nil)

// NewSuccession returns a backend that is before, and becomes that of next.
// settled is called after every verification until one succeeds.
func NewSuccession(before cache.Backend, next Candidate, settled func(err error)) *Succession {
	s := &Succession{serving: before, next: next, settled: settled, pause: firstVerification}
	background.Start(s)
	return s
}

// Run verifies the next store, and comes back later if it does not serve.
func (s *Succession) Run() {
	if s.isOver() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), verificationTime)
	err := s.next.Verify(ctx)
	cancel()
	if err != nil {
		background.After(s.wait(), s)
	} else if !s.succeed() {
		return
	}
	s.settled(err)
}

// Done reports whether the next backend serves.
func (s *Succession) Done() bool {
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	return done
}

// Close ends the verification. What serves goes on serving.
func (s *Succession) Close() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
}

func (s *Succession) isOver() bool {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	return over
}

func (s *Succession) wait() time.Duration {
	s.mu.Lock()
	d := s.pause
	if s.pause *= 2; s.pause > lastVerification {
		s.pause = lastVerification
	}
	s.mu.Unlock()
	return d
}

// succeed lets the next store serve. Whoever watches is told that anything may
// have changed, because it has. It returns false if all that ended meanwhile.
func (s *Succession) succeed() bool {
	next := s.next.Backend()
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	watchers := s.watchers
	for i := range watchers {
		w := watchers[i]
		s.serving.Unwatch(w)
		next.Watch(w)
	}
	s.serving = next
	s.done = true
	s.over = true
	s.mu.Unlock()
	for i := range watchers {
		w := watchers[i]
		w.ChangedAll()
	}
	return true
}

func (s *Succession) backend() cache.Backend {
	s.mu.Lock()
	b := s.serving
	s.mu.Unlock()
	return b
}

// Get asks the backend that serves, and so do the methods below.
func (s *Succession) Get(ctx context.Context, key string) ([]byte, error) {
	return s.backend().Get(ctx, key)
}

// Set implements cache.Backend.
func (s *Succession) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.backend().Set(ctx, key, value, ttl)
}

// Add implements cache.Backend.
func (s *Succession) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.backend().Add(ctx, key, value, ttl)
}

// CompareAndSet implements cache.Backend.
func (s *Succession) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	return s.backend().CompareAndSet(ctx, key, version, value, ttl)
}

// Fresh implements cache.Backend.
func (s *Succession) Fresh(ctx context.Context, key string) ([]byte, error) {
	return s.backend().Fresh(ctx, key)
}

// Revoke implements cache.Backend.
func (s *Succession) Revoke(ctx context.Context, revocations []cache.Revocation) error {
	return s.backend().Revoke(ctx, revocations)
}

// Acquire implements cache.Backend.
func (s *Succession) Acquire(ctx context.Context, l cache.Lease) ([]byte, error) {
	return s.backend().Acquire(ctx, l)
}

// Prolong implements cache.Backend.
func (s *Succession) Prolong(ctx context.Context, l cache.Lease) error {
	return s.backend().Prolong(ctx, l)
}

// Release implements cache.Backend.
func (s *Succession) Release(ctx context.Context, l cache.Lease, unused bool) error {
	return s.backend().Release(ctx, l, unused)
}

// Delete implements cache.Backend.
func (s *Succession) Delete(ctx context.Context, key string) error {
	return s.backend().Delete(ctx, key)
}

// Exists implements cache.Backend.
func (s *Succession) Exists(ctx context.Context, key string) (bool, error) {
	return s.backend().Exists(ctx, key)
}

// Clear implements cache.Backend.
func (s *Succession) Clear(ctx context.Context) error {
	return s.backend().Clear(ctx)
}

// Health implements cache.Backend.
func (s *Succession) Health(ctx context.Context) error {
	return s.backend().Health(ctx)
}

// Watch implements cache.Backend.
func (s *Succession) Watch(w cache.Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	watchers := make([]cache.Watcher, 0, len(s.watchers)+1)
	watchers = append(watchers, s.watchers...)
	s.watchers = append(watchers, w)
	s.serving.Watch(w)
}

// Unwatch implements cache.Backend. A watcher is let go of by whoever serves; it is
// gone for good when its middleware is.
func (s *Succession) Unwatch(w cache.Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving.Unwatch(w)
}
