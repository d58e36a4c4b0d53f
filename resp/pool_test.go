package resp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// hold has the server delay the replies to n GETs. It returns when it got them all.
// The returned function lets it reply.
func hold(t testing.TB, s *resptest.Server, c *Client, n int) func() {
	t.Helper()
	var wg sync.WaitGroup
	reply := make(chan struct{})
	before := s.Count("GET")
	s.Inject(resptest.Fault{Command: "GET", Key: "held", Times: n, Until: reply})
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				if _, err := c.Get(bg, "held"); !errors.Is(err, ErrPoolTimeout) {
					return
				}
			}
		}()
	}
	eventually.True(t, "held", func() bool { return s.Count("GET") == before+n })
	return func() {
		close(reply)
		wg.Wait()
	}
}

func TestThereAreNeverMoreConnectionsThanThePoolSize(t *testing.T) {
	for _, size := range []int{1, 3} {
		s, c := start(t, func(o *Options) { o.PoolSize = size })
		var wg sync.WaitGroup
		for g := 0; g < 24; g++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := 0; i < 30; i++ {
					_ = c.Ping(bg)
				}
			}()
		}
		wg.Wait()
		if got := s.Accepted(); got > size {
			t.Errorf("poolSize %d: %d connections", size, got)
		}
	}
}

func TestPoolTimeoutBoundsTheWaitAndTheDial(t *testing.T) {
	change := func(o *Options) { o.PoolSize = 1; o.PoolTimeout = 40 * time.Millisecond }
	s, c := start(t, change)
	release := hold(t, s, c, 1)
	err := ends(t, func() error { return c.Ping(bg) })
	if !errors.Is(err, ErrPoolTimeout) || !errors.Is(err, ErrNotSent) {
		t.Fatalf("wait: %v", err)
	}
	if !strings.Contains(err.Error(), "1 open, 0 idle, 0 waiting") {
		t.Errorf("the error does not contain the state of the pool: %v", err)
	}
	release()

	s, c = start(t, change)
	s.Inject(resptest.Fault{Command: "HELLO", Hang: true})
	if err := ends(t, func() error { return c.Ping(bg) }); !errors.Is(err, ErrPoolTimeout) {
		t.Errorf("dial: %v", err)
	}
	if p := c.Stats().Pool; p.Open != 1 || p.Dialling != 1 || p.Timeouts != 1 {
		t.Errorf("%+v", p)
	}
}

func TestANewConnectionWithoutAWaiterIsKept(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	answer := make(chan struct{})
	s.Inject(resptest.Fault{Command: "HELLO", Times: 1, Until: answer})
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error, 1)
	go func() { done <- c.Ping(ctx) }()
	eventually.True(t, "on its way", func() bool { return s.Count("HELLO") == 1 })
	cancel()
	if err := <-done; !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	close(answer)
	eventually.True(t, "idle", func() bool { return c.Stats().Pool.Idle == 1 })
	if err := c.Ping(bg); err != nil || s.Accepted() != 1 {
		t.Errorf("%v, %d connections", err, s.Accepted())
	}
}

func TestWaitersAreServedInOrder(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	release := hold(t, s, c, 1)
	var wg sync.WaitGroup
	for i := 0; i < 10; i++ {
		wg.Add(1)
		go func(i int) { defer wg.Done(); _ = c.Set(bg, fmt.Sprint(i), nil, time.Minute) }(i)
		eventually.True(t, "waiting", func() bool { return c.Stats().Pool.Waiting == i+1 })
	}
	release()
	wg.Wait()
	order := ""
	for _, args := range s.Commands() {
		if args[0] == "SET" {
			order += args[1]
		}
	}
	if order != "0123456789" {
		t.Errorf("order %s", order)
	}
}

func TestACancelledWaiterLeavesAtOnce(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	release := hold(t, s, c, 1)
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error, 1)
	go func() { done <- c.Ping(ctx) }()
	eventually.True(t, "waiting", func() bool { return c.Stats().Pool.Waiting == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	if p := c.Stats().Pool; p.Waiting != 0 || p.InUse != 1 {
		t.Errorf("%+v", p)
	}
	release()
}

func TestTheNumberOfWaitersIsBounded(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1; o.MaxWaiting = 1 })
	release := hold(t, s, c, 1)
	go func() { _ = c.Ping(bg) }()
	eventually.True(t, "waiting", func() bool { return c.Stats().Pool.Waiting == 1 })
	if err := c.Ping(bg); !errors.Is(err, ErrPoolTimeout) {
		t.Error(err)
	}
	release()
}

func TestTheConnectionUsedLastIsUsedNext(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 4 })
	hold(t, s, c, 4)()
	top := c.only.pop()
	c.only.put(top)
	for i := 0; i < 5; i++ {
		_ = c.Ping(bg)
	}
	if again := c.only.pop(); again != top {
		t.Error("another connection is on top")
	} else {
		c.only.put(again)
	}
	if p := c.Stats().Pool; p.Idle != 4 {
		t.Errorf("%+v", p)
	}
}

