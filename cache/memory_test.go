package cache_test

import (
	"context"
	"errors"
	"math/rand"
	"strconv"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
)

func TestMemoryStaysWithinItsBounds(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name string
		o    cache.MemoryOptions
		key  func(i int) string
	}{
		{"entries", cache.MemoryOptions{MaxEntries: 50}, func(i int) string { return "s:" + strconv.Itoa(i) }},
		{"bytes of values", cache.MemoryOptions{MaxBytes: 100 << 10}, func(i int) string { return "s:" + strconv.Itoa(i) }},
		{"bytes of keys", cache.MemoryOptions{MaxBytes: 100 << 10}, func(i int) string { return "s:" + strconv.Itoa(1e9+i) + string(make([]byte, 400)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := cache.NewMemory(c.o)
			for i := 0; i < 2000; i++ {
				value := make([]byte, i)
				if i%3 == 0 {
					value = cachetest.Record(cache.Revoked, uint64(i), "")
				}
				if err := m.Set(ctx, c.key(i), value, time.Minute); err != nil {
					t.Fatal(err)
				}
				s := m.Stats()
				if c.o.MaxEntries > 0 && s.Entries > c.o.MaxEntries || c.o.MaxBytes > 0 && s.Bytes > c.o.MaxBytes {
					t.Fatalf("after %d: %+v", i, s)
				}
			}
			if s := m.Stats(); s.Evictions == 0 || s.Entries == 0 {
				t.Fatalf("%+v", s)
			}
			if err := m.Clear(ctx); err != nil || m.Stats().Bytes != 0 || m.Stats().Entries != 0 {
				t.Fatalf("%v, %+v", err, m.Stats())
			}
		})
	}
	if err := cache.NewMemory(cache.MemoryOptions{MaxBytes: 4096}).Set(ctx, "s:k", make([]byte, 1024), time.Minute); !errors.Is(err, cache.ErrInvalid) {
		t.Errorf("a value of a quarter of the memory: %v", err)
	}
}

