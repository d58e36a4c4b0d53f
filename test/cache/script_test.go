package cache_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/redis"
)

// candidate is a value near the edges of the rule of records.
func candidate(r *rand.Rand) []byte {
	versions := []uint64{0, 1, 2, 255, 256, 1<<32 - 1, 1 << 32, 1<<53 + 1, 1<<63 + 1, 1<<64 - 1}
	b := cachetest.Record(cache.State(1+r.Intn(2)), versions[r.Intn(len(versions))], string(rune('a'+r.Intn(2))))
	b[11+r.Intn(8)] ^= byte(r.Intn(2)) // expiries that differ somewhere
	switch r.Intn(12) {
	case 0:
		b[0] = byte(0xA0 + r.Intn(16))
	case 1:
		b = b[:r.Intn(len(b))]
	case 2:
		b[2] = byte(r.Intn(4))
	case 3:
		b = []byte("text")
	}
	return b
}

// The scripts, their replacement where scripts are forbidden, and Memory decide every
// pair of values alike.
func TestTheRuleIsTheSameEverywhere(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-eval", "-evalsha")
	scripted := redis.New(redisOptions(s, "a"))
	t.Cleanup(scripted.Close)
	o := redisOptions(s, "b")
	o.Server.Username, o.Server.Password = "app", "secret"
	unscripted := redis.New(o)
	t.Cleanup(unscripted.Close)

	r := rand.New(rand.NewSource(1))
	for i := range 3000 {
		stored, next := candidate(r), candidate(r)
		if r.Intn(8) == 0 {
			next = stored
		}
		version := uint64(r.Intn(3))
		set := r.Intn(2) == 0
		memory := cache.NewMemory(cache.MemoryOptions{})
		ok(t, memory.Set(ctx, "k", stored, time.Minute))
		s.Do("SET", "a:k", string(stored), "PX", "60000")
		s.Do("SET", "b:k", string(stored), "PX", "60000")
		write := func(b cache.Backend) (error, []byte) {
			var err error
			if set {
				err = b.Set(ctx, "k", next, time.Minute)
			} else {
				err = b.CompareAndSet(ctx, "k", version, next, time.Minute)
			}
			v, _ := b.Get(ctx, "k")
			return err, v
		}
		wantErr, want := write(memory)
		for name, b := range map[string]cache.Backend{"script": scripted, "stand-in": unscripted} {
			err, got := write(b)
			if !alike(err, wantErr) || !bytes.Equal(got, want) {
				t.Fatalf("pair %d, set %t: stored %x, next %x: %s says %v and keeps %x; memory %v, %x",
					i, set, stored, next, name, err, got, wantErr, want)
			}
		}
	}
}

func alike(a, b error) bool {
	for _, e := range []error{cache.ErrMiss, cache.ErrConflict, cache.ErrExists, cache.ErrInvalid, cache.ErrUnavailable} {
		if errors.Is(a, e) != errors.Is(b, e) {
			return false
		}
	}
	return (a == nil) == (b == nil)
}
