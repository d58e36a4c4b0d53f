package resp

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// A listener records the calls of a Tracker.
type listener struct {
	mu    sync.Mutex
	calls []string
	errs  []error
}

func (l *listener) record(call string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, call)
}

func (l *listener) Up() { l.record("up") }

func (l *listener) Down(err error) {
	l.mu.Lock()
	l.errs = append(l.errs, err)
	l.mu.Unlock()
	l.record("down")
}

func (l *listener) Invalidate(keys []string) {
	if keys == nil {
		l.record("all")
		return
	}
	l.record(strings.Join(keys, ","))
}

func (l *listener) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.calls, " ")
}

func (l *listener) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errs) == 0 {
		return nil
	}
	return l.errs[len(l.errs)-1]
}

// track starts a tracker that bears any silence and sends PING often.
func track(t *testing.T, s *resptest.Server, channel string) (*listener, *Tracker) {
	t.Helper()
	l := &listener{}
	o := patient(s.Addr())
	tr := NewTracker(o, []string{"p:s:", "p:r:"}, l)
	if channel != "" {
		tr = NewSubscriber(o, channel, l)
	}
	tr.period, tr.silence, tr.refused = 10*time.Millisecond, forever, 10*time.Millisecond
	tr.Start()
	tr.Start()
	t.Cleanup(tr.Close)
	return l, tr
}

func TestATrackerReportsChanges(t *testing.T) {
	s := resptest.Start(t)
	l, tr := track(t, s, "")
	eventually.True(t, "up", func() bool { return l.all() == "up" })
	s.Put("p:s:1", "v")
	eventually.True(t, "written", func() bool { return l.all() == "up p:s:1" })
	s.Put("p:j:1", "v")
	s.Remove("p:s:1")
	eventually.True(t, "removed", func() bool { return l.all() == "up p:s:1 p:s:1" })
	s.Push(">2\r\n$10\r\ninvalidate\r\n_\r\n")
	eventually.True(t, "flushed", func() bool { return l.all() == "up p:s:1 p:s:1 all" })
	s.Push(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n")
	eventually.True(t, "two keys", func() bool { return l.all() == "up p:s:1 p:s:1 all a,b" })
	s.Cut()
	eventually.True(t, "down and up again", func() bool { return l.all() == "up p:s:1 p:s:1 all a,b down up" })
	tr.Close()
	tr.Close()
	if calls := l.all(); !strings.HasSuffix(calls, " up down") || !errors.Is(l.last(), ErrClosed) {
		t.Errorf("%s, %v", calls, l.last())
	}
	eventually.True(t, "closed", func() bool { return s.Conns() == 0 })
}

func TestASilentConnectionIsLost(t *testing.T) {
	s := resptest.Start(t)
	l := &listener{}
	tr := NewTracker(patient(s.Addr()), nil, l)
	tr.Start()
	defer tr.Close()
	eventually.True(t, "up", func() bool { return strings.HasSuffix(l.all(), "up") })
	s.Inject(resptest.Fault{Command: "PING", Hang: true})
	before := len(l.all())
	eventually.True(t, "down", func() bool { return strings.Contains(l.all()[before:], "down") })
}

func TestAConnectionWithPongsIsKept(t *testing.T) {
	s := resptest.Start(t)
	l, _ := track(t, s, "")
	eventually.True(t, "three pings answered", func() bool { return s.Count("PING") > 3 })
	if l.all() != "up" {
		t.Error(l.all())
	}
}

func TestAnUnknownMessageEndsTheConnection(t *testing.T) {
	for _, raw := range []string{":1\r\n", "HTTP/1.1 400\r\n", ">1\r\n+x\r\n", "$5\r\nhello\r\n", "-ERR x\r\n", ">2\r\n$10\r\ninvalidate\r\n:1\r\n", "*1000000000\r\n"} {
		s := resptest.Start(t)
		l, _ := track(t, s, "")
		eventually.True(t, "up", func() bool { return l.all() == "up" })
		s.Push(raw)
		eventually.True(t, "down and up again after "+raw, func() bool { return l.all() == "up down up" })
	}
}

func TestATrackerReportsWhyItIsRefused(t *testing.T) {
	for reply, want := range map[string]error{"-NOPERM no\r\n": ErrNoPerm, "-ERR unknown\r\n": ErrTerminal} {
		s := resptest.Start(t)
		s.Inject(resptest.Fault{Command: "CLIENT", Reply: reply})
		l, _ := track(t, s, "")
		eventually.True(t, "down", func() bool { return strings.HasPrefix(l.all(), "down down") })
		if !errors.Is(l.last(), want) {
			t.Error(l.last())
		}
		s.Heal()
		eventually.True(t, "up", func() bool { return strings.HasSuffix(l.all(), "up") })
	}
}

func TestASubscriberReportsPublishedKeys(t *testing.T) {
	s := resptest.Start(t)
	l, _ := track(t, s, "changes")
	eventually.True(t, "up", func() bool { return l.all() == "up" })
	c := NewClient(patient(s.Addr()))
	defer c.Close()
	if _, err := c.Do(bg, "PUBLISH", "changes", "p:s:1"); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "told", func() bool { return l.all() == "up p:s:1" })
	if _, err := c.Do(bg, "PUBLISH", "changes", ""); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "told all", func() bool { return l.all() == "up p:s:1 all" })
	eventually.True(t, "pinged", func() bool { return s.Count("PING") > 2 })
	if l.all() != "up p:s:1 all" {
		t.Error(l.all())
	}
}

func TestATrackerWaitsForItsServer(t *testing.T) {
	s := resptest.Start(t)
	s.Stop()
	l, tr := track(t, s, "")
	eventually.True(t, "down", func() bool { return strings.HasPrefix(l.all(), "down") })
	s.Restart(t, true)
	eventually.True(t, "up", func() bool { return strings.HasSuffix(l.all(), "up") })
	tr.Close()
	never := NewTracker(Options{Address: s.Addr()}, nil, l)
	never.Close()
}
