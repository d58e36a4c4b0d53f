package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

func TestASwitchKeepsTheContract(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		c := cachetest.NewClock()
		s := cache.NewSwitch(cache.NewMemory(cache.MemoryOptions{Now: c.Now}))
		if served, err := s.Offer(context.Background(), cache.NewMemory(cache.MemoryOptions{Now: c.Now}), time.Second, nil); !served || err != nil {
			t.Fatal(served, err)
		}
		return cachetest.Subject{Backend: s, Elapse: c.Elapse}
	})
}

// held is a store with commands that last until they are released.
type held struct {
	*cache.Memory
	began chan bool
	leave chan bool
}

func (h *held) Get(ctx context.Context, key string) ([]byte, error) {
	h.began <- true
	<-h.leave
	return h.Memory.Get(ctx, key)
}

func newHeld() *held {
	return &held{Memory: cache.NewMemory(cache.MemoryOptions{}), began: make(chan bool), leave: make(chan bool)}
}

func TestAPauseHoldsNewCommandsUntilResume(t *testing.T) {
	h := newHeld()
	s := cache.NewSwitch(h)
	results := make(chan error, 2)
	go func() {
		_, err := s.Get(context.Background(), "s:running")
		results <- err
	}()
	<-h.began
	paused := make(chan bool)
	go func() { paused <- s.Pause(time.Hour) }()
	eventually.True(t, "a pause", func() bool { return s.Status().Paused })
	go func() { results <- s.Set(context.Background(), "s:new", []byte("1"), time.Minute) }()
	eventually.True(t, "a command that waits", func() bool { return s.Status().Waiting == 1 })

	h.leave <- true
	if err := <-results; !errors.Is(err, cache.ErrMiss) {
		t.Errorf("the running command: %v", err)
	}
	if !<-paused {
		t.Error("the pause does not know that the running command ended")
	}
	if s.Pause(time.Hour) {
		t.Error("two pauses at once")
	}
	if _, err := h.Memory.Get(context.Background(), "s:new"); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("a held command was sent: %v", err)
	}
	s.Resume()
	if err := <-results; err != nil {
		t.Errorf("the held command: %v", err)
	}
	if got := s.Status(); got != (cache.SwitchStatus{}) {
		t.Errorf("%+v", got)
	}
}

func TestAPauseEndsAtItsLimit(t *testing.T) {
	h := newHeld()
	s := cache.NewSwitch(h)
	ended := make(chan bool)
	go func() {
		_, _ = s.Get(context.Background(), "s:running")
		close(ended)
	}()
	<-h.began
	if s.Pause(time.Millisecond) {
		t.Error("the running command is taken for ended")
	}
	if s.Status().Paused {
		t.Error("the pause outlasts its limit")
	}
	if err := s.Set(context.Background(), "s:new", []byte("1"), time.Minute); err != nil {
		t.Error(err)
	}
	close(h.leave)
	<-ended
	if s.Status().Running != 0 {
		t.Errorf("%+v", s.Status())
	}
}

// A command that outlasts the pause ends where it began, and the next store has its
// change.
func TestACommandThatOutlastsThePauseIsNotCut(t *testing.T) {
	h := newHeld()
	next := cache.NewMemory(cache.MemoryOptions{})
	s := cache.NewSwitch(h)
	result := make(chan error)
	go func() {
		_, err := s.Get(context.Background(), "s:running")
		result <- err
	}()
	<-h.began
	if served, err := s.Offer(context.Background(), next, time.Millisecond, nil); !served || err != nil {
		t.Fatal(served, err)
	}
	if err := h.Memory.Set(context.Background(), "s:running", []byte("1"), time.Minute); err != nil {
		t.Fatal(err)
	}
	h.leave <- true
	if err := <-result; err != nil {
		t.Errorf("the running command: %v", err)
	}
	if _, err := s.Get(context.Background(), "s:running"); err != nil {
		t.Errorf("its change: %v", err)
	}
}

