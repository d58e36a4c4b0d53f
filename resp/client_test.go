package resp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

var bg = context.Background()

// forever is no limit to a test: what must end within a limit of its own would not
// end by this one.
const forever = time.Hour

// patient are options of a client to which a machine cannot be too slow.
func patient(address string) Options {
	return Options{
		Address: address, OperationTimeout: forever, ReadTimeout: forever, WriteTimeout: forever, PoolTimeout: forever, DialTimeout: forever,
	}
}

// start returns a server and a client of it, with what change makes of patient
// options.
func start(t testing.TB, change func(*Options)) (*resptest.Server, *Client) {
	t.Helper()
	s := resptest.Start(t)
	o := patient(s.Addr())
	if change != nil {
		change(&o)
	}
	c := NewClient(o)
	t.Cleanup(c.Close)
	return s, c
}

// limit is how long a test waits for what must come.
const limit = time.Minute

// ends is what f returns, which it must do by a limit of its own.
func ends(t testing.TB, f func() error) error {
	t.Helper()
	over := make(chan error, 1)
	go func() { over <- f() }()
	select {
	case err := <-over:
		return err
	case <-time.After(limit):
		t.Fatal("does not end")
	}
	return nil
}

// onceSent is what a GET of key returns that the server got before its budget was
// over: f makes one with each budget.
func onceSent(t testing.TB, s *resptest.Server, key string, f func(budget time.Duration) error) error {
	t.Helper()
	gets := func() int {
		n := 0
		for _, args := range s.Commands() {
			if args[0] == "GET" && args[1] == key {
				n++
			}
		}
		return n
	}
	for budget := 50 * time.Millisecond; budget < limit; budget *= 2 {
		before := gets()
		if err := ends(t, func() error { return f(budget) }); gets() > before {
			return err
		}
	}
	t.Fatal("never sent")
	return nil
}

func TestOperations(t *testing.T) {
	s, c := start(t, nil)
	if _, err := c.Get(bg, "k"); !errors.Is(err, ErrNil) {
		t.Fatalf("missing key: %v", err)
	}
	for _, value := range []string{"", "v", "a\r\n$3\r\nb", strings.Repeat("x", 4070), strings.Repeat("y", 4086), strings.Repeat("z", 5000), strings.Repeat("w", 300000)} {
		if err := c.Set(bg, "k", []byte(value), time.Minute); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 3; i++ {
			got, err := c.Get(bg, "k")
			if err != nil || string(got) != value {
				t.Fatalf("%d bytes became %d, %v", len(value), len(got), err)
			}
		}
	}
	if ttl, err := c.PTTL(bg, "k"); err != nil || ttl <= 0 || ttl > time.Minute {
		t.Errorf("ttl %v, %v", ttl, err)
	}
	if err := c.Set(bg, "forever", []byte("v"), 0); err != nil {
		t.Error(err)
	}
	if ttl, err := c.PTTL(bg, "forever"); err != nil || ttl >= 0 {
		t.Errorf("ttl %v, %v", ttl, err)
	}
	if _, err := c.PTTL(bg, "missing"); !errors.Is(err, ErrNil) {
		t.Error(err)
	}
	for i, want := range []bool{true, false, false} {
		if won, err := c.SetNX(bg, "nx", []byte("me"), time.Minute); err != nil || won != want {
			t.Errorf("SET NX %d: %v, %v", i, won, err)
		}
	}
	if there, err := c.Exists(bg, "nx"); err != nil || !there {
		t.Error(there, err)
	}
	if n, err := c.Del(bg, "nx", "missing"); err != nil || n != 1 {
		t.Error(n, err)
	}
	if n, err := c.Unlink(bg, "forever"); err != nil || n != 1 {
		t.Error(n, err)
	}
	if err := c.Ping(bg); err != nil {
		t.Error(err)
	}
	if _, err := c.Do(bg); !errors.Is(err, ErrTerminal) {
		t.Error(err)
	}
	if got := s.Keys(); len(got) != 1 {
		t.Errorf("keys %q", got)
	}
}

func TestJ4KeysAreArgumentsWhateverTheyHold(t *testing.T) {
	s, c := start(t, nil)
	keys := []string{"a\r\nFLUSHALL\r\n", "a b", "{}:*?", "\x00", "", strings.Repeat("k", 1023), strings.Repeat("k", 1024), strings.Repeat("k", 5000)}
	for round := 0; round < 2; round++ {
		for i, k := range keys {
			want := fmt.Sprint(i)
			if err := c.Set(bg, k, []byte(want), time.Minute); err != nil {
				t.Fatalf("J4 %q: %v", k, err)
			}
			if got, err := c.Get(bg, k); err != nil || string(got) != want {
				t.Errorf("J4 %q holds %q, %v", k, got, err)
			}
		}
	}
	if s.Count("FLUSHALL") != 0 || len(s.Keys()) != len(keys) {
		t.Errorf("J4 keys became commands: %q", s.Keys())
	}
}

