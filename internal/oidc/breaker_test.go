package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// A sender calls one endpoint on behalf of numbered clients.
type sender struct {
	name  string
	count string // the name under which the provider counts the calls
	send  func(b *bed, client int) error
	retry func(b *bed) time.Duration
	at    func(b *bed) *endpoint
}

// calls counts the requests sent from now on, also those that the caller abandons.
func (s sender) calls(b *bed) *atomic.Int64 {
	e := s.at(b)
	c := &counter{next: e.client.Transport}
	own := *e.client
	own.Transport = c
	e.client = &own
	return &c.n
}

type counter struct {
	next http.RoundTripper
	n    atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(r)
}

func senders() []sender {
	return []sender{
		{"codes", oidctest.Token, func(b *bed, client int) error {
			turn, err := b.rp.AwaitTurn(context.Background(), fmt.Sprint(client))
			if err != nil {
				return err
			}
			_, err = b.rp.Redeem(context.Background(), Exchange{Code: "made-up", Turn: turn})
			return err
		}, func(b *bed) time.Duration { return b.rp.RetryAfter() }, func(b *bed) *endpoint { return b.rp.token }},
		{"refresh tokens", oidctest.Token, func(b *bed, client int) error {
			_, err := b.rp.Refresh(context.Background(), fmt.Sprint(client))
			return err
		}, func(b *bed) time.Duration { return b.rp.RefreshRetryAfter() }, func(b *bed) *endpoint { return b.rp.refresh }},
	}
}

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
			for _, by := range senders() {
				b := newBed(t, oidctest.Options{}, Options{})
				tokens := b.tokens(t)
				calls := by.calls(b)
				b.op.Set(func(be *oidctest.Behaviour) { be.Faults[by.count] = c.fault })
				if isSlow(c.fault) {
					b.setTimeout(100 * time.Millisecond)
				}
				for i := 0; i < 2*breakerThreshold; i++ {
					_ = by.send(b, i)
				}
				b.setTimeout(time.Minute)
				want := int64(2 * breakerThreshold)
				if c.opens {
					want = breakerThreshold
				}
				if got := calls.Load(); got != want {
					t.Fatalf("%s: %d calls", by.name, got)
				}
				if _, err := b.rp.UserInfo(context.Background(), tokens.AccessToken, "alice"); err != nil {
					t.Fatalf("%s: another endpoint: %v", by.name, err)
				}
				b.op.Reset()
				if c.opens && by.retry(b) != breakerPause {
					t.Fatalf("%s: retry after %v", by.name, by.retry(b))
				}
				b.clock.add(breakerPause)
				if err := by.send(b, 1); !errors.Is(err, ErrInvalidGrant) {
					t.Fatalf("%s: after the pause: %v", by.name, err)
				}
			}
		})
	}
}

