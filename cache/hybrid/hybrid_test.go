package hybrid_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
	"github.com/traefikoidc/traefikoidc/resp"
)

// startServer starts a server that refuses scripts as Redis does, without the bytes of
// the script's arguments.
func startServer(t *testing.T) *resptest.Server {
	t.Helper()
	s := resptest.Start(t)
	heal(s)
	return s
}

func heal(s *resptest.Server) {
	s.Heal()
	for _, command := range []string{"EVAL", "EVALSHA"} {
		s.Inject(resptest.Fault{Command: command, Reply: "-ERR unknown command\r\n"})
	}
}

func redisAt(s *resptest.Server) redis.Options {
	return redis.Options{
		Server: resp.Options{Address: s.Addr(), PoolSize: 16, OperationTimeout: 3 * time.Second},
		Prefix: "x",
	}
}

func startHybrid(t *testing.T, s *resptest.Server, direct bool) *hybrid.Hybrid {
	t.Helper()
	h := hybrid.New(hybrid.Options{Redis: redisAt(s), Direct: direct})
	t.Cleanup(h.Close)
	h.Start()
	eventually.True(t, "connected", func() bool { return h.Stats().Connected && h.Stats().Tracking && h.Stats().Leases })
	return h
}

func TestRedisKeepsTheContract(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		c := cachetest.NewClock()
		s := startServer(t)
		s.Clock(c.Now)
		r := redis.New(redisAt(s))
		t.Cleanup(r.Close)
		return cachetest.Subject{Backend: r, Elapse: c.Elapse, Keys: 300}
	})
}

func TestHybridKeepsTheContract(t *testing.T) {
	for name, direct := range map[string]bool{"hybrid": false, "direct": true} {
		t.Run(name, func(t *testing.T) {
			cachetest.Run(t, func(t *testing.T) cachetest.Subject {
				return cachetest.Subject{Backend: startHybrid(t, startServer(t), direct), Keys: 300}
			})
		})
	}
}

func version(t *testing.T, b cache.Backend, key string) uint64 {
	t.Helper()
	v, err := b.Get(context.Background(), key)
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	h, _, err := cache.ParseRecord(v)
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	return h.Version
}

func record(version uint64) []byte {
	return cachetest.Record(cache.Live, version, "payload")
}

// A value that was read before a change must not be held as fresh after it.
func TestJ12AFillThatLostTheRaceIsStale(t *testing.T) {
	s := startServer(t)
	h := startHybrid(t, s, false)
	s.Put("x:s:k", string(record(1)))
	s.Inject(resptest.Fault{Command: "GET", Key: "x:s:k", Delay: 200 * time.Millisecond, Times: 1})
	read := make(chan uint64, 1)
	go func() { read <- version(t, h, "s:k") }()
	eventually.True(t, "the read is under way", func() bool { return reads(s, "x:s:k") > 0 })
	s.Put("x:s:k", string(record(2)))
	<-read
	if v := version(t, h, "s:k"); v != 2 {
		t.Errorf("version %d is held as fresh", v)
	}
}

func reads(s *resptest.Server, key string) int {
	n := 0
	for _, c := range s.Commands() {
		if c[0] == "GET" && c[1] == key {
			n++
		}
	}
	return n
}

// The acknowledgement of a write may come after the report of a later one.
func TestJ12AWriteThatWasOvertakenIsStale(t *testing.T) {
	s := startServer(t)
	h := startHybrid(t, s, false)
	s.Inject(resptest.Fault{Command: "SET", Key: "x:s:k", Delay: 200 * time.Millisecond, Times: 1})
	added := make(chan error, 1)
	go func() { added <- h.Add(context.Background(), "s:k", record(1), time.Minute) }()
	eventually.True(t, "it is stored", func() bool {
		_, found := s.Value("x:s:k")
		return found
	})
	s.Put("x:s:k", string(record(2)))
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	if v := version(t, h, "s:k"); v != 2 {
		t.Errorf("version %d is held as fresh", v)
	}
}

func TestAReadThatFailsIsNoMiss(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault resptest.Fault
	}{
		{"cut", resptest.Fault{Command: "GET", Cut: -1}},
		{"garbage", resptest.Fault{Command: "GET", Reply: "HTTP/1.1 400 Bad Request\r\n\r\n"}},
		{"refused", resptest.Fault{Command: "GET", Reply: "-LOADING Redis is loading\r\n"}},
		{"not permitted", resptest.Fault{Command: "GET", Reply: "-NOPERM no permissions\r\n"}},
		{"another type", resptest.Fault{Command: "GET", Reply: "*0\r\n"}},
		{"endless", resptest.Fault{Command: "GET", Reply: "$2000000000\r\n"}},
	} {
		t.Run("J5 "+c.name, func(t *testing.T) {
			ctx := context.Background()
			s := startServer(t)
			h := startHybrid(t, s, false)
			if err := h.Add(ctx, "s:held", record(1), time.Minute); err != nil {
				t.Fatal(err)
			}
			eventually.True(t, "the report of its own change arrived", func() bool { return version(t, h, "s:held") == 1 })
			s.Inject(c.fault)
			s.Push(">2\r\n$10\r\ninvalidate\r\n*1\r\n$8\r\nx:s:held\r\n")
			for i := 0; i < 10; i++ {
				if v := version(t, h, "s:held"); v != 1 {
					t.Fatalf("version %d", v)
				}
				if _, err := h.Get(ctx, "s:none"); !errors.Is(err, cache.ErrUnavailable) {
					t.Fatalf("unknown key: %v", err)
				}
			}
		})
	}
}

