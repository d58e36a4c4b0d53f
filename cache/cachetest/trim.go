package cachetest

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// living lists the keys that have live records.
func living(t *testing.T, b cache.Backend, keys ...string) string {
	t.Helper()
	var found []string
	for _, key := range keys {
		if alive(t, b, "s:"+key) {
			found = append(found, key)
		}
	}
	return strings.Join(found, " ")
}

func wantTrimmed(t *testing.T, s Subject, most int, newest string, want int) {
	t.Helper()
	n, err := s.Backend.Trim(context.Background(), link("ann"), most, "s:"+newest)
	if err != nil || n != want {
		t.Errorf("Trim to %d ended %d, %v; want %d", most, n, err, want)
	}
}

func trimming(t *testing.T, s Subject) {
	ctx := context.Background()
	// Each key is the issue time of its record. The last one is the newest, though it was
	// issued first.
	keys := []string{"5", "3", "9", "2", "7", "1"}
	for i, key := range keys {
		issued, _ := strconv.Atoi(key)
		want(t, s.Backend.Add(ctx, "s:"+key, Linked(1, issued, "sid "+strconv.Itoa(i), "ann"), ttl), nil)
	}
	want(t, s.Backend.Add(ctx, "s:bob", Linked(1, 0, "sid bob", "bob"), ttl), nil)
	want(t, s.Backend.CompareAndSet(ctx, "s:3", 1, Linked(2, 3, "sid 1", "ann"), ttl), nil)
	check := func(want string) {
		t.Helper()
		if got := living(t, s.Backend, append(keys, "bob")...); got != want {
			t.Errorf("alive are %q, want %q", got, want)
		}
	}
	wantTrimmed(t, s, 6, "1", 0)
	check("5 3 9 2 7 1 bob")
	wantTrimmed(t, s, 4, "1", 2)
	check("5 9 7 1 bob")
	wantTrimmed(t, s, 4, "1", 0)

	// Revoked records are not counted.
	want(t, s.Backend.Revoke(ctx, Revoking(100, "sid 2", "ann")), nil)
	check("5 7 1 bob")
	wantTrimmed(t, s, 3, "1", 0)
	check("5 7 1 bob")
	wantTrimmed(t, s, 1, "1", 2)
	check("1 bob")

	// A trimmed record cannot be written again.
	if err := s.Backend.CompareAndSet(ctx, "s:5", 1, Linked(2, 5, "sid 0", "ann"), ttl); err == nil {
		t.Error("a record that was ended was written again")
	}
	check("1 bob")
	_, err := s.Backend.Trim(ctx, "short", 1, "s:1")
	want(t, err, cache.ErrInvalid)
	_, err = s.Backend.Trim(ctx, link("ann"), 0, "s:1")
	want(t, err, cache.ErrInvalid)
}

func trimmingRace(t *testing.T, s Subject) {
	ctx := context.Background()
	const most = 5
	together(30, func(g int) {
		key := "s:" + strconv.Itoa(g)
		err := s.Backend.Add(ctx, key, Linked(1, g, "sid "+strconv.Itoa(g), "ann"), time.Hour)
		if err == nil {
			_, err = s.Backend.Trim(ctx, link("ann"), most, key)
		}
		if err != nil {
			t.Error(err)
		}
	})
	_, err := s.Backend.Trim(ctx, link("ann"), most, "s:none")
	want(t, err, nil)
	left := 0
	for g := 0; g < 30; g++ {
		if alive(t, s.Backend, "s:"+strconv.Itoa(g)) {
			left++
		}
	}
	if left > most || left == 0 {
		t.Errorf("%d are left", left)
	}
}
