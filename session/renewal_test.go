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

func TestWhenASessionIsDue(t *testing.T) {
	at := newClock().now()
	rows := []struct {
		name            string
		lifetime, grace time.Duration
		refreshed       time.Duration // after the sign-in; zero: never
		none            bool          // no refresh token
		want            time.Duration // after the sign-in or the refresh; zero: never
		never           error
	}{
		{"a grace before", 5 * time.Minute, time.Minute, 0, false, 4 * time.Minute, nil},
		{"no grace", 5 * time.Minute, 0, 0, false, 5 * time.Minute, nil},
		{"a grace as long as the lifetime", 5 * time.Minute, 5 * time.Minute, 0, false, 150 * time.Second, nil},
		{"after a refresh", 5 * time.Minute, time.Minute, 10 * time.Minute, false, 4 * time.Minute, nil},
		{"a grace that leaves little", time.Minute, 58 * time.Second, 0, false, 10 * time.Second, nil},
		{"short lifetimes", 8 * time.Second, 7 * time.Second, 0, false, 4 * time.Second, nil},
		{"tiny lifetimes", time.Second, 0, 0, false, time.Second, nil},
		{"E12 a lifetime that is over already", -time.Minute, time.Minute, 0, false, 10 * time.Second, nil},
		{"without a refresh token", 5 * time.Minute, time.Minute, 0, true, 0, ErrNoRefreshToken},
		{"after the end", 2 * time.Hour, time.Minute, 0, false, 0, ErrEndsBefore},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) {
				o.Refresher = &grantor{}
				o.Grace = row.grace
			})
			s := &Session{Created: at, Expiry: at.Add(time.Hour), RefreshToken: "r"}
			since := at
			if row.refreshed > 0 {
				s.Refreshed = at.Add(row.refreshed)
				since = s.Refreshed
			}
			s.AccessExpiry = since.Add(row.lifetime)
			if row.none {
				s.RefreshToken = ""
			}
			due, never := w.due(s)
			if never != row.never {
				t.Errorf("the reason is %v, want %v", never, row.never)
			}
			if row.want == 0 != due.IsZero() || row.want != 0 && due.Sub(since) != row.want {
				t.Errorf("due at %s, %s after", due, due.Sub(since))
			}
		})
	}
}

func TestFiftyRequestsOverTwoReplicas(t *testing.T) {
	for _, row := range []struct {
		name string
		at   time.Duration
	}{
		{"E6 fifty requests after expiry, two replicas: one call, all served the new tokens", 5*time.Minute + time.Second},
		{"E6 fifty requests within the grace, two replicas: one call, all served", 4*time.Minute + time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFleet(t, nil)
			f.serves(t, f.Manager, "access 0")
			f.serves(t, f.other, "access 0")
			f.clock.turn(row.at)
			var wg sync.WaitGroup
			for i := 0; i < 50; i++ {
				wg.Add(1)
				go func(m *Manager) {
					defer wg.Done()
					o, err := f.at(m)
					if err != nil || row.at > 5*time.Minute && o.Reason != "access 1" {
						t.Errorf("got %+v, %v", o, err)
					}
				}([]*Manager{f.Manager, f.other}[i%2])
			}
			wg.Wait()
			f.settle(t)
			if f.count() != 1 || f.reused != 0 {
				t.Errorf("%d calls, %d refresh tokens sent again", f.count(), f.reused)
			}
			f.serves(t, f.Manager, "access 1")
			f.serves(t, f.other, "access 1")
			if f.count() != 1 {
				t.Error("E12 refreshed again at once")
			}
		})
	}
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