func TestBL18AWriteThatRedisDoesNotConfirmIsJournalled(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	h := startHybrid(t, s, false)
	if err := h.Add(ctx, "s:k", record(1), time.Minute); err != nil {
		t.Fatal(err)
	}
	s.Inject(resptest.Fault{Command: "EXEC", Skip: true, Cut: -1})
	dead := cachetest.Record(cache.Revoked, 2, "")
	if err := h.Set(ctx, "s:k", dead, time.Minute); !errors.Is(err, cache.ErrJournalled) {
		t.Fatalf("revoking: %v", err)
	}
	if v, err := h.Get(ctx, "s:k"); err != nil || string(v) != string(dead) {
		t.Fatalf("it is still alive here: %v", err)
	}
	heal(s)
	eventually.True(t, "the journal is empty", func() bool { return h.Stats().Journal == 0 })
	if v, _ := s.Value("x:s:k"); v != string(dead) {
		t.Errorf("stored %q", v)
	}
}

func TestAFullJournalRefusesANewRevocationAndKeepsTheOthers(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	s.Stop()
	seen := &overflow{}
	h := hybrid.New(hybrid.Options{Redis: redisAt(s), JournalEntries: 4, Observer: seen})
	t.Cleanup(h.Close)
	h.Start()
	eventually.True(t, "fallen back", func() bool { return h.Stats().Fallback })
	write := func(key string, value []byte, want error) {
		t.Helper()
		if err := h.Set(ctx, key, value, time.Minute); !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", key, err, want)
		}
	}
	dead := cachetest.Record(cache.Revoked, 1, "")
	write("s:1", record(1), cache.ErrJournalled)
	write("s:2", record(1), cache.ErrJournalled)
	write("s:3", dead, cache.ErrJournalled)
	write("s:4", dead, cache.ErrJournalled)
	write("s:5", dead, cache.ErrJournalled) // s:1 makes room
	write("s:6", dead, cache.ErrJournalled) // s:2 makes room
	write("s:7", dead, cache.ErrUnavailable)
	write("s:8", record(1), cache.ErrUnavailable)
	s.Restart(t, true)
	eventually.True(t, "restored", func() bool { return !h.Stats().Fallback && h.Stats().Journal == 0 })
	for _, key := range []string{"x:s:3", "x:s:4", "x:s:5", "x:s:6"} {
		if v, _ := s.Value(key); v != string(dead) {
			t.Errorf("%s was lost", key)
		}
	}
	eventually.True(t, "it was reported", seen.was)
}

type overflow struct {
	mu       sync.Mutex
	reported bool
}

func (o *overflow) Observe(e hybrid.Event, cause error) {
	o.mu.Lock()
	o.reported = o.reported || e == hybrid.JournalOverflow
	o.mu.Unlock()
}

func (o *overflow) was() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reported
}

func TestUsersDoNotProbe(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	r := redis.New(redisAt(s))
	t.Cleanup(r.Close)
	s.Refuse("LOADING Redis is loading the dataset in memory")
	for i := 0; i < 5; i++ {
		_, _ = r.Get(ctx, "s:k")
	}
	before := s.Count("GET")
	for i := 0; i < 100; i++ {
		if _, err := r.Get(ctx, "s:k"); !errors.Is(err, cache.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if n := s.Count("GET") - before; n != 0 {
		t.Errorf("%d reads by users", n)
	}
	heal(s)
	eventually.True(t, "closed", func() bool {
		_, err := r.Get(ctx, "s:k")
		return errors.Is(err, cache.ErrMiss)
	})
}

func TestClearScansAndUnlinksKeyByKey(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	r := redis.New(redisAt(s))
	t.Cleanup(r.Close)
	for _, key := range []string{"x:s:1", "x:s:2", "x:epoch", "y:s:1", "x", "xx:s:1"} {
		s.Put(key, "v")
	}
	if err := r.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Commands() {
		if c[0] == "KEYS" || strings.HasPrefix(c[0], "FLUSH") {
			t.Errorf("it ran %s", c[0])
		}
	}
	if got := len(s.Keys()); got != 4 || s.Count("UNLINK") != 2 {
		t.Errorf("left %q after %d UNLINK", s.Keys(), s.Count("UNLINK"))
	}
}

func TestACallerThatLeavesDoesNotOpenTheBreaker(t *testing.T) {
	s := startServer(t)
	r := redis.New(redisAt(s))
	t.Cleanup(r.Close)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for i := 0; i < 20; i++ {
		if _, err := r.Get(gone, "s:k"); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if _, err := r.Get(context.Background(), "s:k"); !errors.Is(err, cache.ErrMiss) {
		t.Error(err)
	}
}
