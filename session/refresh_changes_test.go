package session

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

func TestChangesDuringARefresh(t *testing.T) {
	// during calls act while the provider has the request.
	during := func(t *testing.T, change func(o *Options), act func(f *fleet)) *fleet {
		t.Helper()
		f := newFleet(t, change)
		f.serves(t, f.Manager, "access 0")
		f.clock.turn(6 * time.Minute)
		f.doing(func(*Session) error {
			f.doing(nil)
			act(f)
			return nil
		})
		return f
	}
	t.Run("I7 a logout: the session stays dead, and the new tokens are discarded", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			if _, err := f.other.End(context.Background(), with("__Host-oidc="+f.value)); err != nil {
				t.Error(err)
			}
		})
		f.ended(t, f.Manager)
		if f.lookup(f.value) != nil {
			t.Error("memory would serve it in an outage")
		}
		f.ended(t, f.other)
		if len(f.discarded) != 1 || f.discarded[0] != "refresh 1" {
			t.Errorf("discarded %v", f.discarded)
		}
		if list := f.seen.all(); list[len(list)-1] != RefreshTooLate {
			t.Errorf("observed %v", list)
		}
	})
	t.Run("I7 a logout that is known only here", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			if _, err := f.other.End(context.Background(), with("__Host-oidc="+f.value)); err != nil {
				t.Error(err)
			}
			f.store.hook(func(method string) { f.store.down.Store(method == "Fresh") })
		})
		f.ended(t, f.Manager)
		if len(f.discarded) != 1 {
			t.Errorf("discarded %v", f.discarded)
		}
	})
	t.Run("I7 a logout by the provider", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			if err := f.other.EndAll(context.Background(), Ending{Issuer: "https://op", SessionID: "1", Before: f.clock.now()}); err != nil {
				t.Error(err)
			}
		})
		f.ended(t, f.Manager)
		if len(f.discarded) != 1 {
			t.Errorf("discarded %v", f.discarded)
		}
	})
	t.Run("the operator deletes it", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) { _ = f.store.Clear(context.Background()) })
		f.ended(t, f.Manager)
	})
	t.Run("E6 a touch: the new tokens come on top of it, and its expiry stays", func(t *testing.T) {
		touched := time.Time{}
		f := during(t, func(o *Options) { o.IdleTimeout = 20 * time.Minute }, func(f *fleet) {
			ahead := f.clock.now().Add(3 * time.Minute) // its clock is ahead
			f.other.o.Now = func() time.Time { return ahead }
			touched = ahead.Add(20 * time.Minute)
			if _, err := f.other.open(context.Background(), opening{value: f.value, key: f.lookup(f.value).key, ticket: f.ticket(t)}); err != nil {
				t.Error(err)
			}
		})
		f.serves(t, f.Manager, "access 1")
		if s := f.stored(t); s.RefreshToken != "refresh 1" {
			t.Errorf("stored %q", s.RefreshToken)
		}
		b, _ := f.store.Memory.Get(context.Background(), f.ticket(t).recordKey())
		if h, _, err := cache.ParseRecord(b); err != nil || !h.Expiry.Equal(touched) {
			t.Errorf("it holds until %s, touched until %s", h.Expiry, touched)
		}
	})
	t.Run("E8 another replica takes the response for lost: it is not", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) { f.overwrite(t, func(s *Session) { s.RefreshToken = "" }) })
		f.serves(t, f.Manager, "access 1")
		if s := f.stored(t); s.RefreshToken != "refresh 1" {
			t.Errorf("stored %q", s.RefreshToken)
		}
	})
	t.Run("another replica has other tokens: they stay", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			f.overwrite(t, func(s *Session) { s.AccessToken, s.RefreshToken = "theirs", "theirs" })
		})
		f.serves(t, f.Manager, "theirs")
		if len(f.discarded) != 0 {
			t.Error("revoked at the provider, which may end the grant of both")
		}
	})
	t.Run("the store fails for a moment: the new tokens are not lost", func(t *testing.T) {
		var failures atomic.Int64
		f := during(t, nil, func(f *fleet) {
			f.store.down.Store(true)
			f.store.hook(func(method string) {
				if method == "CompareAndSet" && failures.Add(1) == 3 {
					f.store.down.Store(false)
				}
			})
		})
		f.serves(t, f.Manager, "access 1")
	})
	t.Run("the store refuses writes for longer: the refresh token is not sent again", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) {
			f.store.hook(func(method string) { f.store.down.Store(method == "CompareAndSet") })
		})
		f.serves(t, f.Manager, "access 0")
		f.store.hook(func(string) { f.store.down.Store(false) })
		f.clock.turn(time.Minute)
		f.serves(t, f.Manager, "access 0")
		f.serves(t, f.other, "access 0")
		if f.count() != 1 || f.reused != 0 {
			t.Errorf("%d calls, %d tokens sent again", f.count(), f.reused)
		}
	})
	t.Run("the store fails for longer: the refresh token is not sent again", func(t *testing.T) {
		f := during(t, nil, func(f *fleet) { f.store.down.Store(true) })
		f.serves(t, f.Manager, "access 0")
		f.store.down.Store(false)
		f.clock.turn(time.Minute)
		f.serves(t, f.Manager, "access 0")
		if f.count() != 1 || f.reused != 0 || f.stored(t).RefreshToken != "" {
			t.Errorf("%d calls, %d tokens sent again", f.count(), f.reused)
		}
	})
}

func TestARecordThatIsDeletedBeforeItsRefresh(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	f.store.hook(func(method string) {
		if method == "Acquire" {
			_ = f.store.Memory.Delete(context.Background(), f.ticket(t).recordKey())
		}
	})
	f.ended(t, f.Manager)
	if f.count() != 0 {
		t.Error("the tokens were refreshed")
	}
}

func TestARefreshShortlyBeforeTheEnd(t *testing.T) {
	f := newFleet(t, func(o *Options) { o.MaxAge = 5*time.Minute + 4*time.Second })
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(5*time.Minute + time.Second)
	f.serves(t, f.Manager, "access 1")
	f.clock.turn(4 * time.Second)
	f.ended(t, f.Manager)
}

func TestALogoutDuringARefreshLasts(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(4*time.Minute + time.Second)
	reached, release := make(chan bool, 1), make(chan bool)
	f.doing(func(*Session) error {
		reached <- true
		<-release
		return nil
	})
	f.timing.early = time.Millisecond
	f.serves(t, f.Manager, "access 0")
	<-reached
	o := f.lookup(f.value)
	f.drop(o.key)
	close(release)
	eventually.True(t, "the refresh is over", func() bool {
		f.hot.Mu.Lock()
		defer f.hot.Mu.Unlock()
		return len(f.refreshes) == 0
	})
	if f.lookup(f.value) != nil {
		t.Error("I7: the session came back with the refresh after its logout")
	}
}