func TestNoRequestWaitsWhileTokensAreValid(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(4*time.Minute + time.Second)
	release := make(chan bool)
	f.doing(func(*Session) error {
		<-release
		return nil
	})
	f.timing.early = 20 * time.Millisecond
	f.serves(t, f.Manager, "access 0") // the request that starts it gives up after a while
	eventually.True(t, "the provider gets the request", func() bool { return f.count() == 1 })
	f.timing.early = time.Hour
	for i := 0; i < 20; i++ {
		f.serves(t, f.Manager, "access 0")
		if o := f.lookup(f.value); o == nil || !f.clock.now().Before(o.Until) {
			t.Fatal("requests leave the path that costs nothing while the tokens are refreshed")
		}
		f.clock.turn(200 * time.Millisecond)
	}
	if f.count() != 1 {
		t.Errorf("%d calls", f.count())
	}
	t.Run("a change is seen all the same", func(t *testing.T) {
		o := f.lookup(f.value)
		f.Changed(o.key)
		f.hot.Mu.Lock()
		f.passLocked(o, f.clock.now())
		f.hot.Mu.Unlock()
		if o := f.lookup(f.value); f.clock.now().Before(o.Until) {
			t.Error("served from memory after it changed")
		}
	})
	close(release)
	f.settle(t)
	f.serves(t, f.Manager, "access 1")
	t.Run("E13 the rules decide about the new claims", func(t *testing.T) {
		f.clock.turn(6 * time.Minute)
		f.doing(func(s *Session) error { return nil })
		if o, err := f.at(f.Manager); err != nil || o.Reason != "access 2" {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

func TestWaitingRequestsAreReleased(t *testing.T) {
	t.Run("E7 a provider that does not answer: late requests are served with the old tokens", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		release := make(chan bool)
		f.doing(func(*Session) error {
			<-release
			return nil
		})
		f.timing.late = 20 * time.Millisecond
		f.serves(t, f.Manager, "access 0")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.timing.late = time.Hour
		if o, err := f.Load(ctx, with("__Host-oidc="+f.value)); err != nil || o.Reason != "access 0" {
			t.Errorf("a request without its client: %v, %v", o, err)
		}
		close(release)
		f.settle(t)
		f.serves(t, f.Manager, "access 1")
	})
	t.Run("a panic", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { panic("canary") })
		f.serves(t, f.Manager, "access 0")
		f.doing(nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(time.Minute)
		f.serves(t, f.Manager, "access 0")
		if f.count() != 1 || f.reused != 0 {
			t.Errorf("%d calls, though the token may have been sent", f.count())
		}
	})
	t.Run("I6 a session that ended meanwhile is not served any more", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		release := make(chan bool)
		f.doing(func(*Session) error {
			if _, err := f.other.End(context.Background(), with("__Host-oidc="+f.value)); err != nil {
				t.Error(err)
			}
			<-release
			return nil
		})
		f.timing.late = 50 * time.Millisecond
		f.ended(t, f.Manager)
		close(release)
		f.settle(t)
	})
	t.Run("more requests than may wait", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		o, err := f.open(context.Background(), opening{value: f.value, key: f.lookup(f.value).key, ticket: f.ticket(t)})
		if err != nil {
			t.Fatal(err)
		}
		f.refreshes[o.key] = &refresh{m: f.Manager, waiting: make([]*waiter, maxWaiting)}
		if _, w, _ := f.join(o, f.ticket(t)); w != nil {
			t.Error("one more request waits")
		}
		delete(f.refreshes, o.key)
	})
}

