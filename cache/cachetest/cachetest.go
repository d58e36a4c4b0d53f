// Package cachetest holds the contract of cache.Backend as tests that every
// implementation runs.
package cachetest

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

// A Subject is an empty backend under test.
type Subject struct {
	Backend cache.Backend
	Elapse  func(d time.Duration) // moves the backend's clock; nil: it runs by itself
	Keys    int                   // number of keys to be cleared; zero: 2500
}

const ttl = time.Minute

// Run runs the contract; open returns a fresh Subject for each test.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, one := range contract {
		t.Run(one.name, func(t *testing.T) { one.test(t, open(t)) })
	}
}

var contract = []struct {
	name string
	test func(t *testing.T, s Subject)
}{
	{"a key that was never written is a miss", absent},
	{"values come back as written", values},
	{"J4 hostile keys are only keys", hostileKeys},
	{"values out of bounds are refused", bounds},
	{"a value ends with its ttl", expiry},
	{"Add succeeds once", addOnce},
	{"J14 one of 100 concurrent Adds succeeds", addRace},
	{"CompareAndSet follows the version", compareAndSet},
	{"one of several concurrent CompareAndSets succeeds", compareRace},
	{"revoked wins over every later write", revokedWins},
	{"a higher version wins over a lower one", versions},
	{"a revocation entry only moves forward", notBefore},
	{"J15 a record of a later format is left alone", laterFormat},
	{"a deleted key is a miss, twice too", deletion},
	{"Clear leaves nothing", clearAll},
	{"watchers learn of every change", watching},
	{"an unwatched watcher learns nothing", unwatching},
	{"BL15 a revocation ends the records with its index keys", revoking},
	{"BL17 a revocation ends records that are stored after it", revokingEarly},
	{"BL17 a record and its revocation meet", revokingRace},
	{"L10 F24 the oldest of too many records under an index key end", trimming},
	{"L10 F24 records come and are trimmed at once", trimmingRace},
	{"E6 a lease has one holder, a grant one use", leases},
	{"E8 a lease ends with its holder, a used grant stays used", leaseEnds},
	{"E6 one of 100 concurrent Acquires succeeds", leaseRace},
	{"Fresh reads the stored value", fresh},
	{"64 goroutines read their own values", ownValues},
}

// Record returns a record of the given state and version.
func Record(state cache.State, version uint64, payload string) []byte {
	h := cache.Header{KeyID: 1, State: state, Version: version, Expiry: time.Now().Add(time.Hour)}
	return append(cache.AppendHeader(nil, h), payload...)
}

func want(t *testing.T, got, wanted error) {
	t.Helper()
	if wanted == nil && got != nil || wanted != nil && !errors.Is(got, wanted) {
		t.Fatalf("error %v, want %v", got, wanted)
	}
}

func wantValue(t *testing.T, b cache.Backend, key string, value []byte) {
	t.Helper()
	got, err := b.Get(context.Background(), key)
	if err != nil || !bytes.Equal(got, value) {
		t.Fatalf("Get(%q) = %q, %v; want %q", key, got, err, value)
	}
	if found, err := b.Exists(context.Background(), key); !found || err != nil {
		t.Fatalf("Exists(%q) = %t, %v", key, found, err)
	}
}

func wantMiss(t *testing.T, b cache.Backend, key string) {
	t.Helper()
	got, err := b.Get(context.Background(), key)
	if !errors.Is(err, cache.ErrMiss) || got != nil {
		t.Fatalf("Get(%q) = %q, %v; want a miss", key, got, err)
	}
	if found, err := b.Exists(context.Background(), key); found || err != nil {
		t.Fatalf("Exists(%q) = %t, %v", key, found, err)
	}
}

func absent(t *testing.T, s Subject) {
	wantMiss(t, s.Backend, "s:none")
	want(t, s.Backend.Health(context.Background()), nil)
}

