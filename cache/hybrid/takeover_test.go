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
	"github.com/traefikoidc/traefikoidc/resp"
)

const (
	oldPassword = "the old one"
	newPassword = "the new one"
)

var dead = cachetest.Record(cache.Revoked, 9, "")

func TestL2TheNextStoreTakesOver(t *testing.T) {
	same := map[string]string{"ended": "revoked", "unknown": "revoked", "of ann": "revoked", "live": "live", "new": "live"}
	other := map[string]string{"ended": "revoked", "unknown": "revoked", "of ann": "revoked", "live": "nothing", "new": "nothing"}
	flushed := map[string]string{"ended": "revoked", "unknown": "revoked", "of ann": "revoked", "live": "nothing", "new": "live"}
	unheld := map[string]string{"ended": "revoked", "unknown": "revoked", "of ann": "nothing", "live": "nothing", "new": "nothing"}
	for _, row := range []struct {
		name   string
		direct bool // before
		next   func(x *house) (cache.Store, *resptest.Server)
		want   map[string]string
	}{
		{"another password", false, func(x *house) (cache.Store, *resptest.Server) {
			return opening(x.T, x.s, newPassword, false), x.s
		}, same},
		{"another password, without memory", true, func(x *house) (cache.Store, *resptest.Server) {
			return opening(x.T, x.s, newPassword, true), x.s
		}, same},
		{"another server", false, func(x *house) (cache.Store, *resptest.Server) {
			s := startServer(x.T)
			return opening(x.T, s, "", false), s
		}, other},
		{"another server, without memory", true, func(x *house) (cache.Store, *resptest.Server) {
			s := startServer(x.T)
			return opening(x.T, s, "", true), s
		}, unheld},
		{"the server without its data", false, func(x *house) (cache.Store, *resptest.Server) {
			x.s.Restart(x.T, false)
			return opening(x.T, x.s, newPassword, false), x.s
		}, same},
		{"the server after FLUSHALL", false, func(x *house) (cache.Store, *resptest.Server) {
			o := redisAt(x.s).Server
			o.Password = newPassword
			c := resp.NewClient(o)
			defer c.Close()
			if r, err := c.Do(context.Background(), "FLUSHALL"); err != nil || r.Err() != nil {
				x.Fatal(err, r.Err())
			}
			return opening(x.T, x.s, newPassword, false), x.s
		}, flushed},
		{"memory", false, func(x *house) (cache.Store, *resptest.Server) {
			return cache.NewMemory(cache.MemoryOptions{}), nil
		}, other},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startServer(t)
			s.Require("default", oldPassword)
			x := &house{T: t, s: s, before: connected(t, opening(t, s, oldPassword, row.direct))}
			x.change()
			next, server := row.next(x)
			if h, ok := next.(*hybrid.Hybrid); ok {
				connected(t, h)
			}
			// Another replica serves already, and a user signed in at it.
			elsewhere := next.Add(context.Background(), "s:elsewhere", cachetest.Linked(1, 10, "of ann"), time.Minute)
			if elsewhere != nil {
				t.Fatal(elsewhere)
			}
			takeOver(t, x.before, next)
			x.wants(next, map[string]string{"elsewhere": "revoked"})
			if server != nil {
				x.onServer(server, row.want)
			}
			x.wants(next, row.want)
			// A record that is stored after its revocation.
			if err := next.Add(context.Background(), "s:of bob", cachetest.Linked(1, 10, "of bob"), time.Minute); !errors.Is(err, cache.ErrConflict) {
				t.Errorf("a session that was revoked before it was stored: %v", err)
			}
			if server == nil {
				return
			}
			// Records that are known here serve in the next outage too.
			server.Stop()
			for name, want := range row.want {
				if want == "revoked" && is(t, next, name) != want {
					t.Errorf("%s is %s in an outage", name, is(t, next, name))
				}
			}
		})
	}
}

