package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// signIn stores a session with a sub and a sid of the provider.
func (w *world) signIn(t *testing.T, m *Manager, origin Origin) (string, error) {
	t.Helper()
	if origin.Issuer == "" {
		origin.Issuer = "https://op"
	}
	if origin.Issued.IsZero() {
		origin.Issued = w.clock.now()
	}
	return m.Create(context.Background(), &Session{Created: w.clock.now(), IDToken: origin.Subject + origin.SessionID}, 0, origin)
}

func TestEndAllEndsTheSessionsThatItNames(t *testing.T) {
	origins := []Origin{
		{Subject: "ada", SessionID: "1"},
		{Subject: "ada", SessionID: "2"},
		{Subject: "ada"},
		{Subject: "bob", SessionID: "3"},
		{Subject: "bob", SessionID: "1", Issuer: "https://other"},
	}
	now := newClock().now()
	rows := []struct {
		name  string
		e     Ending
		ended string // by position
	}{
		{"BL15 a sub ends all of that user's, and only those", Ending{Subject: "ada", Before: now}, "yyy--"},
		{"BL14 a sid ends only that of this issuer", Ending{SessionID: "1", Before: now}, "y----"},
		{"BL16 sid and sub that agree, and a session without a sid", Ending{Subject: "ada", SessionID: "2", Before: now}, "-yy--"},
		{"BL16 sid and sub that do not", Ending{Subject: "bob", SessionID: "2", Before: now}, "-----"},
		{"BL21 a foreign sid", Ending{SessionID: "9", Before: now}, "-----"},
		{"J4 names with odd characters", Ending{Subject: "a\r\nFLUSHALL", Before: now}, "-----"},
		{"of an earlier time", Ending{Subject: "ada", Before: now.Add(-2 * time.Minute)}, "-----"},
		{"of a clock that is behind", Ending{Subject: "ada", Before: now.Add(-4 * time.Second)}, "yyy--"},
		{"of a session that began later", Ending{Subject: "ada", Before: now.Add(-20 * time.Second)}, "-----"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, nil)
			elsewhere := w.another(t, func(o *Options) { o.Identity = "another group" })
			var values [5]string
			for i, origin := range origins {
				m := w.Manager
				if i == 1 {
					m = elsewhere
				}
				v, err := w.signIn(t, m, origin)
				if err != nil {
					t.Fatal(err)
				}
				values[i] = v
				_, _ = w.load("__Host-oidc=" + v)
			}
			row.e.Issuer = "https://op"
			if err := w.EndAll(context.Background(), row.e); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				m := w.Manager
				if i == 1 {
					m = elsewhere
				}
				_, err := m.Load(context.Background(), with("__Host-oidc="+v))
				if ended := errors.Is(err, ErrNone); ended != (row.ended[i] == 'y') {
					t.Errorf("session %d: %v", i, err)
				}
			}
		})
	}
	t.Run("without a subject and a session", func(t *testing.T) {
		w := newWorld(t, nil)
		if err := w.EndAll(context.Background(), Ending{Issuer: "https://op", Before: now}); err == nil {
			t.Error("an ending without a subject and a session is accepted")
		}
	})
	t.Run("BL14 of another client", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Client = "one" })
		v, err := w.signIn(t, w.Manager, Origin{Subject: "ada", SessionID: "1"})
		if err != nil {
			t.Fatal(err)
		}
		other := w.another(t, func(o *Options) { o.Client = "two" })
		if err := other.EndAll(context.Background(), Ending{Issuer: "https://op", SessionID: "1", Before: now}); err != nil {
			t.Fatal(err)
		}
		w.mustBe(t, "ada1", "__Host-oidc="+v)
	})
}

