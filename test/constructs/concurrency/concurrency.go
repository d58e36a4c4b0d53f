// Package concurrency has the constructs of concurrent code that the plugin uses.
package concurrency

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// Table has all constructs by the names of their functions.
var Table = map[string]func(g int) string{
	"Start": Start, "After": After, "Done": Done, "ContextAfterFunc": ContextAfterFunc, "Expiry": Expiry, "Broadcast": Broadcast,
	"Cond": Cond, "SharedMap": SharedMap, "Once": Once, "AtomicBool": AtomicBool, "AtomicValue": AtomicValue, "SingleFlight": SingleFlight,
	"DeferredUnlock": DeferredUnlock, "Deadline": Deadline, "Pipeline": Pipeline, "WaitGroup": WaitGroup,
	"NilInterface": NilInterface,
}

type report struct {
	c     chan int
	id    int
	panic bool
}

// Run reports and then may panic.
func (r *report) Run() {
	r.c <- r.id
	if r.panic {
		panic("the goroutine's end, not the process's")
	}
}

// collect receives n reports and checks that they are first..first+n-1.
func collect(c chan int, first, n int) string {
	sum := 0
	for i := 0; i < n; i++ {
		id := <-c
		sum += id - first
	}
	if want := n * (n - 1) / 2; sum != want {
		return fmt.Sprintf("reports sum up to %d, want %d", sum, want)
	}
	return ""
}

// Start starts panicking tasks in a loop. Each has a variable of its own, because
// interfaces made from a literal in a loop all become the last one.
func Start(g int) string {
	c := make(chan int, 8)
	for i := 0; i < 8; i++ {
		r := &report{c: c, id: g + i, panic: i%2 == 0}
		background.Start(r)
	}
	return collect(c, g, 8)
}

// After starts panicking tasks by timers.
func After(g int) string {
	c := make(chan int, 8)
	for i := 0; i < 8; i++ {
		r := &report{c: c, id: g + i, panic: i%2 == 0}
		background.After(time.Microsecond, r)
	}
	return collect(c, g, 8)
}

// Done starts panicking tasks at the end of a context.
func Done(g int) string {
	ctx, cancel := context.WithCancel(context.Background())
	c := make(chan int, 4)
	for i := 0; i < 4; i++ {
		r := &report{c: c, id: g + i, panic: i%2 == 0}
		background.Done(ctx, r)
	}
	cancel()
	return collect(c, g, 4)
}

type waiter struct {
	mu   sync.Mutex
	told bool
	c    chan int
}

func (w *waiter) tell(v int) {
	w.mu.Lock()
	first := !w.told
	w.told = true
	w.mu.Unlock()
	if first {
		w.c <- v
	}
}

func (w *waiter) expire() {
	w.tell(-1)
}

func await(ctx context.Context, w *waiter) int {
	stop := context.AfterFunc(ctx, w.expire)
	v := <-w.c
	stop()
	return v
}

type teller struct {
	w *waiter
	v int
}

func (t *teller) Run() {
	t.w.tell(t.v)
}

// ContextAfterFunc binds a method to a parameter. The first of two notifications wins.
func ContextAfterFunc(g int) string {
	w := &waiter{c: make(chan int, 1)}
	background.Start(&teller{w: w, v: g})
	if v := await(context.Background(), w); v != g {
		return fmt.Sprintf("got %d, want %d", v, g)
	}
	return ""
}

// Expiry waits for the end of a context only.
func Expiry(_ int) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Microsecond)
	defer cancel()
	if v := await(ctx, &waiter{c: make(chan int, 1)}); v != -1 {
		return fmt.Sprintf("got %d, want the expiry", v)
	}
	return ""
}

type listener struct {
	over chan struct{}
	c    chan int
	id   int
}

func (l *listener) Run() {
	<-l.over
	l.c <- l.id
}

// Broadcast closes a channel on which several goroutines wait.
func Broadcast(g int) string {
	over, c := make(chan struct{}), make(chan int, 4)
	for i := 0; i < 4; i++ {
		l := &listener{over: over, c: c, id: g + i}
		background.Start(l)
	}
	close(over)
	return collect(c, g, 4)
}

type gate struct {
	mu   sync.Mutex
	cond *sync.Cond
	open bool
}

func (g *gate) Run() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
	g.cond.Broadcast()
}

// Cond waits for a condition that another goroutine makes true.
func Cond(_ int) string {
	g := &gate{}
	g.cond = sync.NewCond(&g.mu)
	background.Start(g)
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.open {
		g.cond.Wait()
	}
	return ""
}

type entry struct {
	n    int
	hits atomic.Int64
}

var shared sync.Map

