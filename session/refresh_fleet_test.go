package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

// A grantor is a Refresher that rotates refresh tokens as a provider does, counts their
// uses, and calls a function of the test in between.
type grantor struct {
	time     *clock
	lifetime time.Duration
	same     bool // refresh tokens are not rotated

	mu        sync.Mutex // guards the fields below
	calls     int
	used      map[string]bool
	reused    int
	discarded []string
	do        func(s *Session) error
}

func (g *grantor) Refresh(_ context.Context, s *Session) (*Session, error) {
	g.mu.Lock()
	g.calls++
	n, do := g.calls, g.do
	if g.used[s.RefreshToken] {
		g.reused++
	}
	g.used[s.RefreshToken] = true
	g.mu.Unlock()
	if do != nil {
		if err := do(s); err != nil {
			return nil, err
		}
	}
	next := *s
	next.AccessToken = fmt.Sprint("access ", n)
	if !g.same {
		next.RefreshToken = fmt.Sprint("refresh ", n)
	}
	next.AccessExpiry = g.time.now().Add(g.lifetime)
	return &next, nil
}

func (g *grantor) Discard(s *Session) {
	g.mu.Lock()
	g.discarded = append(g.discarded, s.RefreshToken)
	g.mu.Unlock()
}

func (g *grantor) doing(do func(s *Session) error) {
	g.mu.Lock()
	g.do = do
	g.mu.Unlock()
}

func (g *grantor) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// tokens is a Preparer that uses the access token as the reason. Its rules refuse the
// token "denied".
type tokens struct{}

func (tokens) Prepare(s *Session) View {
	return View{Allowed: s.AccessToken != "denied", Subject: "ada", Reason: s.AccessToken}
}

// A fleet is two replicas over one store, with a provider.
type fleet struct {
	*world
	*grantor
	other *Manager
	store *flaky
	value string
	seen  *seen
}

// seen is an Observer of all events but NeverRefreshed, which TestNeverRefreshed tests.
type seen struct {
	mu   sync.Mutex
	list []Event
}

func (s *seen) Observe(e Event, _ string, _ error) {
	if e == NeverRefreshed {
		return
	}
	s.mu.Lock()
	s.list = append(s.list, e)
	s.mu.Unlock()
}

func (s *seen) all() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event{}, s.list...)
}

// flaky is a shared store that can be out of reach, and counts the leases that are
// prolonged.
type flaky struct {
	*cache.Memory
	down      atomic.Bool
	prolonged atomic.Int64
	before    atomic.Value // func(method string)
}

func (f *flaky) step(method string) error {
	if do, ok := f.before.Load().(func(string)); ok && do != nil {
		do(method)
	}
	if f.down.Load() {
		return cache.ErrUnavailable
	}
	return nil
}

func (f *flaky) Get(ctx context.Context, key string) ([]byte, error) {
	if err := f.step("Get"); err != nil {
		return nil, err
	}
	return f.Memory.Get(ctx, key)
}

func (f *flaky) Fresh(ctx context.Context, key string) ([]byte, error) {
	if err := f.step("Fresh"); err != nil {
		return nil, err
	}
	return f.Memory.Fresh(ctx, key)
}

func (f *flaky) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	if err := f.step("CompareAndSet"); err != nil {
		return err
	}
	return f.Memory.CompareAndSet(ctx, key, version, value, ttl)
}

func (f *flaky) Acquire(ctx context.Context, l cache.Lease) ([]byte, error) {
	if err := f.step("Acquire"); err != nil {
		return nil, err
	}
	return f.Memory.Acquire(ctx, l)
}

func (f *flaky) Prolong(ctx context.Context, l cache.Lease) error {
	if do, ok := f.before.Load().(func(string)); ok && do != nil {
		do("Prolong")
	}
	err := f.Memory.Prolong(ctx, l)
	f.prolonged.Add(1)
	return err
}

func (f *flaky) Release(ctx context.Context, l cache.Lease, unused bool) error {
	if err := f.step("Release"); err != nil {
		return err
	}
	return f.Memory.Release(ctx, l, unused)
}

func (f *flaky) Revoke(ctx context.Context, rs []cache.Revocation) error {
	if err := f.step("Revoke"); err != nil || ctx.Err() != nil {
		return cache.ErrUnavailable
	}
	return f.Memory.Revoke(ctx, rs)
}

