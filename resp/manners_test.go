package resp

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// Proxies answer PING by PONG whatever its argument, and some have no ECHO or close the
// connection at a command that they do not know.
func TestProofsThatAServerUnderstands(t *testing.T) {
	pong := resptest.Fault{Command: "PING", Reply: "+PONG\r\n"}
	rows := []struct {
		name   string
		faults []resptest.Fault
		proof  int64
	}{
		{"a Redis server", nil, proofPing},
		{"Envoy, with ECHO", []resptest.Fault{pong}, proofEcho},
		{"no ECHO", []resptest.Fault{pong, {Command: "ECHO", Reply: "-ERR unsupported command\r\n"}}, proofPong},
		{"closed at ECHO", []resptest.Fault{pong, {Command: "ECHO", Cut: -1}}, proofPong},
		{"PONG as a string", []resptest.Fault{{Command: "PING", Reply: "$4\r\nPONG\r\n"}, {Command: "ECHO", Reply: "-ERR x\r\n"}}, proofPong},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s, c := start(t, nil)
			for _, f := range row.faults {
				s.Inject(f)
			}
			if err := c.Set(bg, "k", []byte("v"), time.Minute); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < 3; i++ {
				for x := c.only.top; x != nil; x = x.next {
					x.due = 0 // each use needs a proof
					x.fresh = 0
				}
				if v, err := c.Get(bg, "k"); err != nil || string(v) != "v" {
					t.Fatalf("%q, %v", v, err)
				}
			}
			if err := c.Ping(bg); err != nil {
				t.Errorf("Ping: %v", err)
			}
			if got := c.only.manners.proof.Load(); got != row.proof {
				t.Errorf("proof %d, want %d", got, row.proof)
			}
			if st := c.Stats().Pool; st.Open != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Another server at the same address may understand another proof.
func TestAProofIsLearntAgain(t *testing.T) {
	s, c := start(t, nil)
	if err := c.Set(bg, "k", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	s.Inject(resptest.Fault{Command: "PING", Reply: "+PONG\r\n"})
	s.Cut()
	eventually.True(t, "an answer", func() bool { _, err := c.Get(bg, "k"); return err == nil })
	for x := c.only.top; x != nil; x = x.next {
		x.due, x.fresh = 0, 0
	}
	if _, err := c.Get(bg, "k"); err != nil {
		t.Error(err)
	}
	if got := c.only.manners.proof.Load(); got != proofEcho {
		t.Errorf("proof %d", got)
	}
}

// HELLO is not the only way to authenticate.
func TestAuthenticationWithoutHello(t *testing.T) {
	rows := []struct {
		name  string
		fault resptest.Fault
	}{
		{"NOAUTH", resptest.Fault{Command: "HELLO", Reply: "-NOAUTH HELLO must be called with the client already authenticated\r\n"}},
		{"NOPERM", resptest.Fault{Command: "HELLO", Reply: "-NOPERM this user has no permissions to run the 'hello' command\r\n"}},
		{"a closed connection", resptest.Fault{Command: "HELLO", Cut: -1}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s, c := start(t, func(o *Options) { o.Username, o.Password = "app", "pw" })
			s.Require("app", "pw")
			s.Inject(row.fault)
			for i := 0; i < 3; i++ {
				if err := c.Set(bg, "k", []byte("v"), time.Minute); err != nil {
					t.Fatal(err)
				}
				s.Cut()
				eventually.True(t, "the connection is gone", func() bool { return s.Conns() == 0 })
			}
			eventually.True(t, "an answer", func() bool { _, err := c.Get(bg, "k"); return err == nil })
			if n := s.Count("HELLO"); n != 1 {
				t.Errorf("%d HELLO, want 1: the client remembers that HELLO is refused", n)
			}
		})
	}
	t.Run("a wrong password is final", func(t *testing.T) {
		s, c := start(t, func(o *Options) { o.Username, o.Password = "app", "no" })
		s.Require("app", "pw")
		s.Inject(resptest.Fault{Command: "HELLO", Reply: "-NOAUTH x\r\n"})
		if err := c.Ping(bg); !errors.Is(err, ErrWrongPass) {
			t.Error(err)
		}
	})
	t.Run("a wrong password in HELLO is final", func(t *testing.T) {
		s, c := start(t, func(o *Options) { o.Username, o.Password = "app", "no" })
		s.Require("app", "pw")
		if err := c.Ping(bg); !errors.Is(err, ErrWrongPass) || s.Count("AUTH") > 0 {
			t.Errorf("%v, %d AUTH", err, s.Count("AUTH"))
		}
	})
}

// Servers and proxies have many wordings for the refusal of scripts.
func TestScriptsAreRefusedInManyWords(t *testing.T) {
	for _, text := range []string{
		"ERR unknown command 'EVALSHA', with args beginning with: ",
		"ERR unsupported command 'evalsha'",
		"ERR Scripts are disabled on this server",
		"ERR command EVALSHA not allowed",
		"ERR 'EVALSHA' is not supported by this proxy",
		"NOPERM this user has no permissions to run the 'evalsha' command",
	} {
		s, c := start(t, nil)
		s.Inject(resptest.Fault{Command: "EVALSHA", Reply: "-" + text + "\r\n"})
		f := &countedFallback{}
		r, err := c.Eval(bg, NewScript("return 1", true, f), []string{"k"}, nil)
		if err != nil || f.calls != 1 || r.Int != 7 {
			t.Errorf("%s: %v, %d calls of the fallback", text, err, f.calls)
		}
		if _, err := c.Eval(bg, NewScript("return 1", true, f), []string{"k"}, nil); err != nil || s.Count("EVALSHA") != 1 {
			t.Errorf("%s: %v, %d EVALSHA", text, err, s.Count("EVALSHA"))
		}
	}
	for _, text := range []string{
		"ERR Error running script (call to f_1): @user_script:1: x",
		"ERR user_script:3: Script attempted to access nonexistent global variable 'x' script: f, on @user_script:3.",
		"ERR Error compiling script (new function): user_script:1: x",
		"OOM command not allowed when used memory > 'maxmemory'.",
	} {
		s, c := start(t, nil)
		s.Inject(resptest.Fault{Command: "EVALSHA", Reply: "-" + text + "\r\n"})
		f := &countedFallback{}
		if _, err := c.Eval(bg, NewScript("return 1", true, f), []string{"k"}, nil); err == nil || f.calls != 0 {
			t.Errorf("%s: %v, %d calls of the fallback", text, err, f.calls)
		}
	}
}

type countedFallback struct{ calls int }

func (f *countedFallback) Decide([][]byte, []string) ([]Command, Reply, error) {
	f.calls++
	return nil, Reply{Kind: Int, Int: 7}, nil
}

// A silent connection costs an operation a quarter of its time. The other idle ones cost
// nothing.
func TestASilentIdleConnectionDoesNotFailAnOperation(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize, o.MaxRetries, o.OperationTimeout = 8, -1, 8*time.Second })
	hold(t, s, c, 5)()
	idle := 0
	for x := c.only.top; x != nil; x = x.next {
		x.due, x.fresh = 0, 0
		idle++
	}
	if idle < 5 {
		t.Fatalf("%d idle", idle)
	}
	accepted := s.Accepted()
	s.Inject(resptest.Fault{Command: "PING", Hang: true, Times: 1})
	if _, err := c.Exists(bg, "k"); err != nil {
		t.Fatal(err)
	}
	if n := s.Accepted() - accepted; n != 1 {
		t.Errorf("%d connections were opened, want 1", n)
	}
	if st := c.Stats().Pool; st.Open != 1 {
		t.Errorf("%+v", st)
	}
}

