package background

import (
	"context"
	"testing"
	"time"
)

type signal struct {
	done  chan int
	id    int
	panic bool
}

func (s *signal) Run() {
	s.done <- s.id
	if s.panic {
		panic("must not end the process")
	}
}

func TestATaskRunsOnceAndItsPanicEndsNoOther(t *testing.T) {
	done := make(chan int, 16)
	for i := 0; i < 8; i++ {
		Start(&signal{done: done, id: i, panic: i%2 == 0})
		After(time.Microsecond, &signal{done: done, id: 8 + i, panic: i%2 == 0})
	}
	seen := map[int]int{}
	for i := 0; i < 16; i++ {
		seen[<-done]++
	}
	for i := 0; i < 16; i++ {
		if seen[i] != 1 {
			t.Errorf("task %d ran %d times", i, seen[i])
		}
	}
}

func TestAStoppedTimerDoesNotRun(t *testing.T) {
	done := make(chan int, 1)
	if !After(time.Hour, &signal{done: done}).Stop() {
		t.Fatal("the timer had run")
	}
	if len(done) != 0 {
		t.Fatal("a stopped task ran")
	}
}

func TestAPauseEndsByItselfOrWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	for _, d := range []time.Duration{time.Millisecond, 0, -time.Second} {
		if !Pause(ctx, d) {
			t.Errorf("a pause of %s has no end of its own", d)
		}
	}
	goesOn := make(chan bool, 1)
	go func() { goesOn <- Pause(ctx, time.Hour) }()
	cancel()
	if <-goesOn {
		t.Error("a pause whose context is done goes on")
	}
	if Pause(ctx, time.Hour) {
		t.Error("a pause begins after its context is done")
	}
}

func TestATaskRunsWhenItsContextIsDone(t *testing.T) {
	done := make(chan int, 2)
	ctx, cancel := context.WithCancel(context.Background())
	Done(ctx, &signal{done: done, id: 7, panic: true})
	if len(done) != 0 {
		t.Fatal("the task ran too early")
	}
	cancel()
	if id := <-done; id != 7 {
		t.Errorf("task %d ran", id)
	}
}
