package circuitbreaker

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// bench is a breaker with a clock and probes that the test controls.
type bench struct {
	*Breaker
	t       *testing.T
	clock   time.Time
	next    background.Runner // the armed probe
	pause   time.Duration     // before it
	results []Outcome         // of the next probes
	changes []string          // transitions that the listener received
}

func (x *bench) Probe() Outcome {
	o := x.results[0]
	x.results = x.results[1:]
	return o
}

func (x *bench) BreakerChanged(from, to State) {
	x.changes = append(x.changes, fmt.Sprint(int(from), int(to)))
	x.State() // must not deadlock
}

func newBench(t *testing.T, o Options) *bench {
	x := &bench{t: t, clock: time.Unix(1e9, 0)}
	o.Prober, o.Listener = x, x
	o.Now = func() time.Time { return x.clock }
	x.Breaker = New(o)
	x.Breaker.after = func(d time.Duration, r background.Runner) *time.Timer {
		x.next, x.pause = r, d
		return time.NewTimer(time.Hour)
	}
	return x
}

// calls makes a call for each letter: s success, f failure, d denied, i ignored.
func (x *bench) calls(letters string) {
	x.t.Helper()
	for _, l := range letters {
		g, err := x.Allow()
		if err != nil {
			x.t.Fatalf("refused in %q", letters)
		}
		x.Done(g, map[rune]Outcome{'s': Success, 'f': Failure, 'd': Denied, 'i': Ignored}[l])
	}
}

// probe runs the armed probe with the outcome o.
func (x *bench) probe(o Outcome) {
	x.t.Helper()
	if x.next == nil {
		x.t.Fatal("no probe is armed")
	}
	r := x.next
	x.next = nil
	x.results = append(x.results, o)
	r.Run()
}

func (x *bench) is(s State) {
	x.t.Helper()
	if x.State() != s {
		x.t.Fatalf("state %d, want %d", x.State(), s)
	}
	if _, err := x.Allow(); s != Closed && !errors.Is(err, ErrOpen) || s == Closed && err != nil {
		x.t.Fatalf("in state %d Allow returns %v", s, err)
	}
}

func TestOpening(t *testing.T) {
	for _, c := range []struct {
		name  string
		calls string
		state State
	}{
		{"nothing", "", Closed},
		{"too few in a row", "ffff", Closed},
		{"five in a row", "fffff", Open},
		{"five denials in a row", "ddddd", Open},
		{"a success ends the row", "ffffsffff", Closed},
		{"an ignored call does not end the row", "ffiiff" + "f", Open},
		{"ignored calls", strings.Repeat("i", 100), Closed},
		{"half of too few calls", strings.Repeat("fs", 9) + "f", Closed},
		{"half of enough calls", strings.Repeat("sf", 10), Open},
		{"less than half", strings.Repeat("ssf", 50), Closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newBench(t, Options{})
			x.calls(c.calls)
			x.is(c.state)
		})
	}
}

func TestCallsLeaveTheWindow(t *testing.T) {
	x := newBench(t, Options{})
	for i := 0; i < 100; i++ {
		x.calls("ssf")
		x.clock = x.clock.Add(1100 * time.Millisecond)
	}
	x.is(Closed)
	if s := x.Stats(); s.Calls > 30 || s.Calls < 24 || s.Failed != s.Calls/3 {
		t.Fatalf("%+v", s)
	}
	x.clock = x.clock.Add(time.Hour)
	if s := x.Stats(); s.Calls != 0 {
		t.Fatalf("%+v", s)
	}
	x.clock = x.clock.Add(-2 * time.Hour) // a clock set back
	x.calls(strings.Repeat("sf", 10))
	x.is(Open)
}

func TestOnlyProbesClose(t *testing.T) {
	x := newBench(t, Options{})
	x.calls("fffff")
	x.probe(Failure)
	x.is(Open)
	x.probe(Success)
	x.is(HalfOpen)
	x.probe(Ignored)
	x.is(Open)
	x.probe(Success)
	x.is(HalfOpen)
	x.probe(Success)
	x.is(Closed)
	if x.next != nil {
		t.Error("a closed breaker probes")
	}
	if got := strings.Join(x.changes, ","); got != "0 1,1 2,2 1,1 2,2 0" {
		t.Errorf("transitions %q", got)
	}
	if s := x.Stats(); s.Opened != 1 {
		t.Errorf("%+v", s)
	}
}

func TestPausesDoubleUpToABound(t *testing.T) {
	x := newBench(t, Options{})
	x.Trip()
	for i, want := range []time.Duration{250, 500, 1000, 1000} {
		want *= time.Millisecond
		if x.pause < want*4/5 || x.pause > want*6/5 {
			t.Errorf("pause %d is %s, want about %s", i, x.pause, want)
		}
		x.probe(Failure)
	}
	x.probe(Denied)
	if x.pause < 4*time.Second {
		t.Errorf("after a denial %s", x.pause)
	}
	x.probe(Success)
	if x.pause > 300*time.Millisecond {
		t.Errorf("after a success %s", x.pause)
	}
}

func TestResultsOfAnEarlierGenerationAreIgnored(t *testing.T) {
	x := newBench(t, Options{})
	var late []uint64
	for i := 0; i < 10; i++ {
		g, _ := x.Allow()
		late = append(late, g)
	}
	x.calls("fffff")
	for _, g := range late[:5] {
		x.Done(g, Success)
	}
	x.is(Open)
	x.probe(Success)
	x.probe(Success)
	for _, g := range late[5:] {
		x.Done(g, Failure)
	}
	x.is(Closed)
	if s := x.Stats(); s.Failures != 0 || s.Calls != 0 {
		t.Errorf("%+v", s)
	}
}

func TestCloseEndsProbing(t *testing.T) {
	x := newBench(t, Options{})
	x.Trip()
	x.Close()
	x.probe(Success)
	x.is(Open)
	if x.next != nil {
		t.Error("another probe is armed")
	}
}

type panics struct{}

func (p *panics) Probe() Outcome { panic("prober") }

func TestAPanicOfTheProberIsAFailure(t *testing.T) {
	p := &panics{}
	armed := make(chan background.Runner, 1)
	b := New(Options{Prober: p})
	b.after = func(d time.Duration, r background.Runner) *time.Timer {
		armed <- r
		return time.NewTimer(time.Hour)
	}
	b.Trip()
	for i := 0; i < 3; i++ {
		background.Start(<-armed)
	}
	<-armed
	if b.State() != Open {
		t.Error("the breaker closed")
	}
}

func TestTransitionsAreReportedInOrder(t *testing.T) {
	x := newBench(t, Options{Threshold: 1, Successes: 1})
	var wg sync.WaitGroup
	x.Breaker.after = func(d time.Duration, r background.Runner) *time.Timer {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r.Run()
		}()
		return time.NewTimer(time.Hour)
	}
	x.results = make([]Outcome, 10000)
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 200; i++ {
				if gen, err := x.Allow(); err == nil {
					x.Done(gen, Failure)
				}
			}
		}()
	}
	wg.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, n := range x.changes {
		if want := []string{"0 1", "1 2", "2 0"}[i%3]; n != want {
			t.Fatalf("transition %d is %q, want %q", i, n, want)
		}
	}
	if len(x.changes) < 3 || len(x.changes)%3 != 0 {
		t.Fatalf("%d transitions", len(x.changes))
	}
}
