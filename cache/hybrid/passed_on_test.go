package hybrid_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

// TestARevocationReadFromRedisIsPassedOn ends a session at another replica, which does
// not know the store that replaces this one. A replica that gave back its records has
// given the next store the session as it was before.
func TestARevocationReadFromRedisIsPassedOn(t *testing.T) {
	for _, row := range []struct {
		name   string
		direct bool
		held   bool // the session, so that the change is reported to the store
		learn  func(b cache.Backend) ([]byte, error)
	}{
		{"L2 by a request", false, true, func(b cache.Backend) ([]byte, error) { return b.Get(context.Background(), "s:alice") }},
		{"L2 by a request, without memory", true, true, func(b cache.Backend) ([]byte, error) { return b.Get(context.Background(), "s:alice") }},
		{"L2 only by a read from Redis", false, false, func(b cache.Backend) ([]byte, error) { return b.Fresh(context.Background(), "s:alice") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx := context.Background()
			s, other := startServer(t), startServer(t)
			before, elsewhere := connected(t, opening(t, s, "", row.direct)), connected(t, opening(t, s, "", false))
			next := connected(t, opening(t, other, "", false))
			live := cachetest.Linked(1, 11, "alice")
			if err := elsewhere.Add(ctx, "s:alice", live, time.Minute); err != nil {
				t.Fatal(err)
			}
			if row.held && is(t, before, "alice") != "live" {
				t.Fatal("the session is not there")
			}
			takeOver(t, before, next)
			if err := next.Add(ctx, "s:alice", live, time.Minute); err != nil {
				t.Fatal(err)
			}

			if err := elsewhere.Set(ctx, "s:alice", dead, time.Minute); err != nil {
				t.Fatal(err)
			}
			eventually.True(t, "the end is read", func() bool {
				v, err := row.learn(before)
				if err != nil && !errors.Is(err, cache.ErrMiss) {
					t.Fatal(err)
				}
				return state(v, err) != "live"
			})
			eventually.True(t, "the store that takes over knows the end", func() bool { return is(t, next, "alice") == "revoked" })
		})
	}
}
