package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// ending is a Preparer whose views end at a time.
type ending struct{ at time.Time }

func (e *ending) Prepare(s *Session) View {
	return View{Allowed: true, Subject: s.IDToken, End: e.at}
}

// A session ends at the earliest of its record's end and the limits of the middleware
// that serves it, for sessions of every middleware.
func TestTheLimitsOfEachMiddlewareApply(t *testing.T) {
	type limits struct{ max, idle time.Duration }
	const day = 24 * time.Hour
	month := limits{30 * day, 0}
	short := limits{15 * time.Minute, 5 * time.Minute}
	for _, row := range []struct {
		name         string
		made, serves limits
		ends         time.Duration // after the sign-in, without a request before
	}{
		{"L7 F20 a shorter idle timeout", month, short, 5 * time.Minute},
		{"L7 F20 a shorter lifetime", month, limits{max: 15 * time.Minute}, 15 * time.Minute},
		{"L7 F20 a shorter one of both", limits{day, 2 * time.Hour}, limits{time.Hour, 2 * time.Hour}, time.Hour},
		{"L7 F20 a longer idle timeout", short, limits{15 * time.Minute, time.Hour}, 5 * time.Minute},
		{"L7 F20 a longer lifetime", limits{15 * time.Minute, 0}, month, 15 * time.Minute},
		{"L7 F20 longer ones of both", short, month, 5 * time.Minute},
		{"L7 F20 the same", short, short, 5 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, late := range []time.Duration{-time.Second, 0} {
				w := newWorld(t, func(o *Options) { o.MaxAge = row.made.max; o.IdleTimeout = row.made.idle })
				v := w.create(t, "ada")
				m := w.another(t, func(o *Options) { o.MaxAge = row.serves.max; o.IdleTimeout = row.serves.idle })
				w.clock.turn(row.ends + late)
				o, err := m.Load(context.Background(), with("__Host-oidc="+v))
				if late < 0 && err != nil || late == 0 && !errors.Is(err, ErrNone) {
					t.Errorf("%s after the sign-in: %+v, %v", row.ends+late, o, err)
				}
			}
		})
	}
}

func TestLimitsOnTheHotPath(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxAge = 30 * 24 * time.Hour })
	v := w.create(t, "ada")
	made := w.clock.now()
	m := w.another(t, func(o *Options) { o.MaxAge = 3 * time.Minute })
	until := func(m *Manager) time.Time {
		t.Helper()
		if _, err := m.Load(context.Background(), with("__Host-oidc="+v)); err != nil {
			t.Fatal(err)
		}
		m.hot.Mu.Lock()
		defer m.hot.Mu.Unlock()
		return m.hot.Opened[v].Until
	}
	t.Run("L7 an opened session is served to its end here, and no longer", func(t *testing.T) {
		if got := until(m); !got.Equal(made.Add(3 * time.Minute)) {
			t.Errorf("until %s after the sign-in", got.Sub(made))
		}
		if got := until(w.Manager); !got.Equal(made.Add(readAgain)) {
			t.Errorf("elsewhere until %s after the sign-in", got.Sub(made))
		}
	})
	t.Run("L7 nor is it without the store", func(t *testing.T) {
		w.clock.turn(3*time.Minute - time.Second)
		w.store.fail(cache.ErrUnavailable)
		defer w.store.fail(nil)
		m.ChangedAll()
		if _, err := m.Load(context.Background(), with("__Host-oidc="+v)); err != nil {
			t.Errorf("before its end: %v", err)
		}
		w.clock.turn(time.Second)
		if o, err := m.Load(context.Background(), with("__Host-oidc="+v)); err == nil {
			t.Errorf("after its end: %+v", o)
		}
	})
	t.Run("L7 it lives on where it may", func(t *testing.T) {
		if _, err := m.Load(context.Background(), with("__Host-oidc="+v)); !errors.Is(err, ErrNone) {
			t.Fatal(err)
		}
		w.mustBe(t, "ada", "__Host-oidc="+v)
	})
	t.Run("L7 I1 a sign-out ends it everywhere", func(t *testing.T) {
		s, err := m.End(context.Background(), with("__Host-oidc="+v))
		if err != nil || s == nil || s.AccessToken != "access of ada" {
			t.Fatalf("%+v, %v", s, err)
		}
		w.mustFail(t, ErrNone, "__Host-oidc="+v)
	})
}

// The claims may set an end too, such as max_age.
func TestAnEndThatTheClaimsSet(t *testing.T) {
	w := newWorld(t, nil)
	v := w.create(t, "ada")
	views := &ending{at: w.clock.now().Add(2 * time.Minute)}
	m := w.another(t, func(o *Options) { o.Preparer = views; o.IdleTimeout = time.Minute })
	for i := 0; i < 4; i++ {
		if o, err := m.Load(context.Background(), with("__Host-oidc="+v)); err != nil || o.Until.After(views.at) {
			t.Fatalf("L7 %d: %+v, %v", i, o, err)
		}
		w.clock.turn(30 * time.Second)
		m.Changed("nothing")
	}
	if o, err := m.Load(context.Background(), with("__Host-oidc="+v)); !errors.Is(err, ErrNone) {
		t.Errorf("L7 %+v, %v", o, err)
	}
}