func values(t *testing.T, s Subject) {
	ctx := context.Background()
	for i, v := range [][]byte{[]byte("v"), {}, nil, []byte("\r\n$-1\r\n\x00\xff"), bytes.Repeat([]byte("x"), 100000)} {
		key := "s:" + strconv.Itoa(i)
		want(t, s.Backend.Set(ctx, key, v, ttl), nil)
		wantValue(t, s.Backend, key, v)
		want(t, s.Backend.Set(ctx, key, []byte("again"), ttl), nil)
		wantValue(t, s.Backend, key, []byte("again"))
	}
}

func hostileKeys(t *testing.T, s Subject) {
	keys := []string{"s:plain", "s:a\r\nFLUSHALL\r\n", "s:{x}y", "s:*", "s:?", "s:[a-z]", "s:\\", "s:\x00", "s: a b", "s:\"", "s:ü"}
	for _, k := range keys {
		want(t, s.Backend.Set(context.Background(), k, []byte(k), ttl), nil)
	}
	for _, k := range keys {
		wantValue(t, s.Backend, k, []byte(k))
	}
}

func bounds(t *testing.T, s Subject) {
	ctx := context.Background()
	long := string(bytes.Repeat([]byte("k"), cache.MaxKey+1))
	for _, c := range []struct {
		key   string
		value []byte
		ttl   time.Duration
	}{
		{"", nil, ttl},
		{long, nil, ttl},
		{"s:k", make([]byte, cache.MaxValue+1), ttl},
		{"s:k", nil, 0},
		{"s:k", nil, -time.Second},
		{"s:k", nil, time.Microsecond},
		{"s:k", nil, cache.MaxTTL + 1},
	} {
		want(t, s.Backend.Set(ctx, c.key, c.value, c.ttl), cache.ErrInvalid)
		want(t, s.Backend.Add(ctx, c.key, c.value, c.ttl), cache.ErrInvalid)
		want(t, s.Backend.CompareAndSet(ctx, c.key, 1, c.value, c.ttl), cache.ErrInvalid)
	}
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 1, []byte("no record"), ttl), cache.ErrInvalid)
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 2, Record(cache.Live, 2, "same version"), ttl), cache.ErrInvalid)
	wantMiss(t, s.Backend, "s:k")
}

func expiry(t *testing.T, s Subject) {
	ctx := context.Background()
	short := 200 * time.Millisecond
	want(t, s.Backend.Set(ctx, "s:set", []byte("v"), short), nil)
	want(t, s.Backend.Add(ctx, "j:add", []byte("v"), short), nil)
	want(t, s.Backend.Set(ctx, "s:stays", []byte("v"), ttl), nil)
	if s.Elapse != nil {
		wantValue(t, s.Backend, "s:set", []byte("v"))
		s.Elapse(short)
	}
	for _, key := range []string{"s:set", "j:add"} {
		eventually.True(t, key+" expired", func() bool {
			_, err := s.Backend.Get(ctx, key)
			return errors.Is(err, cache.ErrMiss)
		})
		wantMiss(t, s.Backend, key)
	}
	// A replay marker that is held in two places leaves the two in turn.
	eventually.True(t, "j:add can be added again", func() bool { return s.Backend.Add(ctx, "j:add", []byte("w"), ttl) == nil })
	wantValue(t, s.Backend, "j:add", []byte("w"))
	wantValue(t, s.Backend, "s:stays", []byte("v"))
}

func addOnce(t *testing.T, s Subject) {
	ctx := context.Background()
	want(t, s.Backend.Add(ctx, "j:k", []byte("first"), ttl), nil)
	want(t, s.Backend.Add(ctx, "j:k", []byte("second"), ttl), cache.ErrExists)
	wantValue(t, s.Backend, "j:k", []byte("first"))
	dead := Record(cache.Revoked, 0, "")
	want(t, s.Backend.Set(ctx, "s:k", dead, ttl), nil)
	want(t, s.Backend.Add(ctx, "s:k", Record(cache.Live, 1, "too late"), ttl), cache.ErrExists)
	wantValue(t, s.Backend, "s:k", dead)
}

