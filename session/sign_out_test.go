package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

func TestATombstoneOutlastsTheSessionByEveryClock(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	o := f.lookup(f.value)
	f.clock.turn(time.Hour + 30*time.Second) // by this replica's clock it has ended
	if _, err := f.End(context.Background(), with("__Host-oidc="+f.value)); err != nil {
		t.Fatal(err)
	}
	f.clock.turn(-time.Minute)
	if _, err := f.Load(context.Background(), with("__Host-oidc="+f.value)); !errors.Is(err, ErrNone) {
		t.Errorf("J11: another replica with a clock that is behind serves %s: %v", o.key, err)
	}
}

func TestAnEndedSessionIsDeadWithEveryCopyOfItsCookie(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.create(t, "ada"), w.create(t, "bob")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	s, err := w.End(context.Background(), with("__Host-oidc="+a))
	if err != nil || s == nil || s.IDToken != "ada" || s.AccessToken != "access of ada" {
		t.Fatalf("End returned %+v, %v", s, err)
	}
	if w.lookup(a) != nil {
		t.Error("F9: an ended session is still in memory")
	}
	w.mustFail(t, ErrNone, "__Host-oidc="+a)
	w.mustBe(t, "bob", "__Host-oidc="+b)
	if s, err := w.End(context.Background(), with("__Host-oidc="+a)); s != nil || err != nil {
		t.Errorf("I4: ending it again gave %v, %v", s, err)
	}
}

func TestALogoutOfASessionThatWasEndedElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	k, err := w.o.Keys.ticket(a, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	other := newWorld(t, func(o *Options) { o.Backend = w.memory })
	w.memory.Unwatch(w.Manager) // this replica learns of no change
	if err := other.writeTombstone(context.Background(), k.recordKey(), cache.Header{Version: 1, End: w.clock.now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.End(context.Background(), with("__Host-oidc="+a)); err != nil {
		t.Fatal(err)
	}
	w.store.fail(cache.ErrUnavailable)
	w.mustFail(t, ErrUnavailable, "__Host-oidc="+a)
}

func TestALogoutOfASessionThatIsNotThereYet(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	k, err := w.o.Keys.ticket(a, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	record, _ := w.memory.Get(ctx, k.recordKey())
	_ = w.memory.Delete(ctx, k.recordKey()) // held by a replica that cannot reach the store
	if s, err := w.End(ctx, with("__Host-oidc="+a)); s != nil || err != nil {
		t.Errorf("got %v, %v", s, err)
	}
	if err := w.memory.Add(ctx, k.recordKey(), record, time.Hour); !errors.Is(err, cache.ErrExists) {
		t.Errorf("it can still be stored: %v", err)
	}
	t.Run("J15 a record of a later format is left alone", func(t *testing.T) {
		b := w.create(t, "bob")
		k, err := w.o.Keys.ticket(b, "__Host-oidc", "identity")
		if err != nil {
			t.Fatal(err)
		}
		later := append([]byte{0xAF}, record[1:]...)
		_ = w.memory.Delete(ctx, k.recordKey())
		_ = w.memory.Add(ctx, k.recordKey(), later, time.Hour)
		if s, err := w.End(ctx, with("__Host-oidc="+b)); s != nil || err != nil {
			t.Errorf("got %v, %v", s, err)
		}
		if ok, _ := w.memory.Exists(ctx, k.recordKey()); ok {
			if b, _ := w.memory.Get(ctx, k.recordKey()); len(b) > 0 && b[0] != 0xAF {
				t.Error("it was replaced")
			}
		}
	})
}

func TestATombstoneLivesAsLongAsTheSessionCould(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	shorter := NewManager(Options{
		Backend: w.store, Keys: keyring(t, keyA), Identity: "identity", Cookies: w.o.Cookies,
		MaxAge: time.Minute, Preparer: w.views, Now: w.clock.now,
	})
	defer shorter.Close()
	o := w.mustBe(t, "ada", "__Host-oidc="+a)
	if _, err := shorter.End(context.Background(), with("__Host-oidc="+a)); err != nil {
		t.Fatal(err)
	}
	w.clock.turn(59 * time.Minute)
	b, err := w.memory.Get(context.Background(), o.key)
	if err != nil {
		t.Fatalf("the tombstone is gone before the session would have ended: %v", err)
	}
	if h, _, err := cache.ParseRecord(b); err != nil || h.State != cache.Revoked {
		t.Errorf("got %+v, %v", h, err)
	}
}

// The record was made by a middleware with a longer MaxAge, and cannot be read.
func TestATombstoneOfARecordThatCannotBeRead(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, func(o *Options) { o.MaxAge = longestAge })
	a := w.create(t, "ada")
	k, err := w.o.Keys.ticket(a, "__Host-oidc", "identity")
	if err != nil {
		t.Fatal(err)
	}
	record, _ := w.memory.Get(ctx, k.recordKey())
	_ = w.memory.Delete(ctx, k.recordKey()) // held by a replica that cannot reach the store
	shorter := NewManager(Options{
		Backend: w.store, Keys: keyring(t, keyA), Identity: "identity", Cookies: w.o.Cookies,
		MaxAge: time.Minute, Preparer: w.views, Now: w.clock.now,
	})
	defer shorter.Close()
	if _, err := shorter.End(ctx, with("__Host-oidc="+a)); err != nil {
		t.Fatal(err)
	}
	t.Run("L33 it outlasts the session of any middleware", func(t *testing.T) {
		b, err := w.memory.Get(ctx, k.recordKey())
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := cache.ParseRecord(b)
		live, _, _ := cache.ParseRecord(record)
		if err != nil || h.State != cache.Revoked || h.Expiry.Before(live.End.Add(cache.ClockSkew)) {
			t.Errorf("the tombstone ends at %v, the record at %v: %v", h.Expiry, live.End, err)
		}
	})
}

func TestARevocationElsewhereIsSeen(t *testing.T) {
	w := newWorld(t, nil)
	second := NewManager(Options{
		Backend: w.store, Keys: keyring(t, keyA), Identity: "identity", Cookies: w.o.Cookies,
		MaxAge: time.Hour, Preparer: w.views, Now: w.clock.now,
	})
	defer second.Close()
	a := w.create(t, "ada")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	if _, err := second.End(context.Background(), with("__Host-oidc="+a)); err != nil {
		t.Fatal(err)
	}
	if o := w.lookup(a); o != nil && w.clock.now().Before(o.Until) {
		t.Error("served from memory after another manager ended it")
	}
	w.mustFail(t, ErrNone, "__Host-oidc="+a)
}

func TestASignOutIsCompletedWithoutItsClient(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.create(t, "ada"), w.create(t, "bob")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.End(ctx, with("__Host-oidc="+a+"; __Host-oidc="+b)); err != nil {
		t.Error(err)
	}
	w.mustFail(t, ErrNone, "__Host-oidc="+a)
	w.mustFail(t, ErrNone, "__Host-oidc="+b)
}