func (f *fleet) ticket(t *testing.T) ticket {
	t.Helper()
	k, err := f.o.Keys.ticket(f.value, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestASlowProviderKeepsTheLease(t *testing.T) {
	f := newFleet(t, nil)
	f.timing.prolong = time.Millisecond
	f.serves(t, f.Manager, "access 0")
	f.serves(t, f.other, "access 0")
	f.clock.turn(6 * time.Minute)
	release := make(chan bool)
	f.doing(func(*Session) error {
		<-release
		return nil
	})
	first, second := make(chan string), make(chan string)
	load := func(m *Manager, served chan string) {
		o, err := f.at(m)
		if err != nil {
			served <- err.Error()
			return
		}
		served <- o.Reason
	}
	go load(f.Manager, first)
	eventually.True(t, "the provider gets the request", func() bool { return f.count() == 1 })
	go load(f.other, second)
	for i := 0; i < 4; i++ { // 20 seconds, the lease is of six
		f.clock.turn(5 * time.Second)
		n := f.store.prolonged.Load()
		eventually.True(t, "the lease is prolonged", func() bool { return f.store.prolonged.Load() > n+1 })
	}
	close(release)
	if a, b := <-first, <-second; a != "access 1" || b != "access 1" || f.count() != 1 {
		t.Errorf("E7 got %s and %s by %d calls", a, b, f.count())
	}
	f.settle(t)
	n := f.store.prolonged.Load()
	f.never(t, "a lease that was given back is prolonged", func() bool { return f.store.prolonged.Load() > n+1 })
}

func TestAHolderThatDies(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	o := f.lookup(f.value)
	lease := cache.Lease{
		Record: o.key, Version: 1, Grant: f.ticket(t).grant(f.stored(t)), Owner: "a replica", TTL: 6 * time.Second, Keep: time.Hour,
	}
	if _, err := f.store.Acquire(context.Background(), lease); err != nil {
		t.Fatal(err)
	}
	f.timing.contend = 20 * time.Millisecond
	f.serves(t, f.Manager, "access 0") // the holder may be at work
	f.clock.turn(7 * time.Second)
	f.serves(t, f.Manager, "access 0")
	f.serves(t, f.other, "access 0")
	if f.count() != 0 {
		t.Error("E8 E9 a refresh token is sent that may have been used")
	}
	if s := f.stored(t); s.RefreshToken != "" {
		t.Error("E9 the token is still stored")
	}
	if list := f.seen.all(); list[len(list)-1] != RefreshLost {
		t.Errorf("observed %v", list)
	}
	f.clock.turn(time.Hour)
	f.ended(t, f.Manager)
}

func TestResponsesToARefresh(t *testing.T) {
	t.Run("E9 no usable response: the token is never sent again, the claims serve on", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return ErrGrantSpent })
		for i := 0; i < 3; i++ {
			f.serves(t, f.Manager, "access 0")
			f.serves(t, f.other, "access 0")
			f.clock.turn(10 * time.Minute)
		}
		if f.count() != 1 {
			t.Errorf("%d calls", f.count())
		}
	})
	t.Run("E10 faults: the session stays, and it is tried again after pauses", func(t *testing.T) {
		f := newFleet(t, func(o *Options) { o.MaxAge = 24 * time.Hour })
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return errors.New("a fault of the provider") })
		f.used = map[string]bool{}
		want := 0
		for _, pause := range []time.Duration{5, 10, 20, 40, 60, 60} {
			want++
			for i := 0; i < 4; i++ {
				f.serves(t, f.Manager, "access 0")
				if i < 3 {
					f.clock.turn(pause * time.Second / 4)
				}
			}
			if f.count() != want {
				t.Fatalf("%d calls, want %d", f.count(), want)
			}
			f.clock.turn(pause*time.Second/4 + time.Millisecond)
		}
		f.doing(nil)
		f.serves(t, f.Manager, "access 7")
	})
	t.Run("E10 a request with a session read before the fault does not try again after it", func(t *testing.T) {
		f := newFleet(t, nil)
		early, err := f.at(f.Manager)
		if err != nil {
			t.Fatal(err)
		}
		k, err := f.o.Keys.ticket(f.value, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		f.clock.turn(6 * time.Minute)
		due := *early
		due.plan = f.plan(f.stored(t), k, nil)
		f.doing(func(*Session) error { return errors.New("a fault of the provider") })
		f.serves(t, f.Manager, "access 0")
		if o, err := f.current(context.Background(), &flight{opened: &due}, k); err != nil || o.Reason != "access 0" {
			t.Errorf("got %+v, %v", o, err)
		}
		if f.count() != 1 {
			t.Errorf("%d calls", f.count())
		}
	})
	t.Run("E10 a fault at one replica: another one may try at once", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return errors.New("a fault of the provider") })
		f.serves(t, f.Manager, "access 0")
		f.doing(nil)
		f.serves(t, f.other, "access 2")
	})
	t.Run("E10 a provider that needs a longer pause", func(t *testing.T) {
		f := newFleet(t, func(o *Options) { o.RetryAfter = func() time.Duration { return 30 * time.Second } })
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return errors.New("a fault of the provider") })
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(29 * time.Second)
		f.serves(t, f.Manager, "access 0")
		if f.count() != 1 {
			t.Errorf("%d calls", f.count())
		}
	})
	t.Run("E10 invalid_grant ends the session everywhere", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.serves(t, f.other, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return ErrGrantEnded })
		f.ended(t, f.Manager)
		f.ended(t, f.other)
		if list := f.seen.all(); list[0] != RefreshRefused {
			t.Errorf("observed %v", list)
		}
	})
	t.Run("E10 invalid_grant after another replica refreshed it: its session is served", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(s *Session) error {
			f.doing(nil)
			f.overwrite(t, func(s *Session) { s.AccessToken, s.RefreshToken = "theirs", "theirs" })
			return ErrGrantEnded
		})
		f.serves(t, f.Manager, "theirs")
	})
	t.Run("E10 invalid_grant, and the store cannot be reached: it is not ended", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(s *Session) error {
			f.store.down.Store(true)
			return ErrGrantEnded
		})
		f.serves(t, f.Manager, "access 0")
		f.store.down.Store(false)
		f.clock.turn(6 * time.Second)
		f.doing(func(s *Session) error { return ErrGrantEnded })
		f.ended(t, f.Manager)
	})
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

