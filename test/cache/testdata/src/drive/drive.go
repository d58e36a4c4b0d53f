// Package drive uses the cache as the interpreter runs it.
package drive

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/resp"
)

type witness struct {
	mu   sync.Mutex
	seen map[string]int
}

func (w *witness) Changed(key string) {
	w.mu.Lock()
	w.seen[key]++
	w.mu.Unlock()
}

func (w *witness) Revoked(_ cache.Revocation) {
	w.ChangedAll()
}

func (w *witness) ChangedAll() {}

func (w *witness) times(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[key]
}

func record(state cache.State, version uint64, payload string) []byte {
	h := cache.Header{KeyID: 1, State: state, Version: version, Expiry: time.Now().Add(time.Hour)}
	return append(cache.AppendHeader(nil, h), payload...)
}

var memory = cache.NewMemory(cache.MemoryOptions{MaxEntries: 1000})

// Memory is called by many goroutines, each with its own g, on one memory.
func Memory(g int) string {
	return exercise(memory, g)
}

// exercise returns the first mistake of b, or nothing.
func exercise(b cache.Backend, g int) string {
	ctx := context.Background()
	mine, other := &witness{seen: map[string]int{}}, &witness{seen: map[string]int{}}
	b.Watch(other)
	b.Watch(mine)
	b.Unwatch(other)
	key := "s:" + strconv.Itoa(g)
	if wrong := lifeOfRecord(ctx, b, key); wrong != "" {
		return key + ": " + wrong
	}
	if mine.times(key) < 3 || other.times(key) != 0 {
		return key + ": watched " + strconv.Itoa(mine.times(key)) + ", after unwatching " + strconv.Itoa(other.times(key))
	}
	b.Unwatch(mine)
	if wrong := lifeOfGrant(b, g); wrong != "" {
		return wrong
	}
	if err := b.Delete(ctx, key); err != nil {
		return "delete: " + err.Error()
	}
	if _, err := b.Get(ctx, key); !errors.Is(err, cache.ErrMiss) {
		return key + ": deleted, still there"
	}
	return ""
}

func lifeOfRecord(ctx context.Context, b cache.Backend, key string) string {
	if _, err := b.Get(ctx, key); !errors.Is(err, cache.ErrMiss) {
		return "present before it was written"
	}
	for v := uint64(1); v < 4; v++ {
		value := record(cache.Live, v, key)
		var err error
		if v == 1 {
			err = b.Add(ctx, key, value, time.Hour)
		} else {
			err = b.CompareAndSet(ctx, key, v-1, value, time.Hour)
		}
		if err != nil {
			return "version " + strconv.Itoa(int(v)) + ": " + err.Error()
		}
		got, err := b.Get(ctx, key)
		if err != nil || !bytes.Equal(got, value) {
			return "read another value: " + string(got)
		}
	}
	if err := b.Add(ctx, key, nil, time.Hour); !errors.Is(err, cache.ErrExists) {
		return "added twice"
	}
	dead := record(cache.Revoked, 9, "")
	if err := b.Set(ctx, key, dead, time.Hour); err != nil {
		return "revoke: " + err.Error()
	}
	if err := b.Set(ctx, key, record(cache.Live, 99, key), time.Hour); !errors.Is(err, cache.ErrConflict) {
		return "a revoked record came back"
	}
	if err := b.CompareAndSet(ctx, key, 3, record(cache.Live, 4, key), time.Hour); !errors.Is(err, cache.ErrConflict) {
		return "a slow refresh won"
	}
	got, err := b.Get(ctx, key)
	if err != nil || !bytes.Equal(got, dead) {
		return "revoked, but read " + string(got)
	}
	return ""
}

var (
	inRedis *redis.Redis
	inBoth  *hybrid.Hybrid
	events  = &observer{seen: map[string]int{}}
)

type observer struct {
	mu   sync.Mutex
	seen map[string]int
}

func (o *observer) Observe(e hybrid.Event, cause error) {
	o.mu.Lock()
	o.seen[e.Text()]++
	o.mu.Unlock()
}

// Open connects to a server under two prefixes, which are the stores' names.
func Open(address string) string {
	const patience = time.Minute // a busy machine is no outage
	server := resp.Options{
		Address: address, PoolSize: 16,
		OperationTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience, DialTimeout: patience,
	}
	if err := redis.Verify(context.Background(), redis.Options{Server: server, Prefix: "r"}); err != nil {
		return err.Error()
	}
	inRedis = redis.New(redis.Options{Server: server, Prefix: "r"})
	inBoth = hybrid.New(hybrid.Options{
		Redis:    redis.Options{Server: server, Prefix: "h"},
		Observer: events,
	})
	inBoth.Start()
	return ""
}

// Close closes the stores of Open.
func Close() {
	inRedis.Close()
	inBoth.Close()
}

// Redis is called by many goroutines, each with its own g.
func Redis(g int) string {
	return exercise(inRedis, g)
}

// Hybrid is called by many goroutines, each with its own g.
func Hybrid(g int) string {
	return exercise(inBoth, g)
}

// Same reads one key that no goroutine writes, and one of its own.
func Same(g int) string {
	ctx := context.Background()
	key := "s:own" + strconv.Itoa(g)
	value := record(cache.Live, 1, key)
	if err := inBoth.Add(ctx, key, value, time.Hour); !cache.Applied(err) && !errors.Is(err, cache.ErrExists) {
		return "add: " + err.Error()
	}
	for i := 0; i < 10; i++ {
		got, err := inBoth.Get(ctx, key)
		if err != nil {
			return key + ": " + err.Error()
		}
		if _, payload, err := cache.ParseRecord(got); err != nil || string(payload) != key {
			return key + ": read another value: " + string(payload)
		}
		if _, err := inBoth.Get(ctx, "s:shared"); err != nil && !errors.Is(err, cache.ErrMiss) && !errors.Is(err, cache.ErrUnavailable) {
			return "shared: " + err.Error()
		}
	}
	return ""
}

