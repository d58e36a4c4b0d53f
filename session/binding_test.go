package session

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// A sign-in's cookie is bound to its state in two ways. Its name, which the state holds,
// is part of the additional data of its sealed value, and the state holds a proof of the
// seed. Each of the two subtests fails without one of them.
func TestASignInsCookieBelongsToOneState(t *testing.T) {
	l := newLogins(t, newClock(), "identity")
	j := jar{}
	g := start(t, l, j, "/")

	t.Run("B1 a state with the proof of another seed", func(t *testing.T) {
		// A sign-in with the same random cookie name as g. Only an owner of the session
		// encryption key can seal such a state.
		plain := make([]byte, 8, stateBytes+1)
		binary.BigEndian.PutUint64(plain, uint64(l.Now().UnixMilli()))
		opened, err := l.Keys.Open("sign-in state", l.Identity, g.State)
		if err != nil {
			t.Fatal(err)
		}
		plain = append(plain, opened[8:8+loginIDBytes+1]...)
		other := &Login{seed: []byte(strings.Repeat("s", seedBytes))}
		plain = append(append(plain, other.proof()...), '/')
		state, err := l.Keys.Seal("sign-in state", l.Identity, plain)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := l.Find(state, j.request()); !errors.Is(err, ErrLoginElsewhere) || f.Verifier != "" || f.Nonce != "" {
			t.Errorf("got %+v, %v", f, err)
		}
		if _, err := l.Find(g.State, j.request()); err != nil {
			t.Errorf("its own state: %v", err)
		}
	})
	t.Run("B1 F3 a cookie under the name of another sign-in", func(t *testing.T) {
		h := start(t, l, jar{}, "/")
		value := j[l.cookieName(g.id)]
		if _, _, err := l.openCookie(l.cookieName(h.id), value); !errors.Is(err, errSealed) {
			t.Errorf("it opens: %v", err)
		}
		if _, _, err := l.openCookie(l.cookieName(g.id), value); err != nil {
			t.Errorf("under its own name: %v", err)
		}
	})
}

func TestSignInCookiesOfOneRequestAreBounded(t *testing.T) {
	l := newLogins(t, newClock(), "identity")
	for _, count := range []int{loginsSeen, loginsSeen + 1, 3000} {
		t.Run(fmt.Sprintf("F24 %d sign-in cookies", count), func(t *testing.T) {
			j := jar{}
			for i := 0; i < count; i++ {
				j[fmt.Sprintf("__Host-oidc-s-%08d", i)] = "junk"
			}
			g, err := l.Start(j.request().Header["Cookie"], "/", 0, AnyAccount)
			if err != nil {
				t.Fatal(err)
			}
			set, err := l.Set(g, j.request())
			if want := 1 + loginsSeen - (loginsKept - 1); err != nil || len(set) != want {
				t.Errorf("%d cookies are set or deleted, want %d: %v", len(set), want, err)
			}
		})
	}
}

func TestCookiesOfOneNameAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	good := "__Host-oidc=" + w.create(t, "ada")
	planted := func(n int) string { return strings.Repeat("__Host-oidc=planted; ", n) }
	t.Run("F7 F24 the last that is looked at", func(t *testing.T) { w.mustBe(t, "ada", planted(cookiesTried-1)+good) })
	t.Run("F24 one too many", func(t *testing.T) { w.mustFail(t, ErrNone, planted(cookiesTried)+good) })
	t.Run("F24 one too many, over several lines", func(t *testing.T) {
		var lines []string
		for i := 0; i < cookiesTried; i++ {
			lines = append(lines, planted(1))
		}
		w.mustFail(t, ErrNone, append(lines, good)...)
	})
}

// The store removes a record at its expiry too, by a clock of its own. The record's
// header decides.
func TestARecordEndsByItsOwnHeader(t *testing.T) {
	still := newClock() // of a store that keeps records past their expiry
	for _, row := range []struct {
		name   string
		change func(o *Options)
	}{
		{"F20 the idle timeout", func(o *Options) { o.IdleTimeout = 10 * time.Minute }},
		{"F20 the absolute lifetime", func(o *Options) { o.MaxAge = 10 * time.Minute }},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) {
				o.Backend = cache.NewMemory(cache.MemoryOptions{Now: still.now})
				row.change(o)
			})
			value := "__Host-oidc=" + w.create(t, "ada")
			w.clock.turn(10*time.Minute - time.Second)
			elsewhere := w.another(t, func(o *Options) {}) // has not opened it yet
			w.clock.turn(2 * time.Second)
			if o, err := elsewhere.Load(context.Background(), with(value)); !errors.Is(err, ErrNone) {
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
	t.Run("F20 as it is read", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.IdleTimeout = 10 * time.Minute })
		k, err := w.o.Keys.ticket(w.create(t, "ada"), "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		record, err := w.memory.Get(context.Background(), k.recordKey())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.parse(k, record); err != nil {
			t.Fatal(err)
		}
		w.clock.turn(10 * time.Minute)
		if s, _, err := w.parse(k, record); !errors.Is(err, ErrNone) {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}

