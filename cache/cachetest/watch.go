package cachetest

import (
	"context"
	"sync"
	"testing"

	"github.com/traefikoidc/traefikoidc/cache"
)

type witness struct {
	mu   sync.Mutex
	seen map[string]int
	all  int
}

func (w *witness) Changed(key string) {
	w.mu.Lock()
	w.seen[key]++
	w.mu.Unlock()
}

func (w *witness) ChangedAll() {
	w.mu.Lock()
	w.all++
	w.mu.Unlock()
}

func (w *witness) Revoked(_ cache.Revocation) {
	w.ChangedAll()
}

// take returns the number of calls for key since the last one, those for all keys
// included.
func (w *witness) take(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.seen[key] + w.all
	w.seen[key], w.all = 0, 0
	return n
}

func watching(t *testing.T, s Subject) {
	ctx := context.Background()
	w := &witness{seen: map[string]int{}}
	s.Backend.Watch(w)
	defer s.Backend.Unwatch(w)
	for _, change := range []struct {
		name string
		do   func() error
	}{
		{"Add", func() error { return s.Backend.Add(ctx, "s:k", Record(cache.Live, 1, ""), ttl) }},
		{"CompareAndSet", func() error { return s.Backend.CompareAndSet(ctx, "s:k", 1, Record(cache.Live, 2, ""), ttl) }},
		{"Set", func() error { return s.Backend.Set(ctx, "s:k", Record(cache.Revoked, 2, ""), ttl) }},
		{"Delete", func() error { return s.Backend.Delete(ctx, "s:k") }},
		{"Clear", func() error { return s.Backend.Clear(ctx) }},
	} {
		want(t, change.do(), nil)
		if w.take("s:k") == 0 {
			t.Errorf("%s was not announced before it returned", change.name)
		}
	}
}

func unwatching(t *testing.T, s Subject) {
	a, b := &witness{seen: map[string]int{}}, &witness{seen: map[string]int{}}
	s.Backend.Watch(a)
	s.Backend.Watch(b)
	s.Backend.Unwatch(a)
	defer s.Backend.Unwatch(b)
	a.take("s:k")
	want(t, s.Backend.Set(context.Background(), "s:k", []byte("v"), ttl), nil)
	if b.take("s:k") == 0 || a.take("s:k") != 0 {
		t.Fatal("the wrong watcher was called")
	}
}
