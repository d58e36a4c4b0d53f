package registry

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// candidate is a store that fails its verification until it is allowed to serve.
type candidate struct {
	memory *cache.Memory
	mu     sync.Mutex
	err    error
}

func (c *candidate) Verify(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *candidate) Backend() cache.Backend { return c.memory }

func (c *candidate) set(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
}

type watcher struct {
	mu      sync.Mutex
	all     int
	changed []string
}

func (w *watcher) Changed(key string) {
	w.mu.Lock()
	w.changed = append(w.changed, key)
	w.mu.Unlock()
}

func (w *watcher) Revoked(_ cache.Revocation) {}

func (w *watcher) ChangedAll() {
	w.mu.Lock()
	w.all++
	w.mu.Unlock()
}

func (w *watcher) seen() (int, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all, len(w.changed)
}

func TestAStoreTakesItsPlaceWhenItWasVerified(t *testing.T) {
	ctx := context.Background()
	before := cache.NewMemory(cache.MemoryOptions{})
	next := &candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: errors.New("wrong password")}
	verdicts := make(chan error, 8)
	s := NewSuccession(before, next, func(err error) { verdicts <- err })
	defer s.Close()
	w := &watcher{}
	s.Watch(w)

	if err := <-verdicts; err == nil {
		t.Fatal("a store that fails its verification serves")
	}
	if err := s.Set(ctx, "s:a", []byte("1"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Get(ctx, "s:a"); err != nil {
		t.Errorf("the store before does not serve: %v", err)
	}
	if all, changed := w.seen(); all != 0 || changed != 1 {
		t.Errorf("told %d times of all and %d times of one", all, changed)
	}

	next.set(nil)
	if err := <-verdicts; err != nil {
		t.Fatal(err)
	}
	if err := s.Set(ctx, "s:b", []byte("2"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := next.memory.Get(ctx, "s:b"); err != nil {
		t.Errorf("the next store does not serve: %v", err)
	}
	_ = before.Set(ctx, "s:c", []byte("3"), time.Hour)
	if all, changed := w.seen(); all != 1 || changed != 2 {
		t.Errorf("told %d times of all and %d times of one", all, changed)
	}
}

func TestAClosedSuccessionVerifiesNothing(t *testing.T) {
	next := &candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: errors.New("no")}
	verdicts := make(chan error, 8)
	s := NewSuccession(cache.NewMemory(cache.MemoryOptions{}), next, func(err error) { verdicts <- err })
	<-verdicts
	s.Close()
	next.set(nil)
	s.Run()
	if len(verdicts) != 0 || s.backend() == cache.Backend(next.memory) {
		t.Error("it was verified after its end")
	}
}

func TestAGroupKnowsWhatServesIt(t *testing.T) {
	g := New(time.Hour)
	acquire(t, g, &builder{}, "old")
	acquire(t, g, &builder{}, "new")
	for i, row := range []struct{ group, key, want, serves string }{
		{"a", "old", "", ""},
		{"a", "old", "", ""},
		{"a", "new", "old", ""}, // it was not verified
		{"a", "new", "old", ""},
		{"a", "third", "old", "new"}, // the one verified is not wanted any more
		{"a", "new", "old", "new"},
		{"a", "new", "", ""},
		{"b", "new", "", ""},
		{"a", "third", "new", "third"},
		{"a", "old", "", ""}, // nobody keeps "third"
	} {
		if got := g.Succeed(row.group, row.key); got != row.want {
			t.Errorf("%d: %s -> %s: %q serves, want %q", i, row.group, row.key, got, row.want)
		}
		if row.serves != "" {
			g.Serve(row.group, row.serves)
		}
	}
}

func TestWhatServesIsKeptUntilItIsAcquired(t *testing.T) {
	g := New(time.Hour)
	old, cancel := acquire(t, g, &builder{}, "old")
	g.Succeed("a", "old")
	due := &expiry{release: &release{g: g, key: "old", e: g.entries["old"]}, turn: g.entries["old"].turn}
	due.release.Run()
	if served := g.Succeed("a", "new"); served != "old" {
		t.Fatalf("%q serves", served)
	}
	due.Run()
	r, err := g.Acquire(context.Background(), "old", nil)
	if err != nil || r.(*thing) != old {
		t.Errorf("it was let go of: %v", err)
	}
	if _, err := g.Acquire(context.Background(), "unknown", nil); err == nil {
		t.Error("nothing was built, and no error")
	}
	cancel()
}

// slow is a candidate whose verification lasts until it is told.
type slow struct {
	candidate
	asked, leave chan bool
}

func (c *slow) Verify(ctx context.Context) error {
	c.asked <- true
	<-c.leave
	return nil
}

func TestASuccessionThatIsClosedWhileItVerifiesChangesNothing(t *testing.T) {
	before := cache.NewMemory(cache.MemoryOptions{})
	next := &slow{candidate: candidate{memory: cache.NewMemory(cache.MemoryOptions{})}, asked: make(chan bool), leave: make(chan bool)}
	verdicts := make(chan error, 8)
	s := &Succession{serving: before, next: next, settled: func(err error) { verdicts <- err }}
	ended := make(chan bool)
	go func() {
		s.Run()
		close(ended)
	}()
	<-next.asked
	s.Close()
	close(next.leave)
	<-ended
	if len(verdicts) != 0 || s.Done() || s.backend() != cache.Backend(before) {
		t.Error("the next store serves after the end")
	}
}
