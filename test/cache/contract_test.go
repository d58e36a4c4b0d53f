package cache_test

import (
	"testing"

	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
)

func TestRedisKeepsTheContract(t *testing.T) {
	s := startServer(t)
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		r := redis.New(redisOptions(s, freshPrefix()))
		t.Cleanup(r.Close)
		return cachetest.Subject{Backend: r}
	})
}

func TestRedisWithoutScriptsKeepsTheContract(t *testing.T) {
	s := startServer(t)
	s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-eval", "-evalsha", "-script")
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		o := redisOptions(s, freshPrefix())
		o.Server.Username, o.Server.Password = "app", "secret"
		r := redis.New(o)
		t.Cleanup(r.Close)
		return cachetest.Subject{Backend: r}
	})
}

func TestHybridKeepsTheContract(t *testing.T) {
	s := startServer(t)
	for name, change := range map[string]func(o *hybrid.Options){
		"hybrid":    nil,
		"direct":    func(o *hybrid.Options) { o.Direct = true },
		"memory 10": func(o *hybrid.Options) { o.Memory.MaxEntries = 10 },
	} {
		t.Run(name, func(t *testing.T) {
			cachetest.Run(t, func(t *testing.T) cachetest.Subject {
				return cachetest.Subject{Backend: startReplica(t, s, freshPrefix(), change)}
			})
		})
	}
}

func TestHybridWithoutTrackingKeepsTheContract(t *testing.T) {
	s := startServer(t)
	s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-client|tracking")
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		r := newReplica(t, s, freshPrefix(), func(o *hybrid.Options) {
			o.Redis.Server.Username, o.Redis.Server.Password = "app", "secret"
		})
		r.until("connected", func(x hybrid.Stats) bool { return x.Connected && x.Leases })
		return cachetest.Subject{Backend: r}
	})
}