func TestScanFindsEveryKeyOnce(t *testing.T) {
	s, c := start(t, nil)
	for i := 0; i < 57; i++ {
		s.Put(fmt.Sprintf("p:%02d", i), "v")
		s.Put(fmt.Sprintf("q:%02d", i), "v")
	}
	seen := map[string]int{}
	cursor := "0"
	for {
		keys, next, err := c.Scan(bg, cursor, "p:*", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			seen[k]++
		}
		if cursor = next; cursor == "0" {
			break
		}
	}
	if len(seen) != 57 {
		t.Errorf("%d keys", len(seen))
	}
}

func TestRefusalsAreClassedAndKeepTheirTextToThemselves(t *testing.T) {
	rows := []struct {
		text       string
		want       error
		class      error
		tries      int
		reconnects bool
	}{
		{"LOADING Redis is loading sk", ErrLoading, ErrRejected, 3, true},
		{"BUSY Redis is busy sk", ErrBusy, ErrRejected, 3, false},
		{"READONLY You can't write sk", ErrReadOnly, ErrRejected, 3, true},
		{"MASTERDOWN Link sk", ErrMasterDown, ErrRejected, 3, true},
		{"OOM command not allowed sk", ErrOOM, ErrRejected, 1, false},
		{"MISCONF Redis is configured sk", ErrMisconf, ErrRejected, 1, false},
		{"NOREPLICAS Not enough sk", ErrNoReplicas, ErrRejected, 1, false},
		{"NOAUTH Authentication required sk", ErrNoAuth, ErrTerminal, 1, true},
		{"NOPERM this user sk", ErrNoPerm, ErrTerminal, 1, false},
		{"WRONGTYPE Operation sk", ErrWrongType, ErrTerminal, 1, false},
		{"ERR unknown command 'sk'", ErrUnknownCommand, ErrTerminal, 1, false},
		{"ERR sk", ErrTerminal, ErrTerminal, 1, false},
		{"sk sk", ErrTerminal, ErrTerminal, 1, false},
	}
	for _, row := range rows {
		t.Run(row.text, func(t *testing.T) {
			s, c := start(t, func(o *Options) { o.MaxRetries = 2 })
			s.Refuse(row.text)
			for i, call := range []func() error{
				func() error { _, err := c.Get(bg, "k"); return err },
				func() error { return c.Set(bg, "k", nil, time.Second) },
				func() error { _, err := c.SetNX(bg, "k", nil, time.Second); return err },
			} {
				before := s.Count("GET") + s.Count("SET")
				err := call()
				if !errors.Is(err, row.want) || !errors.Is(err, row.class) || strings.Contains(err.Error(), "sk") {
					t.Errorf("call %d: %v", i, err)
				}
				if tries := s.Count("GET") + s.Count("SET") - before; tries != row.tries {
					t.Errorf("call %d: %d attempts", i, tries)
				}
			}
			s.Heal()
			if err := c.Set(bg, "k", []byte("v"), time.Second); err != nil {
				t.Errorf("after it healed: %v", err)
			}
			if reconnected := s.Accepted() > 1; reconnected != row.reconnects {
				t.Errorf("%d connections", s.Accepted())
			}
		})
	}
}

// brokenReplies are replies that a fault of the server or of the way spoils.
var brokenReplies = []struct {
	name  string
	fault resptest.Fault
}{
	{"nothing", resptest.Fault{Cut: -1}},
	{"half a reply", resptest.Fault{Cut: 3}},
	{"nothing, and not carried out", resptest.Fault{Cut: -1, Skip: true}},
	{"garbage", resptest.Fault{Reply: "HTTP/1.1 400 Bad Request\r\n\r\n"}},
	{"another type", resptest.Fault{Reply: ":1\r\n"}},
	{"a push", resptest.Fault{Reply: ">1\r\n+x\r\n"}},
	{"an extra reply", resptest.Fault{Extra: "$5\r\nother\r\n"}},
	{"another's reply first", resptest.Fault{Reply: "$5\r\nother\r\n$4\r\nmine\r\n"}},
	{"the reply twice", resptest.Fault{Reply: "$5\r\nother\r\n$5\r\nother\r\n"}},
	{"negative length", resptest.Fault{Reply: "$-5\r\n"}},
	{"huge bulk", resptest.Fault{Reply: "$2000000000\r\n"}},
	{"huge array", resptest.Fault{Reply: "*1000000000\r\n"}},
	{"deep array", resptest.Fault{Reply: strings.Repeat("*1\r\n", 50000)}},
	{"long line", resptest.Fault{Reply: "+" + strings.Repeat("x", 1<<20) + "\r\n"}},
	{"bulk without end", resptest.Fault{Reply: "$5\r\nhelloXX"}},
	{"LF alone", resptest.Fault{Reply: "+OK\n"}},
}