func TestFailuresOfOneClientOpenNoBreaker(t *testing.T) {
	for _, by := range senders() {
		b := newBed(t, oidctest.Options{}, Options{})
		tokens := b.tokens(t)
		b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Token] = oidctest.Fault{Status: 500} })
		for i := 0; i < 4*breakerThreshold; i++ {
			_ = by.send(b, 1)
		}
		t.Run("L3 K3 many failures of one client: "+by.name, func(t *testing.T) {
			if got := b.op.Count(oidctest.Token); got != 1+4*breakerThreshold || by.retry(b) > time.Second {
				t.Errorf("%d calls, retry after %v", got, by.retry(b))
			}
		})
		for i := 0; i < 2*breakerThreshold; i++ {
			_ = by.send(b, i)
		}
		t.Run("L3 K3 after those of several: "+by.name, func(t *testing.T) {
			if by.retry(b) != breakerPause {
				t.Fatalf("retry after %v", by.retry(b))
			}
			calls := b.op.Count(oidctest.Token)
			if err := by.send(b, 99); !errors.Is(err, ErrUnavailable) || b.op.Count(oidctest.Token) != calls {
				t.Errorf("%v", err)
			}
		})
		b.clock.add(breakerPause)
		t.Run("L3 K3 one client cannot keep it open for the others: "+by.name, func(t *testing.T) {
			for i := 0; i < 4*breakerThreshold; i++ {
				if err := by.send(b, 1); !errors.Is(err, ErrUnavailable) {
					t.Fatal(err)
				}
			}
			b.op.Reset()
			if err := by.send(b, 2); !errors.Is(err, ErrInvalidGrant) {
				t.Errorf("the next client: %v", err)
			}
		})
		t.Run("L3 K3 codes and refresh tokens have a breaker each: "+by.name, func(t *testing.T) {
			b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Token] = oidctest.Fault{Status: 500} })
			for i := 0; i < 2*breakerThreshold; i++ {
				_ = by.send(b, i)
			}
			b.op.Reset()
			_, redeemed := b.redeem(t)
			_, refreshed := b.rp.Refresh(context.Background(), tokens.RefreshToken)
			if by.name == "codes" && (!errors.Is(redeemed, ErrUnavailable) || refreshed != nil) ||
				by.name != "codes" && (redeemed != nil || !errors.Is(refreshed, ErrUnavailable)) {
				t.Errorf("a code: %v; a refresh token: %v", redeemed, refreshed)
			}
		})
	}
	t.Run("L3 K3 one user's userinfo and revocation stop nobody else's", func(t *testing.T) {
		b := newBed(t, oidctest.Options{}, Options{})
		ctx := context.Background()
		tokens := b.tokens(t)
		for _, name := range []string{oidctest.UserInfo, oidctest.Revocation} {
			b.op.Set(func(be *oidctest.Behaviour) { be.Faults[name] = oidctest.Fault{Status: 500} })
		}
		for i := 0; i < 2*breakerThreshold; i++ {
			_, _ = b.rp.UserInfo(ctx, "x", "mallory")
			_ = b.rp.Revoke(ctx, "x", "")
		}
		faults := oidctest.Behaviour{Faults: map[string]oidctest.Fault{oidctest.UserInfo: {Status: 500}, oidctest.Revocation: {Status: 500}}}
		b.op.Reset()
		if _, err := b.rp.UserInfo(ctx, tokens.AccessToken, "alice"); err != nil {
			t.Errorf("userinfo: %v", err)
		}
		if err := b.rp.Revoke(ctx, tokens.RefreshToken, ""); err != nil {
			t.Errorf("revocation: %v", err)
		}
		b.op.Set(func(be *oidctest.Behaviour) { *be = faults })
		asked, revoked := b.op.Count(oidctest.UserInfo), b.op.Count(oidctest.Revocation)
		for i := 0; i < 2*breakerThreshold; i++ {
			_, _ = b.rp.UserInfo(ctx, "x", fmt.Sprint(i))
			_ = b.rp.Revoke(ctx, fmt.Sprint(i), "")
		}
		if n := b.op.Count(oidctest.UserInfo) - asked; n != breakerThreshold {
			t.Errorf("%d userinfo requests of several users", n)
		}
		if n := b.op.Count(oidctest.Revocation) - revoked; n != breakerThreshold {
			t.Errorf("%d revocations of several tokens", n)
		}
	})
}

func TestCanceledRequestsOpenNoBreaker(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	tokens := b.tokens(t)
	b.op.Set(func(be *oidctest.Behaviour) {
		be.Faults[oidctest.Token] = oidctest.Fault{Hold: make(chan struct{})}
	})
	for i := 0; i < 2*breakerThreshold; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		_, _ = b.rp.Refresh(ctx, fmt.Sprint(i))
		cancel()
	}
	b.op.Reset()
	if _, err := b.rp.Refresh(context.Background(), tokens.RefreshToken); err != nil {
		t.Fatalf("K3: %v", err)
	}
}

func TestEachClientTriesOnceAtATime(t *testing.T) {
	c := &clock{now: time.Unix(1, 0)}
	b := newBreaker(c.Now, 3)
	fail := func(clients ...string) {
		for _, client := range clients {
			if !b.admit(client) {
				t.Fatalf("%s is not admitted", client)
			}
			b.done(client, callFailed)
		}
	}
	fail("a", "b", "a", "b", "c")
	if b.admit("d") {
		t.Fatal("the open breaker admits a call")
	}
	c.add(breakerPause)
	if !b.admit("a") || b.admit("a") {
		t.Fatal("not one at a time")
	}
	b.done("a", callUndecided)
	if !b.admit("a") {
		t.Fatal("an undecided try blocks the next")
	}
	fail("b", "b", "b")
	b.done("a", callFailed)
	fail("d")
	if b.admit("e") {
		t.Fatal("failed tries of three clients close the breaker")
	}
	c.add(breakerPause)
	for i := 0; i < breakerTries; i++ {
		if !b.admit(fmt.Sprint(i)) {
			t.Fatalf("try %d", i)
		}
	}
	if b.admit("one more") {
		t.Fatal("too many tries at once")
	}
	b.done("0", callAnswered)
	if !b.admit("x") || !b.admit("x") {
		t.Fatal("a good try does not close")
	}
}

func TestOneFailingDocumentIsEnough(t *testing.T) {
	c := &clock{now: time.Unix(1, 0)}
	e := newDocument("keys", &http.Client{}, Options{Now: c.Now})
	for i := 0; i < breakerThreshold; i++ {
		if !e.breaker.admit("") {
			t.Fatalf("call %d", i)
		}
		e.breaker.done("", callFailed)
	}
	if e.breaker.admit("") {
		t.Fatal("open, and admits")
	}
	c.add(breakerPause)
	if !e.breaker.admit("") || e.breaker.admit("") {
		t.Fatal("not one at a time")
	}
	e.breaker.done("", callFailed)
	if e.breaker.admit("") {
		t.Fatal("a failed try closes it")
	}
}