// Fallback reports whether only memory serves, and Tracking whether changes arrive.
func Fallback() bool { return inBoth.Stats().Fallback }

func Tracking() bool { return inBoth.Stats().Tracking }

// Journal is the number of keys that Redis does not have yet.
func Journal() int { return inBoth.Stats().Journal }

// Reported is the number of reports of an event.
func Reported(text string) int {
	events.mu.Lock()
	defer events.mu.Unlock()
	return events.seen[text]
}

// Measure times n operations on a store, one after the other, in ns.
func Measure(store, op string, n int) []int64 {
	ctx := context.Background()
	value := record(cache.Live, 1, string(make([]byte, 1000)))
	var b cache.Backend = memory
	if store == "redis" {
		b = inRedis
	}
	if store == "hybrid" {
		b = inBoth
	}
	took := make([]int64, 0, n)
	_ = b.Add(ctx, "s:read", value, time.Hour)
	for i := 0; i < 200; i++ {
		_, _ = b.Get(ctx, "s:read")
	}
	if op == "read" {
		return read(store, n, took)
	}
	for i := 0; i < n; i++ {
		start := time.Now()
		_ = b.Set(ctx, "s:write"+strconv.Itoa(i%100), value, time.Hour)
		took = append(took, int64(time.Since(start)))
	}
	return took
}

// read calls the concrete types, as the path of requests does.
func read(store string, n int, took []int64) []int64 {
	ctx := context.Background()
	for i := 0; i < n; i++ {
		start := time.Now()
		if store == "redis" {
			_, _ = inRedis.Get(ctx, "s:read")
		} else if store == "hybrid" {
			_, _ = inBoth.Get(ctx, "s:read")
		} else {
			_, _ = memory.Get(ctx, "s:read")
		}
		took = append(took, int64(time.Since(start)))
	}
	return took
}

// Settled reads a key until memory serves it, and returns the number of further reads, of
// 100, that it served.
func Settled() int {
	ctx := context.Background()
	err := inBoth.Add(ctx, "s:settled", record(cache.Live, 1, "v"), time.Hour)
	if err != nil && !errors.Is(err, cache.ErrExists) {
		return -1
	}
	for i := 0; i < 100; i++ {
		_, _ = inBoth.Get(ctx, "s:settled")
	}
	before := inBoth.Stats().Hits
	for i := 0; i < 100; i++ {
		_, _ = inBoth.Get(ctx, "s:settled")
	}
	return int(inBoth.Stats().Hits - before)
}

// Prepare writes the values that Outage changes.
func Prepare(g int) string {
	ctx := context.Background()
	for _, what := range []string{"ended", "refreshed", "deleted"} {
		key := "s:" + what + strconv.Itoa(g)
		if err := inBoth.Add(ctx, key, record(cache.Live, 1, key), time.Hour); err != nil {
			return key + ": " + err.Error()
		}
	}
	return ""
}

// Outage changes them while only memory serves.
func Outage(g int) string {
	ctx := context.Background()
	n := strconv.Itoa(g)
	errs := []error{
		inBoth.Set(ctx, "s:ended"+n, record(cache.Revoked, 2, ""), time.Hour),
		inBoth.CompareAndSet(ctx, "s:refreshed"+n, 1, record(cache.Live, 2, "s:refreshed"+n), time.Hour),
		inBoth.Delete(ctx, "s:deleted"+n),
		inBoth.Add(ctx, "j:"+n, []byte(n), time.Hour),
	}
	for i, err := range errs {
		if !errors.Is(err, cache.ErrJournalled) {
			return n + ": write " + strconv.Itoa(i) + " was not journalled"
		}
	}
	if err := inBoth.Add(ctx, "j:"+n, []byte(n), time.Hour); !errors.Is(err, cache.ErrExists) {
		return n + ": used twice"
	}
	if err := inBoth.Add(ctx, "l:"+n, []byte(n), time.Hour); !errors.Is(err, cache.ErrUnavailable) {
		return n + ": a lease was given"
	}
	if _, err := inBoth.Get(ctx, "s:unknown"+n); !errors.Is(err, cache.ErrUnavailable) {
		return n + ": an unknown key is not unavailable"
	}
	return Outcome(g)
}

// Outcome reports the first difference from the values of Outage.
func Outcome(g int) string {
	n := strconv.Itoa(g)
	ctx := context.Background()
	v, err := inBoth.Get(ctx, "s:ended"+n)
	if h, _, e := cache.ParseRecord(v); err != nil || e != nil || h.State != cache.Revoked {
		return n + ": not revoked"
	}
	v, err = inBoth.Get(ctx, "s:refreshed"+n)
	if h, payload, e := cache.ParseRecord(v); err != nil || e != nil || h.Version != 2 || string(payload) != "s:refreshed"+n {
		return n + ": not refreshed"
	}
	// For a moment after a loss of data another replica may have it.
	if _, err = inBoth.Get(ctx, "s:deleted"+n); !errors.Is(err, cache.ErrMiss) && !errors.Is(err, cache.ErrUnavailable) {
		return n + ": not deleted"
	}
	return ""
}