func TestJ5NoSpoiltReplyReachesAnyoneOrBreaksTheNextOperation(t *testing.T) {
	for _, row := range brokenReplies {
		for _, warm := range []bool{false, true} {
			t.Run(fmt.Sprintf("J5 %s, warm %v", row.name, warm), func(t *testing.T) {
				s, c := start(t, func(o *Options) { o.PoolSize = 1 })
				s.Put("a", "of a")
				s.Put("b", "of b")
				if warm {
					warmUp(t, c)
				}
				f := row.fault
				f.Times, f.Command = 1, "GET"
				s.Inject(f)
				ctx, cancel := context.WithTimeout(bg, 400*time.Millisecond) // some replies have no end
				defer cancel()
				if got, err := c.Get(ctx, "a"); err == nil && string(got) != "of a" {
					t.Errorf("a holds %q", got)
				}
				for i := 0; i < 3; i++ {
					if got, err := c.Get(bg, "b"); err != nil || string(got) != "of b" {
						t.Errorf("b holds %q, %v", got, err)
					}
				}
				if open := c.Stats().Pool; open.Open != 1 || open.Idle != 1 {
					t.Errorf("pool %+v", open)
				}
			})
		}
	}
}

// warmUp leaves c with a fresh connection.
func warmUp(t testing.TB, c *Client) {
	t.Helper()
	for i := 0; i < 3; i++ {
		if _, err := c.Get(bg, "b"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStrayReplyWhileIdleIsNoticed(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	s.Put("a", "of a")
	s.Put("b", "of b")
	warmUp(t, c)
	s.Stray("$5\r\nstray\r\n")
	x := c.only.pop()
	x.fresh = 0 // it was not used just now
	c.only.put(x)
	for i := 0; i < 3; i++ {
		if got, err := c.Get(bg, "b"); err != nil || string(got) != "of b" {
			t.Errorf("b holds %q, %v", got, err)
		}
	}
	if n := c.Stats().Pool.Broken; n != 1 {
		t.Errorf("%d connections closed", n)
	}
}

func TestJ6TheLateReplyOfOneCommandReachesNobody(t *testing.T) {
	for _, warm := range []bool{false, true} {
		s, c := start(t, func(o *Options) { o.PoolSize = 1 })
		s.Put("a", "of a")
		s.Put("b", "of b")
		late := make(chan struct{})
		s.Inject(resptest.Fault{Command: "GET", Key: "a", Until: late})
		err := onceSent(t, s, "a", func(budget time.Duration) error {
			if warm {
				warmUp(t, c)
			}
			ctx, cancel := context.WithTimeout(bg, budget)
			defer cancel()
			_, err := c.Get(ctx, "a")
			return err
		})
		if !errors.Is(err, ErrAmbiguous) {
			t.Errorf("J6 warm %v: %v", warm, err)
		}
		close(late)
		for i := 0; i < 20; i++ {
			if got, err := c.Get(bg, "b"); err != nil || string(got) != "of b" {
				t.Errorf("J6 b holds %q, %v", got, err)
			}
		}
	}
}

func TestADripOfBytesDoesNotExtendTheBudget(t *testing.T) {
	s := resptest.Start(t)
	s.Put("b", strings.Repeat("x", 1<<20))
	s.Inject(resptest.Fault{Command: "GET", Drip: 10 * time.Millisecond})
	err := onceSent(t, s, "b", func(budget time.Duration) error {
		o := patient(s.Addr())
		o.OperationTimeout = budget
		c := NewClient(o)
		defer c.Close()
		_, err := c.Get(bg, "b")
		return err
	})
	if !errors.Is(err, ErrAmbiguous) {
		t.Error(err)
	}
}

func TestALostReplyOfSetNXIsResolvedByItsOwner(t *testing.T) {
	rows := []struct {
		name  string
		there string
		fault resptest.Fault
		won   bool
	}{
		{"carried out", "", resptest.Fault{Cut: -1}, true},
		{"not carried out", "", resptest.Fault{Cut: -1, Skip: true}, true},
		{"another was first", "theirs", resptest.Fault{Cut: -1}, false},
		{"another was first, half a reply", "theirs", resptest.Fault{Cut: 2}, false},
		{"carried out, half a reply", "", resptest.Fault{Cut: 2}, true},
	}
	for _, row := range rows {
		for _, warm := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, warm %v", row.name, warm), func(t *testing.T) {
				s, c := start(t, nil)
				s.Put("b", "v")
				if row.there != "" {
					s.Put("k", row.there)
				}
				if warm {
					warmUp(t, c)
				}
				f := row.fault
				f.Command, f.Times = "SET", 1
				s.Inject(f)
				won, err := c.SetNX(bg, "k", []byte("mine"), time.Minute)
				if err != nil || won != row.won {
					t.Errorf("won %v, %v", won, err)
				}
				again, err := c.SetNX(bg, "k", []byte("second"), time.Minute)
				if err != nil || again {
					t.Errorf("a second one won %v, %v", again, err)
				}
			})
		}
	}
}

