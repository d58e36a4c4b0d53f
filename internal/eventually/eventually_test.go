package eventually

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestWithin(t *testing.T) {
	calls := 0
	third := func() bool { calls++; return calls == 3 }
	if !Within(time.Minute, third) || calls != 3 {
		t.Errorf("%d calls of a condition that is true at the third", calls)
	}
	calls = 0
	if Within(0, third) || calls != 1 {
		t.Errorf("%d calls within no time", calls)
	}
	if Within(3*mostPause, func() bool { calls++; return false }) || calls < 3 {
		t.Errorf("%d calls of a condition that is never true", calls)
	}
}

// A test that fails keeps its text, and its goroutine ends.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestTrue(t *testing.T) {
	f := &failing{TB: t}
	True(f, "it is so", func() bool { return true })
	if f.text != "" {
		t.Error(f.text)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		within(f, 0, "it is so", func() bool { return false })
		f.text = "it goes on"
	}()
	<-done
	if !strings.Contains(f.text, "it is so") {
		t.Errorf("a condition that is never true: %q", f.text)
	}
}
