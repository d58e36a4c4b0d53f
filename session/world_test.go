package session

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// A clock that a test sets.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	c.t = c.t.Add(d)
	c.mu.Unlock()
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

// prepared is a Preparer that counts its calls, and uses the ID token as the subject.
type prepared struct {
	mu    sync.Mutex
	calls int
}

func (p *prepared) Prepare(s *Session) View {
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	return View{Allowed: true, Subject: s.IDToken}
}

func (p *prepared) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

const (
	keyA = "0123456789abcdefghijklmnopqrstuv"
	keyB = "vutsrqponmlkjihgfedcba9876543210"
)

// A world is a manager over a memory that can fail, with a clock.
type world struct {
	*Manager
	clock  *clock
	store  *faulty
	views  *prepared
	memory *cache.Memory
}

// faulty is a backend with reads and writes that can be made to fail.
type faulty struct {
	*cache.Memory
	mu   sync.Mutex
	err  error
	gets int
}

func (f *faulty) fail(err error) {
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
}

func (f *faulty) state() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, error) {
	f.mu.Lock()
	f.gets++
	f.mu.Unlock()
	if err := f.state(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.Memory.Get(ctx, key)
}

func (f *faulty) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := f.state(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.Memory.Set(ctx, key, value, ttl)
}

func keyring(t *testing.T, keys ...string) *Keyring {
	t.Helper()
	var secrets [][]byte
	for _, text := range keys {
		secrets = append(secrets, []byte(text))
	}
	k, err := NewKeyring(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{clock: newClock(), views: &prepared{}}
	w.memory = cache.NewMemory(cache.MemoryOptions{Now: w.clock.now})
	w.store = &faulty{Memory: w.memory}
	o := Options{
		Backend: w.store, Keys: keyring(t, keyA), Identity: "identity", Cookies: Cookies{Name: "__Host-oidc", Secure: true},
		MaxAge: time.Hour, Preparer: w.views, Now: w.clock.now,
	}
	if change != nil {
		change(&o)
	}
	w.Manager = NewManager(o)
	t.Cleanup(w.Close)
	return w
}

func (w *world) create(t *testing.T, user string) string {
	t.Helper()
	v, err := w.Create(context.Background(), &Session{Created: w.clock.now(), IDToken: user, AccessToken: "access of " + user}, 0, Origin{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func with(cookies ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.Header.Add("Cookie", c)
	}
	return r
}

func (w *world) lookup(value string) *Opened {
	h := w.Hot()
	h.Mu.Lock()
	defer h.Mu.Unlock()
	return h.Opened[value]
}

func (w *world) load(cookies ...string) (*Opened, error) {
	return w.Load(context.Background(), with(cookies...))
}

func (w *world) mustBe(t *testing.T, user string, cookies ...string) *Opened {
	t.Helper()
	o, err := w.load(cookies...)
	if err != nil || o.Subject != user {
		t.Fatalf("got %+v, %v, want the session of %s", o, err, user)
	}
	return o
}

func (w *world) mustFail(t *testing.T, want error, cookies ...string) {
	t.Helper()
	if o, err := w.load(cookies...); !errors.Is(err, want) {
		t.Fatalf("got %+v, %v, want %v", o, err, want)
	}
}

// another is a further manager over the same store.
func (w *world) another(t *testing.T, change func(o *Options)) *Manager {
	t.Helper()
	o := w.o
	change(&o)
	m := NewManager(o)
	t.Cleanup(m.Close)
	return m
}