func TestAProviderThatGivesTheSameRefreshTokenAgain(t *testing.T) {
	f := newFleet(t, nil)
	f.same = true
	f.serves(t, f.Manager, "access 0")
	for i := 1; i < 5; i++ {
		f.clock.turn(6 * time.Minute)
		f.serves(t, []*Manager{f.Manager, f.other}[i%2], fmt.Sprint("access ", i))
	}
}

func TestChangesDuringARefresh(t *testing.T) {
	// during calls act while the provider has the request.
	during := func(t *testing.T, change func(o *Options), act func(f *fleet)) *fleet {
		t.Helper()
		f := newFleet(t, change)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error {
			f.doing(nil)
			act(f)
			return nil
		})
		return f
	}
	t.Run("I7 a logout: the session stays dead, and the new tokens are discarded", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			if _, err := f.other.End(context.Background(), with("__Host-oidc="+f.value)); err != nil {
				t.Error(err)
			}
		})
		f.ended(t, f.Manager)
		if f.lookup(f.value) != nil {
			t.Error("memory would serve it in an outage")
		}
		f.ended(t, f.other)
		if len(f.discarded) != 1 || f.discarded[0] != "refresh 1" {
			t.Errorf("discarded %v", f.discarded)
		}
		if list := f.seen.all(); list[len(list)-1] != RefreshTooLate {
			t.Errorf("observed %v", list)
		}
	})
	t.Run("I7 a logout that is known only here", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			if _, err := f.other.End(context.Background(), with("__Host-oidc="+f.value)); err != nil {
				t.Error(err)
			}
			f.store.hook(func(method string) { f.store.down.Store(method == "Fresh") })
		})
		f.ended(t, f.Manager)
		if len(f.discarded) != 1 {
			t.Errorf("discarded %v", f.discarded)
		}
	})
	t.Run("I7 a logout by the provider", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			if err := f.other.EndAll(context.Background(), Ending{Issuer: "https://op", SessionID: "1", Before: f.clock.now()}); err != nil {
				t.Error(err)
			}
		})
		f.ended(t, f.Manager)
		if len(f.discarded) != 1 {
			t.Errorf("discarded %v", f.discarded)
		}
	})
	t.Run("the operator deletes it", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) { _ = f.store.Clear(context.Background()) })
		f.ended(t, f.Manager)
	})
	t.Run("E6 a touch: the new tokens come on top of it, and its expiry stays", func(t *testing.T) {
		touched := time.Time{}
		f := during(t, func(o *Options) { o.IdleTimeout = 20 * time.Minute }, func(f *fleet) {
			ahead := f.clock.now().Add(3 * time.Minute) // its clock is ahead
			f.other.o.Now = func() time.Time { return ahead }
			touched = ahead.Add(20 * time.Minute)
			if _, err := f.other.open(context.Background(), opening{value: f.value, key: f.lookup(f.value).key, ticket: f.ticket(t)}); err != nil {
				t.Error(err)
			}
		})
		f.serves(t, f.Manager, "access 1")
		if s := f.stored(t); s.RefreshToken != "refresh 1" {
			t.Errorf("stored %q", s.RefreshToken)
		}
		b, _ := f.store.Memory.Get(context.Background(), f.ticket(t).recordKey())
		if h, _, err := cache.ParseRecord(b); err != nil || !h.Expiry.Equal(touched) {
			t.Errorf("it holds until %s, touched until %s", h.Expiry, touched)
		}
	})
	t.Run("E8 another replica takes the response for lost: it is not", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) { f.overwrite(t, func(s *Session) { s.RefreshToken = "" }) })
		f.serves(t, f.Manager, "access 1")
		if s := f.stored(t); s.RefreshToken != "refresh 1" {
			t.Errorf("stored %q", s.RefreshToken)
		}
	})
	t.Run("another replica has other tokens: they stay", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			f.overwrite(t, func(s *Session) { s.AccessToken, s.RefreshToken = "theirs", "theirs" })
		})
		f.serves(t, f.Manager, "theirs")
		if len(f.discarded) != 0 {
			t.Error("revoked at the provider, which may end the grant of both")
		}
	})
	t.Run("the store fails for a moment: the new tokens are not lost", func(t *testing.T) {
		var failures atomic.Int64
		f := during(t, nil, func(f *fleet) {
			f.store.down.Store(true)
			f.store.hook(func(method string) {
				if method == "CompareAndSet" && failures.Add(1) == 3 {
					f.store.down.Store(false)
				}
			})
		})
		f.serves(t, f.Manager, "access 1")
	})
	t.Run("the store refuses writes for longer: the refresh token is not sent again", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			f.store.hook(func(method string) { f.store.down.Store(method == "CompareAndSet") })
		})
		f.serves(t, f.Manager, "access 0")
		f.store.hook(func(string) { f.store.down.Store(false) })
		f.clock.turn(time.Minute)
		f.serves(t, f.Manager, "access 0")
		f.serves(t, f.other, "access 0")
		if f.count() != 1 || f.reused != 0 {
			t.Errorf("%d calls, %d tokens sent again", f.count(), f.reused)
		}
	})
	t.Run("the store fails for longer: the refresh token is not sent again", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) { f.store.down.Store(true) })
		f.serves(t, f.Manager, "access 0")
		f.store.down.Store(false)
		f.clock.turn(time.Minute)
		f.serves(t, f.Manager, "access 0")
		if f.count() != 1 || f.reused != 0 || f.stored(t).RefreshToken != "" {
			t.Errorf("%d calls, %d tokens sent again", f.count(), f.reused)
		}
	})
}