func addRace(t *testing.T, s Subject) {
	var won atomic.Int64
	together(100, func(g int) {
		if err := s.Backend.Add(context.Background(), "j:k", []byte(strconv.Itoa(g)), ttl); err == nil {
			won.Add(1)
		} else if !errors.Is(err, cache.ErrExists) {
			t.Errorf("caller %d: %v", g, err)
		}
	})
	if won.Load() != 1 {
		t.Fatalf("%d callers were first", won.Load())
	}
}

func together(n int, do func(g int)) {
	var wg sync.WaitGroup
	for g := 0; g < n; g++ {
		wg.Add(1)
		go one(&wg, do, g)
	}
	wg.Wait()
}

func one(wg *sync.WaitGroup, do func(g int), g int) {
	defer wg.Done()
	do(g)
}

func compareAndSet(t *testing.T, s Subject) {
	ctx := context.Background()
	v1, v2, v3 := Record(cache.Live, 1, "one"), Record(cache.Live, 2, "two"), Record(cache.Live, 3, "three")
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 1, v2, ttl), cache.ErrMiss)
	want(t, s.Backend.Add(ctx, "s:k", v1, ttl), nil)
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 2, v3, ttl), cache.ErrConflict)
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 1, v2, ttl), nil)
	wantValue(t, s.Backend, "s:k", v2)
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 1, v2, ttl), nil) // an attempt that arrived twice
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 1, Record(cache.Live, 2, "other"), ttl), cache.ErrConflict)
	wantValue(t, s.Backend, "s:k", v2)
	dead := Record(cache.Revoked, 3, "")
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 2, dead, ttl), nil)
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 3, Record(cache.Live, 4, "back"), ttl), cache.ErrConflict)
	wantValue(t, s.Backend, "s:k", dead)
	want(t, s.Backend.Set(ctx, "s:opaque", []byte("text"), ttl), nil)
	want(t, s.Backend.CompareAndSet(ctx, "s:opaque", 1, v2, ttl), cache.ErrConflict)
}

func compareRace(t *testing.T, s Subject) {
	want(t, s.Backend.Add(context.Background(), "s:k", Record(cache.Live, 1, ""), ttl), nil)
	var won atomic.Int64
	together(50, func(g int) {
		err := s.Backend.CompareAndSet(context.Background(), "s:k", 1, Record(cache.Live, 2, strconv.Itoa(g)), ttl)
		if err == nil {
			won.Add(1)
		} else if !errors.Is(err, cache.ErrConflict) {
			t.Errorf("caller %d: %v", g, err)
		}
	})
	if won.Load() != 1 {
		t.Fatalf("%d callers won", won.Load())
	}
}

func revokedWins(t *testing.T, s Subject) {
	ctx := context.Background()
	dead := Record(cache.Revoked, 1, "")
	want(t, s.Backend.Set(ctx, "s:k", Record(cache.Live, 7, "alive"), ttl), nil)
	want(t, s.Backend.Set(ctx, "s:k", dead, ttl), nil)
	want(t, s.Backend.Set(ctx, "s:k", Record(cache.Live, 9, "slow refresh"), ttl), cache.ErrConflict)
	want(t, s.Backend.Set(ctx, "s:k", []byte("opaque"), ttl), cache.ErrConflict)
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 7, Record(cache.Live, 8, "slow refresh"), ttl), cache.ErrConflict)
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 1, Record(cache.Live, 8, "slow refresh"), ttl), cache.ErrConflict)
	want(t, s.Backend.Set(ctx, "s:k", dead, ttl), nil)
	wantValue(t, s.Backend, "s:k", dead)
}

