package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
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

func TestASessionIsFoundByItsCookieOnly(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.create(t, "ada"), w.create(t, "bob")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	w.mustBe(t, "bob", "x=1; __Host-oidc="+b+"; y=2")
	w.mustFail(t, ErrNone)
	w.mustFail(t, ErrNone, "x=1")
	if w.lookup(a) == nil || w.lookup(a).Subject != "ada" {
		t.Error("an opened session is not looked up by its cookie value")
	}
	if n := len("__Host-oidc=" + a); n > 110 {
		t.Errorf("the cookie has %d bytes", n)
	}
}

func TestInvalidCookies(t *testing.T) {
	w := newWorld(t, nil)
	good := w.create(t, "ada")
	other := newWorld(t, func(o *Options) { o.Identity = "another middleware" })
	foreign := other.create(t, "ada")
	renamed := newWorld(t, func(o *Options) { o.Cookies.Name = "__Host-oidc-s-AAAAAAAA" })
	swapped := renamed.create(t, "ada")
	flipped := []byte(good)
	flipped[30] ^= 1
	rows := []struct{ name, value string }{
		{"F2 flipped bit", string(flipped)},
		{"F2 truncated", good[:len(good)-1]},
		{"F2 extended", good + "A"},
		{"F2 empty", ""},
		{"F2 not base64", strings.Repeat("!", len(good))},
		{"F2 three bytes", "abc"},
		{"F2 padded", good + "="},
		{"F2 huge", strings.Repeat("A", 1<<16)},
		{"F3 of a sign-in", swapped},
		{"F17 of another middleware", foreign},
		{"B5 of another middleware", foreign},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before := w.store.gets
			w.mustFail(t, ErrForeign, "__Host-oidc="+row.value)
			if w.store.gets != before {
				t.Error("a cookie without a valid MAC reached the store")
			}
		})
	}
	t.Run("F7 the valid one among duplicates", func(t *testing.T) {
		w.mustBe(t, "ada", "__Host-oidc=planted; __Host-oidc="+foreign+"; __Host-oidc="+good)
		w.mustBe(t, "ada", "__Host-oidc=planted", "__Host-oidc="+good)
	})
	t.Run("F24 bounded scan", func(t *testing.T) {
		many := strings.Repeat("__Host-oidc=planted; ", 5000)
		w.mustFail(t, ErrNone, many+"__Host-oidc="+good)
	})
}

func TestTheStoreKnowsNothingAndCannotForge(t *testing.T) {
	w := newWorld(t, nil)
	ctx := context.Background()
	a, b := w.create(t, "ada"), w.create(t, "bob")
	keys := make([]string, 0, 2)
	for _, v := range []string{a, b} {
		k, err := w.o.Keys.ticket(v, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k.recordKey())
	}
	ra, _ := w.memory.Get(ctx, keys[0])
	rb, _ := w.memory.Get(ctx, keys[1])
	t.Run("F10 no token in a dump", func(t *testing.T) {
		if strings.Contains(string(ra), "ada") || strings.Contains(keys[0], a[:20]) {
			t.Error("a record or its key contains a name")
		}
	})
	t.Run("F11 swapped values", func(t *testing.T) {
		_ = w.memory.Delete(ctx, keys[0])
		_ = w.memory.Delete(ctx, keys[1])
		_ = w.memory.Add(ctx, keys[0], rb, time.Hour)
		_ = w.memory.Add(ctx, keys[1], ra, time.Hour)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
		w.mustFail(t, ErrNone, "__Host-oidc="+b)
	})
	t.Run("F11 altered header", func(t *testing.T) {
		_ = w.memory.Delete(ctx, keys[0])
		h, payload, err := cache.ParseRecord(ra)
		if err != nil {
			t.Fatal(err)
		}
		h.Expiry = h.Expiry.Add(24 * time.Hour)
		_ = w.memory.Add(ctx, keys[0], append(cache.AppendHeader(nil, h), payload...), time.Hour)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
	})
}

