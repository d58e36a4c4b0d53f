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

	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

var bg = context.Background()

// forever is a limit that no test reaches. An operation that ends did not end by it.
const forever = time.Hour

// patient are options of a client for which no machine is too slow.
func patient(address string) Options {
	return Options{
		Address: address, OperationTimeout: forever, ReadTimeout: forever, WriteTimeout: forever, PoolTimeout: forever, DialTimeout: forever,
	}
}

// start returns a server and a client of it. Its options are those of patient,
// changed by change.
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

// limit is the time within which an expected event must come.
const limit = time.Minute

// ends returns the result of f. It fails the test if f does not end by a limit of
// its own.
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

// onceSent returns the result of a GET of key that the server got before its budget
// was over. f sends one with each budget.
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
				t.Fatalf("a value of %d bytes came back with %d, %v", len(value), len(got), err)
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
	if n, err := c.Del(bg, "forever"); err != nil || n != 1 {
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

func TestJ4KeysAreArgumentsWithAnyContent(t *testing.T) {
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

func TestRefusalsAreClassedAndTheirTextIsNotShown(t *testing.T) {
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
				t.Errorf("after the refusals: %v", err)
			}
			if reconnected := s.Accepted() > 1; reconnected != row.reconnects {
				t.Errorf("%d connections", s.Accepted())
			}
		})
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

func TestJ8ErrorsContainNeitherPasswordsNorKeys(t *testing.T) {
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
				// A server may carry out the bytes of a cut connection after the retry: then
				// the value is an older one of the same caller.
				if got, err := c.Get(bg, key); err != nil || !bytes.HasPrefix(got, []byte(fmt.Sprint(g, "-"))) {
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
