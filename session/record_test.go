package session

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

func TestTheStoreKnowsNothingAndCannotForge(t *testing.T) {
	w := newWorld(t, nil)
	ctx := context.Background()
	a, b := w.create(t, "ada"), w.create(t, "bob")
	keys := make([]string, 0, 2)
	for _, v := range []string{a, b} {
		k, err := w.o.Keys.ticket(v, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k.recordKey())
	}
	ra, _ := w.memory.Get(ctx, keys[0])
	rb, _ := w.memory.Get(ctx, keys[1])
	t.Run("F10 no token in a dump", func(t *testing.T) {
		if strings.Contains(string(ra), "ada") || strings.Contains(keys[0], a[:20]) {
			t.Error("a record or its key contains a name")
		}
	})
	t.Run("F11 swapped values", func(t *testing.T) {
		_ = w.memory.Delete(ctx, keys[0])
		_ = w.memory.Delete(ctx, keys[1])
		_ = w.memory.Add(ctx, keys[0], rb, time.Hour)
		_ = w.memory.Add(ctx, keys[1], ra, time.Hour)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
		w.mustFail(t, ErrNone, "__Host-oidc="+b)
	})
	t.Run("F11 altered header", func(t *testing.T) {
		_ = w.memory.Delete(ctx, keys[0])
		h, payload, err := cache.ParseRecord(ra)
		if err != nil {
			t.Fatal(err)
		}
		h.Expiry = h.Expiry.Add(24 * time.Hour)
		_ = w.memory.Add(ctx, keys[0], append(cache.AppendHeader(nil, h), payload...), time.Hour)
		w.mustFail(t, ErrNone, "__Host-oidc="+a)
	})
}

func TestASessionIsReadAsItWasWritten(t *testing.T) {
	at := time.Unix(1772366400, 0)
	s := &Session{
		Created: at, Expiry: at.Add(time.Hour), IDToken: "i", AccessToken: "a", RefreshToken: "r", AccessExpiry: at.Add(time.Minute),
		UserInfo: map[string]any{"email": "ada@example.com"}, UserInfoNew: true, Refreshed: at.Add(1500 * time.Millisecond), Nonce: "n",
		AuthTime: at.Add(-time.Hour), Used: at.Add(2500 * time.Millisecond), Idle: 1500 * time.Millisecond, Refused: true,
	}
	b, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(b); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestKeysRotate(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	step := func(keys ...string) *Manager {
		m := NewManager(Options{
			Backend: w.store, Keys: keyring(t, keys...), Identity: "identity", Cookies: w.o.Cookies,
			MaxAge: time.Hour, Preparer: w.views, Now: w.clock.now,
		})
		t.Cleanup(m.Close)
		return m
	}
	for _, m := range []*Manager{step(keyA, keyB), step(keyB, keyA)} {
		if o, err := m.Load(context.Background(), with("__Host-oidc="+a)); err != nil || o.Subject != "ada" {
			t.Errorf("F12: the old key does not open: %v", err)
		}
	}
	if _, err := step(keyB).Load(context.Background(), with("__Host-oidc="+a)); !errors.Is(err, ErrNone) {
		t.Errorf("F12: a removed key still opens: %v", err)
	}
}