func TestARefreshNeedsThreeCallsToTheStore(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	var mu sync.Mutex
	var methods []string
	f.store.hook(func(method string) {
		mu.Lock()
		methods = append(methods, method)
		mu.Unlock()
	})
	f.serves(t, f.Manager, "access 1")
	f.settle(t)
	eventually.True(t, "the lease is given back", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(methods) >= 4
	})
	mu.Lock()
	defer mu.Unlock()
	// Memory answers the first unless the store is read each time.
	if got := fmt.Sprint(methods); got != "[Get Acquire CompareAndSet Release]" {
		t.Errorf("called %s", got)
	}
}

func TestARecordThatIsDeletedBeforeItsRefresh(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	f.store.hook(func(method string) {
		if method == "Acquire" {
			_ = f.store.Memory.Delete(context.Background(), f.ticket(t).recordKey())
		}
	})
	f.ended(t, f.Manager)
	if f.count() != 0 {
		t.Error("the tokens were refreshed")
	}
}

func TestARefreshShortlyBeforeTheEnd(t *testing.T) {
	f := newFleet(t, func(o *Options) { o.MaxAge = 5*time.Minute + 4*time.Second })
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(5*time.Minute + time.Second)
	f.serves(t, f.Manager, "access 1")
	f.clock.turn(4 * time.Second)
	f.ended(t, f.Manager)
}

func TestNoRefreshWithoutTheStore(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	f.store.hook(func(method string) { f.store.down.Store(method == "Acquire") })
	for i := 0; i < 10; i++ {
		f.serves(t, f.Manager, "access 0")
	}
	if list := f.seen.all(); f.count() != 0 || len(list) != 1 || list[0] != RefreshPutOff {
		t.Errorf("%d calls, observed %v", f.count(), list)
	}
	f.store.hook(func(method string) { f.store.down.Store(false) })
	f.clock.turn(6 * time.Second)
	f.serves(t, f.Manager, "access 1")
}

func TestALeaseWithALostResponse(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	given := &ambiguous{flaky: f.store}
	f.Manager.o.Backend = given
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Second)
	f.serves(t, f.Manager, "access 1") // the refresh token was not used
	t.Run("it is given back, and another replica may try at once", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.Manager.o.Backend = &ambiguous{flaky: f.store, takesBack: true}
		f.serves(t, f.Manager, "access 0")
		f.serves(t, f.other, "access 1")
	})
}

