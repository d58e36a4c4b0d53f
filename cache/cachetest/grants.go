package cachetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

// day is a moment in whole seconds.
var day = time.Unix(1700000000, 0)

func link(name string) string {
	return (name + strings.Repeat(".", cache.LinkSize))[:cache.LinkSize]
}

// Linked returns a live record that was issued some seconds after a fixed moment. It is
// listed under each of names, and has the pair of the first two as a further link.
func Linked(version uint64, issued int, names ...string) []byte {
	end := time.Now().Add(time.Hour)
	h := cache.Header{KeyID: 1, State: cache.Live, Version: version, Expiry: end, End: end, Issued: day.Add(time.Duration(issued) * time.Second)}
	for _, n := range names {
		h.Links = append(h.Links, cache.Link{Name: link(n), Listed: true})
	}
	if len(names) > 1 {
		h.Links = append(h.Links, cache.Link{Name: link(names[0] + "+" + names[1])})
	}
	return append(cache.AppendHeader(nil, h), "payload"...)
}

// Revoking returns the revocation of records with one link, or with two, issued at most
// so many seconds after the fixed moment.
func Revoking(before int, names ...string) []cache.Revocation {
	r := cache.Revocation{Link: link(names[0]), Name: link(names[0]), Before: day.Add(time.Duration(before) * time.Second), TTL: ttl}
	if len(names) > 1 {
		r.Also = link(names[1])
		r.Name = link(names[0] + "+" + names[1])
	}
	return []cache.Revocation{r}
}

// alive reports whether a live record is stored under key.
func alive(t *testing.T, b cache.Backend, key string) bool {
	t.Helper()
	value, err := b.Get(context.Background(), key)
	if errors.Is(err, cache.ErrMiss) {
		return false
	}
	want(t, err, nil)
	h, _, err := cache.ParseRecord(value)
	want(t, err, nil)
	return h.State == cache.Live
}

func revoking(t *testing.T, s Subject) {
	ctx := context.Background()
	for i, one := range []struct {
		name  string
		by    []string
		alive string // the live ones of the sessions a1, a2 (of ann), b3 (of bob) and b1 (of bob, in ann's first)
	}{
		{"one index key", []string{"sid 1"}, "a2 b3"},
		{"BL15 another index key", []string{"ann"}, "b3 b1"},
		{"BL16 two index keys", []string{"sid 1", "bob"}, "a1 a2 b3"},
		{"BL14 an index key without records", []string{"sid 9"}, "a1 a2 b3 b1"},
	} {
		n := strconv.Itoa(i) // a revoked record does not come back under its key
		for key, links := range map[string][]string{"a1": {"sid 1", "ann"}, "a2": {"sid 2", "ann"}, "b3": {"sid 3", "bob"}, "b1": {"sid 1", "bob"}} {
			want(t, s.Backend.Add(ctx, "s:"+key+n, Linked(1, 11, name(links, n)...), ttl), nil)
		}
		want(t, s.Backend.CompareAndSet(ctx, "s:a2"+n, 1, Linked(2, 11, name([]string{"sid 2", "ann"}, n)...), ttl), nil)
		want(t, s.Backend.Revoke(ctx, Revoking(10, name(one.by, n)...)), nil)
		var living []string
		for _, key := range []string{"a1", "a2", "b3", "b1"} {
			if alive(t, s.Backend, "s:"+key+n) {
				living = append(living, key)
			}
		}
		if got := strings.Join(living, " "); got != one.alive {
			t.Errorf("%s: alive are %q, want %q", one.name, got, one.alive)
		}
	}
	want(t, s.Backend.Revoke(ctx, []cache.Revocation{{Link: "short", Name: "short", TTL: ttl}}), cache.ErrInvalid)
}

// name returns names that no other case has.
func name(names []string, unique string) []string {
	var all []string
	for _, n := range names {
		all = append(all, n+" "+unique)
	}
	return all
}

