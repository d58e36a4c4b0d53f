package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

func TestASlowProviderKeepsTheLease(t *testing.T) {
	f := newFleet(t, nil)
	f.timing.prolong = time.Millisecond
	f.serves(t, f.Manager, "access 0")
	f.serves(t, f.other, "access 0")
	f.clock.turn(6 * time.Minute)
	release := make(chan bool)
	f.doing(func(*Session) error {
		<-release
		return nil
	})
	first, second := make(chan string), make(chan string)
	load := func(m *Manager, served chan string) {
		o, err := f.at(m)
		if err != nil {
			served <- err.Error()
			return
		}
		served <- o.Reason
	}
	go load(f.Manager, first)
	eventually.True(t, "the provider gets the request", func() bool { return f.count() == 1 })
	go load(f.other, second)
	for i := 0; i < 4; i++ { // 20 seconds, the lease is of six
		f.clock.turn(5 * time.Second)
		n := f.store.prolonged.Load()
		eventually.True(t, "the lease is prolonged", func() bool { return f.store.prolonged.Load() > n+1 })
	}
	close(release)
	if a, b := <-first, <-second; a != "access 1" || b != "access 1" || f.count() != 1 {
		t.Errorf("E7 got %s and %s by %d calls", a, b, f.count())
	}
	f.settle(t)
	n := f.store.prolonged.Load()
	f.never(t, "a lease that was given back is prolonged", func() bool { return f.store.prolonged.Load() > n+1 })
}

func TestAHolderThatDies(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	o := f.lookup(f.value)
	lease := cache.Lease{
		Record: o.key, Version: 1, Grant: f.ticket(t).grant(f.stored(t)), Owner: "a replica", TTL: 6 * time.Second, Keep: time.Hour,
	}
	if _, err := f.store.Acquire(context.Background(), lease); err != nil {
		t.Fatal(err)
	}
	f.timing.contend = 20 * time.Millisecond
	f.serves(t, f.Manager, "access 0") // the holder may be at work
	f.clock.turn(7 * time.Second)
	f.serves(t, f.Manager, "access 0")
	f.serves(t, f.other, "access 0")
	if f.count() != 0 {
		t.Error("E8 E9 a refresh token is sent that may have been used")
	}
	if s := f.stored(t); s.RefreshToken != "" {
		t.Error("E9 the token is still stored")
	}
	if list := f.seen.all(); list[len(list)-1] != RefreshLost {
		t.Errorf("observed %v", list)
	}
	f.clock.turn(time.Hour)
	f.ended(t, f.Manager)
}

func TestARefreshNeedsThreeCallsToTheStore(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	var mu sync.Mutex
	var methods []string
	f.store.hook(func(method string) {
		mu.Lock()
		methods = append(methods, method)
		mu.Unlock()
	})
	f.serves(t, f.Manager, "access 1")
	f.settle(t)
	eventually.True(t, "the lease is given back", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(methods) >= 4
	})
	mu.Lock()
	defer mu.Unlock()
	// Memory answers the first unless the store is read each time.
	if got := fmt.Sprint(methods); got != "[Get Acquire CompareAndSet Release]" {
		t.Errorf("called %s", got)
	}
}

func TestALeaseWithALostResponse(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	given := &ambiguous{flaky: f.store}
	f.Manager.o.Backend = given
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Second)
	f.serves(t, f.Manager, "access 1") // the refresh token was not used
	t.Run("it is given back, and another replica may try at once", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.Manager.o.Backend = &ambiguous{flaky: f.store, takesBack: true}
		f.serves(t, f.Manager, "access 0")
		f.serves(t, f.other, "access 1")
	})
}

// ambiguous gives a lease once and reports an error.
type ambiguous struct {
	*flaky
	done      bool
	takesBack bool
}

func (a *ambiguous) Acquire(ctx context.Context, l cache.Lease) ([]byte, error) {
	b, err := a.flaky.Acquire(ctx, l)
	if !a.done {
		a.done = true
		return nil, cache.ErrUnavailable
	}
	return b, err
}

func (a *ambiguous) Release(ctx context.Context, l cache.Lease, unused bool) error {
	if a.takesBack {
		return a.flaky.Release(ctx, l, unused)
	}
	return cache.ErrUnavailable
}

func TestAReleasedLeaseIsNotProlonged(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(4*time.Minute + time.Second)
	beats := make(chan bool, 100)
	var released atomic.Bool
	f.store.before.Store(func(method string) {
		switch method {
		case "Prolong":
			beats <- true
			// It is on its way while the response comes, and for longer where it is
			// overtaken.
			for i := 0; i < 20 && !released.Load(); i++ {
				time.Sleep(time.Millisecond)
			}
		case "Release":
			released.Store(true)
		}
	})
	f.doing(func(*Session) error {
		<-beats
		return errors.New("503")
	})
	f.timing.prolong = time.Millisecond
	f.serves(t, f.Manager, "access 0")
	eventually.True(t, "the refresh is over", func() bool {
		f.hot.Mu.Lock()
		defer f.hot.Mu.Unlock()
		return len(f.refreshes) == 0
	})
	f.store.before.Store(func(string) {})
	o := f.lookup(f.value)
	lease := cache.Lease{
		Record: o.key, Version: o.version, Grant: o.plan.tried().grant, Owner: "another replica", TTL: time.Second, Keep: time.Minute,
	}
	eventually.True(t, "another replica may use the grant", func() bool {
		_, err := f.store.Acquire(context.Background(), lease)
		if errors.Is(err, cache.ErrSpent) {
			t.Fatal("E12: the grant is taken for used, and was not")
		}
		return err == nil
	})
}