// A clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (k *clock) now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at
}

func (k *clock) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = k.at.Add(d)
}

func TestOldAndIdleConnectionsAreClosed(t *testing.T) {
	rows := []struct {
		name   string
		change func(*Options)
		pass   time.Duration
		closed bool
	}{
		{"young", func(o *Options) { o.MaxConnAge = time.Hour; o.IdleTimeout = -1 }, 50 * time.Minute, false},
		{"old", func(o *Options) { o.MaxConnAge = time.Hour; o.IdleTimeout = -1 }, 67 * time.Minute, true},
		{"no limits", func(o *Options) { o.MaxConnAge = -1; o.IdleTimeout = -1 }, 10000 * time.Hour, false},
		{"idle", func(o *Options) { o.MaxConnAge = -1; o.IdleTimeout = time.Minute }, 61 * time.Second, true},
		{"not idle for long", func(o *Options) { o.MaxConnAge = -1; o.IdleTimeout = time.Minute }, 50 * time.Second, false},
	}
	for _, row := range rows {
		for _, swept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, swept %v", row.name, swept), func(t *testing.T) {
				k := &clock{at: time.Now()}
				s, c := start(t, func(o *Options) { o.Now = k.now; row.change(o) })
				hold(t, s, c, 3)()
				k.pass(row.pass)
				if swept {
					c.only.sweep()
					if open := c.Stats().Pool.Open; (open == 0) != row.closed {
						t.Errorf("%d open", open)
					}
				}
				if err := c.Ping(bg); err != nil {
					t.Error(err)
				}
				if made := s.Accepted() > 3; made != row.closed {
					t.Errorf("%d connections made", s.Accepted())
				}
				eventually.True(t, "closed", func() bool { return s.Conns() == c.Stats().Pool.Open })
			})
		}
	}
}

func TestAgesAreSpread(t *testing.T) {
	o := Options{MaxConnAge: time.Hour}.withDefaults()
	least, most := time.Duration(1<<62), time.Duration(0)
	for i := 0; i < 1000; i++ {
		d := o.age()
		if d < least {
			least = d
		}
		if d > most {
			most = d
		}
	}
	if least < 54*time.Minute || least > 56*time.Minute || most > 66*time.Minute+time.Second || most < 64*time.Minute {
		t.Errorf("from %v to %v", least, most)
	}
}

func TestMinIdleConnectionsAreKept(t *testing.T) {
	s, c := start(t, func(o *Options) { o.MinIdle = 3 })
	if s.Accepted() != 0 {
		t.Error("connects before it is used")
	}
	_ = c.Ping(bg)
	for i := 0; i < 2; i++ {
		c.only.sweep()
		eventually.True(t, "three idle", func() bool { return c.Stats().Pool.Idle == 3 })
		s.Cut()
		for j := 0; j < 3; j++ {
			_ = c.Ping(bg)
		}
	}
}

func TestAnIdleConnectionProvesItselfWithANonce(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	_ = c.Set(bg, "k", []byte("v"), time.Minute)
	x := c.only.pop()
	x.due, x.proved = 0, 0 // a second has passed
	c.only.put(x)
	before := len(s.Commands())
	if _, err := c.Get(bg, "k"); err != nil {
		t.Fatal(err)
	}
	var names []string
	nonces := map[string]bool{}
	for _, args := range s.Commands()[before:] {
		names = append(names, args[0])
		if args[0] == "PING" {
			nonces[args[1]] = true
		}
	}
	if strings.Join(names, " ") != "PING GET PING" || len(nonces) != 2 {
		t.Errorf("commands %q", s.Commands()[before:])
	}
	x = c.only.pop()
	x.due, x.proved = 0, 0
	c.only.put(x)
	s.Inject(resptest.Fault{Command: "PING", Times: 1, Reply: "$4\r\nPONG\r\n"})
	if _, err := c.Get(bg, "k"); err != nil || s.Accepted() != 2 || c.Stats().Pool.Stale != 1 {
		t.Errorf("a wrong nonce: %v, %d connections", err, s.Accepted())
	}
}

func TestCloseEndsWaitingAndLetsExchangesFinish(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	s.Put("held", "v")
	release := hold(t, s, c, 1)
	done := make(chan error, 1)
	go func() { done <- c.Ping(bg) }()
	eventually.True(t, "waiting", func() bool { return c.Stats().Pool.Waiting == 1 })
	c.Close()
	c.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	release()
	if err := c.Ping(bg); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	eventually.True(t, "no connection left", func() bool { return s.Conns() == 0 })
	if p := c.Stats().Pool; p.Open != 0 || p.Idle != 0 || p.InUse != 0 {
		t.Errorf("%+v", p)
	}
}
