package resp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"
)

// program uses the client as a plugin does. Each of its callers verifies that the
// replies are its own.
const program = `package callers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/resp"
)

var bg = context.Background()

type report struct {
	mu  sync.Mutex
	bad []string
}

func (r *report) add(failure string) {
	r.mu.Lock()
	if len(r.bad) < 10 {
		r.bad = append(r.bad, failure)
	}
	r.mu.Unlock()
}

type fallback struct{}

func (f *fallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	if values[0] == nil {
		return nil, resp.Reply{Kind: resp.Int}, nil
	}
	return []resp.Command{{"SET", args[0], args[1]}}, resp.Reply{Kind: resp.Int, Int: 1}, nil
}

var script = resp.NewScript("if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('SET', ARGV[1], ARGV[2]) return 1 end return 0", false, &fallback{})

func caller(c *resp.Client, g, rounds int, r *report, wg *sync.WaitGroup) {
	for i := 0; i < rounds; i++ {
		turn(c, g, i, r)
	}
	wg.Done()
}

func turn(c *resp.Client, g, i int, r *report) {
	key := fmt.Sprintf("key-%d", g)
	value := fmt.Sprintf("value-%d-%d", g, i)
	if err := c.Set(bg, key, []byte(value), time.Hour); err != nil {
		r.add("set: " + err.Error())
		return
	}
	got, err := c.Get(bg, key)
	if err != nil || string(got) != value {
		r.add(fmt.Sprintf("%s holds %s, %v", key, string(got), err))
	}
	if i%5 != 0 {
		return
	}
	once := fmt.Sprintf("once-%d-%d", g, i)
	first, err := c.SetNX(bg, once, []byte(value), time.Hour)
	second, err2 := c.SetNX(bg, once, []byte("other"), time.Hour)
	if err != nil || err2 != nil || !first || second {
		r.add(fmt.Sprint("set nx: ", first, second, err, err2))
	}
	replies, err := c.Pipeline(bg, []resp.Command{{"GET", key}, {"GET", once}, {"PTTL", "missing"}})
	if err != nil || string(replies[0].Str) != value || string(replies[1].Str) != value || replies[2].Int != -2 {
		r.add(fmt.Sprint("pipeline: ", err))
	}
	answer, err := c.Eval(bg, script, []string{key}, []string{key, value + "!"})
	if err != nil || answer.Int != 1 {
		r.add(fmt.Sprint("script: ", answer.Int, err))
	}
	got, err = c.Get(bg, key)
	if err != nil || string(got) != value+"!" {
		r.add(fmt.Sprintf("%s holds %s, %v", key, string(got), err))
	}
	if _, err := c.Get(bg, "missing"); !errors.Is(err, resp.ErrNil) {
		r.add(fmt.Sprint("missing: ", err))
	}
	if there, err := c.Exists(bg, once); err != nil || !there {
		r.add(fmt.Sprint("exists: ", there, err))
	}
	ctx, cancel := context.WithTimeout(bg, time.Hour)
	if n, err := c.Del(ctx, once); err != nil || n != 1 {
		r.add(fmt.Sprint("del: ", n, err))
	}
	cancel()
	if _, err := c.Do(ctx, "PING"); !errors.Is(err, resp.ErrNotSent) || !errors.Is(err, context.Canceled) {
		r.add(fmt.Sprint("cancelled: ", err))
	}
	if _, err := c.Do(bg, "NOSUCH", "secret"); !errors.Is(err, resp.ErrUnknownCommand) {
		r.add(fmt.Sprint("unknown: ", err))
	}
	if _, _, err := c.Scan(bg, "0", "key-*", 5); err != nil {
		r.add(fmt.Sprint("scan: ", err))
	}
}

func lost(err error) bool {
	return errors.Is(err, resp.ErrAmbiguous) || errors.Is(err, resp.ErrNotSent)
}

func survivor(c *resp.Client, g, rounds int, r *report, wg *sync.WaitGroup) {
	key := fmt.Sprintf("key-%d", g)
	last, sure := "", false
	for i := 0; i < rounds; i++ {
		if g == 0 {
			c.Do(bg, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		}
		value := fmt.Sprintf("value-%d-%d", g, i)
		err := c.Set(bg, key, []byte(value), time.Hour)
		if err != nil && !lost(err) {
			r.add("set: " + err.Error())
		}
		last, sure = value, err == nil
		got, err := c.Get(bg, key)
		if err != nil && !lost(err) {
			r.add("get: " + err.Error())
		}
		if err == nil && sure && string(got) != last {
			r.add(fmt.Sprintf("%s holds %s, not %s", key, string(got), last))
		}
		once := fmt.Sprintf("once-%d-%d", g, i)
		first, err := c.SetNX(bg, once, []byte(value), time.Hour)
		if err == nil && !first || err != nil && !lost(err) {
			r.add(fmt.Sprint("set nx: ", first, err))
		}
	}
	wg.Done()
}

// Survive is Run while one of the callers kills the connections of all.
func Survive(addr string, callers, rounds int) string {
	c := resp.NewClient(resp.Options{Address: addr, PoolSize: 8, OperationTimeout: 30 * time.Second, PoolTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second})
	r := &report{}
	var wg sync.WaitGroup
	for g := 0; g < callers; g++ {
		wg.Add(1)
		go survivor(c, g, rounds, r, &wg)
	}
	wg.Wait()
	p := c.Stats().Pool
	if p.Open > 8 || p.InUse != 0 || p.Waiting != 0 || p.Broken == 0 {
		r.add(fmt.Sprintf("pool: %+v", p))
	}
	c.Close()
	return fmt.Sprint(len(r.bad), r.bad)
}

type told struct {
	mu   sync.Mutex
	up   bool
	keys map[string]bool
}

func (t *told) Up() {
	t.mu.Lock()
	t.up = true
	t.mu.Unlock()
}

func (t *told) Down(err error) {
	t.mu.Lock()
	t.up = false
	t.mu.Unlock()
}

func (t *told) Invalidate(keys []string) {
	t.mu.Lock()
	for _, k := range keys {
		t.keys[k] = true
	}
	t.mu.Unlock()
}

func (t *told) all(n int) bool {
	t.mu.Lock()
	up := t.up && (n == 0 || len(t.keys) == n)
	t.mu.Unlock()
	return up
}

func Run(addr string, callers, rounds int) string {
	c := resp.NewClient(resp.Options{Address: addr, PoolSize: 8, OperationTimeout: 30 * time.Second, PoolTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second})
	changes := &told{keys: map[string]bool{}}
	tracker := resp.NewTracker(resp.Options{Address: addr}, []string{"key-"}, changes)
	tracker.Start()
	for i := 0; i < 12000 && !changes.all(0); i++ {
		time.Sleep(5 * time.Millisecond)
	}
	r := &report{}
	var wg sync.WaitGroup
	for g := 0; g < callers; g++ {
		wg.Add(1)
		go caller(c, g, rounds, r, &wg)
	}
	wg.Wait()
	for i := 0; i < 12000 && !changes.all(callers); i++ {
		time.Sleep(5 * time.Millisecond)
	}
	if !changes.all(callers) {
		r.add("changes were not told")
	}
	tracker.Close()
	p := c.Stats().Pool
	if p.Open > 8 || p.InUse != 0 || p.Waiting != 0 {
		r.add(fmt.Sprint("pool: ", p.Open, p.InUse, p.Waiting))
	}
	c.Close()
	return fmt.Sprint(len(r.bad), r.bad)
}
`