func TestAnEndedSessionIsDeadWithEveryCopyOfItsCookie(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.create(t, "ada"), w.create(t, "bob")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	s, err := w.End(context.Background(), with("__Host-oidc="+a))
	if err != nil || s == nil || s.IDToken != "ada" || s.AccessToken != "access of ada" {
		t.Fatalf("End returned %+v, %v", s, err)
	}
	if w.lookup(a) != nil {
		t.Error("F9: an ended session is still in memory")
	}
	w.mustFail(t, ErrNone, "__Host-oidc="+a)
	w.mustBe(t, "bob", "__Host-oidc="+b)
	if s, err := w.End(context.Background(), with("__Host-oidc="+a)); s != nil || err != nil {
		t.Errorf("I4: ending it again gave %v, %v", s, err)
	}
}

func TestALogoutOfASessionThatWasEndedElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	k, err := w.o.Keys.ticket(a, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	other := newWorld(t, func(o *Options) { o.Backend = w.memory })
	w.memory.Unwatch(w.Manager) // this replica learns of no change
	if err := other.writeTombstone(context.Background(), k.recordKey(), cache.Header{Version: 1, End: w.clock.now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.End(context.Background(), with("__Host-oidc="+a)); err != nil {
		t.Fatal(err)
	}
	w.store.fail(cache.ErrUnavailable)
	w.mustFail(t, ErrUnavailable, "__Host-oidc="+a)
}

func TestASessionIsReadAsItWasWritten(t *testing.T) {
	at := time.Unix(1772366400, 0)
	s := &Session{
		Created: at, Expiry: at.Add(time.Hour), IDToken: "i", AccessToken: "a", RefreshToken: "r", AccessExpiry: at.Add(time.Minute),
		UserInfo: map[string]any{"email": "ada@example.com"}, UserInfoNew: true, Refreshed: at.Add(1500 * time.Millisecond), Nonce: "n",
		AuthTime: at.Add(-time.Hour), Used: at.Add(2500 * time.Millisecond), Idle: 1500 * time.Millisecond, Refused: true,
	}
	b, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(b); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestALogoutOfASessionThatIsNotThereYet(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	k, err := w.o.Keys.ticket(a, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	record, _ := w.memory.Get(ctx, k.recordKey())
	_ = w.memory.Delete(ctx, k.recordKey()) // held by a replica that cannot reach the store
	if s, err := w.End(ctx, with("__Host-oidc="+a)); s != nil || err != nil {
		t.Errorf("got %v, %v", s, err)
	}
	if err := w.memory.Add(ctx, k.recordKey(), record, time.Hour); !errors.Is(err, cache.ErrExists) {
		t.Errorf("it can still be stored: %v", err)
	}
	t.Run("J15 a record of a later format is left alone", func(t *testing.T) {
		b := w.create(t, "bob")
		k, err := w.o.Keys.ticket(b, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		later := append([]byte{0xAF}, record[1:]...)
		_ = w.memory.Delete(ctx, k.recordKey())
		_ = w.memory.Add(ctx, k.recordKey(), later, time.Hour)
		if s, err := w.End(ctx, with("__Host-oidc="+b)); s != nil || err != nil {
			t.Errorf("got %v, %v", s, err)
		}
		if ok, _ := w.memory.Exists(ctx, k.recordKey()); ok {
			if b, _ := w.memory.Get(ctx, k.recordKey()); len(b) > 0 && b[0] != 0xAF {
				t.Error("it was replaced")
			}
		}
	})
}

func TestATombstoneLivesAsLongAsTheSessionCould(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	shorter := NewManager(Options{
		Backend: w.store, Keys: keyring(t, keyA), Identity: "identity", Cookies: w.o.Cookies,
		MaxAge: time.Minute, Preparer: w.views, Now: w.clock.now,
	})
	defer shorter.Close()
	o := w.mustBe(t, "ada", "__Host-oidc="+a)
	if _, err := shorter.End(context.Background(), with("__Host-oidc="+a)); err != nil {
		t.Fatal(err)
	}
	w.clock.turn(59 * time.Minute)
	b, err := w.memory.Get(context.Background(), o.key)
	if err != nil {
		t.Fatalf("the tombstone is gone before the session would have ended: %v", err)
	}
	if h, _, err := cache.ParseRecord(b); err != nil || h.State != cache.Revoked {
		t.Errorf("got %+v, %v", h, err)
	}
}

// The record was made by a middleware with a longer MaxAge, and cannot be read.
func TestATombstoneOfARecordThatCannotBeRead(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, func(o *Options) { o.MaxAge = longestAge })
	a := w.create(t, "ada")
	k, err := w.o.Keys.ticket(a, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	record, _ := w.memory.Get(ctx, k.recordKey())
	_ = w.memory.Delete(ctx, k.recordKey()) // held by a replica that cannot reach the store
	shorter := NewManager(Options{
		Backend: w.store, Keys: keyring(t, keyA), Identity: "identity", Cookies: w.o.Cookies,
		MaxAge: time.Minute, Preparer: w.views, Now: w.clock.now,
	})
	defer shorter.Close()
	if _, err := shorter.End(ctx, with("__Host-oidc="+a)); err != nil {
		t.Fatal(err)
	}
	t.Run("L33 it outlasts the session of any middleware", func(t *testing.T) {
		b, err := w.memory.Get(ctx, k.recordKey())
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := cache.ParseRecord(b)
		live, _, _ := cache.ParseRecord(record)
		if err != nil || h.State != cache.Revoked || h.Expiry.Before(live.End.Add(cache.ClockSkew)) {
			t.Errorf("the tombstone ends at %v, the record at %v: %v", h.Expiry, live.End, err)
		}
	})
}

func TestLifetimes(t *testing.T) {
	t.Run("F20 absolute never slides", func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.create(t, "ada")
		for i := 0; i < 59; i++ {
			w.mustBe(t, "ada", "__Host-oidc="+a)
			w.clock.turn(time.Minute)
		}
		w.clock.turn(time.Minute)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
	})
	t.Run("the idle timeout ends a session without requests", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.IdleTimeout = 10 * time.Minute })
		a := w.create(t, "ada")
		w.clock.turn(10*time.Minute + time.Second)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
	})
	t.Run("requests extend the idle timeout, until the absolute end", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.IdleTimeout = 10 * time.Minute })
		a := w.create(t, "ada")
		for i := 0; i < 7; i++ {
			w.mustBe(t, "ada", "__Host-oidc="+a)
			w.clock.turn(8 * time.Minute)
		}
		w.mustBe(t, "ada", "__Host-oidc="+a)
		w.clock.turn(4 * time.Minute)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
	})
	t.Run("one touch per tenth", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.IdleTimeout = 10 * time.Minute })
		a := w.create(t, "ada")
		for i := 0; i < 9; i++ {
			o := w.mustBe(t, "ada", "__Host-oidc="+a)
			if o.version != 1 {
				t.Fatalf("touched after %d seconds", i*6)
			}
			w.clock.turn(6 * time.Second)
		}
		w.clock.turn(10 * time.Second)
		if o := w.mustBe(t, "ada", "__Host-oidc="+a); o.version != 2 {
			t.Errorf("version %d after a tenth of the idle timeout", o.version)
		}
		if w.views.count() != 1 {
			t.Errorf("prepared %d times", w.views.count())
		}
	})
}

