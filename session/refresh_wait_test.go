package session

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

func TestFiftyRequestsOverTwoReplicas(t *testing.T) {
	for _, row := range []struct {
		name string
		at   time.Duration
	}{
		{"E6 fifty requests after expiry, two replicas: one call, all served the new tokens", 5*time.Minute + time.Second},
		{"E6 fifty requests within the grace, two replicas: one call, all served", 4*time.Minute + time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFleet(t, nil)
			f.serves(t, f.Manager, "access 0")
			f.serves(t, f.other, "access 0")
			f.clock.turn(row.at)
			var wg sync.WaitGroup
			for i := 0; i < 50; i++ {
				wg.Add(1)
				go func(m *Manager) {
					defer wg.Done()
					o, err := f.at(m)
					if err != nil || row.at > 5*time.Minute && o.Reason != "access 1" {
						t.Errorf("got %+v, %v", o, err)
					}
				}([]*Manager{f.Manager, f.other}[i%2])
			}
			wg.Wait()
			f.settle(t)
			if f.count() != 1 || f.reused != 0 {
				t.Errorf("%d calls, %d refresh tokens sent again", f.count(), f.reused)
			}
			f.serves(t, f.Manager, "access 1")
			f.serves(t, f.other, "access 1")
			if f.count() != 1 {
				t.Error("E12 refreshed again at once")
			}
		})
	}
}

func TestNoRequestWaitsWhileTokensAreValid(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(4*time.Minute + time.Second)
	release := make(chan bool)
	f.doing(func(*Session) error {
		<-release
		return nil
	})
	f.timing.early = 20 * time.Millisecond
	f.serves(t, f.Manager, "access 0") // the request that starts it gives up after a while
	eventually.True(t, "the provider gets the request", func() bool { return f.count() == 1 })
	f.timing.early = time.Hour
	for i := 0; i < 20; i++ {
		f.serves(t, f.Manager, "access 0")
		if o := f.lookup(f.value); o == nil || !f.clock.now().Before(o.Until) {
			t.Fatal("requests leave the path that costs nothing while the tokens are refreshed")
		}
		f.clock.turn(200 * time.Millisecond)
	}
	if f.count() != 1 {
		t.Errorf("%d calls", f.count())
	}
	t.Run("a change is seen all the same", func(t *testing.T) {
		o := f.lookup(f.value)
		f.Changed(o.key)
		f.hot.Mu.Lock()
		f.passLocked(o, f.clock.now())
		f.hot.Mu.Unlock()
		if o := f.lookup(f.value); f.clock.now().Before(o.Until) {
			t.Error("served from memory after it changed")
		}
	})
	close(release)
	f.settle(t)
	f.serves(t, f.Manager, "access 1")
	t.Run("E13 the rules decide about the new claims", func(t *testing.T) {
		f.clock.turn(6 * time.Minute)
		f.doing(func(s *Session) error { return nil })
		if o, err := f.at(f.Manager); err != nil || o.Reason != "access 2" {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

func TestWaitingRequestsAreReleased(t *testing.T) {
	t.Run("E7 a provider that does not respond: late requests are served with the old tokens", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		release := make(chan bool)
		f.doing(func(*Session) error {
			<-release
			return nil
		})
		f.timing.late = 20 * time.Millisecond
		f.serves(t, f.Manager, "access 0")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.timing.late = time.Hour
		if o, err := f.Load(ctx, with("__Host-oidc="+f.value)); err != nil || o.Reason != "access 0" {
			t.Errorf("a request without its client: %v, %v", o, err)
		}
		close(release)
		f.settle(t)
		f.serves(t, f.Manager, "access 1")
	})
	t.Run("a panic", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { panic("canary") })
		f.serves(t, f.Manager, "access 0")
		f.doing(nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(time.Minute)
		f.serves(t, f.Manager, "access 0")
		if f.count() != 1 || f.reused != 0 {
			t.Errorf("%d calls, though the token may have been sent", f.count())
		}
	})
	t.Run("I6 a session that ended meanwhile is not served any more", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		release := make(chan bool)
		f.doing(func(*Session) error {
			if _, err := f.other.End(context.Background(), with("__Host-oidc="+f.value)); err != nil {
				t.Error(err)
			}
			<-release
			return nil
		})
		f.timing.late = 50 * time.Millisecond
		f.ended(t, f.Manager)
		close(release)
		f.settle(t)
	})
	t.Run("more requests than may wait", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		o, err := f.open(context.Background(), opening{value: f.value, key: f.lookup(f.value).key, ticket: f.ticket(t)})
		if err != nil {
			t.Fatal(err)
		}
		f.refreshes[o.key] = &refresh{m: f.Manager, waiting: make([]*waiter, maxWaiting)}
		if _, w, _ := f.join(o, f.ticket(t)); w != nil {
			t.Error("one more request waits")
		}
		delete(f.refreshes, o.key)
	})
}
