package cache_test

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

// group is the wish of one middleware: the name of a store.
type group struct {
	mu              sync.Mutex
	serving, wanted string
}

func (g *group) want(name string) {
	g.mu.Lock()
	g.wanted = name
	g.mu.Unlock()
}

func (g *group) serves() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.serving
}

// Wanted implements cache.Claim, for the store "new".
func (g *group) Wanted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wanted == "new"
}

// Serve implements cache.Claim.
func (g *group) Serve() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wanted != "new" {
		return false
	}
	g.serving = "new"
	return true
}

// a trial of the store "new", in the place of the store "old", and its verdicts.
type trial struct {
	*cache.Trial
	*cache.Switch
	*group
	next     cache.Candidate
	verdicts chan error
}

func between(t *testing.T, before cache.Store, next cache.Candidate) *trial {
	t.Helper()
	x := &trial{Switch: cache.NewSwitch(before), group: &group{serving: "old", wanted: "new"}, next: next, verdicts: make(chan error, 8)}
	x.Trial = cache.NewTrial(cache.TrialOptions{
		Switch: x.Switch, Next: next, Claim: x.group, Linger: time.Hour, Settled: func(err error) { x.verdicts <- err },
	})
	t.Cleanup(x.Close)
	return x
}

// isServed reports whether the next store serves.
func (x *trial) isServed() bool {
	return x.Serving() == x.next.Backend()
}

func TestAStoreTakesItsPlaceWhenItWasVerified(t *testing.T) {
	ctx := context.Background()
	before := cache.NewMemory(cache.MemoryOptions{})
	next := &candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: errors.New("wrong password")}
	s := between(t, before, next)
	w := &watcher{}
	s.Watch(w)
	go s.Run()

	if err := <-s.verdicts; err == nil {
		t.Fatal("a store that fails its verification serves")
	}
	if err := s.Set(ctx, "s:a", []byte("1"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Get(ctx, "s:a"); err != nil {
		t.Errorf("the store before does not serve: %v", err)
	}
	if all, changed := w.seen(); all != 0 || changed != 1 {
		t.Errorf("reported %d times for all keys and %d times for one", all, changed)
	}

	if s.serves() != "old" {
		t.Error("the next store serves before it was verified")
	}

	next.set(nil)
	if err := <-s.verdicts; err != nil {
		t.Fatal(err)
	}
	if s.serves() != "new" {
		t.Error("the registry does not know that the next store serves")
	}
	if err := s.Set(ctx, "s:b", []byte("2"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := next.memory.Get(ctx, "s:b"); err != nil {
		t.Errorf("the next store does not serve: %v", err)
	}
	_ = before.Set(ctx, "s:c", []byte("3"), time.Hour) // of a request that began before
	if all, changed := w.seen(); all != 1 || changed != 3 {
		t.Errorf("reported %d times for all keys and %d times for one", all, changed)
	}
}

func TestAClosedTrialVerifiesNothing(t *testing.T) {
	next := &candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: errors.New("no")}
	s := between(t, cache.NewMemory(cache.MemoryOptions{}), next)
	s.Run()
	<-s.verdicts
	s.Close()
	next.set(nil)
	s.Run()
	if len(s.verdicts) != 0 || s.isServed() {
		t.Error("it was verified after its end")
	}
}

// A sign-out that the store before has acknowledged is in the next one. There are three:
// before the next one is verified, while it takes over, and after that by a request that
// ends at the store before.
func TestL2RevokedRecordsStayRevoked(t *testing.T) {
	ctx := context.Background()
	before, memory := cache.NewMemory(cache.MemoryOptions{}), cache.NewMemory(cache.MemoryOptions{})
	dead := cache.AppendHeader(nil, cache.Header{State: cache.Revoked, Version: 2, Expiry: time.Now().Add(time.Hour)})
	next := &slow{candidate: candidate{memory: memory}, called: make(chan bool), leave: make(chan bool)}
	s := between(t, before, next)
	revoke := func(key string) {
		t.Helper()
		if err := before.Set(ctx, key, dead, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	revoke("s:earlier")
	go s.Run()
	<-next.called
	revoke("s:meanwhile")
	close(next.leave)
	if err := <-s.verdicts; err != nil || !s.isServed() {
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
		t.Errorf("it is changed after the end: %v", err)
	}
}

// Options that the operator has changed again are no longer tried or reported, until they
// are back.
func TestAReplacedCandidateRests(t *testing.T) {
	next := &candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: errors.New("no")}
	s := between(t, cache.NewMemory(cache.MemoryOptions{}), next)
	s.Run()
	if err := <-s.verdicts; err == nil {
		t.Fatal("no error, or a store that is wanted is taken for replaced")
	}
	s.want("third")
	next.set(nil)
	s.Run()
	if len(s.verdicts) != 0 || s.isServed() {
		t.Fatal("a replaced candidate is verified")
	}
	s.Run() // as the last timer does
	s.want("new")
	s.Wake()
	if err := <-s.verdicts; err != nil || !s.isServed() {
		t.Errorf("it does not serve after it is wanted again: %v", err)
	}
}

// Options that are changed while they are verified do not come to serve.
func TestACandidateThatIsReplacedMeanwhileDoesNotServe(t *testing.T) {
	for name, failure := range map[string]error{"verified": nil, "refused": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			before := cache.NewMemory(cache.MemoryOptions{})
			next := &slow{candidate: candidate{memory: cache.NewMemory(cache.MemoryOptions{}), err: failure}, called: make(chan bool), leave: make(chan bool)}
			s := between(t, before, next)
			ended := make(chan bool)
			go func() {
				s.Run()
				close(ended)
			}()
			<-next.called
			s.want("old")
			close(next.leave)
			<-ended
			if len(s.verdicts) != 0 || s.isServed() {
				t.Error("it serves, or a result is reported")
			}
		})
	}
}

// slow is a candidate with a verification that lasts until it is released.
type slow struct {
	candidate
	called, leave chan bool
}

func (c *slow) Verify(ctx context.Context) error {
	c.called <- true
	<-c.leave
	return c.candidate.Verify(ctx)
}

func TestATrialThatIsClosedWhileItVerifiesChangesNothing(t *testing.T) {
	before := cache.NewMemory(cache.MemoryOptions{})
	next := &slow{candidate: candidate{memory: cache.NewMemory(cache.MemoryOptions{})}, called: make(chan bool), leave: make(chan bool)}
	s := between(t, before, next)
	ended := make(chan bool)
	go func() {
		s.Run()
		close(ended)
	}()
	<-next.called
	s.Close()
	close(next.leave)
	<-ended
	if len(s.verdicts) != 0 || s.isServed() {
		t.Error("the next store serves after the end")
	}
}