// Changes of a store by requests that began before are passed on to the other one, while
// and after it replaces the store.
func TestL2NothingFallsBetween(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	s.Require("default", oldPassword)
	x := &house{T: t, s: s, before: connected(t, opening(t, s, oldPassword, false))}
	x.change()
	second := connected(t, opening(t, s, newPassword, false))
	other := startServer(t)
	third := connected(t, opening(t, other, "", false))

	var keys []string
	passed := make(chan bool)
	go func() {
		defer close(passed)
		for i := 0; i < 200; i++ {
			key := "meanwhile " + string(rune('a'+i/26)) + string(rune('a'+i%26))
			if err := x.before.Set(ctx, "s:"+key, dead, time.Minute); !cache.Applied(err) {
				t.Error(err)
			}
			keys = append(keys, key)
		}
	}()
	first := takeOver(t, x.before, second)
	takeOver(t, x.before, second) // another middleware of both
	takeOver(t, second, third)
	memory := cache.NewMemory(cache.MemoryOptions{})
	takeOver(t, third, memory)
	takeOver(t, memory, second) // the options from before again, while the others are in use
	<-passed
	for _, key := range keys {
		if is(t, second, key) != "revoked" || is(t, third, key) != "revoked" {
			t.Fatalf("%s is %s in the second store, %s in the third", key, is(t, second, key), is(t, third, key))
		}
	}

	// A request that ends at the first store when the others serve.
	later := x.before.Add(ctx, "s:later", cachetest.Linked(1, 11, "later"), time.Minute)
	if !errors.Is(later, cache.ErrJournalled) {
		t.Fatal(later)
	}
	x.wants(second, map[string]string{"later": "live"})
	x.wants(third, map[string]string{"later": "nothing"})
	_ = x.before.Revoke(ctx, cachetest.Revoking(11, "later"))
	_ = x.before.Add(ctx, "j:later", []byte("owner"), time.Minute)
	x.wants(second, map[string]string{"later": "revoked"})
	for _, b := range []cache.Backend{second, third} {
		if err := b.Add(ctx, "j:later", []byte("another user"), time.Minute); !errors.Is(err, cache.ErrExists) {
			t.Errorf("a marker of the first store can be used again: %v", err)
		}
		if err := b.Add(ctx, "s:last", cachetest.Linked(1, 11, "later"), time.Minute); !errors.Is(err, cache.ErrConflict) {
			t.Errorf("a session that was revoked at the first store before it was stored: %v", err)
		}
	}

	// Each starter of a handover ends it.
	first.End()
	_ = x.before.Set(ctx, "s:after one", dead, time.Minute)
	x.wants(second, map[string]string{"after one": "revoked"})
}

