package resp_test

import (
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
)

// changes records the calls of a Tracker.
type changes struct {
	mu    sync.Mutex
	calls []string
	down  error
}

func (c *changes) Up()                   { c.record("up") }
func (c *changes) Down(err error)        { c.mu.Lock(); c.down = err; c.mu.Unlock(); c.record("down") }
func (c *changes) Invalidate(k []string) { c.record(fmt.Sprint(k)) }
func (c *changes) record(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (c *changes) has(call string) bool { return c.count(call) > 0 }

func (c *changes) count(call string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, one := range c.calls {
		if one == call {
			n++
		}
	}
	return n
}

func TestARealServerReportsEveryKindOfChange(t *testing.T) {
	s := startServer(t)
	c := s.client(nil)
	h := &changes{}
	tr := resp.NewTracker(resp.Options{Address: s.Address()}, []string{"p:s:", "p:r:"}, h)
	tr.Start()
	defer tr.Close()
	eventually.True(t, "up", func() bool { return h.has("up") })
	told := func(key string, change ...string) {
		eventually.True(t, key, func() bool { // again where a busy machine looked like a lost server
			do(t, c, change...)
			return h.has(key)
		})
	}
	told("[p:s:written]", "SET", "p:s:written", "v")
	told("[p:s:expired]", "SET", "p:s:expired", "v", "PX", "20")
	told("[p:r:set]", "ZADD", "p:r:set", "1", "m")
	do(t, c, "SET", "p:j:untold", "v")
	do(t, c, "DEL", "p:s:written")
	told("[]", "FLUSHALL")
	if h.has("[p:j:untold]") {
		t.Errorf("the calls were %q", h.calls)
	}
	s.Signal(syscall.SIGSTOP)
	lost := h.count("down")
	eventually.True(t, "down", func() bool { return h.count("down") > lost })
	s.Signal(syscall.SIGCONT)
}

func TestASubscriberOfARealServer(t *testing.T) {
	s := startServer(t)
	h := &changes{}
	sub := resp.NewSubscriber(resp.Options{Address: s.Address()}, "ch", h)
	sub.Start()
	defer sub.Close()
	eventually.True(t, "up", func() bool { return h.has("up") })
	c := s.client(nil)
	eventually.True(t, "told", func() bool {
		do(t, c, "PUBLISH", "ch", "key")
		return h.has("[key]")
	})
}