// held starts calls to which the token endpoint does not respond before release.
// answered waits for all of them and returns their errors.
func (b *bed) held(t *testing.T, calls int, send func(i int) error) (answered func() []error, release func()) {
	t.Helper()
	hold := make(chan struct{})
	var once sync.Once
	release = func() { once.Do(func() { close(hold) }) }
	t.Cleanup(release)
	b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.Token] = oidctest.Fault{Hold: hold} })
	errs := make(chan error, calls)
	for i := 0; i < calls; i++ {
		go func(i int) { errs <- send(i) }(i)
	}
	return func() []error {
		var all []error
		for i := 0; i < calls; i++ {
			all = append(all, <-errs)
		}
		return all
	}, release
}

func TestPlacesAtTheTokenEndpoint(t *testing.T) {
	ctx := context.Background()
	redeem := func(b *bed, client, code string) error {
		turn, err := b.rp.AwaitTurn(ctx, client)
		if err != nil {
			return err
		}
		_, err = b.rp.Redeem(ctx, Exchange{Code: code, Turn: turn, Verifier: "verifier", RedirectURI: testCallback})
		return err
	}
	t.Run("L4 K4 one client has a quarter at most, and its others wait their turn", func(t *testing.T) {
		b := newBed(t, oidctest.Options{}, Options{Timeout: time.Minute})
		code, tokens := b.code(t), b.tokens(t)
		b.op.Reset()
		before := b.op.Count(oidctest.Token)
		answered, release := b.held(t, 150, func(int) error { return redeem(b, "flood", "made-up") })
		eventually.True(t, "the places are taken", func() bool { return b.op.Count(oidctest.Token)-before == 26 })
		b.op.Reset()
		if err := redeem(b, "other", code); err != nil {
			t.Errorf("another client: %v", err)
		}
		if _, err := b.rp.Refresh(ctx, tokens.RefreshToken); err != nil {
			t.Errorf("a token refresh: %v", err)
		}
		if n := b.op.Count(oidctest.Token) - before; n != 28 || n-2 > callPlaces/4 {
			t.Errorf("%d calls of the flood are under way", n-2)
		}
		release()
		for _, err := range answered() {
			if !errors.Is(err, ErrInvalidGrant) {
				t.Fatalf("of those that waited: %v", err)
			}
		}
		if n := b.op.Count(oidctest.Token) - before; n != 152 {
			t.Errorf("%d calls", n)
		}
	})
	t.Run("L4 K4 however many clients, refresh tokens have their places", func(t *testing.T) {
		b := newBed(t, oidctest.Options{}, Options{Timeout: time.Minute})
		tokens := b.tokens(t)
		before := b.op.Count(oidctest.Token)
		answered, release := b.held(t, 300, func(i int) error { return redeem(b, fmt.Sprint(i), "made-up") })
		eventually.True(t, "the places are taken", func() bool { return b.op.Count(oidctest.Token)-before == callPlaces })
		b.op.Reset()
		if _, err := b.rp.Refresh(ctx, tokens.RefreshToken); err != nil {
			t.Errorf("%v", err)
		}
		release()
		answered()
	})
	t.Run("L4 K4 a request that ends does not wait", func(t *testing.T) {
		b := newBed(t, oidctest.Options{}, Options{Timeout: time.Minute})
		if _, err := b.rp.Metadata(ctx); err != nil {
			t.Fatal(err)
		}
		answered, release := b.held(t, 26, func(int) error { return redeem(b, "flood", "made-up") })
		eventually.True(t, "the places are taken", func() bool { return b.op.Count(oidctest.Token) == 26 })
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := b.rp.AwaitTurn(ended, "flood"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v", err)
		}
		release()
		answered()
	})
	t.Run("L4 K4 a turn that is not used is given back", func(t *testing.T) {
		b := newBed(t, oidctest.Options{}, Options{})
		for i := 0; i < 300; i++ {
			turn, err := b.rp.AwaitTurn(ctx, "one")
			if err != nil {
				t.Fatal(err)
			}
			turn.End()
			turn.End()
		}
	})
	t.Run("L4 K4 refresh tokens that are under way are bounded, and others wait", func(t *testing.T) {
		b := newBed(t, oidctest.Options{}, Options{Timeout: time.Minute})
		if _, err := b.rp.Metadata(ctx); err != nil {
			t.Fatal(err)
		}
		answered, release := b.held(t, refreshPlaces+10, func(i int) error { _, err := b.rp.Refresh(ctx, fmt.Sprint(i)); return err })
		eventually.True(t, "the places are taken", func() bool { return b.op.Count(oidctest.Token) == refreshPlaces })
		release()
		for _, err := range answered() {
			if !errors.Is(err, ErrInvalidGrant) {
				t.Errorf("%v", err)
			}
		}
	})
}
