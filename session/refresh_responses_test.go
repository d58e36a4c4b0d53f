package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestResponsesToARefresh(t *testing.T) {
	t.Run("E9 no usable response: the token is never sent again, the claims serve on", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return ErrGrantSpent })
		for i := 0; i < 3; i++ {
			f.serves(t, f.Manager, "access 0")
			f.serves(t, f.other, "access 0")
			f.clock.turn(10 * time.Minute)
		}
		if f.count() != 1 {
			t.Errorf("%d calls", f.count())
		}
	})
	t.Run("E10 faults: the session stays, and it is tried again after pauses", func(t *testing.T) {
		f := newFleet(t, func(o *Options) { o.MaxAge = 24 * time.Hour })
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return errors.New("a fault of the provider") })
		f.used = map[string]bool{}
		want := 0
		for _, pause := range []time.Duration{5, 10, 20, 40, 60, 60} {
			want++
			for i := 0; i < 4; i++ {
				f.serves(t, f.Manager, "access 0")
				if i < 3 {
					f.clock.turn(pause * time.Second / 4)
				}
			}
			if f.count() != want {
				t.Fatalf("%d calls, want %d", f.count(), want)
			}
			f.clock.turn(pause*time.Second/4 + time.Millisecond)
		}
		f.doing(nil)
		f.serves(t, f.Manager, "access 7")
	})
	t.Run("E10 a request with a session read before the fault does not try again after it", func(t *testing.T) {
		f := newFleet(t, nil)
		early, err := f.at(f.Manager)
		if err != nil {
			t.Fatal(err)
		}
		k, err := f.o.Keys.ticket(f.value, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		f.clock.turn(6 * time.Minute)
		due := *early
		due.plan = f.plan(f.stored(t), k, nil)
		f.doing(func(*Session) error { return errors.New("a fault of the provider") })
		f.serves(t, f.Manager, "access 0")
		if o, err := f.current(context.Background(), &flight{opened: &due}, k); err != nil || o.Reason != "access 0" {
			t.Errorf("got %+v, %v", o, err)
		}
		if f.count() != 1 {
			t.Errorf("%d calls", f.count())
		}
	})
	t.Run("E10 a fault at one replica: another one may try at once", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return errors.New("a fault of the provider") })
		f.serves(t, f.Manager, "access 0")
		f.doing(nil)
		f.serves(t, f.other, "access 2")
	})
	t.Run("E10 a provider that needs a longer pause", func(t *testing.T) {
		f := newFleet(t, func(o *Options) { o.RetryAfter = func() time.Duration { return 30 * time.Second } })
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return errors.New("a fault of the provider") })
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(29 * time.Second)
		f.serves(t, f.Manager, "access 0")
		if f.count() != 1 {
			t.Errorf("%d calls", f.count())
		}
	})
	t.Run("E10 invalid_grant ends the session everywhere", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.serves(t, f.other, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error { return ErrGrantEnded })
		f.ended(t, f.Manager)
		f.ended(t, f.other)
		if list := f.seen.all(); list[0] != RefreshRefused {
			t.Errorf("observed %v", list)
		}
	})
	t.Run("E10 invalid_grant after another replica refreshed it: its session is served", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(s *Session) error {
			f.doing(nil)
			f.overwrite(t, func(s *Session) { s.AccessToken, s.RefreshToken = "theirs", "theirs" })
			return ErrGrantEnded
		})
		f.serves(t, f.Manager, "theirs")
	})
	t.Run("E10 invalid_grant, and the store cannot be reached: it is not ended", func(t *testing.T) {
		f := newFleet(t, nil)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(s *Session) error {
			f.store.down.Store(true)
			return ErrGrantEnded
		})
		f.serves(t, f.Manager, "access 0")
		f.store.down.Store(false)
		f.clock.turn(6 * time.Second)
		f.doing(func(s *Session) error { return ErrGrantEnded })
		f.ended(t, f.Manager)
	})
}

func TestAProviderThatGivesTheSameRefreshTokenAgain(t *testing.T) {
	f := newFleet(t, nil)
	f.same = true
	f.serves(t, f.Manager, "access 0")
	for i := 1; i < 5; i++ {
		f.clock.turn(6 * time.Minute)
		f.serves(t, []*Manager{f.Manager, f.other}[i%2], fmt.Sprint("access ", i))
	}
}