func TestJ14OneOfManySetNXWins(t *testing.T) {
	s, c := start(t, nil)
	other := NewClient(patient(s.Addr()))
	defer other.Close()
	for round := 0; round < 5; round++ {
		var wg sync.WaitGroup
		var mu sync.Mutex
		wins := 0
		for i := 0; i < 100; i++ {
			wg.Add(1)
			go func(i int) {
				defer wg.Done()
				from := c
				if i%2 == 0 {
					from = other
				}
				won, err := from.SetNX(bg, fmt.Sprint("j:", round), []byte(fmt.Sprint(i)), time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if won {
					wins++
				}
			}(i)
		}
		wg.Wait()
		if wins != 1 {
			t.Errorf("J14 %d won", wins)
		}
	}
}

func TestWhatIsNotRepeatableIsNotRepeated(t *testing.T) {
	rows := []struct {
		args   []string
		repeat bool
	}{
		{[]string{"GET", "k"}, true},
		{[]string{"SET", "k", "v"}, true},
		{[]string{"SET", "k", "v", "PX", "1000"}, true},
		{[]string{"SET", "k", "v", "XX"}, false},
		{[]string{"SET", "k", "v", "PX", "1000", "NX"}, false},
		{[]string{"ZADD", "z", "1", "m"}, true},
		{[]string{"PUBLISH", "c", "k"}, true},
		{[]string{"INCR", "k"}, false},
		{[]string{"EXEC"}, false},
	}
	for _, row := range rows {
		s, c := start(t, nil)
		s.Inject(resptest.Fault{Times: 1, Cut: -1, Command: row.args[0]})
		_, err := c.Do(bg, row.args...)
		if repeated := !errors.Is(err, ErrAmbiguous); repeated != row.repeat {
			t.Errorf("%q: %v", row.args, err)
		}
	}
}

func TestACancelledCallerNeitherSendsNorPoisons(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	s.Put("b", "of b")
	warmUp(t, c)
	ctx, cancel := context.WithCancel(bg)
	answer := make(chan struct{})
	s.Inject(resptest.Fault{Command: "GET", Key: "b", Times: 1, Until: answer})
	sent := s.Count("GET")
	done := make(chan error, 1)
	go func() {
		got, err := c.Get(ctx, "b")
		if err == nil && string(got) != "of b" {
			err = fmt.Errorf("holds %q", got)
		}
		done <- err
	}()
	eventually.True(t, "sent", func() bool { return s.Count("GET") > sent })
	cancel()
	close(answer)
	if err := <-done; err != nil {
		t.Errorf("an exchange that had begun: %v", err)
	}
	sent = s.Count("GET")
	_, err := c.Get(ctx, "b")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotSent) || s.Count("GET") != sent {
		t.Errorf("after the cancellation: %v", err)
	}
	if got := s.Accepted(); got != 1 {
		t.Errorf("%d connections", got)
	}
}

