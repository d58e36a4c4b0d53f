package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// refusing is a Preparer that allows no user.
type refusing struct{}

func (r *refusing) Prepare(s *Session) View {
	return View{Subject: s.IDToken}
}

func (w *world) refuse(t *testing.T, m *Manager, user string) string {
	t.Helper()
	v, err := m.Create(context.Background(), &Session{Created: w.clock.now(), IDToken: user, Refused: true}, 0, Origin{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestARefusedSignInIsKeptForAWhile(t *testing.T) {
	for _, row := range []struct {
		name string
		idle time.Duration
		max  time.Duration
		ends time.Duration
	}{
		{"L10 F24 five minutes", 0, 24 * time.Hour, 5 * time.Minute},
		{"L10 F24 five minutes, for every use", time.Hour, 24 * time.Hour, 5 * time.Minute},
		{"L10 F24 a shorter idle timeout", time.Minute, 24 * time.Hour, time.Minute},
		{"L10 F24 a shorter lifetime", 0, 2 * time.Minute, 2 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Preparer, o.IdleTimeout, o.MaxAge = &refusing{}, row.idle, row.max })
			v := w.refuse(t, w.Manager, "eve")
			step := row.ends / 10
			for at := time.Duration(0); at < row.ends; at += step {
				if o := w.mustBe(t, "eve", "__Host-oidc="+v); o.Allowed || o.version != 1 {
					t.Fatalf("after %s: %+v", at, o)
				}
				w.clock.turn(step)
			}
			w.mustFail(t, ErrNone, "__Host-oidc="+v)
		})
	}
	t.Run("L10 F24 where another middleware of the group allows the user", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.MaxAge = 24 * time.Hour })
		strict := w.another(t, func(o *Options) { o.Preparer = &refusing{} })
		v := w.refuse(t, strict, "ada")
		w.clock.turn(4 * time.Minute)
		w.mustBe(t, "ada", "__Host-oidc="+v)
		w.clock.turn(24*time.Hour - 4*time.Minute - time.Second)
		w.mustBe(t, "ada", "__Host-oidc="+v)
		w.clock.turn(time.Second)
		w.mustFail(t, ErrNone, "__Host-oidc="+v)
	})
	t.Run("L10 while the store cannot be reached", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Preparer = &refusing{} })
		v := w.refuse(t, w.Manager, "eve")
		w.mustBe(t, "eve", "__Host-oidc="+v)
		w.store.fail(cache.ErrUnavailable)
		w.clock.turn(5*time.Minute - time.Second)
		w.mustBe(t, "eve", "__Host-oidc="+v)
		w.clock.turn(time.Second)
		if o, err := w.load("__Host-oidc=" + v); err == nil {
			t.Errorf("%+v", o)
		}
	})
	t.Run("L10 I1 a sign-out ends it", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Preparer = &refusing{} })
		v := w.refuse(t, w.Manager, "eve")
		if s, err := w.End(context.Background(), with("__Host-oidc="+v)); err != nil || s == nil || s.IDToken != "eve" {
			t.Fatalf("%+v, %v", s, err)
		}
		w.mustFail(t, ErrNone, "__Host-oidc="+v)
	})
}

// Sign-ins that were refused evict no session from a store that is full.
func TestRefusedSignInsEvictNoSession(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.MaxAge = 24 * time.Hour
	})
	small := cache.NewMemory(cache.MemoryOptions{MaxEntries: 100, Now: w.clock.now})
	m := w.another(t, func(o *Options) { o.Backend = small })
	strict := w.another(t, func(o *Options) { o.Backend, o.Preparer = small, &refusing{} })
	var values []string
	for i := 0; i < 90; i++ {
		v, err := m.Create(context.Background(), &Session{Created: w.clock.now(), IDToken: fmt.Sprint(i)}, 0, Origin{})
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	for i := 0; i < 300; i++ {
		v := w.refuse(t, strict, "eve")
		if _, err := strict.Load(context.Background(), with("__Host-oidc="+v)); err != nil {
			t.Fatalf("L10 the session that was just refused: %v", err)
		}
	}
	for i, v := range values {
		if _, err := m.Load(context.Background(), with("__Host-oidc="+v)); errors.Is(err, ErrNone) {
			t.Errorf("L10 F24: session %d is gone", i)
		}
	}
}
