package resp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

func TestUnrepeatableCommandsAreNotRepeated(t *testing.T) {
	rows := []struct {
		args   []string
		repeat bool
	}{
		{[]string{"GET", "k"}, true},
		{[]string{"SET", "k", "v"}, true},
		{[]string{"SET", "k", "v", "PX", "1000"}, true},
		{[]string{"SET", "k", "v", "XX"}, false},
		{[]string{"SET", "k", "v", "PX", "1000", "NX"}, false},
		{[]string{"ZADD", "z", "1", "m"}, true},
		{[]string{"PUBLISH", "c", "k"}, true},
		{[]string{"INCR", "k"}, false},
		{[]string{"EXEC"}, false},
	}
	for _, row := range rows {
		s, c := start(t, nil)
		s.Inject(resptest.Fault{Times: 1, Cut: -1, Command: row.args[0]})
		_, err := c.Do(bg, row.args...)
		if repeated := !errors.Is(err, ErrAmbiguous); repeated != row.repeat {
			t.Errorf("%q: %v", row.args, err)
		}
	}
}

func TestACancelledCallerNeitherSendsNorPoisons(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	s.Put("b", "of b")
	warmUp(t, c)
	ctx, cancel := context.WithCancel(bg)
	reply := make(chan struct{})
	s.Inject(resptest.Fault{Command: "GET", Key: "b", Times: 1, Until: reply})
	sent := s.Count("GET")
	done := make(chan error, 1)
	go func() {
		got, err := c.Get(ctx, "b")
		if err == nil && string(got) != "of b" {
			err = fmt.Errorf("holds %q", got)
		}
		done <- err
	}()
	eventually.True(t, "sent", func() bool { return s.Count("GET") > sent })
	cancel()
	close(reply)
	if err := <-done; err != nil {
		t.Errorf("an exchange that had begun: %v", err)
	}
	sent = s.Count("GET")
	_, err := c.Get(ctx, "b")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotSent) || s.Count("GET") != sent {
		t.Errorf("after the cancellation: %v", err)
	}
	if got := s.Accepted(); got != 1 {
		t.Errorf("%d connections", got)
	}
}

func TestTheDeadlineOfAContextIsKept(t *testing.T) {
	s, c := start(t, nil)
	s.Put("b", "v")
	warmUp(t, c)
	s.Inject(resptest.Fault{Command: "GET", Hang: true})
	ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
	defer cancel()
	if err := ends(t, func() error { _, err := c.Get(ctx, "b"); return err }); err == nil {
		t.Error("a command without a reply succeeded")
	}
	if _, err := c.Get(ctx, "b"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNotSent) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestADownServerCostsAtMostTheBudget(t *testing.T) {
	s, c := start(t, func(o *Options) { o.OperationTimeout = 150 * time.Millisecond; o.MaxRetries = 1 << 30 })
	c.only.credit = 1 << 30 // retries do not end for lack of it
	s.Stop()
	if err := ends(t, func() error { _, err := c.Get(bg, "k"); return err }); !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	s.Restart(t, true)
	eventually.True(t, "after the restart", func() bool { return c.Set(bg, "k", []byte("v"), time.Minute) == nil })
}

func TestDeadIdleConnectionsCostNoOperation(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 8 })
	s.Put("b", "v")
	var wg sync.WaitGroup
	for i := 0; i < 32; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); warmUp(t, c) }()
	}
	wg.Wait()
	eventually.True(t, "no connection is being opened", func() bool { return c.Stats().Pool.Dialling == 0 })
	s.Cut()
	eventually.True(t, "cut", func() bool { return s.Conns() == 0 })
	for i := 0; i < 8; i++ {
		if _, err := c.Get(bg, "b"); err != nil {
			t.Error(err)
		}
	}
}

func TestRetriesDoNotMultiplyTheLoad(t *testing.T) {
	s, c := start(t, func(o *Options) { o.MaxRetries = 3; o.PoolSize = 64 })
	s.Refuse("BUSY x")
	var wg sync.WaitGroup
	for i := 0; i < 600; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); _, _ = c.Get(bg, "k") }()
	}
	wg.Wait()
	if n := s.Count("GET"); n > 600+maxCredit/retryCost {
		t.Errorf("%d commands for 600 operations", n)
	}
}
