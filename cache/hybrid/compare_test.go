package hybrid_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// counter counts the events of one kind.
type counter struct {
	kind hybrid.Event
	n    atomic.Int64
}

func (c *counter) Observe(e hybrid.Event, cause error) {
	if e == c.kind {
		c.n.Add(1)
	}
}

func startObserved(t *testing.T, o hybrid.Options) *hybrid.Hybrid {
	t.Helper()
	h := hybrid.New(o)
	t.Cleanup(h.Close)
	h.Start()
	eventually.True(t, "connected", func() bool { return h.Stats().Connected && h.Stats().Tracking && h.Stats().Leases })
	return h
}

// When a name leads to another server while the old one lives, the invalidation link
// moves too. A sign-out at the new server would go unnoticed otherwise.
func TestTheLinkFollowsAServerThatMoved(t *testing.T) {
	ctx := context.Background()
	old, next := startServer(t), startServer(t)
	next.Restart(t, false) // it has another run ID after that
	var moved atomic.Bool
	o := hybrid.Options{Redis: redisAt(old)}
	o.Redis.Server.PoolSize = 1
	o.Redis.Server.MinIdle = 1
	o.Redis.Server.MaxConnAge = -1
	o.Redis.Server.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if moved.Load() {
			address = next.Addr()
		}
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	h := startObserved(t, o)
	if err := h.Add(ctx, "s:k", record(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	moved.Store(true)
	// One connection is lost, that of the commands or the link; the other one stays.
	old.Inject(resptest.Fault{Command: "PING", Cut: -1, Times: 1})
	eventually.True(t, "the new server has the link", func() bool {
		_ = h.Health(ctx)
		return next.Count("CLIENT") > 0 && next.Count("PING") > 1 && h.Stats().Tracking
	})
	next.Put("x:s:k", string(cachetest.Record(cache.Revoked, 2, "")))
	eventually.True(t, "the change at the new server is known", func() bool {
		v, err := h.Get(ctx, "s:k")
		if err != nil {
			return false
		}
		header, _, err := cache.ParseRecord(v)
		return err == nil && header.State == cache.Revoked
	})
}

// Another data set in the same server, as after `SWAPDB`, is noticed by the health check.
func TestAnotherDataSetIsNoticed(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	h := startObserved(t, hybrid.Options{Redis: redisAt(s), MaxL1Age: time.Hour})
	if err := h.Add(ctx, "s:k", record(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	if version(t, h, "s:k") != 1 {
		t.Fatal("not held")
	}
	before := s.Count("GET")
	_ = version(t, h, "s:k")
	if s.Count("GET") != before {
		t.Fatal("memory does not hold it")
	}
	s.Put("x:epoch", "another")
	eventually.True(t, "it is read again", func() bool {
		_ = h.Health(ctx)
		n := s.Count("GETRANGE") + s.Count("MGET") + s.Count("GET")
		_ = version(t, h, "s:k")
		return s.Count("GETRANGE")+s.Count("MGET")+s.Count("GET") > n
	})
}

// A policy that the operator changes later is reported once.
func TestAPolicyThatBeginsToEvictIsReported(t *testing.T) {
	s := startServer(t)
	c := &counter{kind: hybrid.MayEvict}
	h := startObserved(t, hybrid.Options{Redis: redisAt(s), Observer: c})
	_ = h.Health(context.Background())
	if c.n.Load() != 0 {
		t.Fatal("reported without a cause")
	}
	s.Configure("maxmemory", "1000000")
	s.Configure("maxmemory-policy", "allkeys-lru")
	for i := 0; i < 3; i++ {
		if err := h.Health(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if c.n.Load() != 1 {
		t.Errorf("reported %d times, want once", c.n.Load())
	}
}

// A value is read again at MaxL1Age although no change is reported.
func TestValuesAreReadAgainAtTheirAge(t *testing.T) {
	ctx := context.Background()
	s := startServer(t)
	h := startObserved(t, hybrid.Options{Redis: redisAt(s), MaxL1Age: 10 * time.Millisecond})
	if err := h.Add(ctx, "s:k", record(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	before := s.Count("GET")
	eventually.True(t, "it is read again", func() bool {
		_ = version(t, h, "s:k")
		return s.Count("GET") > before+3
	})
}
