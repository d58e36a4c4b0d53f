package hybrid_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
	"github.com/traefikoidc/traefikoidc/resp"
)

// TestMemoryHandsItsSessionsToRedis changes cacheMode from memory to Redis while users
// sign in and out. No user signs in again, and no sign-out is undone.
func TestMemoryHandsItsSessionsToRedis(t *testing.T) {
	ctx := context.Background()
	before := cache.NewMemory(cache.MemoryOptions{})
	s := cache.NewSwitch(before)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 300; i++ {
		must(s.Add(ctx, fmt.Sprintf("s:many %d", i), cachetest.Linked(1, 11, fmt.Sprintf("many %d", i)), time.Minute))
	}
	for _, name := range []string{"live", "ended", "of ann", "leased"} {
		must(s.Add(ctx, "s:"+name, cachetest.Linked(1, 11, name), time.Minute))
	}
	must(s.Set(ctx, "s:ended", dead, time.Minute))
	must(s.Add(ctx, "j:used", []byte("owner"), time.Minute))
	lease := cache.Lease{Record: "s:leased", Version: 1, Grant: "grant", Owner: "me", TTL: time.Minute, Keep: time.Minute}
	_, err := s.Acquire(ctx, lease)
	must(err)

	server := startServer(t)
	next := connected(t, opening(t, server, "", false))
	served, err := s.Offer(ctx, next, time.Second, nil)
	if !served || err != nil {
		t.Fatal(served, err)
	}
	x := &house{T: t, s: server}
	x.onServer(server, map[string]string{"live": "live", "ended": "revoked", "many 0": "live", "many 299": "live"})
	for i := 0; i < 300; i++ {
		if got := is(t, s, fmt.Sprintf("many %d", i)); got != "live" {
			t.Fatalf("session %d is %s", i, got)
		}
	}
	must(s.Revoke(ctx, cachetest.Revoking(12, "of ann"))) // by the index in Redis
	must(before.Set(ctx, "s:live", dead, time.Minute))    // of a request that began before
	for name, want := range map[string]string{"live": "revoked", "ended": "revoked", "of ann": "revoked", "leased": "live"} {
		if got := is(t, s, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if err := s.Add(ctx, "j:used", []byte("somebody else"), time.Minute); !errors.Is(err, cache.ErrExists) {
		t.Errorf("a marker can be used again: %v", err)
	}
	lease.Owner = "another"
	if _, err := s.Acquire(ctx, lease); !errors.Is(err, cache.ErrExists) {
		t.Errorf("a lease is given twice: %v", err)
	}
	lease.Owner = "me"
	must(s.Prolong(ctx, lease))
}

// TestAReplicaThatLagsIsBroughtUpToDate switches to a server of the same data set that
// lacks the latest writes, as after a failover.
func TestAReplicaThatLagsIsBroughtUpToDate(t *testing.T) {
	ctx := context.Background()
	first, second := startServer(t), startServer(t)
	before := connected(t, opening(t, first, "", false))
	set, _ := first.Value("x:epoch")
	for _, key := range []string{"s:live", "s:ended"} {
		if err := before.Add(ctx, key, cachetest.Linked(1, 11, key[2:]), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	replicated, _ := first.Value("x:s:ended")
	if err := before.Set(ctx, "s:ended", dead, time.Minute); err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, second)
	for key, value := range map[string]string{"x:epoch": set, "x:s:ended": replicated} {
		if _, err := c.Do(ctx, "SET", key, value); err != nil {
			t.Fatal(err)
		}
	}
	s := cache.NewSwitch(before)
	next := connected(t, opening(t, second, "", false))
	if served, err := s.Offer(ctx, next, time.Second, nil); !served || err != nil {
		t.Fatal(served, err)
	}
	// By requests that began before.
	if err := before.Add(ctx, "s:late", cachetest.Linked(1, 11, "late"), time.Minute); err != nil {
		t.Error(err)
	}
	lease := cache.Lease{Record: "s:live", Version: 1, Grant: "grant", Owner: "me", TTL: time.Minute, Keep: time.Hour}
	if _, err := before.Acquire(ctx, lease); err != nil {
		t.Error(err)
	}
	x := &house{T: t, s: second}
	x.onServer(second, map[string]string{"live": "live", "ended": "revoked", "late": "live"})
	other := lease
	other.Owner = "another"
	if _, err := s.Acquire(ctx, other); !errors.Is(err, cache.ErrExists) {
		t.Errorf("a lease is given twice: %v", err)
	}
	if err := before.Release(ctx, lease, true); err != nil {
		t.Error(err)
	}
	if _, err := s.Acquire(ctx, other); err != nil {
		t.Errorf("a lease that ended unused: %v", err)
	}
}

func clientOf(t *testing.T, s *resptest.Server) *resp.Client {
	t.Helper()
	c := resp.NewClient(redisAt(s).Server)
	t.Cleanup(c.Close)
	return c
}
