package oidc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func (b *bed) verifyGood() error {
	return b.verify(b.op.SigningKey().SignClaims(b.claims(), nil))
}

func TestRotatedKeysAreFetched(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	for i := 0; i < 3; i++ {
		old := b.op.SigningKey()
		if err := b.verifyGood(); err != nil {
			t.Fatalf("D2 round %d: %v", i, err)
		}
		b.op.Rotate() // just before signing
		b.op.Retire()
		if err := b.verifyGood(); err != nil {
			t.Fatalf("D2 rotation %d: %v", i, err)
		}
		b.clock.add(refetchInterval)
		checkRefusal(t, b.verify(old.SignClaims(b.claims(), nil)), "signature")
		b.clock.add(refetchInterval)
	}
}

func TestInventedKeyIDsCauseFewFetches(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	if err := b.verifyGood(); err != nil {
		t.Fatal(err)
	}
	forged := oidctest.NewKey("ES256")
	flood := func(n int) {
		var wg sync.WaitGroup
		for i := 0; i < n; i++ {
			raw := forged.SignClaims(b.claims(), set("kid", fmt.Sprint("kid-", i)))
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := b.verify(raw); !errors.Is(err, ErrInvalidToken) && !errors.Is(err, ErrKeysThrottled) {
					t.Errorf("D3: %v", err)
				}
			}()
		}
		wg.Wait()
	}
	flood(1000)
	if got := b.op.Count(oidctest.JWKS); got > 1+refetchBurst {
		t.Fatalf("D3 %d fetches", got)
	}
	flood(50)
	if got := b.op.Count(oidctest.JWKS); got > 1+refetchBurst {
		t.Fatalf("D3 %d fetches after a second flood", got)
	}
	before := b.op.Count(oidctest.JWKS)
	b.clock.add(refetchInterval)
	flood(50)
	if got := b.op.Count(oidctest.JWKS); got > before+1 {
		t.Fatalf("D3 %d fetches within an interval", got-before)
	}
	b.op.Rotate()
	b.op.Retire()
	b.clock.add(refetchInterval)
	if err := b.verifyGood(); err != nil {
		t.Fatalf("D3 a rotation during the flood: %v", err)
	}
}

func TestInventedKeyIDsHoldUpNoTokenOfTheProvider(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	if err := b.verifyGood(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	forged := oidctest.NewKey("ES256")
	logout := map[string]any{"iss": b.op.URL(), "aud": "client"}
	invented := func(n int) error {
		_, err := b.rp.VerifyLogoutToken(ctx, forged.SignClaims(logout, set("kid", fmt.Sprint("invented-", n))))
		return err
	}
	for i := 0; i < refetchBurst; i++ {
		if err := invented(i); !errors.Is(err, ErrInvalidToken) {
			t.Fatalf("after a fetch: %v", err)
		}
	}
	t.Run("L13 logout tokens of invented key ids: throttled is not invalid", func(t *testing.T) {
		for i := 0; i < 2*refetchBurst; i++ {
			if err := invented(100 + i); !errors.Is(err, ErrKeysThrottled) || !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrInvalidToken) {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("L13 the ID tokens of a refresh have credits of their own", func(t *testing.T) {
		for i := 0; i < refetchBurst; i++ {
			b.op.Rotate()
			b.op.Retire()
			raw := b.op.SigningKey().SignClaims(b.claims(), nil)
			if _, err := b.rp.VerifyIDToken(ctx, raw, Expect{Refreshed: true, Subject: "alice", Nonce: testNonce}); err != nil {
				t.Fatalf("rotation %d: %v", i, err)
			}
		}
	})
	t.Run("L13 an ID token that is throttled is not invalid, and verifies later", func(t *testing.T) {
		b.op.Rotate()
		b.op.Retire()
		if err := b.verifyGood(); !errors.Is(err, ErrKeysThrottled) || errors.Is(err, ErrInvalidToken) {
			t.Fatalf("%v", err)
		}
		b.clock.add(refetchInterval)
		if err := b.verifyGood(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBadKeyAnswersChangeNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault oidctest.Fault
	}{
		{"D4 empty", oidctest.Fault{Status: 200}},
		{"D4 no keys", oidctest.Fault{Status: 200, Body: `{"keys":[]}`}},
		{"D4 keys is an object", oidctest.Fault{Status: 200, Body: `{"keys":{}}`}},
		{"D4 garbage", oidctest.Fault{Status: 200, Body: "\x00\xff"}},
		{"D4 HTML", oidctest.Fault{Status: 200, Type: "text/html", Body: "<html>"}},
		{"D4 10 MB", oidctest.Fault{Status: 200, Body: `{"keys":"` + strings.Repeat("a", 10<<20) + `"}`}},
		{"D4 slow", oidctest.Fault{Status: 200, Body: strings.Repeat(" ", 10000), Slow: time.Millisecond}},
		{"D4 503", oidctest.Fault{Status: 503}},
		{"D4 dropped", oidctest.Fault{Drop: true}},
		{"D7 a redirect", oidctest.Fault{Redirect: "http://127.0.0.1:1/"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{})
			good := b.op.SigningKey()
			if err := b.verifyGood(); err != nil {
				t.Fatal(err)
			}
			b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.JWKS] = c.fault })
			b.op.Rotate()
			if isSlow(c.fault) {
				b.setTimeout(500 * time.Millisecond)
			}
			if err := b.verifyGood(); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("signed by a key that could not be fetched: %v", err)
			}
			b.clock.add(keysLife)
			raw := good.SignClaims(b.claims(), nil)
			if err := b.verify(raw); err != nil {
				t.Fatalf("the old key was lost: %v", err)
			}
			fetches := b.op.Count(oidctest.JWKS)
			if err := b.verify(raw); err != nil || b.op.Count(oidctest.JWKS) != fetches {
				t.Fatalf("fetched again at once: %v", err)
			}
			b.clock.add(keysMaxAge)
			if err := b.verify(good.SignClaims(b.claims(), nil)); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("keys of two days ago are still used: %v", err)
			}
			b.op.Reset()
			b.clock.add(time.Minute)
			if err := b.verifyGood(); err != nil {
				t.Fatalf("after the recovery: %v", err)
			}
		})
	}
}

