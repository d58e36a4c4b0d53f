package session

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// The bound is one for all groups of a client and each key of the ring.
func TestTheOldestSessionsEnd(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Keys = keyring(t, keyA) })
	rotated := w.another(t, func(o *Options) { o.Keys, o.Identity = keyring(t, keyB, keyA), "another group" })
	var values []string
	add := func(m *Manager, sub string) string {
		t.Helper()
		v, err := w.signIn(t, m, Origin{Subject: sub})
		if err != nil {
			t.Fatal(err)
		}
		w.clock.turn(time.Second)
		return v
	}
	bob := add(w.Manager, "bob")
	for i := 0; i < MaxSessions; i++ {
		m := w.Manager
		if i >= MaxSessions/2 {
			m = rotated
		}
		values = append(values, add(m, "ada"))
	}
	end := func(m *Manager, sub, newest string, want int) {
		t.Helper()
		if n, err := m.EndOldest(context.Background(), Origin{Issuer: "https://op", Subject: sub}, newest); err != nil || n != want {
			t.Errorf("L10 F24: %d ended, %v; want %d", n, err, want)
		}
	}
	end(rotated, "ada", values[MaxSessions-1], 0)
	end(w.Manager, "", values[0], 0)
	newest := add(rotated, "ada")
	end(rotated, "ada", newest, 1)
	end(rotated, "ada", newest, 0)
	w.mustFail(t, ErrNone, "__Host-oidc="+values[0])
	w.mustBe(t, "ada", "__Host-oidc="+values[1])
	w.mustBe(t, "bob", "__Host-oidc="+bob)
	if _, err := rotated.EndOldest(context.Background(), Origin{Subject: "ada"}, "no cookie"); err == nil {
		t.Error("the newest session is not one")
	}
}

func TestIndexKeysNameNoUser(t *testing.T) {
	w := newWorld(t, nil)
	v, err := w.signIn(t, w.Manager, Origin{Subject: "ada-canary", SessionID: "sid-canary"})
	if err != nil {
		t.Fatal(err)
	}
	k, err := w.o.Keys.ticket(v, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.memory.Get(context.Background(), k.recordKey())
	if err != nil || strings.Contains(string(b), "canary") {
		t.Fatalf("F10: the record names its user, %v", err)
	}
	t.Run("F11 altered index keys", func(t *testing.T) {
		altered := append([]byte{}, b...)
		altered[cache.HeaderSize+3] ^= 1
		_ = w.memory.Delete(context.Background(), k.recordKey())
		if err := w.memory.Add(context.Background(), k.recordKey(), altered, time.Hour); err != nil {
			t.Fatal(err)
		}
		w.mustFail(t, ErrNone, "__Host-oidc="+v)
	})
}

func TestIndexKeysStayWithTheSession(t *testing.T) {
	f := newFleet(t, func(o *Options) { o.IdleTimeout = 30 * time.Minute })
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(4 * time.Minute)
	f.serves(t, f.Manager, "access 1") // touched and refreshed
	k := f.ticket(t)
	b, err := f.store.Memory.Get(context.Background(), k.recordKey())
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := cache.ParseRecord(b)
	start := newClock().now()
	if err != nil || h.Version != 3 || len(h.Links) != 3 || !h.Issued.Equal(start) || !h.End.Equal(start.Add(time.Hour)) {
		t.Errorf("the header is %+v, %v", h, err)
	}
	if err := f.other.EndAll(context.Background(), Ending{Issuer: "https://op", Subject: "ada", SessionID: "1", Before: start}); err != nil {
		t.Fatal(err)
	}
	f.ended(t, f.Manager)
}