func TestAStoreThatIsReadAtEachRequest(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.AlwaysAsk = true })
	a := w.create(t, "ada")
	for i := 0; i < 5; i++ {
		if o := w.lookup(a); o != nil && w.clock.now().Before(o.Until) {
			t.Fatal("memory would serve without a read of the store")
		}
		w.mustBe(t, "ada", "__Host-oidc="+a)
	}
	if w.store.gets != 5 || w.views.count() != 1 {
		t.Errorf("read %d times, prepared %d times", w.store.gets, w.views.count())
	}
	w.store.fail(cache.ErrUnavailable)
	w.mustBe(t, "ada", "__Host-oidc="+a)
}

func TestAnUnreachableStore(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.create(t, "ada"), w.create(t, "bob")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	w.store.fail(cache.ErrUnavailable)
	w.Changed(w.lookup(a).key)
	w.mustBe(t, "ada", "__Host-oidc="+a)
	w.ChangedAll()
	w.mustBe(t, "ada", "__Host-oidc="+a)
	w.mustFail(t, ErrUnavailable, "__Host-oidc="+b)
	if _, err := w.End(context.Background(), with("__Host-oidc="+a)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a sign-out that did not reach the store gave %v", err)
	}
	w.clock.turn(2 * time.Hour)
	w.mustFail(t, ErrUnavailable, "__Host-oidc="+a)
	w.store.fail(nil)
	w.mustFail(t, ErrNone, "__Host-oidc="+a)
}