func revokingEarly(t *testing.T, s Subject) {
	ctx := context.Background()
	late := int(cache.RevocationLeeway / time.Second)
	want(t, s.Backend.Add(ctx, "s:within", Linked(1, 10+late, "ann"), ttl), nil)
	want(t, s.Backend.Add(ctx, "s:later", Linked(1, 11+late, "ann"), ttl), nil)
	want(t, s.Backend.Revoke(ctx, Revoking(10, "ann")), nil)
	if alive(t, s.Backend, "s:within") || !alive(t, s.Backend, "s:later") {
		t.Error("the leeway is another one")
	}
	want(t, s.Backend.Add(ctx, "s:before", Linked(1, 10, "ann"), ttl), cache.ErrConflict)
	want(t, s.Backend.Revoke(ctx, Revoking(5, "ann")), nil)
	want(t, s.Backend.Add(ctx, "s:still before", Linked(1, 9, "ann"), ttl), cache.ErrConflict)
	want(t, s.Backend.Add(ctx, "s:after", Linked(1, 11, "ann"), ttl), nil)
	want(t, s.Backend.Revoke(ctx, Revoking(20, "sid 1", "bob")), nil)
	want(t, s.Backend.Add(ctx, "s:pair", Linked(1, 20, "sid 1", "bob"), ttl), cache.ErrConflict)
	want(t, s.Backend.Add(ctx, "s:other pair", Linked(1, 20, "sid 1", "cid"), ttl), nil)
	for key, lives := range map[string]bool{"s:before": false, "s:still before": false, "s:after": true, "s:pair": false, "s:other pair": true} {
		if alive(t, s.Backend, key) != lives {
			t.Errorf("%s is alive: %t", key, !lives)
		}
	}
}

// revokingRace lets records be created while they are revoked. None of them lives on.
func revokingRace(t *testing.T, s Subject) {
	ctx := context.Background()
	for round := 0; round < 20; round++ {
		user := "user " + strconv.Itoa(round)
		together(8, func(g int) {
			if g == 0 {
				if err := s.Backend.Revoke(ctx, Revoking(10, user)); err != nil {
					t.Errorf("Revoke: %v", err)
				}
				return
			}
			err := s.Backend.Add(ctx, fmt.Sprintf("s:%d %d", round, g), Linked(1, 5, user), ttl)
			if err != nil && !errors.Is(err, cache.ErrConflict) && !errors.Is(err, cache.ErrExists) {
				t.Errorf("Add: %v", err)
			}
		})
		for g := 1; g < 8; g++ {
			if alive(t, s.Backend, fmt.Sprintf("s:%d %d", round, g)) {
				t.Fatalf("round %d: a record survived the revocation that it met", round)
			}
		}
	}
}

func lease(version uint64, grant, owner string) cache.Lease {
	return cache.Lease{Record: "s:{ab}k", Version: version, Grant: grant, Owner: owner, TTL: 10 * time.Second, Keep: time.Hour}
}

// acquire tries again while the backend has no result, as after its link came up.
func acquire(b cache.Backend, l cache.Lease) (value []byte, err error) {
	eventually.Within(eventually.Limit, func() bool {
		value, err = b.Acquire(context.Background(), l)
		return !errors.Is(err, cache.ErrUnavailable)
	})
	return value, err
}

func wantLease(t *testing.T, s Subject, l cache.Lease, version uint64, wanted error) {
	t.Helper()
	value, err := acquire(s.Backend, l)
	want(t, err, wanted)
	if version == 0 {
		if value != nil {
			t.Errorf("Acquire returned %q", value)
		}
		return
	}
	h, _, err := cache.ParseRecord(value)
	if err != nil || h.Version != version {
		t.Errorf("Acquire returned version %d, %v; want %d", h.Version, err, version)
	}
}