// A connection that is too old is not handed on while operations queue.
func TestAnOldConnectionIsNotHandedOn(t *testing.T) {
	k := &clock{at: time.Now()}
	s, c := start(t, func(o *Options) { o.PoolSize, o.MaxConnAge, o.Now = 1, time.Minute, k.now })
	release := hold(t, s, c, 1)
	served := make(chan error, 1)
	go func() {
		_, err := c.Exists(bg, "k")
		served <- err
	}()
	eventually.True(t, "one waits", func() bool { return c.Stats().Pool.Waiting == 1 })
	k.pass(time.Hour)
	release()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if s.Accepted() != 2 {
		t.Errorf("%d connections, want a new one", s.Accepted())
	}
}

// A dial that fails is repeated for the waiters, although another connection is open.
func TestAFailedDialIsRepeatedForWaiters(t *testing.T) {
	var dials atomic.Int64
	s, c := start(t, func(o *Options) {
		o.PoolSize, o.MaxRetries = 2, -1
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) == 2 {
				return nil, errors.New("refused")
			}
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		}
	})
	release := hold(t, s, c, 1)
	defer release()
	if _, err := c.Exists(bg, "k"); err != nil {
		t.Error(err)
	}
}

func TestATrackerIsClosedTwice(t *testing.T) {
	s := resptest.Start(t)
	unstarted := NewTracker(Options{Address: s.Addr()}, []string{"s:"}, &listener{})
	unstarted.Close()
	unstarted.Close()
	started := NewTracker(Options{Address: s.Addr()}, []string{"s:"}, &listener{})
	started.Start()
	started.Close()
	started.Close()
}

// Close does not wait for the greeting of a server that sends nothing.
func TestCloseDoesNotWaitForAMuteServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	greeted := make(chan struct{})
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		b := make([]byte, 1)
		_, _ = nc.Read(b)
		close(greeted)
		_, _ = io.Copy(io.Discard, nc)
	}()
	tr := NewTracker(Options{Address: ln.Addr().String(), DialTimeout: time.Hour}, []string{"s:"}, &listener{})
	tr.Start()
	<-greeted
	tr.Close()
}

// The invalidation link is replaced at the age of a connection, without a pause.
func TestATrackerReplacesItsConnection(t *testing.T) {
	s := resptest.Start(t)
	k := &clock{at: time.Now()}
	l := &listener{}
	tr := NewTracker(Options{Address: s.Addr(), MaxConnAge: time.Hour, Now: k.now}, []string{"s:"}, l)
	tr.period = time.Millisecond
	tr.Start()
	defer tr.Close()
	eventually.True(t, "up", func() bool { return strings.Count(l.all(), "up") == 1 })
	k.pass(2 * time.Hour)
	eventually.True(t, "up again", func() bool { return strings.Count(l.all(), "up") == 2 })
	if !errors.Is(l.last(), ErrRetired) {
		t.Error(l.last())
	}
}

// A refusal for good is followed by another attempt after minutes.
func TestPausesAfterRefusals(t *testing.T) {
	tr := NewTracker(Options{}, nil, &listener{})
	for _, row := range []struct {
		err   error
		least time.Duration
	}{
		{ErrNoPerm, refusedBase}, {ErrUnknownCommand, refusedBase}, {ErrNotSent, reconnectBase},
	} {
		if least, _ := tr.pauses(false, row.err); least != row.least {
			t.Errorf("%v: %v", row.err, least)
		}
	}
	if least, _ := tr.pauses(true, ErrNoPerm); least != reconnectBase {
		t.Errorf("after a connection that listened: %v", least)
	}
	if _, most := tr.pauses(false, ErrNoPerm); most < time.Minute {
		t.Errorf("at most %v", most)
	}
}