// interpreter returns an interpreter with the client's sources, as Traefik loads them.
func interpreter(t testing.TB) *interp.Interpreter {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	gopath := t.TempDir()
	dir := filepath.Join(gopath, "src/github.com/traefikoidc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, filepath.Join(dir, "traefikoidc")); err != nil {
		t.Fatal(err)
	}
	i := interp.New(interp.Options{GoPath: gopath})
	if err := i.Use(stdlib.Symbols); err != nil {
		t.Fatal(err)
	}
	return i
}

func TestInterpretedCallersEachGetTheirOwnAnswers(t *testing.T) {
	s := startServer(t)
	i := interpreter(t)
	if _, err := i.Eval(program); err != nil {
		t.Fatal(err)
	}
	run, err := i.Eval("callers.Run")
	if err != nil {
		t.Fatal(err)
	}
	call := run.Interface().(func(string, int, int) string)
	eval, err := i.Eval("callers.Survive")
	if err != nil {
		t.Fatal(err)
	}
	survive := eval.Interface().(func(string, int, int) string)
	for _, callers := range []int{16, 64} {
		if bad := call(s.Address(), callers, 320/callers); !strings.HasPrefix(bad, "0 ") {
			t.Errorf("%d callers: %s", callers, bad)
		}
	}
	if bad := survive(s.Address(), 32, 20); !strings.HasPrefix(bad, "0 ") {
		t.Errorf("among killed connections: %s", bad)
	}
}