func TestTheDeadlineOfAContextIsKept(t *testing.T) {
	s, c := start(t, nil)
	s.Put("b", "v")
	warmUp(t, c)
	s.Inject(resptest.Fault{Command: "GET", Hang: true})
	ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
	defer cancel()
	if err := ends(t, func() error { _, err := c.Get(ctx, "b"); return err }); err == nil {
		t.Error("a server that does not answer answered")
	}
	if _, err := c.Get(ctx, "b"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNotSent) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestADownServerCostsAtMostTheBudget(t *testing.T) {
	s, c := start(t, func(o *Options) { o.OperationTimeout = 150 * time.Millisecond; o.MaxRetries = 1 << 30 })
	c.only.credit = 1 << 30 // retries alone would not end
	s.Stop()
	if err := ends(t, func() error { _, err := c.Get(bg, "k"); return err }); !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	s.Restart(t, true)
	eventually.True(t, "after the restart", func() bool { return c.Set(bg, "k", []byte("v"), time.Minute) == nil })
}

func TestDeadIdleConnectionsCostNoOperation(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 8 })
	s.Put("b", "v")
	var wg sync.WaitGroup
	for i := 0; i < 32; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); warmUp(t, c) }()
	}
	wg.Wait()
	eventually.True(t, "no connection is on its way", func() bool { return c.Stats().Pool.Dialling == 0 })
	s.Cut()
	eventually.True(t, "cut", func() bool { return s.Conns() == 0 })
	for i := 0; i < 8; i++ {
		if _, err := c.Get(bg, "b"); err != nil {
			t.Error(err)
		}
	}
}

func TestRetriesDoNotMultiplyTheLoad(t *testing.T) {
	s, c := start(t, func(o *Options) { o.MaxRetries = 3; o.PoolSize = 64 })
	s.Refuse("BUSY x")
	var wg sync.WaitGroup
	for i := 0; i < 600; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); _, _ = c.Get(bg, "k") }()
	}
	wg.Wait()
	if n := s.Count("GET"); n > 600+maxCredit/retryCost {
		t.Errorf("%d commands for 600 operations", n)
	}
}

func TestJ8NeitherPasswordNorAddressedTextIsInAnError(t *testing.T) {
	s := resptest.Start(t)
	s.Require("app", "right-password")
	o := patient(s.Addr())
	o.Username, o.Password = "app", "wrong-password"
	c := NewClient(o)
	defer c.Close()
	_, err := c.Get(bg, "key-name")
	if !errors.Is(err, ErrWrongPass) || strings.Contains(err.Error(), "wrong-password") || strings.Contains(err.Error(), "key-name") {
		t.Errorf("J8 %v", err)
	}
	if n := s.Count("HELLO"); n != 1 {
		t.Errorf("tried %d times", n)
	}
}

func TestStatisticsCountEveryOperationOnce(t *testing.T) {
	s, c := start(t, nil)
	for i := 0; i < 20; i++ {
		_ = c.Set(bg, "k", []byte("v"), time.Minute)
		_, _ = c.Get(bg, "k")
		_, _ = c.SetNX(bg, "k", []byte("v"), time.Minute)
	}
	s.Inject(resptest.Fault{Command: "GET", Times: 1, Cut: -1})
	_, _ = c.Get(bg, "k")
	s.Refuse("OOM x")
	_ = c.Set(bg, "k", []byte("v"), time.Minute)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, _ = c.Get(ctx, "k")
	want := map[string]CommandStats{
		"get":   {Count: 22, Retries: 1, Failures: map[string]uint64{"cancelled": 1}},
		"set":   {Count: 21, Failures: map[string]uint64{"rejected": 1}},
		"setnx": {Count: 20, Failures: map[string]uint64{}},
	}
	for _, got := range c.Stats().Commands {
		w := want[got.Command]
		delete(want, got.Command)
		sum := uint64(0)
		for _, n := range got.Buckets {
			sum += n
		}
		if got.Count != w.Count || got.Retries != w.Retries || fmt.Sprint(got.Failures) != fmt.Sprint(w.Failures) || sum != w.Count || got.Total <= 0 {
			t.Errorf("%+v", got)
		}
	}
	if len(want) != 0 {
		t.Errorf("missing: %v", want)
	}
	if BucketBound(0) > 100*time.Microsecond || BucketBound(bucketCount-2) < 5*time.Second {
		t.Error(BucketBound(0), BucketBound(bucketCount-2))
	}
}

func TestManyCallersEachGetTheirOwnValue(t *testing.T) {
	s, c := start(t, nil)
	var wg sync.WaitGroup
	for g := 0; g < 32; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			for i := 0; i < 100; i++ {
				key, value := fmt.Sprint("k", g), []byte(fmt.Sprint(g, "-", i))
				if err := c.Set(bg, key, value, time.Minute); err != nil {
					t.Error(err)
				}
				if got, err := c.Get(bg, key); err != nil || !bytes.Equal(got, value) {
					t.Errorf("%s holds %q, %v", key, got, err)
				}
				if i%25 == 0 && g == 0 {
					s.Cut()
				}
			}
		}(g)
	}
	wg.Wait()
}
