package registry

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

type thing struct {
	closed chan struct{}
}

func (r *thing) Close() { close(r.closed) }

type builder struct {
	built int
	err   error
}

func (b *builder) Build() (Resource, error) {
	b.built++
	if b.err != nil {
		return nil, b.err
	}
	return &thing{closed: make(chan struct{})}, nil
}

func acquire(t *testing.T, g *Registry, b Builder, key string) (*thing, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := g.Acquire(ctx, key, b)
	if err != nil {
		t.Fatal(err)
	}
	return r.(*thing), cancel
}

func TestAReloadFindsTheSameResource(t *testing.T) {
	g := New(time.Hour)
	b := &builder{}
	first, cancel := acquire(t, g, b, "k")
	for i := 0; i < 40; i++ {
		cancel()
		next, c := acquire(t, g, b, "k")
		if next != first {
			t.Fatal("another resource after a reload")
		}
		cancel = c
	}
	other, _ := acquire(t, g, b, "other")
	if other == first || b.built != 2 {
		t.Errorf("%d resources built for two keys", b.built)
	}
}

func TestAnUnusedResourceIsClosed(t *testing.T) {
	g := New(time.Millisecond)
	r, cancel := acquire(t, g, &builder{}, "k")
	_, second := acquire(t, g, &builder{}, "k")
	cancel()
	second()
	<-r.closed
	if g.Len() != 0 {
		t.Error("a closed resource is kept")
	}
	again, _ := acquire(t, g, &builder{}, "k")
	if again == r {
		t.Error("a closed resource is handed out")
	}
}

func TestAnOldTimerDoesNotEndANewUse(t *testing.T) {
	g := New(time.Hour)
	r, cancel := acquire(t, g, &builder{}, "k")
	e := g.entries["k"]
	stale := &expiry{g: g, e: e, turn: e.turn}
	cancel()
	_, done := acquire(t, g, &builder{}, "k")
	defer done()
	for g.holdersOf("k") != 1 {
	}
	stale.Run()
	if g.Len() != 1 {
		t.Fatal("a resource in use was removed")
	}
	if again, _ := acquire(t, g, &builder{}, "k"); again != r {
		t.Error("the resource was replaced")
	}
}

func (g *Registry) holdersOf(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.entries[key].holders
}

func TestAUseOfSeveralResources(t *testing.T) {
	g := New(time.Millisecond)
	a, endA := acquire(t, g, &builder{}, "a")
	b, endB := acquire(t, g, &builder{}, "b")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !g.Again(ctx, []string{"a", "b"}) {
		t.Fatal("resources that are kept are not used again")
	}
	if g.Again(ctx, []string{"a", "c"}) {
		t.Error("a resource that was never built is used")
	}
	if g.Kept("c") != nil || g.Kept("a") != Resource(a) {
		t.Error("another resource than the kept one")
	}
	endA()
	endB()
	eventually.True(t, "each has one holder left", func() bool { return g.holdersOf("a") == 1 && g.holdersOf("b") == 1 })
	cancel()
	<-a.closed
	<-b.closed
	if g.Len() != 0 {
		t.Error("a closed resource is kept")
	}
	if g.Again(context.Background(), []string{"a"}) {
		t.Error("a closed resource is used")
	}
}

func TestAFailedBuildIsTriedAgain(t *testing.T) {
	g := New(time.Hour)
	b := &builder{err: errors.New("no")}
	if _, err := g.Acquire(context.Background(), "k", b); err == nil {
		t.Fatal("no error")
	}
	b.err = nil
	if _, err := g.Acquire(context.Background(), "k", b); err != nil || b.built != 2 {
		t.Errorf("%v after %d builds", err, b.built)
	}
}

func TestManyAtOnce(t *testing.T) {
	g := New(time.Microsecond)
	var wg sync.WaitGroup
	for i := 0; i < 16; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; n < 50; n++ {
				ctx, cancel := context.WithCancel(context.Background())
				r, err := g.Acquire(ctx, "k", &builder{})
				if err != nil || r == nil {
					t.Error(err)
				}
				cancel()
			}
		}()
	}
	wg.Wait()
	eventually.True(t, "no resource is left", func() bool { return g.Len() == 0 })
}