func TestALogoutThatComesBeforeTheSession(t *testing.T) {
	for _, row := range []struct {
		name   string
		e      Ending
		origin Origin
		issued time.Duration // after the logout
		want   error
	}{
		{"BL17 of the sid", Ending{SessionID: "1"}, Origin{Subject: "ada", SessionID: "1"}, -time.Second, ErrRevoked},
		{"BL17 of the sub", Ending{Subject: "ada"}, Origin{Subject: "ada", SessionID: "1"}, 0, ErrRevoked},
		{"BL17 of both", Ending{Subject: "ada", SessionID: "1"}, Origin{Subject: "ada", SessionID: "1"}, 0, ErrRevoked},
		{"BL16 of another's", Ending{Subject: "bob", SessionID: "1"}, Origin{Subject: "ada", SessionID: "1"}, 0, nil},
		{"of another session of the user", Ending{Subject: "ada", SessionID: "2"}, Origin{Subject: "ada", SessionID: "1"}, 0, nil},
		{"and a new sign-in after it", Ending{Subject: "ada"}, Origin{Subject: "ada"}, time.Second, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, nil)
			row.e.Issuer = "https://op"
			row.e.Before = w.clock.now()
			if err := w.EndAll(context.Background(), row.e); err != nil {
				t.Fatal(err)
			}
			row.origin.Issued = row.e.Before.Add(row.issued)
			w.clock.turn(5 * time.Minute)
			_, err := w.signIn(t, w.Manager, row.origin)
			if !errors.Is(err, row.want) || row.want != nil && !errors.Is(err, ErrNone) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
}

func TestALogoutIsRememberedAsLongAsASessionLasts(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(o *Options) // of the middleware that stores the session
		late   time.Duration    // after the logout
	}{
		{"BL17 a sign-in under way", func(*Options) {}, 5 * time.Minute},
		{"L38 another middleware has a longer MaxAge", func(o *Options) { o.MaxAge = longestAge }, longestAge - time.Second},
		{"L38 so has a middleware of another process", func(o *Options) { o.MaxAge, o.Ages = 24*time.Hour, nil }, 24*time.Hour - time.Second},
	} {
		for _, e := range []Ending{{Subject: "ada"}, {SessionID: "1"}, {Subject: "ada", SessionID: "1"}} {
			t.Run(row.name, func(t *testing.T) {
				w := newWorld(t, func(o *Options) { o.MaxAge = 5 * time.Second })
				other := w.another(t, row.change)
				e.Issuer = "https://op"
				e.Before = w.clock.now()
				if err := w.EndAll(context.Background(), e); err != nil {
					t.Fatal(err)
				}
				w.clock.turn(row.late)
				if _, err := w.signIn(t, other, Origin{Subject: "ada", SessionID: "1", Issued: e.Before}); !errors.Is(err, ErrRevoked) {
					t.Errorf("the session is stored %v after it ended: %v", row.late, err)
				}
			})
		}
	}
	t.Run("L38 an older configuration had a longer MaxAge", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.MaxAge = 5 * time.Second })
		w.another(t, func(o *Options) { o.MaxAge = 48 * time.Hour }).Close()
		if age := w.remembered(); age <= 48*time.Hour {
			t.Errorf("a logout is remembered for %v", age)
		}
	})
}

func TestALogoutWhileKeysRotate(t *testing.T) {
	steps := [][]string{{keyA}, {keyA, keyB}, {keyB, keyA}, {keyB}}
	// A session outlives the step that it was made in.
	for _, pair := range [][2]int{{0, 1}, {1, 0}, {1, 2}, {2, 1}, {2, 3}, {3, 2}, {0, 2}, {1, 3}, {2, 0}, {3, 1}} {
		t.Run(fmt.Sprint("F12 step ", pair[1], " ends the session of step ", pair[0]), func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Keys = keyring(t, steps[pair[0]]...) })
			v, err := w.signIn(t, w.Manager, Origin{Subject: "ada", SessionID: "1"})
			if err != nil {
				t.Fatal(err)
			}
			other := w.another(t, func(o *Options) { o.Keys = keyring(t, steps[pair[1]]...) })
			e := Ending{Issuer: "https://op", SessionID: "1", Before: w.clock.now()}
			if err := other.EndAll(context.Background(), e); err != nil {
				t.Fatal(err)
			}
			if _, err := w.load("__Host-oidc=" + v); !errors.Is(err, ErrNone) {
				t.Errorf("F12: %v does not end the session of %v: %v", steps[pair[1]], steps[pair[0]], err)
			}
			if _, err := w.signIn(t, w.Manager, Origin{Subject: "ada", SessionID: "1"}); !errors.Is(err, ErrRevoked) {
				t.Errorf("F12: nor one that is stored after it: %v", err)
			}
		})
	}
}

