package session

import (
	"context"
	"testing"
	"time"
)

func TestNoRefreshWithoutTheStore(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	f.clock.turn(6 * time.Minute)
	f.store.hook(func(method string) { f.store.down.Store(method == "Acquire") })
	for i := 0; i < 10; i++ {
		f.serves(t, f.Manager, "access 0")
	}
	if list := f.seen.all(); f.count() != 0 || len(list) != 1 || list[0] != RefreshPutOff {
		t.Errorf("%d calls, observed %v", f.count(), list)
	}
	f.store.hook(func(method string) { f.store.down.Store(false) })
	f.clock.turn(6 * time.Second)
	f.serves(t, f.Manager, "access 1")
}

func TestARestoredStore(t *testing.T) {
	f := newFleet(t, nil)
	f.serves(t, f.Manager, "access 0")
	k := f.ticket(t)
	old, _ := f.store.Memory.Get(context.Background(), k.recordKey())
	f.clock.turn(6 * time.Minute)
	f.serves(t, f.Manager, "access 1")
	f.clock.turn(6 * time.Minute)
	f.serves(t, f.Manager, "access 2")
	f.serves(t, f.Manager, "access 2")
	f.clock.turn(6 * time.Minute)
	f.store.hook(func(method string) {
		if method == "Acquire" {
			_ = f.store.Memory.Delete(context.Background(), k.recordKey())
			_ = f.store.Memory.Add(context.Background(), k.recordKey(), old, time.Hour)
		}
	})
	f.serves(t, f.Manager, "access 2")
	if f.reused != 0 {
		t.Error("an old refresh token is sent again")
	}
}
