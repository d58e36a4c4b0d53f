package cache_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// A server is a redis-server with the questions of these tests.
type server struct {
	*redistest.Fixture
	t *testing.T
}

// startServer starts a redis-server that ends with the test.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	return &server{Fixture: redistest.Run(t, args...), t: t}
}

// has reports whether the server has key.
func (s *server) has(key string) bool {
	s.t.Helper()
	return s.Do("EXISTS", key).Int == 1
}

// log collects the events of a Hybrid.
type log struct {
	mu     sync.Mutex
	events []hybrid.Event
	causes map[hybrid.Event]error // the last of each
}

func (l *log) Observe(e hybrid.Event, cause error) {
	l.mu.Lock()
	l.events = append(l.events, e)
	l.causes[e] = cause
	l.mu.Unlock()
}

func (l *log) count(e hybrid.Event) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, one := range l.events {
		if one == e {
			n++
		}
	}
	return n
}

func (l *log) cause(e hybrid.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.causes[e]
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, e := range l.events {
		all = append(all, e.Text())
	}
	return strings.Join(all, "; ")
}

var prefixes atomic.Int64

func freshPrefix() string {
	return "p" + strconv.FormatInt(prefixes.Add(1), 10)
}

func redisOptions(s *server, prefix string) redis.Options {
	return redis.Options{
		Server: resp.Options{Address: s.Address(), Node: true, OperationTimeout: 3 * time.Second, PoolSize: 16}, // a busy machine is no outage
		Prefix: prefix,
	}
}

// replica is a Hybrid as one Traefik has it.
type replica struct {
	*hybrid.Hybrid
	t   *testing.T
	log *log
}

func startReplica(t *testing.T, s *server, prefix string, change func(o *hybrid.Options)) *replica {
	t.Helper()
	r := newReplica(t, s, prefix, change)
	r.until("tracking", func(x hybrid.Stats) bool { return x.Tracking && x.Connected && x.Leases })
	return r
}

func newReplica(t *testing.T, s *server, prefix string, change func(o *hybrid.Options)) *replica {
	t.Helper()
	l := &log{causes: map[hybrid.Event]error{}}
	o := hybrid.Options{Redis: redisOptions(s, prefix), Observer: l}
	if change != nil {
		change(&o)
	}
	r := &replica{Hybrid: hybrid.New(o), t: t, log: l}
	t.Cleanup(r.Close)
	r.Start()
	return r
}

func (r *replica) until(what string, ok func(x hybrid.Stats) bool) {
	r.t.Helper()
	if !eventually.Within(eventually.Limit, func() bool { return ok(r.Stats()) }) {
		x := r.Stats()
		r.t.Fatalf("waited in vain until %s: fallback %t tracking %t journal %d breaker %d; %s",
			what, x.Fallback, x.Tracking, x.Journal, x.Breaker.State, r.log.text())
	}
}

func (r *replica) untilRestored() {
	r.t.Helper()
	r.until("restored", func(x hybrid.Stats) bool {
		return !x.Fallback && x.Tracking && x.Journal == 0 && x.Breaker.State == circuitbreaker.Closed
	})
}

func (r *replica) untilFallback() {
	r.t.Helper()
	r.until("fallen back", func(x hybrid.Stats) bool {
		_, _ = r.Get(context.Background(), "s:anybody")
		return x.Fallback
	})
}

// reads is the number of reads of Redis by r.
func (r *replica) reads() uint64 {
	n := uint64(0)
	for _, c := range r.Stats().Redis.Commands {
		if c.Command == "get" || c.Command == "pipeline" {
			n += c.Count
		}
	}
	return n
}

// state is the state of a key at r: "1" and so on for a live record of that version,
// revoked, miss, or unavailable.
func (r *replica) state(key string) string {
	v, err := r.Get(context.Background(), key)
	return describe(v, err)
}

func describe(v []byte, err error) string {
	if err != nil {
		return strings.TrimPrefix(strings.SplitN(err.Error(), ":", 3)[1], " ")
	}
	h, _, err := cache.ParseRecord(v)
	if err != nil {
		return string(v)
	}
	if h.State == cache.Revoked {
		return "revoked"
	}
	return fmt.Sprint(h.Version)
}

func (r *replica) becomes(key, state string) {
	r.t.Helper()
	r.until(key+" is "+state, func(hybrid.Stats) bool { return r.state(key) == state })
}

func (r *replica) is(key, state string) {
	r.t.Helper()
	if got := r.state(key); got != state {
		r.t.Fatalf("%s is %s, want %s; %s", key, got, state, r.log.text())
	}
}

func live(version uint64) []byte { return cachetest.Record(cache.Live, version, "payload") }
func revoked() []byte            { return cachetest.Record(cache.Revoked, 1, "") }

func (r *replica) put(key string, value []byte) error {
	return r.Set(context.Background(), key, value, time.Hour)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