func TestARevocationElsewhereIsSeen(t *testing.T) {
	w := newWorld(t, nil)
	second := NewManager(Options{
		Backend: w.store, Keys: keyring(t, keyA), Identity: "identity", Cookies: w.o.Cookies,
		MaxAge: time.Hour, Preparer: w.views, Now: w.clock.now,
	})
	defer second.Close()
	a := w.create(t, "ada")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	if _, err := second.End(context.Background(), with("__Host-oidc="+a)); err != nil {
		t.Fatal(err)
	}
	if o := w.lookup(a); o != nil && w.clock.now().Before(o.Until) {
		t.Error("served from memory after another manager ended it")
	}
	w.mustFail(t, ErrNone, "__Host-oidc="+a)
}

func TestKeysRotate(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	step := func(keys ...string) *Manager {
		m := NewManager(Options{
			Backend: w.store, Keys: keyring(t, keys...), Identity: "identity", Cookies: w.o.Cookies,
			MaxAge: time.Hour, Preparer: w.views, Now: w.clock.now,
		})
		t.Cleanup(m.Close)
		return m
	}
	for _, m := range []*Manager{step(keyA, keyB), step(keyB, keyA)} {
		if o, err := m.Load(context.Background(), with("__Host-oidc="+a)); err != nil || o.Subject != "ada" {
			t.Errorf("F12: the old key does not open: %v", err)
		}
	}
	if _, err := step(keyB).Load(context.Background(), with("__Host-oidc="+a)); !errors.Is(err, ErrNone) {
		t.Errorf("F12: a removed key still opens: %v", err)
	}
}

func TestAFullMemoryDropsUnusedSessions(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxOpened = 8 })
	values := make([]string, 40)
	for i := range values {
		values[i] = w.create(t, "ada")
		w.mustBe(t, "ada", "__Host-oidc="+values[i])
		w.mustBe(t, "ada", "__Host-oidc="+values[0])
	}
	n := len(w.hot.Opened)
	for _, g := range w.older {
		n += len(g.opened)
	}
	if n > 8 {
		t.Errorf("%d sessions opened, at most 8 wanted", n)
	}
	if w.views.count() != 40 {
		t.Errorf("prepared %d times: the session in use was dropped", w.views.count())
	}
	if len(w.indexed) > len(w.hot.Opened) {
		t.Error("the index of records outgrows the sessions")
	}
}

func TestAnythingMayHaveChangedManyTimes(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	for i := 0; i < 3*generationsKept; i++ {
		w.mustBe(t, "ada", "__Host-oidc="+a)
		w.ChangedAll()
		if o := w.lookup(a); o != nil && w.clock.now().Before(o.Until) {
			t.Fatal("served from memory though anything may have changed")
		}
	}
	if n := len(w.older); n > generationsKept {
		t.Errorf("%d generations", n)
	}
	if w.views.count() != 1 {
		t.Errorf("prepared %d times", w.views.count())
	}
}

func TestManyRequestsOpenARecordOnce(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	var wg sync.WaitGroup
	for i := 0; i < 32; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if o, err := w.load("__Host-oidc=" + a); err != nil || o.Subject != "ada" {
				t.Errorf("got %v, %v", o, err)
			}
		}()
	}
	wg.Wait()
	if n := w.views.count(); n != 1 {
		t.Errorf("prepared %d times", n)
	}
}

// held is a store with a first read that is done at once and returns when the test
// releases it.
type held struct {
	*cache.Memory
	read    chan struct{} // closed when the read is done
	release chan struct{}
	reads   atomic.Int64
}

func (h *held) Get(ctx context.Context, key string) ([]byte, error) {
	b, err := h.Memory.Get(ctx, key)
	if h.reads.Add(1) == 1 {
		close(h.read)
		<-h.release
	}
	return b, err
}

