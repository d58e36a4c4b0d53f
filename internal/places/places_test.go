package places

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

func TestASingleClientGetsAFifth(t *testing.T) {
	p := New(128, 0)
	n := 0
	for p.TryTake("a") {
		n++
	}
	if n != 26 {
		t.Fatalf("%d places of 128", n)
	}
	for i := 0; i < n; i++ {
		p.Leave("a")
	}
	if p.taken != 0 || len(p.held) != 0 {
		t.Fatalf("%d taken, %v held", p.taken, p.held)
	}
}

func TestGreedyClientsLeavePlacesForOthers(t *testing.T) {
	p := New(128, 0)
	for round := 0; round < 128; round++ {
		for i := 0; i < 30; i++ {
			p.TryTake(fmt.Sprint("greedy-", i))
		}
	}
	for i := 0; i < 8; i++ {
		if !p.TryTake(fmt.Sprint("modest-", i)) {
			t.Fatalf("%d of 128 are taken, and modest client %d gets none", p.taken, i)
		}
	}
}

func TestEachClientGetsOneOfAsManyPlaces(t *testing.T) {
	p := New(16, 0)
	for i := 0; i < 16; i++ {
		if !p.TryTake(fmt.Sprint(i)) {
			t.Fatalf("client %d gets no place", i)
		}
	}
	if p.TryTake("one more") {
		t.Fatal("17 of 16 places are taken")
	}
}

func (p *Places) waits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// waiters starts n waiters of client, one after the other. Each sends its name to got
// when it has a place, or the error.
func waiters(t *testing.T, p *Places, ctx context.Context, client string, n int, got chan<- string) *sync.WaitGroup {
	t.Helper()
	var all sync.WaitGroup
	for i := 0; i < n; i++ {
		before := p.waits()
		name := fmt.Sprint(client, i)
		all.Add(1)
		go func() {
			defer all.Done()
			if err := p.Take(ctx, client); err != nil {
				got <- err.Error()
				return
			}
			got <- name
		}()
		eventually.True(t, name+" waits", func() bool { return p.waits() == before+1 })
	}
	return &all
}

func TestWaitingClientsGetPlacesInTurn(t *testing.T) {
	p := New(3, 40)
	for _, client := range []string{"x", "y", "z"} {
		if !p.TryTake(client) {
			t.Fatal(client)
		}
	}
	got := make(chan string, 10)
	ctx := context.Background()
	a := waiters(t, p, ctx, "a", 4, got)
	b := waiters(t, p, ctx, "b", 2, got)
	order := ""
	leave := "x"
	for i := 0; i < 6; i++ {
		p.Leave(leave)
		name := <-got
		order += name + " "
		leave = name[:1]
	}
	a.Wait()
	b.Wait()
	if order != "a0 b0 a1 b1 a2 a3 " {
		t.Errorf("the order is %s", order)
	}
	p.Leave(leave)
	p.Leave("y")
	p.Leave("z")
	if p.taken != 0 || p.waiting != 0 || len(p.held)+len(p.queues)+p.turns.Len() != 0 {
		t.Errorf("left: %+v", p)
	}
}

func TestAClientAtItsLimitDoesNotDelayOthers(t *testing.T) {
	p := New(8, 40)
	held := 0
	for p.TryTake("a") {
		held++
	}
	got := make(chan string, 10)
	a := waiters(t, p, context.Background(), "a", 3, got)
	if err := p.Take(context.Background(), "b"); err != nil {
		t.Fatalf("another client, while places are free: %v", err)
	}
	for i := 0; i < 3; i++ {
		p.Leave("a")
		<-got
	}
	a.Wait()
	if p.held["a"] > held || p.held["b"] != 1 {
		t.Errorf("held %v", p.held)
	}
}

func TestTheNumberOfWaitersIsBounded(t *testing.T) {
	p := New(0, 10)
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan string, 20)
	a := waiters(t, p, ctx, "a", 2, got)
	if err := p.Take(ctx, "a"); !errors.Is(err, errFull) {
		t.Errorf("the third waiter of one client, with room for ten: %v", err)
	}
	b := waiters(t, p, ctx, "b", 2, got)
	cancel()
	a.Wait()
	b.Wait()
	if p.waiting != 0 || len(p.queues)+p.turns.Len() != 0 {
		t.Errorf("left: %+v", p)
	}
	if err := p.Take(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	p := New(8, 4000)
	var all sync.WaitGroup
	var mu sync.Mutex
	inside, most := 0, 0
	for i := 0; i < 400; i++ {
		client := fmt.Sprint(i % 7)
		patience := time.Minute
		if i%5 == 0 {
			patience = time.Millisecond
		}
		all.Add(1)
		go func() {
			defer all.Done()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if p.Take(ctx, client) != nil {
				return
			}
			mu.Lock()
			inside++
			if inside > most {
				most = inside
			}
			mu.Unlock()
			for i := 0; i < 100; i++ {
				runtime.Gosched() // others come meanwhile
			}
			mu.Lock()
			inside--
			mu.Unlock()
			p.Leave(client)
		}()
	}
	all.Wait()
	if most > 8 || p.taken != 0 || p.waiting != 0 || len(p.held)+len(p.queues)+p.turns.Len() != 0 {
		t.Errorf("%d at once; left: %+v", most, p)
	}
}
