package cache_test

import (
	"context"
	"testing"

	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

func TestVerify(t *testing.T) {
	s := startServer(t, "--requirepass", "secret")
	s.Admin.Close()
	o := redisOptions(s, "x")
	o.Server.Password = "secret"
	ok(t, redis.Verify(context.Background(), o))
	for name, change := range map[string]func(o *redis.Options){
		"no password":        func(o *redis.Options) { o.Server.Password = "" },
		"wrong password":     func(o *redis.Options) { o.Server.Password = "wr0ng" },
		"no such database":   func(o *redis.Options) { o.Server.DB = 99 },
		"nobody listens":     func(o *redis.Options) { o.Server.Address = redistest.FreeAddress(t) },
		"no such user":       func(o *redis.Options) { o.Server.Username = "nobody" },
		"not a Redis at all": func(o *redis.Options) { o.Server.Network, o.Server.Address = "unix", "/nonexistent" },
	} {
		broken := o
		change(&broken)
		err := redis.Verify(context.Background(), broken)
		if err == nil {
			t.Errorf("%s: verified", name)
		} else if text := err.Error(); contains(text, "secret") || contains(text, "wr0ng") {
			t.Errorf("J8 %s: %s", name, text)
		}
	}
}

func contains(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}
