package traefikoidc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// A paper is a log with several concurrent writers.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// taken returns the lines since the last call.
func (p *paper) taken() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.text.String()
	p.text.Reset()
	return text
}

// A line of a store names its address. A store that was replaced writes none, because
// no options lead to its server.
func TestWhatAStoreLogs(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := &paper{}
	open := func(address string) *store {
		t.Helper()
		s := &config.Settings{Redis: config.Redis{Enabled: true, Mode: "hybrid", Network: "tcp", Addresses: []string{address}, L1Entries: 10, L1Bytes: 1 << 20}}
		key, err := storeKey(s.Redis)
		if err != nil {
			t.Fatal(err)
		}
		r, err := registry.Shared.Acquire(ctx, key, &quietBuilder{storeBuilder{s: s, key: key, log: slog.New(slog.NewTextHandler(p, nil))}})
		if err != nil {
			t.Fatal(err)
		}
		return r.(*store)
	}
	says := func(when string, s *store, want bool) {
		t.Helper()
		s.Observe(hybrid.BreakerOpened, errors.New("why"))
		text := p.taken()
		if !want && text != "" {
			t.Errorf("%s, %s says %s", when, s.address, text)
		}
		if want && (!strings.Contains(text, "Circuit breaker opened") || !strings.Contains(text, "address="+s.address) || !strings.Contains(text, "why")) {
			t.Errorf("%s, %s says %q", when, s.address, text)
		}
	}
	const first, second = "store_test one", "store_test two"
	a := open("a:6379")
	says("before anything uses it", a, true)
	registry.Shared.Succeed(first, a.key)
	registry.Shared.Succeed(second, a.key)
	b := open("b:6379")
	registry.Shared.Succeed(first, b.key)
	says("while another one is verified", a, true)
	says("while it is verified", b, true)
	registry.Shared.Serve(first, b.key)
	says("while it serves one of two", a, true)
	c := open("c:6379")
	registry.Shared.Succeed(second, c.key)
	registry.Shared.Serve(second, c.key)
	says("when both were replaced", a, false)
	says("when it serves", b, true)
	registry.Shared.Succeed(first, c.key)
	says("while another one is verified", b, true)
	registry.Shared.Succeed(first, a.key)
	says("when it is wanted again", a, true)
}

// quietBuilder builds a store that does not connect.
type quietBuilder struct {
	b storeBuilder
}

func (b *quietBuilder) Build() (registry.Resource, error) {
	s := &store{key: b.b.key, address: addressOf(b.b.s.Redis)}
	s.logTo(b.b.log)
	s.done, s.end = context.WithCancel(context.Background())
	return s, nil
}

// A store in memory is another one only if an option of memory changed.
func TestTheKeyOfAStore(t *testing.T) {
	plain := config.Redis{Mode: "hybrid", L1Entries: cache.DefaultEntries, L1Bytes: cache.DefaultBytes, PoolSize: 10}
	key := func(change func(r *config.Redis)) string {
		t.Helper()
		r := plain
		change(&r)
		k, err := storeKey(r)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	off := key(func(r *config.Redis) {})
	for name, row := range map[string]struct {
		same   bool
		change func(r *config.Redis)
	}{
		"poolSize":        {true, func(r *config.Redis) { r.PoolSize = 11 }},
		"address":         {true, func(r *config.Redis) { r.Addresses = []string{"other:6379"} }},
		"password":        {true, func(r *config.Redis) { r.Password = "other" }},
		"cacheMode":       {true, func(r *config.Redis) { r.Enabled, r.Mode = true, "memory" }},
		"hybridL1Size":    {false, func(r *config.Redis) { r.L1Entries = 11 }},
		"no redis at all": {true, func(r *config.Redis) { *r = config.Redis{} }},
		"enabled":         {false, func(r *config.Redis) { r.Enabled = true }},
		"with poolSize":   {false, func(r *config.Redis) { r.Enabled, r.PoolSize = true, 11 }},
	} {
		if got := key(row.change); (got == off) != row.same {
			t.Errorf("%s: the same store: %t, want %t", name, got == off, row.same)
		}
	}
	if key(func(r *config.Redis) { r.Enabled = true }) == key(func(r *config.Redis) { r.Enabled, r.PoolSize = true, 11 }) {
		t.Error("with Redis, poolSize makes no other store")
	}
	certified := func(file, text string) string {
		return key(func(r *config.Redis) {
			r.Enabled, r.TLS = true, config.RedisTLS{Enabled: true, CAFile: file, CAPEM: text}
		})
	}
	if certified("/ca.pem", "old") != certified("/ca.pem", "new") {
		t.Error("a certificate that changed in its file makes another store")
	}
	if certified("/ca.pem", "old") == certified("/other.pem", "old") {
		t.Error("another file makes no other store")
	}
}

// Other bounds of a memory apply to the existing memory: nobody is signed out.
func TestOtherBoundsAreNoOtherMemory(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reload := func(name string, entries int) *store {
		t.Helper()
		s := &config.Settings{Redis: config.Redis{L1Entries: entries, L1Bytes: 1 << 20}}
		key, err := storeKey(s.Redis)
		if err != nil {
			t.Fatal(err)
		}
		r, err := registry.Shared.Acquire(ctx, key, &storeBuilder{s: s, key: key, before: servingStore(name), log: slog.New(slog.NewTextHandler(&paper{}, nil))})
		if err != nil {
			t.Fatal(err)
		}
		mb := &middlewareBuilder{s: s, name: name, store: r.(*store)}
		if err := mb.findPredecessor(); err != nil {
			t.Fatal(err)
		}
		if mb.served != "" {
			t.Errorf("%s with %d entries: another store serves", name, entries)
		}
		return mb.store
	}
	holds := func(when string, s *store, want int) {
		t.Helper()
		for i := 0; i < 20; i++ {
			if err := s.backend.Set(ctx, fmt.Sprintf("s:%d", i), []byte("v"), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.memory.records.Stats().Entries; n != want {
			t.Errorf("%s it holds %d, want %d", when, n, want)
		}
	}
	const one, two = "bounds of one", "bounds of two"
	a := reload(one, 7)
	if reload(two, 7) != a {
		t.Fatal("two middlewares with the same bounds have a store each")
	}
	holds("at first", a, 7)
	b := reload(one, 9)
	holds("with more for one", b, 9)
	if _, err := a.backend.Get(ctx, "s:19"); err != nil {
		t.Errorf("the other one has lost it: %v", err)
	}
	c := reload(one, 5)
	holds("with the bounds of the other one", c, 7)
	reload(two, 5)
	holds("with less for both", c, 5)
	reload(one, 7)
	holds("with the first bounds again", c, 7)
	if other := reload("bounds of a third", 3); other.memory == c.memory {
		t.Error("a middleware with bounds of its own shares the memory")
	}
}