func TestARequestAfterAChangeDoesNotWaitForAnEarlierRead(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(w *world, value string)
		want   error
	}{
		{"the session was ended", func(w *world, value string) {
			if _, err := w.End(context.Background(), with("__Host-oidc="+value)); err != nil {
				t.Error(err)
			}
		}, ErrNone},
		{"all sessions were cleared", func(w *world, value string) { _ = w.memory.Clear(context.Background()) }, ErrNone},
	} {
		t.Run(row.name, func(t *testing.T) {
			store := &held{read: make(chan struct{}), release: make(chan struct{})}
			w := newWorld(t, func(o *Options) {
				store.Memory = o.Backend.(*faulty).Memory
				o.Backend = store
			})
			a := w.create(t, "ada")
			first := make(chan error)
			go func() {
				_, err := w.load("__Host-oidc=" + a)
				first <- err
			}()
			<-store.read
			row.change(w, a)
			second := make(chan error, 1)
			go func() {
				_, err := w.load("__Host-oidc=" + a)
				second <- err
			}()
			select {
			case err := <-second:
				if !errors.Is(err, row.want) {
					t.Errorf("got %v, want %v", err, row.want)
				}
			case <-time.After(time.Minute):
				t.Error("waits for a read before the change")
			}
			close(store.release)
			<-first
			w.mustFail(t, ErrNone, "__Host-oidc="+a)
			if len(w.flights) != 0 {
				t.Error("a flight is left")
			}
		})
	}
}

func TestASignOutIsCompletedWithoutItsClient(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.create(t, "ada"), w.create(t, "bob")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.End(ctx, with("__Host-oidc="+a+"; __Host-oidc="+b)); err != nil {
		t.Error(err)
	}
	w.mustFail(t, ErrNone, "__Host-oidc="+a)
	w.mustFail(t, ErrNone, "__Host-oidc="+b)
}

// sized is a Preparer of sessions that are large in memory.
type sized struct{ bytes int }

func (p *sized) Prepare(s *Session) View {
	return View{Allowed: true, Subject: s.IDToken, Headers: []Field{{Name: "X-Groups", Value: strings.Repeat("g", p.bytes)}}}
}

func TestOpenedSessionsAreBoundedInBytes(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Preparer = &sized{bytes: 8 << 10}
		o.MaxBytes = 1 << 20
	})
	last := ""
	for i := 0; i < 500; i++ {
		last = w.create(t, "ada")
		w.mustBe(t, "ada", "__Host-oidc="+last)
	}
	held := len(w.hot.Opened)
	for _, g := range w.older {
		held += len(g.opened)
	}
	if held > 128 || held < 32 {
		t.Errorf("%d sessions of 8 KiB are opened", held)
	}
	if w.lookup(last) == nil {
		t.Error("the newest is not")
	}
}

func TestEverythingAtOnce(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxOpened = 16; o.IdleTimeout = time.Minute })
	values := make([]string, 24)
	for i := range values {
		values[i] = w.create(t, fmt.Sprintf("user %d", i))
	}
	var ended [24]atomic.Bool
	var wg sync.WaitGroup
	for i := 0; i < 24; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for j := 0; j < 60; j++ {
				k := (i + j) % 24
				dead := ended[k].Load()
				o, err := w.load("__Host-oidc=" + values[k])
				switch {
				case err == nil && o.Subject != fmt.Sprintf("user %d", k):
					t.Errorf("%s got the session of %s", values[k], o.Subject)
				case err == nil && dead:
					t.Error("an ended session is served")
				case err != nil && !errors.Is(err, ErrNone):
					t.Error(err)
				}
				switch {
				case j%20 == 5:
					w.clock.turn(time.Second)
				case j%20 == 10:
					w.Manager.ChangedAll()
				case j == 40 && i%3 == 0:
					if _, err := w.End(context.Background(), with("__Host-oidc="+values[i])); err != nil {
						t.Error(err)
					}
					ended[i].Store(true)
				}
			}
		}(i)
	}
	wg.Wait()
	for i := range values {
		if i%3 == 0 {
			w.mustFail(t, ErrNone, "__Host-oidc="+values[i])
		}
	}
	if len(w.flights) != 0 {
		t.Error("a flight is left")
	}
}