func leases(t *testing.T, s Subject) {
	ctx := context.Background()
	first := lease(1, "grant\n1", "a")
	wantLease(t, s, first, 0, cache.ErrMiss)
	want(t, s.Backend.Add(ctx, "s:{ab}k", Record(cache.Live, 1, ""), time.Hour), nil)
	wantLease(t, s, first, 1, nil)
	wantLease(t, s, first, 1, nil) // requested again after its reply was lost
	wantLease(t, s, lease(1, "grant\n1", "b"), 1, cache.ErrExists)
	wantLease(t, s, lease(2, "grant\n1", "b"), 1, cache.ErrConflict)
	want(t, s.Backend.Prolong(ctx, first), nil)
	want(t, s.Backend.Prolong(ctx, lease(1, "grant\n1", "b")), cache.ErrMiss)
	want(t, s.Backend.Release(ctx, lease(1, "grant\n1", "b"), true), nil)
	wantLease(t, s, lease(1, "grant\n1", "b"), 1, cache.ErrExists)

	want(t, s.Backend.Release(ctx, first, true), nil)
	wantLease(t, s, lease(1, "grant\n1", "b"), 1, nil)
	want(t, s.Backend.Release(ctx, lease(1, "grant\n1", "b"), false), nil)
	wantLease(t, s, lease(1, "grant\n1", "c"), 1, cache.ErrSpent)

	want(t, s.Backend.CompareAndSet(ctx, "s:{ab}k", 1, Record(cache.Live, 2, ""), time.Hour), nil)
	wantLease(t, s, lease(2, "grant\n1", "c"), 2, cache.ErrSpent) // a touch does not make it good again
	wantLease(t, s, lease(2, "grant\n2", "c"), 2, nil)
	want(t, s.Backend.Set(ctx, "s:{ab}k", Record(cache.Revoked, 2, ""), time.Hour), nil)
	wantLease(t, s, lease(2, "grant\n2", "c"), 2, cache.ErrConflict)
	wantLease(t, s, cache.Lease{Record: "j:k", Version: 1, Grant: "g", Owner: "o", TTL: ttl, Keep: ttl}, 0, cache.ErrInvalid)
}

func leaseEnds(t *testing.T, s Subject) {
	if s.Elapse == nil {
		t.Skip("the clock of this backend runs by itself")
	}
	ctx := context.Background()
	want(t, s.Backend.Add(ctx, "s:{ab}k", Record(cache.Live, 1, ""), 30*time.Minute), nil)
	a, b := lease(1, "grant", "a"), lease(1, "grant", "b")
	wantLease(t, s, a, 1, nil)
	for i := 0; i < 3; i++ {
		s.Elapse(9 * time.Second)
		want(t, s.Backend.Prolong(ctx, a), nil)
	}
	wantLease(t, s, b, 1, cache.ErrExists)
	s.Elapse(11 * time.Second)
	wantLease(t, s, b, 1, cache.ErrSpent)
	want(t, s.Backend.Prolong(ctx, a), nil) // it was slow, and no other holder took its place
	wantLease(t, s, b, 1, cache.ErrExists)
	s.Elapse(11 * time.Second)
	want(t, s.Backend.CompareAndSet(ctx, "s:{ab}k", 1, Record(cache.Live, 2, ""), 20*time.Minute), nil)
	wantLease(t, s, lease(2, "grant 2", "b"), 2, nil)
	want(t, s.Backend.Prolong(ctx, a), cache.ErrMiss)
}

func leaseRace(t *testing.T, s Subject) {
	ctx := context.Background()
	want(t, s.Backend.Add(ctx, "s:{ab}k", Record(cache.Live, 1, ""), time.Hour), nil)
	won := make(chan int, 100)
	together(100, func(g int) {
		_, err := acquire(s.Backend, lease(1, "grant", strconv.Itoa(g)))
		switch {
		case err == nil:
			won <- g
		case !errors.Is(err, cache.ErrExists):
			t.Errorf("Acquire: %v", err)
		}
	})
	if len(won) != 1 {
		t.Fatalf("%d have the lease", len(won))
	}
}

func fresh(t *testing.T, s Subject) {
	ctx := context.Background()
	_, err := s.Backend.Fresh(ctx, "s:none")
	want(t, err, cache.ErrMiss)
	want(t, s.Backend.Add(ctx, "s:k", Record(cache.Live, 1, "x"), ttl), nil)
	value, err := s.Backend.Fresh(ctx, "s:k")
	want(t, err, nil)
	if h, payload, err := cache.ParseRecord(value); err != nil || h.Version != 1 || string(payload) != "x" {
		t.Errorf("Fresh returned %q", value)
	}
}
