package cache_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
)

// startSlots starts a server that refuses commands and scripts on keys of several slots.
func startSlots(t *testing.T, args ...string) *server {
	t.Helper()
	s := startServer(t, append([]string{"--cluster-enabled", "yes"}, args...)...)
	s.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	eventually.True(t, "the server has all slots", func() bool {
		return resp.InfoField(s.Do("CLUSTER", "INFO"), "cluster_state") == "ok"
	})
	return s
}

func TestKeysOfACommandShareASlot(t *testing.T) {
	s := startSlots(t)
	s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-eval", "-evalsha", "-script")
	t.Run("Redis", func(t *testing.T) {
		cachetest.Run(t, func(t *testing.T) cachetest.Subject {
			r := redis.New(redisOptions(s, freshPrefix()))
			t.Cleanup(r.Close)
			return cachetest.Subject{Backend: r}
		})
	})
	t.Run("Redis without scripts", func(t *testing.T) {
		cachetest.Run(t, func(t *testing.T) cachetest.Subject {
			o := redisOptions(s, freshPrefix())
			o.Server.Username, o.Server.Password = "app", "secret"
			r := redis.New(o)
			t.Cleanup(r.Close)
			return cachetest.Subject{Backend: r}
		})
	})
	t.Run("Hybrid", func(t *testing.T) {
		cachetest.Run(t, func(t *testing.T) cachetest.Subject {
			return cachetest.Subject{Backend: startReplica(t, s, freshPrefix(), nil)}
		})
	})
}

func leaseOf(owner string) cache.Lease {
	return cache.Lease{Record: "s:{ab}k", Version: 1, Grant: "grant", Owner: owner, TTL: time.Minute, Keep: time.Hour}
}

// A lease of a data set that was replaced meanwhile may have been given to another
// replica before.
func TestALeaseBelongsToOneDataSet(t *testing.T) {
	s := startServer(t)
	r := redis.New(redisOptions(s, "x"))
	t.Cleanup(r.Close)
	ctx := context.Background()
	id, err := r.Identify(ctx)
	ok(t, err)
	ok(t, r.Add(ctx, "s:{ab}k", live(1), time.Hour))
	l := leaseOf("me")
	s.Do("SET", "x:epoch", "another")
	if _, err := r.AcquireIn(ctx, l, id.DataSet); err == nil {
		t.Fatal("a lease of another data set was given")
	}
	if s.has("x:"+l.Key()) || s.has("x:"+l.UsedKey()) {
		t.Error("the refused lease is held")
	}
	l.Record = "s:{ab}none"
	if _, err := r.AcquireIn(ctx, l, id.DataSet); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("a record that another data set lacks: %v", err)
	}
	if _, err := r.AcquireIn(ctx, leaseOf("you"), "another"); err != nil {
		t.Errorf("the lease is not given in its own data set: %v", err)
	}
}

// startUninformed starts a replica with a Redis user that may not run INFO.
func startUninformed(t *testing.T, s *server) *replica {
	t.Helper()
	return startReplica(t, s, "x", func(o *hybrid.Options) {
		o.Redis.Server.Username, o.Redis.Server.Password = "app", "secret"
	})
}

func allowNoInfo(s *server) {
	s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-@dangerous")
}

func TestWithoutInfo(t *testing.T) {
	t.Run("a restart without data signs no user out", func(t *testing.T) {
		s := startServer(t)
		allowNoInfo(s)
		a := startUninformed(t, s)
		if got := a.log.count(hybrid.InfoRefused); got != 1 {
			t.Errorf("reported %d times that INFO is refused", got)
		}
		ok(t, a.put("s:a", live(3)))
		ok(t, a.put("s:ended", live(1)))
		ok(t, a.put("s:ended", revoked()))
		s.Kill()
		s.Start("--user", "app", "on", ">secret", "~*", "&*", "+@all", "-@dangerous")
		a.until("loss noticed", func(hybrid.Stats) bool { return a.log.count(hybrid.DataLost) == 1 })
		a.untilRestored()
		a.is("s:a", "3")
		a.is("s:ended", "revoked")
		for _, k := range []string{"x:s:a", "x:s:ended"} {
			if !s.has(k) {
				t.Errorf("%s was not given back", k)
			}
		}
	})
	t.Run("FLUSHALL signs all users out", func(t *testing.T) {
		s := startServer(t)
		allowNoInfo(s)
		a := startUninformed(t, s)
		ok(t, a.put("s:a", live(1)))
		s.Do("FLUSHALL")
		a.becomes("s:a", "miss")
		a.untilRestored()
		if s.has("x:s:a") || a.log.count(hybrid.DataLost) != 0 {
			t.Error("taken for a loss of data")
		}
	})
	t.Run("a server that lagged takes back no revocation", func(t *testing.T) {
		s := startServer(t)
		allowNoInfo(s)
		a := startUninformed(t, s)
		ok(t, a.put("s:ended", live(1)))
		before, epoch := s.Do("GET", "x:s:ended").Str, s.Do("GET", "x:epoch").Str
		ok(t, a.put("s:ended", revoked()))
		s.Kill()
		s.Start()
		s.Do("SET", "x:epoch", string(epoch))
		s.Do("SET", "x:s:ended", string(before), "PX", "3600000")
		allowNoInfo(s)
		eventually.True(t, "the revocation is in Redis again", func() bool {
			return cache.KindOf(s.Do("GET", "x:s:ended").Str) == cache.RevokedRecord
		})
	})
}

// A flush of another database of the server makes values stale, and nothing else.
func TestAFlushOfAnotherDatabaseSignsNoUserOut(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	for i := range 20 {
		ok(t, a.put("s:"+strconv.Itoa(i), live(1)))
	}
	s.Do("EVAL", "redis.call('SELECT', 3); redis.call('SET', 'k', 'v'); redis.call('FLUSHDB'); return 1", "0")
	for i := range 20 {
		a.is("s:"+strconv.Itoa(i), "1")
	}
	if a.log.count(hybrid.DataLost) != 0 {
		t.Error("taken for a loss of data")
	}
}
