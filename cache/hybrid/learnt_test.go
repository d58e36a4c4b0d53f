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

// TestWhatIsLearntIsPassedOn has a session end at another replica, which knows nothing of
// the store that takes the place of this one. A replica that gave back what it held has
// given the next store the session as it was before.
func TestWhatIsLearntIsPassedOn(t *testing.T) {
	for _, row := range []struct {
		name   string
		direct bool
		held   bool // the session, so that the store is told of the change
		learn  func(b cache.Backend) ([]byte, error)
	}{
		{"L2 by a request", false, true, func(b cache.Backend) ([]byte, error) { return b.Get(context.Background(), "s:alice") }},
		{"L2 by a request, without memory", true, true, func(b cache.Backend) ([]byte, error) { return b.Get(context.Background(), "s:alice") }},
		{"L2 by a question to Redis alone", false, false, func(b cache.Backend) ([]byte, error) { return b.Fresh(context.Background(), "s:alice") }},
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
			eventually.True(t, "the end is learnt", func() bool {
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
