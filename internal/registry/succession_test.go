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

func (c *candidate) Backend() cache.Store { return c.memory }

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

// between is a succession from the store "old" to the store "new" of a group, and what
// it says.
func between(t *testing.T, before cache.Store, next Candidate) (*Succession, *Registry, chan error) {
	t.Helper()
	g := New(time.Hour)
	for _, key := range []string{"old", "new"} {
		acquire(t, g, &builder{}, key)
		g.Succeed("group", key)
	}
	verdicts := make(chan error, 8)
	s := newSuccession(SuccessionOptions{
		Registry: g, Group: "group", Key: "new", Before: before, Next: next, Settled: func(err error) { verdicts <- err },
	})
	t.Cleanup(s.Close)
	return s, g, verdicts
}

// toServe notes that key is to serve the group, and returns what does until then.
func toServe(g *Registry, key string) string {
	served, _ := g.Succeed("group", key)
	return served
}

func TestAStoreTakesItsPlaceWhenItWasVerified(t *testing.T) {
	ctx := context.Background()
	before := cache.NewMemory(cache.MemoryOptions{})
	next := &candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: errors.New("wrong password")}
	s, g, verdicts := between(t, before, next)
	w := &watcher{}
	s.Watch(w)
	go s.Run()

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

	if toServe(g, "new") != "old" {
		t.Error("the next store serves before it was verified")
	}

	next.set(nil)
	if err := <-verdicts; err != nil {
		t.Fatal(err)
	}
	if toServe(g, "new") != "" {
		t.Error("the registry does not know that the next store serves")
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
	s, _, verdicts := between(t, cache.NewMemory(cache.MemoryOptions{}), next)
	s.Run()
	<-verdicts
	s.Close()
	next.set(nil)
	s.Run()
	if len(verdicts) != 0 || s.backend() == cache.Store(next.memory) {
		t.Error("it was verified after its end")
	}
}

// A sign-out that the store before has acknowledged counts in the next one: one that
// came before it was verified, one that comes while it takes over, and one of a
// request that ends at the store before after that.
func TestL2WhatWasRevokedStaysRevoked(t *testing.T) {
	ctx := context.Background()
	before, memory := cache.NewMemory(cache.MemoryOptions{}), cache.NewMemory(cache.MemoryOptions{})
	dead := cache.AppendHeader(nil, cache.Header{State: cache.Revoked, Version: 2, Expiry: time.Now().Add(time.Hour)})
	next := &slow{candidate: candidate{memory: memory}, asked: make(chan bool), leave: make(chan bool)}
	s, _, verdicts := between(t, before, next)
	revoke := func(key string) {
		t.Helper()
		if err := before.Set(ctx, key, dead, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	revoke("s:earlier")
	go s.Run()
	<-next.asked
	revoke("s:meanwhile")
	close(next.leave)
	if err := <-verdicts; err != nil || !serves(s) {
		t.Fatal(err)
	}
	revoke("s:later")
	for _, key := range []string{"s:earlier", "s:meanwhile", "s:later"} {
		if v, err := s.Get(ctx, key); err != nil || string(v) != string(dead) {
			t.Errorf("%s: %q, %v", key, v, err)
		}
	}
	s.Close()
	revoke("s:much later")
	if _, err := memory.Get(ctx, "s:much later"); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("it is told after the end: %v", err)
	}
}

// Options that the operator has changed again are tried no more, and nothing is said
// of them, until they are back.
func TestAReplacedCandidateRests(t *testing.T) {
	next := &candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: errors.New("no")}
	s, g, verdicts := between(t, cache.NewMemory(cache.MemoryOptions{}), next)
	s.Run()
	if err := <-verdicts; err == nil || g.Replaced("new") || g.Replaced("old") {
		t.Fatal("no error, or a store that is wanted counts as replaced")
	}
	acquire(t, g, &builder{}, "third")
	if toServe(g, "third") != "old" || !g.Replaced("new") {
		t.Fatal("the candidate is not replaced")
	}
	next.set(nil)
	s.Run()
	if len(verdicts) != 0 || serves(s) {
		t.Fatal("a replaced candidate is verified")
	}
	s.Run() // as the last timer does
	g.Succeed("group", "new")
	s.Wake()
	if err := <-verdicts; err != nil || !serves(s) {
		t.Errorf("it does not serve after it is wanted again: %v", err)
	}
	if !g.Replaced("old") || g.Replaced("new") {
		t.Error("the store before it does not count as replaced")
	}
}

// Options that are changed while they are verified do not come to serve.
func TestACandidateThatIsReplacedMeanwhileDoesNotServe(t *testing.T) {
	for name, failure := range map[string]error{"verified": nil, "refused": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			before := cache.NewMemory(cache.MemoryOptions{})
			next := &slow{candidate: candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: failure}, asked: make(chan bool), leave: make(chan bool)}
			s, g, verdicts := between(t, before, next)
			ended := make(chan bool)
			go func() {
				s.Run()
				close(ended)
			}()
			<-next.asked
			g.Succeed("group", "old")
			close(next.leave)
			<-ended
			if len(verdicts) != 0 || serves(s) || s.backend() != cache.Store(before) {
				t.Error("it serves, or something is said of it")
			}
		})
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
		if got, _ := g.Succeed(row.group, row.key); got != row.want {
			t.Errorf("%d: %s -> %s: %q serves, want %q", i, row.group, row.key, got, row.want)
		}
		if row.serves != "" {
			g.Serve(row.group, row.serves)
		}
	}
}

// A store that serves again is told from itself before another one served: a
// middleware that was made for that time must not be taken for one of now.
func TestAGroupCountsWhatServed(t *testing.T) {
	g := New(time.Hour)
	acquire(t, g, &builder{}, "old")
	acquire(t, g, &builder{}, "new")
	g.Succeed("a", "old")
	_, first := g.Succeed("a", "new")
	if _, again := g.Succeed("a", "new"); again != first {
		t.Errorf("%d, then %d, with nothing between", first, again)
	}
	g.Serve("a", "new")
	g.Succeed("a", "old")
	g.Serve("a", "old")
	if _, later := g.Succeed("a", "new"); later == first {
		t.Errorf("%d as before", later)
	}
}

func TestWhatServesIsKeptUntilItIsAcquired(t *testing.T) {
	g := New(time.Hour)
	old, cancel := acquire(t, g, &builder{}, "old")
	g.Succeed("a", "old")
	kept := g.entries["old"]
	due := &expiry{g: g, e: kept, turn: kept.turn}
	(&user{g: g, uses: map[*entry]bool{kept: true}}).Run()
	if served, _ := g.Succeed("a", "new"); served != "old" {
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
	return c.candidate.Verify(ctx)
}

func TestASuccessionThatIsClosedWhileItVerifiesChangesNothing(t *testing.T) {
	before := cache.NewMemory(cache.MemoryOptions{})
	next := &slow{candidate: candidate{memory: cache.NewMemory(cache.MemoryOptions{})}, asked: make(chan bool), leave: make(chan bool)}
	s, _, verdicts := between(t, before, next)
	ended := make(chan bool)
	go func() {
		s.Run()
		close(ended)
	}()
	<-next.asked
	s.Close()
	close(next.leave)
	<-ended
	if len(verdicts) != 0 || serves(s) || s.backend() != cache.Store(before) {
		t.Error("the next store serves after the end")
	}
}

// serves reports whether the next store serves.
func serves(s *Succession) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}