// A record opens for one cookie only. Its key is derived from the cookie's secret. Its
// additional data has the record's key, its header and the middleware. Each subtest fails
// without one of these.
func TestARecordOpensForOneCookie(t *testing.T) {
	w := newWorld(t, nil)
	k, err := w.o.Keys.ticket(w.create(t, "ada"), "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	record, err := w.memory.Get(context.Background(), k.recordKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.openRecord(record, "identity"); err != nil {
		t.Fatal(err)
	}
	refuses := func(t *testing.T, k ticket, record []byte, identity string) {
		t.Helper()
		if s, err := k.openRecord(record, identity); !errors.Is(err, errSealed) {
			t.Errorf("got %+v, %v", s, err)
		}
	}
	other := func(b []byte) []byte {
		c := append([]byte{}, b...)
		c[0] ^= 1
		return c
	}
	t.Run("F10 another secret", func(t *testing.T) {
		thief := k
		thief.secret = other(k.secret)
		refuses(t, thief, record, "identity")
	})
	t.Run("F11 E5 another session's key in the store", func(t *testing.T) {
		moved := k
		moved.id = other(k.id)
		refuses(t, moved, record, "identity")
	})
	t.Run("F17 another middleware", func(t *testing.T) { refuses(t, k, record, "another") })
	t.Run("F11 another header", func(t *testing.T) {
		h, payload, err := cache.ParseRecord(record)
		if err != nil {
			t.Fatal(err)
		}
		h.Expiry = h.Expiry.Add(time.Second)
		refuses(t, k, append(cache.AppendHeader(nil, h), payload...), "identity")
	})
	t.Run("F11 F12 another of the operator's keys", func(t *testing.T) {
		elsewhere := k
		elsewhere.key = keyring(t, keyB).keys[0]
		refuses(t, elsewhere, record, "identity")
	})
}

// If a secret is compressed together with chosen text, the length reveals correct guesses
// of the secret. Nothing here is compressed.
func TestNothingIsCompressed(t *testing.T) {
	w := newWorld(t, nil)
	r := rand.New(rand.NewSource(1))
	noise := func(n int) string {
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[r.Intn(len(letters))]
		}
		return string(b)
	}
	secret := noise(500)
	store := func(s *Session) (cookie string, record int) {
		s.Created = w.clock.now()
		cookie, err := w.Create(context.Background(), s, 0, Origin{Subject: "ada", SessionID: "1"})
		if err != nil {
			t.Fatal(err)
		}
		k, err := w.o.Keys.ticket(cookie, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.memory.Get(context.Background(), k.recordKey())
		if err != nil {
			t.Fatal(err)
		}
		return cookie, len(b)
	}
	base, record := store(&Session{IDToken: noise(500), AccessToken: secret})
	t.Run("F16 a record is as long as its content", func(t *testing.T) {
		for name, id := range map[string]string{
			"random": noise(500), "one letter": strings.Repeat("A", 500), "the secret itself": secret, "half of it": secret[:250] + noise(250),
		} {
			if _, n := store(&Session{IDToken: id, AccessToken: secret}); n != record {
				t.Errorf("%s: the record has %d bytes, others %d", name, n, record)
			}
		}
		for more := 1; more < 70; more++ {
			if _, n := store(&Session{IDToken: strings.Repeat("A", 500+more), AccessToken: secret}); n != record+more {
				t.Errorf("%d bytes more: the record has %d bytes, want %d", more, n, record+more)
			}
		}
		plain, err := json.Marshal(stored{IDToken: strings.Repeat("A", 10000)})
		if err != nil {
			t.Fatal(err)
		}
		if _, n := store(&Session{IDToken: strings.Repeat("A", 10000)}); n < len(plain) {
			t.Errorf("the record of %d bytes has %d", len(plain), n)
		}
	})
	t.Run("F16 a session cookie has one length, for every session", func(t *testing.T) {
		for _, s := range []*Session{{}, {IDToken: noise(20000)}, {AccessToken: strings.Repeat("A", 20000)}, {UserInfo: map[string]any{"groups": []any{noise(9)}}}} {
			if cookie, _ := store(s); len(cookie) != len(base) {
				t.Errorf("a cookie of %d bytes, others of %d", len(cookie), len(base))
			}
		}
	})
	t.Run("F16 a state is as long as its target, a sign-in's cookie has one length", func(t *testing.T) {
		l := newLogins(t, w.clock, "identity")
		for n := 1; n < 1000; n += 37 {
			var states, cookies []int
			for _, target := range []string{"/" + noise(n-1), "/" + strings.Repeat("a", n-1)} {
				g, err := l.Start(nil, target, 0, AnyAccount)
				if err != nil {
					t.Fatal(err)
				}
				set, err := l.Set(g, with())
				if err != nil {
					t.Fatal(err)
				}
				states, cookies = append(states, len(g.State)), append(cookies, len(set[0].Name)+len(set[0].Value))
			}
			if states[0] != states[1] || states[0]*3/4 < n || cookies[0] != cookies[1] || cookies[0] > 120 {
				t.Errorf("a target of %d bytes: states of %v, cookies of %v bytes", n, states, cookies)
			}
		}
	})
}