// Middlewares that share a session and have idle timeouts of their own.
func TestIdleTimeoutsOfOneSession(t *testing.T) {
	ask := func(t *testing.T, m *Manager, v string, want error) {
		t.Helper()
		if _, err := m.Load(context.Background(), with("__Host-oidc="+v)); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	t.Run("L7 use keeps it alive, until the lifetime here is over", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.MaxAge = 30 * 24 * time.Hour })
		v := w.create(t, "ada")
		m := w.another(t, func(o *Options) { o.MaxAge, o.IdleTimeout = 15*time.Minute, 5*time.Minute })
		for i := 0; i < 3; i++ {
			w.clock.turn(4 * time.Minute)
			ask(t, m, v, nil)
		}
		w.clock.turn(3 * time.Minute)
		ask(t, m, v, ErrNone)
		ask(t, w.Manager, v, nil)
	})
	t.Run("L7 use elsewhere applies, once the shorter one is known", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.MaxAge = 24 * time.Hour })
		v := w.create(t, "ada")
		m := w.another(t, func(o *Options) { o.MaxAge, o.IdleTimeout = 24*time.Hour, 5*time.Minute })
		ask(t, m, v, nil)
		for i := 0; i < 20; i++ {
			w.clock.turn(time.Minute)
			ask(t, w.Manager, v, nil)
		}
		ask(t, m, v, nil)
		w.clock.turn(6 * time.Minute)
		ask(t, m, v, ErrNone)
		ask(t, w.Manager, v, nil)
	})
	t.Run("L7 the shorter one does not end it for the longer one", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.MaxAge, o.IdleTimeout = 24*time.Hour, time.Hour })
		v := w.create(t, "ada")
		m := w.another(t, func(o *Options) { o.MaxAge, o.IdleTimeout = 24*time.Hour, 5*time.Minute })
		w.clock.turn(4 * time.Minute)
		ask(t, m, v, nil)
		w.clock.turn(50 * time.Minute)
		ask(t, m, v, ErrNone)
		ask(t, w.Manager, v, nil)
	})
	t.Run("L7 no use is stored where no middleware has an idle timeout", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.MaxAge = 24 * time.Hour })
		v := w.create(t, "ada")
		for i := 0; i < 5; i++ {
			w.clock.turn(time.Hour)
			if o := w.mustBe(t, "ada", "__Host-oidc="+v); o.version != 1 {
				t.Errorf("version %d", o.version)
			}
		}
	})
	t.Run("L7 an older record, without its last use", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.MaxAge = 24 * time.Hour })
		v := w.create(t, "ada")
		k, err := w.o.Keys.ticket(v, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		s, h, err := w.read(context.Background(), k)
		if err != nil {
			t.Fatal(err)
		}
		s.Used = time.Time{}
		record, err := k.sealRecord(s, successor(h, h.Expiry), "identity")
		if err != nil || w.memory.CompareAndSet(context.Background(), k.recordKey(), h.Version, record, time.Hour) != nil {
			t.Fatal(err)
		}
		m := w.another(t, func(o *Options) { o.MaxAge, o.IdleTimeout = 24*time.Hour, 5*time.Minute })
		w.clock.turn(10 * time.Minute)
		ask(t, m, v, nil)
		w.clock.turn(6 * time.Minute)
		ask(t, m, v, ErrNone)
	})
}

func TestLifetimes(t *testing.T) {
	t.Run("F20 absolute never slides", func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.create(t, "ada")
		for i := 0; i < 59; i++ {
			w.mustBe(t, "ada", "__Host-oidc="+a)
			w.clock.turn(time.Minute)
		}
		w.clock.turn(time.Minute)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
	})
	t.Run("the idle timeout ends a session without requests", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.IdleTimeout = 10 * time.Minute })
		a := w.create(t, "ada")
		w.clock.turn(10*time.Minute + time.Second)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
	})
	t.Run("requests extend the idle timeout, until the absolute end", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.IdleTimeout = 10 * time.Minute })
		a := w.create(t, "ada")
		for i := 0; i < 7; i++ {
			w.mustBe(t, "ada", "__Host-oidc="+a)
			w.clock.turn(8 * time.Minute)
		}
		w.mustBe(t, "ada", "__Host-oidc="+a)
		w.clock.turn(4 * time.Minute)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
	})
	t.Run("one touch per tenth", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.IdleTimeout = 10 * time.Minute })
		a := w.create(t, "ada")
		for i := 0; i < 9; i++ {
			o := w.mustBe(t, "ada", "__Host-oidc="+a)
			if o.version != 1 {
				t.Fatalf("touched after %d seconds", i*6)
			}
			w.clock.turn(6 * time.Second)
		}
		w.clock.turn(10 * time.Second)
		if o := w.mustBe(t, "ada", "__Host-oidc="+a); o.version != 2 {
			t.Errorf("version %d after a tenth of the idle timeout", o.version)
		}
		if w.views.count() != 1 {
			t.Errorf("prepared %d times", w.views.count())
		}
	})
}