func versions(t *testing.T, s Subject) {
	ctx := context.Background()
	high := Record(cache.Live, 1<<60, "high")
	want(t, s.Backend.Set(ctx, "s:k", Record(cache.Live, 1<<60-1, "low"), ttl), nil)
	want(t, s.Backend.Set(ctx, "s:k", high, ttl), nil)
	want(t, s.Backend.Set(ctx, "s:k", high, ttl), nil)
	want(t, s.Backend.Set(ctx, "s:k", Record(cache.Live, 1<<60-1, "low"), ttl), cache.ErrConflict)
	want(t, s.Backend.Set(ctx, "s:k", Record(cache.Live, 1<<60, "other"), ttl), cache.ErrConflict)
	wantValue(t, s.Backend, "s:k", high)
}

func notBefore(t *testing.T, s Subject) {
	ctx := context.Background()
	later := Record(cache.Revoked, 2000, "")
	want(t, s.Backend.Set(ctx, "r:k", Record(cache.Revoked, 1000, ""), ttl), nil)
	want(t, s.Backend.Set(ctx, "r:k", later, ttl), nil)
	want(t, s.Backend.Set(ctx, "r:k", Record(cache.Revoked, 1500, ""), ttl), nil)
	wantValue(t, s.Backend, "r:k", later)
}

func laterFormat(t *testing.T, s Subject) {
	ctx := context.Background()
	later := Record(cache.Live, 5, "later")
	later[0]++
	want(t, s.Backend.Set(ctx, "s:k", later, ttl), nil)
	want(t, s.Backend.Set(ctx, "s:k", Record(cache.Revoked, 9, ""), ttl), cache.ErrConflict)
	want(t, s.Backend.Set(ctx, "s:k", []byte("opaque"), ttl), cache.ErrConflict)
	want(t, s.Backend.Add(ctx, "s:k", Record(cache.Live, 1, ""), ttl), cache.ErrExists)
	want(t, s.Backend.CompareAndSet(ctx, "s:k", 5, Record(cache.Live, 6, ""), ttl), cache.ErrMiss)
	wantValue(t, s.Backend, "s:k", later)
	if _, _, err := cache.ParseRecord(later); !errors.Is(err, cache.ErrMiss) {
		t.Fatalf("ParseRecord: %v", err)
	}
}

func deletion(t *testing.T, s Subject) {
	ctx := context.Background()
	want(t, s.Backend.Set(ctx, "s:k", []byte("v"), ttl), nil)
	want(t, s.Backend.Delete(ctx, "s:k"), nil)
	wantMiss(t, s.Backend, "s:k")
	want(t, s.Backend.Delete(ctx, "s:k"), nil)
	want(t, s.Backend.Delete(ctx, ""), cache.ErrInvalid)
}

func clearAll(t *testing.T, s Subject) {
	ctx := context.Background()
	n := s.Keys
	if n == 0 {
		n = 2500
	}
	for i := 0; i < n; i++ {
		want(t, s.Backend.Set(ctx, "s:"+strconv.Itoa(i), []byte("v"), ttl), nil)
	}
	want(t, s.Backend.Add(ctx, "j:k", []byte("v"), ttl), nil)
	want(t, s.Backend.Clear(ctx), nil)
	for i := 0; i < n; i += 100 {
		wantMiss(t, s.Backend, "s:"+strconv.Itoa(i))
	}
	want(t, s.Backend.Add(ctx, "j:k", []byte("v"), ttl), nil)
}

func ownValues(t *testing.T, s Subject) {
	ctx := context.Background()
	together(64, func(g int) {
		key := "s:" + strconv.Itoa(g)
		for v := uint64(1); v <= 20; v++ {
			value := Record(cache.Live, v, key)
			if err := s.Backend.Set(ctx, key, value, ttl); err != nil {
				t.Errorf("Set %s: %v", key, err)
				return
			}
			got, err := s.Backend.Get(ctx, key)
			if err != nil || !bytes.Equal(got, value) {
				t.Errorf("Get %s = %q, %v; want %q", key, got, err, value)
				return
			}
		}
	})
}
