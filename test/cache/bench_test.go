package cache_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

const rounds = 5

// TestNumbers prints the costs of the stores, compiled and interpreted, side by side in
// one run: medians of five interleaved rounds.
//
//	BENCH=1 go test -run TestNumbers -v .
func TestNumbers(t *testing.T) {
	if os.Getenv("BENCH") == "" {
		t.Skip("set BENCH=1 to measure")
	}
	s := startServer(t)
	i := interpreter(t)
	if wrong := eval[func(string) string](t, i, "drive.Open")(s.Address()); wrong != "" {
		t.Fatal(wrong)
	}
	defer eval[func()](t, i, "drive.Close")()
	run := eval[func(string, string, int) []int64](t, i, "drive.Measure")
	tracking := eval[func() bool](t, i, "drive.Tracking")
	eventually.True(t, "tracking", tracking)
	stores := compiledStores(t, s)
	samples := map[string][]int64{}
	for range rounds {
		for _, store := range []string{"memory", "redis", "hybrid"} {
			for _, op := range []string{"read", "write"} {
				c, n := store+" "+op+" compiled", store+" "+op+" interpreted"
				samples[c] = append(samples[c], measure(stores[store], op, 5000)...)
				samples[n] = append(samples[n], run(store, op, 1000)...)
			}
		}
	}
	fmt.Printf("%-30s %10s %10s %12s\n", "one caller", "p50", "p99", "operations/s")
	for _, how := range []string{"compiled", "interpreted"} {
		for _, op := range []string{"read", "write"} {
			for _, store := range []string{"memory", "redis", "hybrid"} {
				print(store+" "+op+" "+how, samples)
			}
		}
		hit, get := p(samples["hybrid read "+how], 50), p(samples["redis read "+how], 50)
		fmt.Printf("an L1 hit is %.3f of a pooled GET, %s\n", float64(hit)/float64(get), how)
	}
}

func print(name string, samples map[string][]int64) {
	all := samples[name]
	sum := int64(0)
	for _, d := range all {
		sum += d
	}
	fmt.Printf("%-30s %10s %10s %12.0f\n", name, time.Duration(p(all, 50)), time.Duration(p(all, 99)), 1e9*float64(len(all))/float64(sum))
}

// p is a percentile of samples.
func p(samples []int64, percent int) int64 {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[len(sorted)*percent/100]
}

func compiledStores(t *testing.T, s *server) map[string]cache.Backend {
	r := redis.New(redisOptions(s, "rc"))
	t.Cleanup(r.Close)
	return map[string]cache.Backend{
		"memory": cache.NewMemory(cache.MemoryOptions{}),
		"redis":  r,
		"hybrid": startReplica(t, s, "hc", nil),
	}
}

// measure times n operations, one after the other.
func measure(b cache.Backend, op string, n int) []int64 {
	ctx := context.Background()
	value := cachetest.Record(cache.Live, 1, string(make([]byte, 1000)))
	took := make([]int64, 0, n)
	_ = b.Add(ctx, "s:read", value, time.Hour)
	settle(b)
	for i := range n {
		key := "s:write" + strconv.Itoa(i%1000)
		if op == "write" && i < 1000 {
			_ = b.Delete(ctx, key)
		}
		start := time.Now()
		if op == "read" {
			_, _ = b.Get(ctx, "s:read")
		} else {
			_ = b.Set(ctx, key, value, time.Hour)
		}
		took = append(took, int64(time.Since(start)))
	}
	return took
}

// settle waits until a Hybrid has the report of its own write.
func settle(b cache.Backend) {
	for range 1000 {
		_, _ = b.Get(context.Background(), "s:read")
	}
}