// ambiguous gives a lease once and reports an error.
type ambiguous struct {
	*flaky
	done      bool
	takesBack bool
}

func (a *ambiguous) Acquire(ctx context.Context, l cache.Lease) ([]byte, error) {
	b, err := a.flaky.Acquire(ctx, l)
	if !a.done {
		a.done = true
		return nil, cache.ErrUnavailable
	}
	return b, err
}

func (a *ambiguous) Release(ctx context.Context, l cache.Lease, unused bool) error {
	if a.takesBack {
		return a.flaky.Release(ctx, l, unused)
	}
	return cache.ErrUnavailable
}

func TestARestoredStore(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	k := f.ticket(t)
	old, _ := f.store.Memory.Get(context.Background(), k.recordKey())
	f.clock.turn(6 * time.Minute)
	f.serves(t, f.Manager, "access 1")
	f.clock.turn(6 * time.Minute)
	f.serves(t, f.Manager, "access 2")
	f.serves(t, f.Manager, "access 2")
	f.clock.turn(6 * time.Minute)
	f.store.hook(func(method string) {
		if method == "Acquire" {
			_ = f.store.Memory.Delete(context.Background(), k.recordKey())
			_ = f.store.Memory.Add(context.Background(), k.recordKey(), old, time.Hour)
		}
	})
	f.serves(t, f.Manager, "access 2")
	if f.reused != 0 {
		t.Error("an old refresh token is sent again")
	}
}

func TestALogoutDuringARefreshLasts(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(4*time.Minute + time.Second)
	reached, release := make(chan bool, 1), make(chan bool)
	f.doing(func(*Session) error {
		reached <- true
		<-release
		return nil
	})
	f.timing.early = time.Millisecond
	f.serves(t, f.Manager, "access 0")
	<-reached
	o := f.lookup(f.value)
	f.drop(o.key)
	close(release)
	eventually.True(t, "the refresh is over", func() bool {
		f.hot.Mu.Lock()
		defer f.hot.Mu.Unlock()
		return len(f.refreshes) == 0
	})
	if f.lookup(f.value) != nil {
		t.Error("I7: the session came back with the refresh after its logout")
	}
}

func TestATombstoneOutlastsTheSessionByEveryClock(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	o := f.lookup(f.value)
	f.clock.turn(time.Hour + 30*time.Second) // by this replica's clock it has ended
	if _, err := f.End(context.Background(), with("__Host-oidc="+f.value)); err != nil {
		t.Fatal(err)
	}
	f.clock.turn(-time.Minute)
	if _, err := f.Load(context.Background(), with("__Host-oidc="+f.value)); !errors.Is(err, ErrNone) {
		t.Errorf("J11: another replica with a clock that is behind serves %s: %v", o.key, err)
	}
}

func TestAReleasedLeaseIsNotProlonged(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(4*time.Minute + time.Second)
	beats := make(chan bool, 100)
	var released atomic.Bool
	f.store.before.Store(func(method string) {
		switch method {
		case "Prolong":
			beats <- true
			// It is on its way while the response comes, and for longer where it is
			// overtaken.
			for i := 0; i < 20 && !released.Load(); i++ {
				time.Sleep(time.Millisecond)
			}
		case "Release":
			released.Store(true)
		}
	})
	f.doing(func(*Session) error {
		<-beats
		return errors.New("503")
	})
	f.timing.prolong = time.Millisecond
	f.serves(t, f.Manager, "access 0")
	eventually.True(t, "the refresh is over", func() bool {
		f.hot.Mu.Lock()
		defer f.hot.Mu.Unlock()
		return len(f.refreshes) == 0
	})
	f.store.before.Store(func(string) {})
	o := f.lookup(f.value)
	lease := cache.Lease{
		Record: o.key, Version: o.version, Grant: o.plan.tried().grant, Owner: "another replica", TTL: time.Second, Keep: time.Minute,
	}
	eventually.True(t, "another replica may use the grant", func() bool {
		_, err := f.store.Acquire(context.Background(), lease)
		if errors.Is(err, cache.ErrSpent) {
			t.Fatal("E12: the grant is taken for used, and was not")
		}
		return err == nil
	})
}
