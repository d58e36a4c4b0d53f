package hybrid_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// A house is a store that has seen an outage, and the changes made in it.
type house struct {
	*testing.T
	s      *resptest.Server
	before *hybrid.Hybrid
}

// opening is a store of a server with a password, as an operator's options describe it.
func opening(t *testing.T, s *resptest.Server, password string, direct bool) *hybrid.Hybrid {
	t.Helper()
	o := redisAt(s)
	o.Server.Password = password
	h := hybrid.New(hybrid.Options{Redis: o, Direct: direct})
	t.Cleanup(h.Close)
	h.Start()
	return h
}

func connected(t *testing.T, h *hybrid.Hybrid) *hybrid.Hybrid {
	t.Helper()
	eventually.True(t, "connected", func() bool { return h.Stats().Connected && h.Stats().Tracking && h.Stats().Leases })
	return h
}

// change makes the changes that the next store has to know. Each session is named after
// its state.
func (x *house) change() {
	x.Helper()
	ctx := context.Background()
	must := func(what string, err error) {
		x.Helper()
		if !cache.Applied(err) {
			x.Fatalf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"ended", "of ann", "live"} {
		must(name, x.before.Add(ctx, "s:"+name, cachetest.Linked(1, 11, name), time.Minute))
	}
	must("a marker before", x.before.Add(ctx, "j:before", []byte("owner"), time.Minute))
	x.s.Require("default", newPassword)
	x.s.Cut()
	eventually.True(x.T, "an outage", func() bool {
		_ = x.before.Health(ctx)
		return x.before.Stats().Fallback
	})
	must("ending", x.before.Set(ctx, "s:ended", dead, time.Minute))
	must("ending an unknown session", x.before.Set(ctx, "s:unknown", dead, time.Minute))
	must("revoking", x.before.Revoke(ctx, cachetest.Revoking(10, "of ann")))
	must("revoking at the provider", x.before.Revoke(ctx, cachetest.Revoking(10, "of bob")))
	must("a marker meanwhile", x.before.Add(ctx, "j:meanwhile", []byte("owner"), time.Minute))
	must("a sign-in meanwhile", x.before.Add(ctx, "s:new", cachetest.Linked(1, 11, "new"), time.Minute))
}

func takeOver(t *testing.T, before, next cache.Store) *cache.Handover {
	t.Helper()
	h, err := cache.TakeOver(context.Background(), before, next)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// is returns the state of the session of a name in a store: live, revoked or nothing.
func is(t *testing.T, b cache.Backend, name string) string {
	t.Helper()
	v, err := b.Get(context.Background(), "s:"+name)
	return state(v, err)
}

func state(v []byte, err error) string {
	if errors.Is(err, cache.ErrMiss) {
		return "nothing"
	}
	h, _, failed := cache.ParseRecord(v)
	switch {
	case err != nil || failed != nil:
		return "an error"
	case h.State == cache.Revoked:
		return "revoked"
	}
	return "live"
}

func (x *house) wants(b cache.Backend, want map[string]string) {
	x.Helper()
	for name, state := range want {
		if got := is(x.T, b, name); got != state {
			x.Errorf("%s is %s, want %s", name, got, state)
		}
	}
	for _, marker := range []string{"j:before", "j:meanwhile"} {
		if err := b.Add(context.Background(), marker, []byte("another user"), time.Minute); !errors.Is(err, cache.ErrExists) {
			x.Errorf("%s can be used again: %v", marker, err)
		}
	}
}

func (x *house) onServer(s *resptest.Server, want map[string]string) {
	x.Helper()
	for name, wanted := range want {
		v, found := s.Value("x:s:" + name)
		got := "nothing"
		if found {
			got = state([]byte(v), nil)
		}
		if got != wanted {
			x.Errorf("%s is %s on the server, want %s", name, got, wanted)
		}
	}
}
