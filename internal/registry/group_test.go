package registry

import (
	"context"
	"testing"
	"time"
)

func TestAGroupKnowsItsServingResource(t *testing.T) {
	g := New(time.Hour)
	acquire(t, g, &builder{}, "old")
	acquire(t, g, &builder{}, "new")
	for i, row := range []struct{ group, key, want, serves string }{
		{"a", "old", "", ""},
		{"a", "old", "", ""},
		{"a", "new", "old", ""}, // it was not verified
		{"a", "new", "old", ""},
		{"a", "third", "old", "new"}, // the one verified is not wanted any more
		{"a", "new", "old", "new"},
		{"a", "new", "", ""},
		{"b", "new", "", ""},
		{"a", "third", "new", "third"},
		{"a", "old", "", ""}, // "third" is not kept
	} {
		if got, _ := g.Succeed(row.group, row.key); got != row.want {
			t.Errorf("%d: %s -> %s: %q serves, want %q", i, row.group, row.key, got, row.want)
		}
		if row.serves != "" {
			g.Serve(row.group, row.serves)
		}
	}
}

// A store that serves again has another number than before another one served. A
// middleware that was made for that time must not be taken for a present one.
func TestAGroupCountsItsServingResources(t *testing.T) {
	g := New(time.Hour)
	acquire(t, g, &builder{}, "old")
	acquire(t, g, &builder{}, "new")
	g.Succeed("a", "old")
	_, first := g.Succeed("a", "new")
	if _, again := g.Succeed("a", "new"); again != first {
		t.Errorf("%d, then %d, with nothing between", first, again)
	}
	g.Serve("a", "new")
	g.Succeed("a", "old")
	g.Serve("a", "old")
	if _, later := g.Succeed("a", "new"); later == first {
		t.Errorf("%d as before", later)
	}
}

func TestTheServingResourceIsKeptUntilItIsAcquired(t *testing.T) {
	g := New(time.Hour)
	old, cancel := acquire(t, g, &builder{}, "old")
	g.Succeed("a", "old")
	kept := g.entries["old"]
	due := &expiry{g: g, e: kept, turn: kept.turn}
	(&holder{g: g, uses: map[*entry]bool{kept: true}}).Run()
	if served, _ := g.Succeed("a", "new"); served != "old" {
		t.Fatalf("%q serves", served)
	}
	due.Run()
	r, err := g.Acquire(context.Background(), "old", nil)
	if err != nil || r.(*thing) != old {
		t.Errorf("it was released: %v", err)
	}
	if _, err := g.Acquire(context.Background(), "unknown", nil); err == nil {
		t.Error("nothing was built, and no error")
	}
	cancel()
}