func TestKeysAreRefreshedByAge(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	for _, step := range []struct {
		after   time.Duration
		fetches int
	}{{0, 1}, {keysLife - time.Second, 1}, {time.Second, 2}} {
		b.clock.add(step.after)
		if err := b.verifyGood(); err != nil || b.op.Count(oidctest.JWKS) != step.fetches {
			t.Fatalf("D5 %v later: %d fetches, %v", step.after, b.op.Count(oidctest.JWKS), err)
		}
	}
	removed := b.op.SigningKey()
	b.op.Rotate()
	b.op.Retire()
	b.clock.add(keysLife)
	checkRefusal(t, b.verify(removed.SignClaims(b.claims(), nil)), "signature")
}

func TestJWKSMoves(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	if err := b.verifyGood(); err != nil {
		t.Fatal(err)
	}
	other := newBed(t, oidctest.Options{}, Options{})
	b.op.Set(func(be *oidctest.Behaviour) { be.Discovery = set("jwks_uri", other.op.Endpoint(oidctest.JWKS)) })
	b.clock.add(metadataLife)
	eventually.True(t, "keys of the new place", func() bool {
		return b.verify(other.op.SigningKey().SignClaims(b.claims(), nil)) == nil
	})
}

func TestCacheLife(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                             keysLife,
		"no-store":                     keysLife,
		"public, max-age=21600":        6 * time.Hour,
		"Max-Age=600":                  10 * time.Minute,
		"max-age=1":                    keysMinLife,
		"max-age=0":                    keysMinLife,
		"max-age=2000000000":           keysMaxLife,
		"max-age=99999999999999999999": keysLife,
		"max-age=-1":                   keysLife,
		"max-age":                      keysLife,
		"s-maxage=5, max-age=7200":     2 * time.Hour,
	} {
		if got := cacheLife(header); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestKeysOfASlowProviderAreWaitedForOnce(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	hold := make(chan struct{})
	b.op.Set(func(be *oidctest.Behaviour) { be.Faults[oidctest.JWKS] = oidctest.Fault{Hold: hold} })
	var wg sync.WaitGroup
	for i := 0; i < 30; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := b.verifyGood(); err != nil {
				t.Error(err)
			}
		}()
	}
	f := b.rp.keys.flight
	eventually.True(t, "all wait", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.waiting) == 30 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := b.rp.VerifyIDToken(ctx, b.op.SigningKey().SignClaims(b.claims(), nil), Expect{Nonce: testNonce})
	if !failsWith(err, ErrUnavailable, "the request ended") {
		t.Errorf("K4: %v", err)
	}
	close(hold)
	wg.Wait()
	if got := b.op.Count(oidctest.JWKS); got != 1 {
		t.Errorf("D3: fetched %d times", got)
	}
}
