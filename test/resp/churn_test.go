package resp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
)

// sockets returns the number of sockets that this process has open.
func sockets(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// TestNothingIsLeftOfManyOperations carries out 100,000 operations among
// killed connections and callers that give up. It looks for places, sockets and
// goroutines that did not come back, and for values of others.
func TestNothingIsLeftOfManyOperations(t *testing.T) {
	const callers, each = 32, 3125
	s := startServer(t)
	goroutines, open := runtime.NumGoroutine(), sockets(t)
	c := resp.NewClient(resp.Options{Address: s.Address(), OperationTimeout: time.Second})
	killer := resp.NewClient(resp.Options{Address: s.Address(), PoolSize: 1})
	var wg sync.WaitGroup
	var failures sync.Map
	for g := 0; g < callers; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			random := rand.New(rand.NewSource(int64(g)))
			key := fmt.Sprint("k", g)
			var wrote []string // the possible values of the key: the last acknowledged, and ambiguous ones after it
			for i := 0; i < each; i++ {
				ctx, cancel := context.WithCancel(bg)
				switch random.Intn(50) {
				case 0:
					cancel()
				case 1:
					time.AfterFunc(time.Duration(random.Intn(300))*time.Microsecond, cancel)
				}
				if g == 0 && i%20 == 0 {
					_, _ = killer.Do(bg, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				}
				if i%2 == 0 {
					value := fmt.Sprint(g, "-", i)
					err := c.Set(ctx, key, []byte(value), time.Minute)
					if err == nil {
						wrote = []string{value}
					} else if errors.Is(err, resp.ErrAmbiguous) {
						wrote = append(wrote, value)
					} else if !errors.Is(err, resp.ErrNotSent) {
						failures.Store(err.Error(), true)
					}
				} else {
					got, err := c.Get(ctx, key)
					if err == nil && !bytes.Contains([]byte(strings.Join(wrote, " ")), got) {
						failures.Store(fmt.Sprintf("%s holds %q, not one of %q", key, got, wrote), true)
					}
				}
				cancel()
			}
		}()
	}
	wg.Wait()
	failures.Range(func(failure, _ any) bool { t.Error(failure); return true })
	eventually.True(t, "no connection is on its way", func() bool { return c.Stats().Pool.Dialling == 0 })
	p := c.Stats().Pool
	if p.InUse != 0 || p.Waiting != 0 || p.Dialling != 0 || p.Open != p.Idle || p.Open > 10 {
		t.Errorf("places are missing: %+v", p)
	}
	total := uint64(0)
	for _, command := range c.Stats().Commands {
		total += command.Count
	}
	if total != callers*each {
		t.Errorf("%d operations were counted", total)
	}
	t.Logf("%+v", p)
	c.Close()
	killer.Close()
	eventually.True(t, "sockets are back", func() bool { return sockets(t) <= open })
	eventually.True(t, "goroutines are back", func() bool { return runtime.NumGoroutine() <= goroutines })
}
