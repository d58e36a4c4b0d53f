package oidc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestOnlyFailuresOfTheProviderOpenTheBreaker(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault oidctest.Fault
		opens bool
	}{
		{"K3 400", oidctest.Fault{Status: 400}, false},
		{"K3 401", oidctest.Fault{Status: 401}, false},
		{"K3 429", oidctest.Fault{Status: 429}, false},
		{"K3 a redirect", oidctest.Fault{Redirect: "http://127.0.0.1:1/"}, false},
		{"K3 garbage", oidctest.Fault{Status: 200, Body: "x"}, false},
		{"K3 dropped", oidctest.Fault{Drop: true}, false},
		{"K3 500", oidctest.Fault{Status: 500}, true},
		{"K3 503", oidctest.Fault{Status: 503}, true},
		{"K3 timeout", oidctest.Fault{Hold: make(chan struct{})}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{Timeout: 100 * time.Millisecond})
			tokens := b.tokens(t)
			b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Token] = c.fault })
			for i := 0; i < 2*breakerThreshold; i++ {
				_, _ = b.rp.Refresh(context.Background(), "x")
			}
			want := 1 + 2*breakerThreshold
			if c.opens {
				want = 1 + breakerThreshold
			}
			if got := b.op.Count(oidctest.Token); got != want {
				t.Fatalf("%d calls", got)
			}
			if _, err := b.rp.UserInfo(context.Background(), tokens.AccessToken, "alice"); err != nil {
				t.Fatalf("another endpoint: %v", err)
			}
			b.op.Reset()
			if c.opens && b.rp.RetryAfter() != breakerPause {
				t.Fatalf("retry after %v", b.rp.RetryAfter())
			}
			b.clock.add(breakerPause)
			if _, err := b.rp.Refresh(context.Background(), tokens.RefreshToken); err != nil {
				t.Fatalf("after the pause: %v", err)
			}
		})
	}
}

func TestPeopleWhoLeaveOpenNoBreaker(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	tokens := b.tokens(t)
	b.op.Set(func(be *oidctest.Behaviour) {
		be.Faults[oidctest.Token] = oidctest.Fault{Hold: make(chan struct{})}
	})
	for i := 0; i < 2*breakerThreshold; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		_, _ = b.rp.Refresh(ctx, "x")
		cancel()
	}
	b.op.Reset()
	if _, err := b.rp.Refresh(context.Background(), tokens.RefreshToken); err != nil {
		t.Fatalf("K3: %v", err)
	}
}

func TestOneCallTriesAtATime(t *testing.T) {
	c := &clock{now: time.Unix(1, 0)}
	b := &breaker{now: c.Now}
	for i := 0; i < breakerThreshold; i++ {
		b.admit()
		b.done(callFailed)
	}
	if b.admit() {
		t.Fatal("open, and admits")
	}
	c.add(breakerPause)
	if !b.admit() || b.admit() {
		t.Fatal("not one at a time")
	}
	b.done(callUndecided)
	if !b.admit() {
		t.Fatal("an undecided try blocks the next")
	}
	b.done(callFailed)
	if b.admit() {
		t.Fatal("a failed try closes")
	}
	c.add(breakerPause)
	b.admit()
	b.done(callAnswered)
	if !b.admit() || !b.admit() {
		t.Fatal("a good try does not close")
	}
}

func TestCallsUnderWayAreBounded(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	if _, err := b.rp.Metadata(context.Background()); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Token] = oidctest.Fault{Hold: hold} })
	var wg sync.WaitGroup
	for i := 0; i < maxInFlight; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); _, _ = b.rp.Refresh(context.Background(), "x") }()
	}
	k := b.rp.token.breaker
	until(t, "all are under way", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.inFlight == maxInFlight })
	if _, err := b.rp.Refresh(context.Background(), "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("K4: %v", err)
	}
	close(hold)
	wg.Wait()
}