func TestALogoutInAnOutage(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxOpened = 4 })
	var values []string
	for _, sid := range []string{"1", "2", "3", "4"} { // in several generations
		v, err := w.signIn(t, w.Manager, Origin{Subject: "ada", SessionID: sid})
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
		w.mustBe(t, "ada"+sid, "__Host-oidc="+v)
	}
	for _, v := range values { // the records have been evicted from memory
		k, err := w.o.Keys.ticket(v, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		_ = w.memory.Delete(context.Background(), k.recordKey())
	}
	e := Ending{Issuer: "https://op", Subject: "ada", SessionID: "1", Before: w.clock.now()}
	w.Revoked(w.revocation(w.o.Keys.keys[0], e))
	w.store.fail(cache.ErrUnavailable)
	w.mustFail(t, ErrUnavailable, "__Host-oidc="+values[0])
	w.mustBe(t, "ada4", "__Host-oidc="+values[3])
	w.store.fail(nil)
	w.mustFail(t, ErrNone, "__Host-oidc="+values[0])
	k, err := w.o.Keys.ticket(values[0], "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := w.memory.Get(context.Background(), k.recordKey())
	if h, _, err := cache.ParseRecord(b); err != nil || h.State != cache.Revoked || !h.Expiry.Equal(newClock().now().Add(time.Hour+cache.ClockSkew)) {
		t.Errorf("no tombstone keeps it dead: %+v, %v", h, err)
	}
	t.Run("one of a later sign-in stays", func(t *testing.T) {
		e.Before = w.clock.now().Add(-cache.RevocationLeeway - time.Second)
		e.SessionID = ""
		w.Revoked(w.revocation(w.o.Keys.keys[0], e))
		w.store.fail(cache.ErrUnavailable)
		w.mustBe(t, "ada4", "__Host-oidc="+values[3])
		w.store.fail(nil)
	})
	t.Run("all of a user, in each generation", func(t *testing.T) {
		e.Before = w.clock.now()
		w.Revoked(w.revocation(w.o.Keys.keys[0], e))
		w.store.fail(cache.ErrUnavailable)
		for _, v := range values {
			w.mustFail(t, ErrUnavailable, "__Host-oidc="+v)
		}
	})
	t.Run("BL18 the store cannot be reached: it is not done", func(t *testing.T) {
		f := newFleet(t, nil)
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if err := f.EndAll(gone, Ending{Issuer: "https://op", SessionID: "2", Before: f.clock.now()}); err != nil {
			t.Errorf("given up because the client left: %v", err)
		}
		f.store.down.Store(true)
		if err := f.EndAll(context.Background(), Ending{Issuer: "https://op", SessionID: "1", Before: f.clock.now()}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnUnprovenLogoutIsNotRemembered(t *testing.T) {
	store := cache.NewMemory(cache.MemoryOptions{})
	w := newWorld(t, func(o *Options) { o.Backend = store })
	v, err := w.signIn(t, w.Manager, Origin{Issuer: "https://op", Subject: "ada", SessionID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	before := store.Stats().Entries
	for _, sid := range []string{"made up", "1"} {
		if err := w.EndAll(context.Background(), Ending{Issuer: "https://op", SessionID: sid, Before: w.clock.now(), Unproven: true}); err != nil {
			t.Fatal(err)
		}
	}
	if n := store.Stats().Entries; n > before {
		t.Errorf("K1: %d entries, %d before", n, before)
	}
	if _, err := w.load("__Host-oidc=" + v); !errors.Is(err, ErrNone) {
		t.Errorf("BL21: the session of that sid: %v", err)
	}
}
