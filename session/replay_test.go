package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

func TestReplayGuard(t *testing.T) {
	c := newClock()
	memory := cache.NewMemory(cache.MemoryOptions{Now: c.now})
	g := &ReplayGuard{Backend: memory, Keys: keyring(t, keyA), Identity: "identity"}
	other := &ReplayGuard{Backend: memory, Keys: keyring(t, keyA), Identity: "other"}
	rotated := &ReplayGuard{Backend: memory, Keys: keyring(t, keyB, keyA), Identity: "identity"}
	ctx := context.Background()
	for _, row := range []struct {
		guard       *ReplayGuard
		kind, value string
		want        error
	}{
		{g, "state", "v", nil},
		{g, "state", "v", ErrReplayed},
		{g, "code", "v", nil},
		{other, "state", "v", nil},
		{rotated, "code", "v", ErrReplayed},
		{g, "state", "a\r\nFLUSHALL{}:", nil},
	} {
		if err := row.guard.Use(ctx, row.kind, row.value, time.Minute); !errors.Is(err, row.want) {
			t.Errorf("%s %q: %v, want %v", row.kind, row.value, err, row.want)
		}
	}
	t.Run("J3 a store that only journals", func(t *testing.T) {
		lax := &ReplayGuard{Backend: &journalling{memory}, Keys: keyring(t, keyA), Identity: "outage"}
		if err := lax.Use(ctx, "state", "v", time.Minute); err != nil {
			t.Errorf("allow: %v", err)
		}
		strict := &ReplayGuard{Backend: &journalling{memory}, Keys: keyring(t, keyA), Identity: "outage", Strict: true}
		if err := strict.Use(ctx, "state", "w", time.Minute); !errors.Is(err, ErrUnavailable) {
			t.Errorf("deny: %v", err)
		}
		if err := strict.Use(ctx, "state", "v", time.Minute); !errors.Is(err, ErrReplayed) {
			t.Errorf("deny, used before: %v", err)
		}
	})
	c.turn(2 * time.Minute)
	if err := g.Use(ctx, "state", "v", time.Minute); err != nil {
		t.Errorf("after its lifetime: %v", err)
	}
}

// journalling is a store in an outage: it takes records and does not share them yet.
type journalling struct {
	*cache.Memory
}

func (j *journalling) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := j.Memory.Add(ctx, key, value, ttl); err != nil {
		return err
	}
	return cache.ErrJournalled
}

func TestAReplayIsFoundBeforeAnythingIsDone(t *testing.T) {
	clock := newClock()
	memory := cache.NewMemory(cache.MemoryOptions{Now: clock.now})
	ctx := context.Background()
	guard := func(keys ...string) *ReplayGuard {
		return &ReplayGuard{Backend: memory, Keys: keyring(t, keys...), Identity: "client", Strict: true}
	}
	g := guard(keyA)
	if err := g.Used(ctx, "jti", "1"); err != nil {
		t.Errorf("BL9: Used uses it up: %v", err)
	}
	var wg sync.WaitGroup
	won := make(chan error, 16)
	for i := 0; i < 16; i++ {
		wg.Add(1)
		go func(g *ReplayGuard) {
			defer wg.Done()
			won <- g.Use(ctx, "jti", "1", time.Minute)
		}([]*ReplayGuard{g, guard(keyA, keyB)}[i%2])
	}
	wg.Wait()
	close(won)
	first := 0
	for err := range won {
		if err == nil {
			first++
		} else if !errors.Is(err, ErrReplayed) {
			t.Error(err)
		}
	}
	if first != 1 {
		t.Errorf("BL9: %d deliveries of one token won", first)
	}
	for _, keys := range [][]string{{keyA}, {keyA, keyB}, {keyB, keyA}} {
		if err := guard(keys...).Used(ctx, "jti", "1"); !errors.Is(err, ErrReplayed) {
			t.Errorf("BL9 F12: with the keys %v: %v", keys, err)
		}
	}
	if err := g.Used(ctx, "state", "1"); err != nil {
		t.Errorf("of another kind: %v", err)
	}
	clock.turn(2 * time.Minute)
	if err := g.Used(ctx, "jti", "1"); err != nil {
		t.Errorf("after its time: %v", err)
	}
	g.Backend = &blind{Memory: memory}
	if err := g.Used(ctx, "jti", "1"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a store that cannot be reached: %v", err)
	}
}

// blind is a store that cannot be read by Exists.
type blind struct{ *cache.Memory }

func (blind) Exists(context.Context, string) (bool, error) { return false, cache.ErrUnavailable }