func TestMemoryEvictsTheLeastRecentlyUsed(t *testing.T) {
	ctx := context.Background()
	m := cache.NewMemory(cache.MemoryOptions{MaxEntries: 3})
	for _, k := range []string{"a", "b", "c"} {
		if err := m.Set(ctx, k, nil, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Get(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := m.Set(ctx, "d", nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	for k, kept := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if found, _ := m.Exists(ctx, k); found != kept {
			t.Errorf("%s kept: %t", k, found)
		}
	}
}

func TestJ10RevocationsOutlastPressure(t *testing.T) {
	ctx := context.Background()
	c := cachetest.NewClock()
	m := cache.NewMemory(cache.MemoryOptions{MaxEntries: 100, Now: c.Now})
	for i := 0; i < 50; i++ {
		if err := m.Set(ctx, "r"+strconv.Itoa(i), cachetest.Record(cache.Revoked, 1, ""), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 10000; i++ {
		if err := m.Set(ctx, "s"+strconv.Itoa(i), nil, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if s := m.Stats(); s.Revoked != 50 || s.Entries != 100 {
		t.Fatalf("%+v", s)
	}
	if err := m.Set(ctx, "r50", cachetest.Record(cache.Revoked, 1, ""), time.Hour); err != nil {
		t.Fatal(err)
	}
	for k, kept := range map[string]bool{"r0": false, "r1": true, "r50": true} {
		if found, _ := m.Exists(ctx, k); found != kept {
			t.Errorf("%s kept: %t", k, found)
		}
	}
	c.Elapse(time.Hour)
	for i := 0; i < 100; i++ {
		if err := m.Set(ctx, "t"+strconv.Itoa(i), nil, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if s := m.Stats(); s.Revoked != 0 {
		t.Errorf("expired revocations stay: %+v", s)
	}
}

func TestARevocationIsNotShortenedByALaterOne(t *testing.T) {
	ctx := context.Background()
	c := cachetest.NewClock()
	m := cache.NewMemory(cache.MemoryOptions{Now: c.Now})
	for i, ttl := range []time.Duration{time.Hour, time.Minute} {
		if err := m.Set(ctx, "r:k", cachetest.Record(cache.Revoked, uint64(i), ""), ttl); err != nil {
			t.Fatal(err)
		}
	}
	c.Elapse(time.Minute)
	if found, _ := m.Exists(ctx, "r:k"); !found {
		t.Error("it left early")
	}
}

type readingWatcher struct {
	m    *cache.Memory
	seen []string
}

func (a *readingWatcher) Changed(key string) {
	if v, err := a.m.Get(context.Background(), key); err == nil {
		a.seen = append(a.seen, string(v))
	} else {
		a.seen = append(a.seen, err.Error())
	}
}
func (a *readingWatcher) ChangedAll()                {}
func (a *readingWatcher) Revoked(_ cache.Revocation) {}

func TestWatchersMayReadAndLearnOfEvictions(t *testing.T) {
	ctx := context.Background()
	m := cache.NewMemory(cache.MemoryOptions{MaxEntries: 1})
	a := &readingWatcher{m: m}
	m.Watch(a)
	for _, k := range []string{"a", "b"} {
		if err := m.Set(ctx, k, []byte(k), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.seen) != 3 || a.seen[0] != "a" || a.seen[1] != "b" || a.seen[2] != cache.ErrMiss.Error() {
		t.Errorf("seen %q", a.seen)
	}
}

// A session is refreshed and revoked by several parties in any order. Tombstones are
// carried between two memories as an outage's journal carries them.
func TestJ12RevokedWinsInEveryInterleaving(t *testing.T) {
	ctx := context.Background()
	for seed := int64(0); seed < 10000; seed++ {
		r := rand.New(rand.NewSource(seed))
		stores := []*cache.Memory{cache.NewMemory(cache.MemoryOptions{}), cache.NewMemory(cache.MemoryOptions{})}
		revoked := []bool{false, false}
		highest := []uint64{0, 0}
		for step := 0; step < 12; step++ {
			i := r.Intn(2)
			s, version := stores[i], uint64(r.Intn(6))
			switch r.Intn(5) {
			case 0:
				_ = s.Add(ctx, "s:k", cachetest.Record(cache.Live, version, "created"), time.Minute)
			case 1:
				_ = s.CompareAndSet(ctx, "s:k", version, cachetest.Record(cache.Live, version+1, "refreshed"), time.Minute)
			case 2:
				_ = s.Set(ctx, "s:k", cachetest.Record(cache.Live, version, "asserted"), time.Minute)
			case 3:
				if r.Intn(3) > 0 {
					continue
				}
				if err := s.Set(ctx, "s:k", cachetest.Record(cache.Revoked, version, ""), time.Minute); err != nil {
					t.Fatalf("seed %d: revoking: %v", seed, err)
				}
				revoked[i] = true
			case 4:
				if v, err := stores[1-i].Get(ctx, "s:k"); err == nil {
					_ = s.Set(ctx, "s:k", v, time.Minute)
					revoked[i] = revoked[i] || revoked[1-i]
				}
			}
			v, err := s.Get(ctx, "s:k")
			if err != nil {
				continue
			}
			h, _, err := cache.ParseRecord(v)
			if err != nil || revoked[i] != (h.State == cache.Revoked) {
				t.Fatalf("seed %d step %d: revoked %t, stored %+v, %v", seed, step, revoked[i], h, err)
			}
			if h.State == cache.Live && h.Version < highest[i] {
				t.Fatalf("seed %d step %d: version fell from %d to %d", seed, step, highest[i], h.Version)
			}
			if h.State == cache.Live {
				highest[i] = h.Version
			}
		}
	}
}

// Replay markers with bounds of their own evict nothing else, and are bounded.
func TestAFloodOfMarkersEvictsNoSession(t *testing.T) {
	ctx := context.Background()
	m := cache.NewMemory(cache.MemoryOptions{MaxEntries: 50, MaxBytes: 64 << 10, MarkerBytes: 8 << 10})
	for i := 0; i < 10; i++ {
		if err := m.Add(ctx, "s:"+strconv.Itoa(i), record(1), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 1000; i++ {
		if err := m.Add(ctx, "j:"+strconv.Itoa(i), []byte("owner"), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 10; i++ {
		if found, _ := m.Exists(ctx, "s:"+strconv.Itoa(i)); !found {
			t.Errorf("session %d was evicted", i)
		}
	}
	if s := m.Stats(); s.Entries <= 10 || s.Entries > 60 {
		t.Errorf("%d entries with 10 sessions", s.Entries)
	}
	if err := m.Add(ctx, "j:999", []byte("another user"), time.Minute); !errors.Is(err, cache.ErrExists) {
		t.Errorf("the newest marker can be used again: %v", err)
	}
	if err := m.Delete(ctx, "j:999"); err != nil {
		t.Fatal(err)
	}
	if err := m.Add(ctx, "j:999", []byte("owner"), time.Minute); err != nil {
		t.Errorf("a marker that was removed: %v", err)
	}
	_ = m.Clear(ctx)
	if s := m.Stats(); s.Entries != 0 || s.Bytes != 0 {
		t.Errorf("%d entries, %d bytes after Clear", s.Entries, s.Bytes)
	}
}

// provisional returns a record that is the first to be evicted.
func provisional(version uint64) []byte {
	h := cache.Header{
		KeyID: 1, State: cache.Live, Version: version, Expiry: time.Now().Add(time.Hour),
		Links: []cache.Link{{Name: "0123456789abcdef", Listed: true}, {Name: cache.Provisional}},
	}
	return cache.AppendHeader(nil, h)
}

func TestProvisionalRecordsEvictNoOthers(t *testing.T) {
	ctx := context.Background()
	for _, row := range []struct {
		name        string
		o           cache.MemoryOptions
		others, few int // number of others, and of those that may be evicted
	}{
		{"L10 F24 entries", cache.MemoryOptions{MaxEntries: 100}, 99, 0},
		{"L10 F24 entries, and no room at all", cache.MemoryOptions{MaxEntries: 100}, 100, 1},
		{"L10 F24 bytes", cache.MemoryOptions{MaxBytes: 40 << 10}, 100, 0},
		{"L10 F24 no others", cache.MemoryOptions{MaxEntries: 1}, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := cache.NewMemory(row.o)
			for i := 0; i < row.others; i++ {
				if err := m.Add(ctx, "s:"+strconv.Itoa(i), cachetest.Record(cache.Live, 1, ""), time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			for i := 0; i < 500; i++ {
				key := "s:p" + strconv.Itoa(i)
				if err := m.Add(ctx, key, provisional(1), time.Hour); err != nil {
					t.Fatal(err)
				}
				if _, err := m.Get(ctx, key); err != nil {
					t.Fatalf("the newest one: %v", err)
				}
				// Reads of it do not make it one of the others.
				_, _ = m.Get(ctx, "s:p0")
			}
			left := 0
			for i := 0; i < row.others; i++ {
				if _, err := m.Get(ctx, "s:"+strconv.Itoa(i)); err == nil {
					left++
				}
			}
			if left < row.others-row.few {
				t.Errorf("%d of %d are left", left, row.others)
			}
			if s := m.Stats(); row.o.MaxEntries > 0 && s.Entries > row.o.MaxEntries || row.o.MaxBytes > 0 && s.Bytes > row.o.MaxBytes {
				t.Errorf("%+v", s)
			}
			if err := m.Clear(ctx); err != nil || m.Stats().Bytes != 0 || m.Stats().Entries != 0 {
				t.Errorf("%v, %+v", err, m.Stats())
			}
		})
	}
	t.Run("a record that is no longer provisional stays", func(t *testing.T) {
		m := cache.NewMemory(cache.MemoryOptions{MaxEntries: 10})
		if m.Add(ctx, "s:k", provisional(1), time.Hour) != nil || m.CompareAndSet(ctx, "s:k", 1, cachetest.Record(cache.Live, 2, ""), time.Hour) != nil {
			t.Fatal("not written")
		}
		for i := 0; i < 50; i++ {
			_ = m.Add(ctx, "s:p"+strconv.Itoa(i), provisional(1), time.Hour)
		}
		if _, err := m.Get(ctx, "s:k"); err != nil {
			t.Error(err)
		}
	})
}

// leaving records the keys that are reported to it.
type leaving struct {
	keys []string
}

func (l *leaving) Changed(key string)         { l.keys = append(l.keys, key) }
func (l *leaving) ChangedAll()                {}
func (l *leaving) Revoked(_ cache.Revocation) {}

func TestOtherBoundsKeepAsMuchAsFits(t *testing.T) {
	ctx := context.Background()
	m := cache.NewMemory(cache.MemoryOptions{MaxEntries: 10})
	w := &leaving{}
	m.Watch(w)
	held := func() int {
		n := 0
		for i := 0; i < 10; i++ {
			if found, _ := m.Exists(ctx, "s:"+strconv.Itoa(i)); found {
				n++
			}
		}
		return n
	}
	for i := 0; i < 10; i++ {
		_ = m.Add(ctx, "s:"+strconv.Itoa(i), record(1), time.Minute)
	}
	m.Resize(20, 1<<20)
	if n := held(); n != 10 {
		t.Errorf("%d of 10 in a larger memory", n)
	}
	w.keys = nil
	m.Resize(3, 1<<20)
	if n := held(); n != 3 || len(w.keys) != 7 {
		t.Errorf("%d in a memory of three, and %q were reported as evicted", n, w.keys)
	}
	if _, err := m.Get(ctx, "s:9"); err != nil {
		t.Errorf("the newest was evicted: %v", err)
	}
	m.Resize(0, 0)
	if err := m.Set(ctx, "s:large", make([]byte, 1<<20), time.Minute); err != nil {
		t.Errorf("in a memory of the usual size: %v", err)
	}
}

func record(version uint64) []byte {
	return cachetest.Record(cache.Live, version, "payload")
}
