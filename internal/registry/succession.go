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
	Backend() cache.Store
}

// A Succession is a backend in whose place another one steps once that was
// verified and has taken over what the one before knows, and not before: an
// operator's mistake in the options of a store signs nobody out, and its correction
// signs nobody in again who has signed out. Requests under way finish where they
// began; what they change is handed over too.
type Succession struct {
	o      SuccessionOptions
	ctx    context.Context // done when nothing is verified any more
	cancel context.CancelFunc

	mu       sync.Mutex // guards the fields below
	serving  cache.Store
	watchers []cache.Watcher
	pause    time.Duration
	handover *cache.Handover // nil: nothing is handed over
	done     bool            // next serves
	over     bool            // nothing is verified any more
	resting  bool            // nothing is verified until Wake, as next is not wanted
}

// SuccessionOptions say what becomes what. All are required.
type SuccessionOptions struct {
	Registry   *Registry
	Group, Key string // of the registry: next is Key's, and is to serve Group
	Before     cache.Store
	Next       Candidate
	// Settled is told of each attempt, but of none that ends when something else is
	// wanted; nil error: the next one serves.
	Settled func(err error)
}

var _ cache.Backend = (*Succession)(nil)

// NewSuccession returns a backend that is the one before, and becomes that of next.
func NewSuccession(o SuccessionOptions) *Succession {
	s := newSuccession(o)
	background.Start(s)
	return s
}

func newSuccession(o SuccessionOptions) *Succession {
	s := &Succession{o: o, serving: o.Before, pause: firstVerification}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Run tries to let the next store serve, and comes back later if it cannot. It rests
// while another store is wanted.
func (s *Succession) Run() {
	if !s.begin() {
		return
	}
	served, err := s.attempt()
	if served {
		s.o.Settled(nil)
		return
	}
	told := err != nil && !s.isOver() && s.o.Registry.Wants(s.o.Group, s.o.Key)
	background.After(s.wait(), s)
	if told {
		s.o.Settled(err)
	}
}

// begin reports whether there is something to try. Whoever finds the store unwanted
// rests, unless it was woken meanwhile.
func (s *Succession) begin() bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	s.resting = true
	s.mu.Unlock()
	return s.o.Registry.Wants(s.o.Group, s.o.Key) && s.rouse()
}

// rouse ends the rest, and reports whether it was one.
func (s *Succession) rouse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.resting && !s.over
	s.resting = false
	return was
}

// Wake goes on verifying, if that had ended because another store was wanted.
func (s *Succession) Wake() {
	if !s.rouse() {
		return
	}
	s.mu.Lock()
	s.pause = firstVerification
	s.mu.Unlock()
	background.Start(s)
}

// attempt verifies the next store, has it take over what the one before knows, and
// lets it serve: in this order, because a store that lacks a sign-out must not serve.
// It returns false and no error when another store is wanted by then.
func (s *Succession) attempt() (bool, error) {
	ctx, cancel := context.WithTimeout(s.ctx, verificationTime)
	err := s.o.Next.Verify(ctx)
	cancel()
	if err != nil {
		return false, err
	}
	next := s.o.Next.Backend()
	h, err := cache.TakeOver(s.ctx, s.o.Before, next)
	if err != nil {
		return false, err
	}
	if s.o.Registry.Serve(s.o.Group, s.o.Key) && s.succeed(next, h) {
		background.After(s.o.Registry.linger, &letting{s: s})
		return true, nil
	}
	h.End()
	return false, nil
}

// A letting ends a handover when the requests are over that began before.
type letting struct {
	s *Succession
}

// Run implements background.Runner.
func (l *letting) Run() {
	l.s.letGo()
}

// letGo ends the handover, if there is one.
func (s *Succession) letGo() {
	s.mu.Lock()
	h := s.handover
	s.handover = nil
	s.mu.Unlock()
	if h != nil {
		h.End()
	}
}

// Close ends the verification and the handover. What serves goes on serving.
func (s *Succession) Close() {
	s.cancel()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.letGo()
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
func (s *Succession) succeed(next cache.Store, h *cache.Handover) bool {
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
	s.handover = h
	s.done = true
	s.over = true
	s.mu.Unlock()
	for i := range watchers {
		w := watchers[i]
		w.ChangedAll()
	}
	return true
}

func (s *Succession) backend() cache.Store {
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

// Trim implements cache.Backend.
func (s *Succession) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	return s.backend().Trim(ctx, link, most, newest)
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