func (f *flaky) hook(do func(method string)) { f.before.Store(do) }

// newFleet signs a user in with tokens of five minutes, which are refreshed a minute
// before that.
func newFleet(t *testing.T, change func(*Options)) *fleet {
	t.Helper()
	f := &fleet{seen: &seen{}}
	options := func(o *Options) {
		if f.store == nil {
			f.store = &flaky{Memory: o.Backend.(*faulty).Memory}
			f.grantor = &grantor{lifetime: 5 * time.Minute, used: map[string]bool{}}
		}
		o.Backend = f.store
		o.Preparer = tokens{}
		o.Refresher = f.grantor
		o.Grace = time.Minute
		o.Observer = f.seen
		if change != nil {
			change(o)
		}
	}
	f.world = newWorld(t, options)
	f.grantor.time = f.clock
	f.other = f.replica(t, options)
	quick(f.Manager)
	value, err := f.Create(context.Background(), &Session{
		Created: f.clock.now(), IDToken: "id", AccessToken: "access 0", RefreshToken: "refresh 0",
		AccessExpiry: f.clock.now().Add(5 * time.Minute),
	}, 0, Origin{Issuer: "https://op", Subject: "ada", SessionID: "1", Issued: f.clock.now()})
	if err != nil {
		t.Fatal(err)
	}
	f.value = value
	return f
}

func (f *fleet) replica(t *testing.T, change func(*Options)) *Manager {
	t.Helper()
	o := f.o
	change(&o)
	m := NewManager(o)
	t.Cleanup(m.Close)
	quick(m)
	return m
}

// quick makes the pauses of a manager short.
func quick(m *Manager) {
	m.timing.poll = time.Millisecond
	m.timing.lastPoll = 2 * time.Millisecond
}

func (f *fleet) at(m *Manager) (*Opened, error) {
	return m.Load(context.Background(), with("__Host-oidc="+f.value))
}

// serves checks the access token that a replica serves.
func (f *fleet) serves(t *testing.T, m *Manager, want string) {
	t.Helper()
	if o, err := f.at(m); err != nil || o.Reason != want {
		t.Fatalf("got %+v, %v, want %s", o, err, want)
	}
}

func (f *fleet) ended(t *testing.T, m *Manager) {
	t.Helper()
	if o, err := f.at(m); !errors.Is(err, ErrNone) {
		t.Fatalf("got %+v, %v, want no session", o, err)
	}
}

func (f *fleet) stored(t *testing.T) *Session {
	t.Helper()
	k, err := f.o.Keys.ticket(f.value, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.store.Memory.Get(context.Background(), k.recordKey())
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := f.parse(k, b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// settle waits until no refresh is under way.
func (f *fleet) settle(t *testing.T) {
	t.Helper()
	for _, m := range []*Manager{f.Manager, f.other} {
		m := m
		eventually.True(t, "no refresh is under way", func() bool {
			m.hot.Mu.Lock()
			defer m.hot.Mu.Unlock()
			return len(m.refreshes) == 0
		})
	}
}

// never fails the test when is reports true. It cannot prove the opposite: on a busy
// machine a late event may be missed.
func (f *fleet) never(t *testing.T, what string, is func() bool) {
	t.Helper()
	for i := 0; i < 20; i++ {
		if is() {
			t.Error(what)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (f *fleet) ticket(t *testing.T) ticket {
	t.Helper()
	k, err := f.o.Keys.ticket(f.value, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// overwrite writes as another replica does: the next version, with new tokens of long
// life.
func (f *fleet) overwrite(t *testing.T, change func(s *Session)) {
	t.Helper()
	k := f.ticket(t)
	b, err := f.store.Memory.Get(context.Background(), k.recordKey())
	if err != nil {
		t.Fatal(err)
	}
	s, h, err := f.parse(k, b)
	if err != nil {
		t.Fatal(err)
	}
	s.Refreshed, s.AccessExpiry = f.clock.now(), f.clock.now().Add(time.Hour)
	change(s)
	next := successor(h, h.Expiry)
	record, err := k.sealRecord(s, next, "identity")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.Memory.CompareAndSet(context.Background(), k.recordKey(), h.Version, record, time.Hour); err != nil {
		t.Fatal(err)
	}
}