// SharedMap loads, stores and replaces values of our own types in one sync.Map.
func SharedMap(g int) string {
	e := &entry{n: g}
	v, _ := shared.LoadOrStore(g, e)
	kept, ok := v.(*entry)
	if !ok || kept.n != g {
		return "another's entry"
	}
	kept.hits.Add(1)
	v, ok = shared.Load(g)
	if !ok || v.(*entry).hits.Load() < 1 {
		return "the entry is gone"
	}
	return ""
}

type lazy struct {
	once sync.Once
	n    int
}

func (l *lazy) fill() {
	l.n++
}

func (l *lazy) get() int {
	l.once.Do(l.fill)
	return l.n
}

var one = &lazy{}

// Once calls a method of the receiver once.
func Once(_ int) string {
	if n := one.get(); n != 1 {
		return fmt.Sprintf("filled %d times", n)
	}
	return ""
}

// AtomicBool is set by the first goroutine only.
func AtomicBool(_ int) string {
	var taken atomic.Bool
	if !taken.CompareAndSwap(false, true) || taken.CompareAndSwap(false, true) || !taken.Load() {
		return "not the first alone"
	}
	return ""
}

var current atomic.Value

// AtomicValue publishes tables that are not changed.
func AtomicValue(g int) string {
	current.Store(map[string]int{"a": g, "b": g})
	m, ok := current.Load().(map[string]int)
	if !ok || m["a"] != m["b"] {
		return fmt.Sprintf("half a table: %v", m)
	}
	return ""
}

type call struct {
	done chan struct{}
	v    int
}

type flight struct {
	mu    sync.Mutex
	calls map[int]*call
}

func (f *flight) do(key int) int {
	f.mu.Lock()
	c := f.calls[key]
	if c != nil {
		f.mu.Unlock()
		<-c.done
		return c.v
	}
	c = &call{done: make(chan struct{})}
	f.calls[key] = c
	f.mu.Unlock()
	c.v = key * 2
	f.mu.Lock()
	delete(f.calls, key)
	f.mu.Unlock()
	close(c.done)
	return c.v
}

var flights = &flight{calls: map[int]*call{}}

// SingleFlight shares a running call. Each caller gets the result for its key.
func SingleFlight(g int) string {
	if v := flights.do(g % 3); v != g%3*2 {
		return fmt.Sprintf("got %d for %d", v, g%3)
	}
	return ""
}

type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) add(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[key]++
	return c.n[key]
}

// DeferredUnlock unlocks a mutex of the receiver.
func DeferredUnlock(_ int) string {
	c := &counter{n: map[string]int{}}
	c.add("a")
	if c.add("a") != 2 || c.add("b") != 1 {
		return "miscounted"
	}
	return ""
}

// Deadline distinguishes a timeout from a cancellation.
func Deadline(_ int) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Microsecond)
	<-ctx.Done()
	cancel()
	if ctx.Err() != context.DeadlineExceeded {
		return fmt.Sprint("the timeout is ", ctx.Err())
	}
	gone, end := context.WithCancel(context.Background())
	end()
	if gone.Err() != context.Canceled {
		return fmt.Sprint("the cancellation is ", gone.Err())
	}
	return ""
}

type stage struct {
	in, out chan int
}

func (s *stage) Run() {
	for v := range s.in {
		doubled := v * 2
		s.out <- doubled
	}
	close(s.out)
}

// Pipeline ranges over a channel until it is closed.
func Pipeline(g int) string {
	s := &stage{in: make(chan int, 1), out: make(chan int, 3)}
	background.Start(s)
	s.in <- g
	s.in <- g + 1
	close(s.in)
	sum := 0
	for v := range s.out {
		sum += v
	}
	if sum != 4*g+2 {
		return fmt.Sprintf("got %d, want %d", sum, 4*g+2)
	}
	return ""
}

type share struct {
	wg  *sync.WaitGroup
	sum *atomic.Int64
	n   int
}

func (s *share) Run() {
	defer s.wg.Done()
	s.sum.Add(int64(s.n))
}

// WaitGroup waits for tasks from a loop.
func WaitGroup(g int) string {
	var wg sync.WaitGroup
	var sum atomic.Int64
	for i := 0; i < 4; i++ {
		wg.Add(1)
		s := &share{wg: &wg, sum: &sum, n: g}
		background.Start(s)
	}
	wg.Wait()
	if sum.Load() != int64(4*g) {
		return fmt.Sprintf("got %d, want %d", sum.Load(), 4*g)
	}
	return ""
}

type holder struct {
	listener runner
}

type runner interface{ Run() }

var holding = &holder{}

// NilInterface passes a shared nil interface of ours to the standard library, through a
// variable. If it is passed directly from the field, the interpreter writes to the field.
func NilInterface(_ int) string {
	listener := holding.listener
	if text := fmt.Sprint(listener); text != "<nil>" {
		return text
	}
	return ""
}
