package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
)

// TestAnIndexFollowsItsRecords compares the records that revocations end with those in a
// map, while records are created, refreshed, deleted, expired and evicted.
func TestAnIndexFollowsItsRecords(t *testing.T) {
	ctx := context.Background()
	c := cachetest.NewClock()
	m := cache.NewMemory(cache.MemoryOptions{MaxEntries: 60, Now: c.Now})
	random := rand.New(rand.NewSource(1))
	users := map[string]string{} // by every key that was created
	for step := 0; step < 20000; step++ {
		key := fmt.Sprintf("s:%d", step)
		if random.Intn(3) > 0 && len(users) > 0 {
			key = fmt.Sprintf("s:%d", random.Intn(step))
		}
		user := fmt.Sprintf("user %d %d", random.Intn(8), step/1000)
		switch random.Intn(10) {
		case 0:
			_ = m.Delete(ctx, key)
		case 1:
			c.Elapse(time.Duration(random.Intn(2000)) * time.Millisecond)
		case 2:
			if p := users[key]; p != "" {
				_ = m.CompareAndSet(ctx, key, 1, cachetest.Linked(2, 11, p, key), time.Minute)
			}
		case 3:
			if err := m.Revoke(ctx, cachetest.Revoking(10, user)); err != nil {
				t.Fatal(err)
			}
			for k, p := range users {
				if p == user && living(t, m, k) {
					t.Fatalf("step %d: %s of %s lives", step, k, p)
				}
			}
		default:
			if users[key] == "" && m.Add(ctx, key, cachetest.Linked(1, 11, user, key), time.Duration(1+random.Intn(60))*time.Second) == nil {
				users[key] = user
			}
		}
	}
}

func living(t *testing.T, m *cache.Memory, key string) bool {
	t.Helper()
	value, err := m.Get(context.Background(), key)
	if errors.Is(err, cache.ErrMiss) {
		return false
	}
	h, _, err := cache.ParseRecord(value)
	if err != nil {
		t.Fatal(err)
	}
	return h.State == cache.Live
}