// A switch makes no user sign in again. Sessions go over from memory, with sign-ins,
// refreshes, leases and ends that come meanwhile.
func TestMemoryHandsItsSessionsOver(t *testing.T) {
	ctx := context.Background()
	before, next := cache.NewMemory(cache.MemoryOptions{}), cache.NewMemory(cache.MemoryOptions{})
	s := cache.NewSwitch(before)
	add := func(name string) {
		t.Helper()
		if err := s.Add(ctx, "s:"+name, cachetest.Linked(1, 11, name), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"kept", "ended", "refreshed", "trimmed", "leased"} {
		add(name)
	}
	lease := cache.Lease{Record: "s:leased", Version: 1, Grant: "grant", Owner: "me", TTL: time.Minute, Keep: time.Minute}
	if _, err := s.Acquire(ctx, lease); err != nil {
		t.Fatal(err)
	}
	if served, err := s.Offer(ctx, next, time.Second, nil); !served || err != nil {
		t.Fatal(served, err)
	}
	// The changes of requests that began before.
	refreshed := cachetest.Linked(2, 11, "refreshed")
	for change, err := range map[string]error{
		"ending":     before.Set(ctx, "s:ended", cachetest.Record(cache.Revoked, 9, ""), time.Minute),
		"refreshing": before.CompareAndSet(ctx, "s:refreshed", 1, refreshed, time.Minute),
		"trimming":   before.Delete(ctx, "s:trimmed"),
		"signing in": before.Add(ctx, "s:late", cachetest.Linked(1, 11, "late"), time.Minute),
	} {
		if err != nil {
			t.Errorf("%s: %v", change, err)
		}
	}
	for name, want := range map[string]string{"kept": "live 1", "ended": "revoked 9", "refreshed": "live 2", "trimmed": "revoked 2", "late": "live 1", "leased": "live 1"} {
		v, err := s.Get(ctx, "s:"+name)
		h, _, failed := cache.ParseRecord(v)
		state := map[cache.State]string{cache.Live: "live", cache.Revoked: "revoked"}[h.State]
		if got := fmt.Sprintf("%s %d", state, h.Version); err != nil || failed != nil || got != want {
			t.Errorf("%s is %s, want %s: %v, %v", name, got, want, err, failed)
		}
	}
	lease.Owner = "another"
	if _, err := s.Acquire(ctx, lease); !errors.Is(err, cache.ErrExists) {
		t.Errorf("a lease is given twice: %v", err)
	}
	lease.Owner = "me"
	if err := s.Prolong(ctx, lease); err != nil {
		t.Errorf("a lease is not prolonged at the next store: %v", err)
	}
}

// Each of many commands is sent once, to one store, and none fails, for any number of
// switches in between. The keys of a switch are bounded, so that no store evicts one.
func TestSwitchesUnderTrafficLoseNothing(t *testing.T) {
	const writers, switches, keysOfASwitch = 8, 20, 100
	ctx := context.Background()
	s := cache.NewSwitch(cache.NewMemory(cache.MemoryOptions{}))
	var wg sync.WaitGroup
	var written [writers]int
	stop := make(chan struct{})
	for g := 0; g < writers; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			for read := 0; ; read++ {
				select {
				case <-stop:
					return
				default:
				}
				var err error
				if n := written[g]; n < keysOfASwitch*(s.Status().Switches+1) {
					err = writeNumbered(ctx, s, g, n)
					written[g]++
				} else {
					err = checkNumbered(ctx, s, g, read%n)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}(g)
	}
	for n := 0; n < switches; n++ {
		if served, err := s.Offer(ctx, cache.NewMemory(cache.MemoryOptions{}), 100*time.Millisecond, nil); !served || err != nil {
			t.Error(n, served, err)
		}
	}
	close(stop)
	wg.Wait()
	for g := range written {
		for n := 0; n < written[g]; n++ {
			if err := checkNumbered(ctx, s, g, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := s.Status(); got.Switches != switches || got.Running != 0 || got.Waiting != 0 {
		t.Errorf("%+v", got)
	}
}

// writeNumbered adds session n of a writer. Every third one is revoked.
func writeNumbered(ctx context.Context, b cache.Backend, writer, n int) error {
	key := fmt.Sprintf("s:%d-%d", writer, n)
	if err := b.Add(ctx, key, cachetest.Linked(1, 11, key[2:]), time.Hour); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if n%3 != 0 {
		return nil
	}
	if err := b.Set(ctx, key, cachetest.Record(cache.Revoked, 9, ""), time.Hour); err != nil {
		return fmt.Errorf("revoking %s: %w", key, err)
	}
	return nil
}

// checkNumbered returns an error if session n of a writer is not as it was written.
func checkNumbered(ctx context.Context, b cache.Backend, writer, n int) error {
	want := cache.Live
	if n%3 == 0 {
		want = cache.Revoked
	}
	v, err := b.Get(ctx, fmt.Sprintf("s:%d-%d", writer, n))
	h, _, _ := cache.ParseRecord(v)
	if err != nil || h.State != want {
		return fmt.Errorf("s:%d-%d has state %d, want %d: %v", writer, n, h.State, want, err)
	}
	return nil
}