func TestL2AHandoverEnds(t *testing.T) {
	ctx := context.Background()
	before, next := cache.NewMemory(cache.MemoryOptions{}), cache.NewMemory(cache.MemoryOptions{})
	a, b := takeOver(t, before, next), takeOver(t, before, next)
	set := func(key, want string) {
		t.Helper()
		if err := before.Set(ctx, "s:"+key, dead, time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := is(t, next, key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	set("both", "revoked")
	a.End()
	set("one", "revoked")
	b.End()
	set("none", "nothing")
	takeOver(t, before, next)
	if got := is(t, next, "none"); got != "revoked" {
		t.Errorf("the second handover left it %s", got)
	}
}

// A store that never reached its server has made sessions that are nowhere else.
func TestL2AStoreThatNeverConnectedIsMended(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	s.Require("default", newPassword)
	before := opening(t, s, oldPassword, false)
	eventually.True(t, "an outage", func() bool { return before.Stats().Fallback })
	for _, name := range []string{"new", "ended"} {
		if err := before.Add(ctx, "s:"+name, cachetest.Linked(1, 11, name), time.Minute); !errors.Is(err, cache.ErrJournalled) {
			t.Fatal(err)
		}
	}
	_ = before.Set(ctx, "s:ended", dead, time.Minute)
	next := connected(t, opening(t, s, newPassword, false))
	takeOver(t, before, next)
	x := &house{T: t, s: s}
	x.onServer(s, map[string]string{"new": "live", "ended": "revoked"})
}

// A store that lacks a part does not serve. The takeover fails, and can be repeated.
func TestL2ATakeOverFailsWhole(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault resptest.Fault
	}{
		{"full", resptest.Fault{Command: "SET", Key: "x:s:unknown", Reply: "-OOM command not allowed\r\n"}},
		{"forbidden", resptest.Fault{Command: "SET", Key: "x:s:unknown", Reply: "-NOPERM no permissions\r\n"}},
		{"a marker", resptest.Fault{Command: "SET", Key: "x:j:meanwhile", Reply: "-NOPERM no permissions\r\n"}},
		{"a revocation entry", resptest.Fault{Command: "ZSCAN", Reply: "-NOPERM no permissions\r\n"}},
		{"silent", resptest.Fault{Command: "EXEC", Cut: -1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx := context.Background()
			s := startServer(t)
			s.Require("default", oldPassword)
			x := &house{T: t, s: s, before: connected(t, opening(t, s, oldPassword, false))}
			x.change()
			next := connected(t, opening(t, s, newPassword, false))
			s.Inject(row.fault)
			if _, err := cache.TakeOver(ctx, x.before, next); !errors.Is(err, cache.ErrUnavailable) {
				t.Fatalf("it took over: %v", err)
			}
			heal(s)
			eventually.True(t, "well", func() bool { return next.Health(ctx) == nil })
			_ = x.before.Set(ctx, "s:not passed on", dead, time.Minute)
			x.onServer(s, map[string]string{"not passed on": "nothing"})
			takeOver(t, x.before, next)
			x.onServer(s, map[string]string{"ended": "revoked", "unknown": "revoked", "not passed on": "revoked", "new": "live"})
		})
	}
}

// A session that an operator removed is not brought back by a change of options.
func TestATakeOverRevivesNothing(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	before := startHybrid(t, s, false)
	for _, name := range []string{"kept", "removed"} {
		if err := before.Add(ctx, "s:"+name, cachetest.Linked(1, 11, name), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	next := startHybrid(t, s, false)
	s.Remove("x:s:removed")
	takeOver(t, before, next)
	x := &house{T: t, s: s}
	x.onServer(s, map[string]string{"kept": "live", "removed": "nothing"})
	// A read at the moment of the removal may still find it.
	eventually.True(t, "the removed one is nothing", func() bool { return is(t, next, "removed") == "nothing" })
	if got := is(t, next, "kept"); got != "live" {
		t.Errorf("another one is %s", got)
	}
}

// Records that do not fit into the bounds are taken over all the same: they go to Redis.
func TestL2AStoreWithLittleRoomTakesOver(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	s.Require("default", oldPassword)
	before := connected(t, opening(t, s, oldPassword, false))
	s.Require("default", newPassword)
	s.Cut()
	eventually.True(t, "an outage", func() bool {
		_ = before.Health(ctx)
		return before.Stats().Fallback
	})
	const n = 100
	key := func(i int) string { return string(rune('0'+i/10)) + string(rune('0'+i%10)) }
	for i := 0; i < n; i++ {
		_ = before.Set(ctx, "s:"+key(i), dead, time.Minute)
	}
	o := redisAt(s)
	o.Server.Password = newPassword
	next := hybrid.New(hybrid.Options{Redis: o, Memory: cache.MemoryOptions{MaxEntries: 4}})
	t.Cleanup(next.Close)
	next.Start()
	takeOver(t, before, connected(t, next))
	x := &house{T: t, s: s}
	for i := 0; i < n; i++ {
		x.onServer(s, map[string]string{key(i): "revoked"})
	}
}

// A store that serves again does not wait for the one that served meanwhile.
func TestAStoreThatServesAgainIsByItself(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	memory := cache.NewMemory(cache.MemoryOptions{})
	redis := startHybrid(t, s, false)
	takeOver(t, memory, redis)
	takeOver(t, redis, memory)
	s.Stop()
	if err := memory.Set(ctx, "s:k", dead, time.Minute); err != nil {
		t.Error(err)
	}
	if err := memory.Revoke(ctx, cachetest.Revoking(10, "ann")); err != nil {
		t.Error(err)
	}
}

// A change that a store has acknowledged is not undone because a store that replaced it
// for others cannot reach its server. That store has the change in its journal.
func TestAFollowerInAnOutageIsNoFailure(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	memory := cache.NewMemory(cache.MemoryOptions{})
	redis := startHybrid(t, s, false)
	takeOver(t, memory, redis)
	s.Stop()
	if err := memory.Set(ctx, "s:k", dead, time.Minute); err != nil {
		t.Error(err)
	}
	if err := memory.Revoke(ctx, cachetest.Revoking(10, "ann")); err != nil {
		t.Error(err)
	}
	if n := redis.Stats().Journal; n < 2 {
		t.Errorf("%d notes in the journal", n)
	}
}
