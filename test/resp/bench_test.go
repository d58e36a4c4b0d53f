package resp_test

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/traefikoidc/traefikoidc/resp"
)

// rounds is the number of times that each contender of a comparison is timed, in turns.
const rounds = 5

// slices is the number of turns of each contender in a round.
const slices = 8

const benchKey = "session:0123456789abcdefghijklmnop"

// A contender does n operations of a kind, by callers at once, and returns the
// duration.
type contender func(n, callers int) time.Duration

// spread divides n operations among callers.
func spread(n, callers int, one func()) {
	var wg sync.WaitGroup
	for g := 0; g < callers; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < n/callers; i++ {
				one()
			}
		}()
	}
	wg.Wait()
}

// each returns a contender that repeats one operation.
func each(one func()) contender {
	return clocked(func(n, callers int) { spread(n, callers, one) })
}

// clocked returns a contender that times run.
func clocked(run func(n, callers int)) contender {
	return func(n, callers int) time.Duration {
		began := time.Now()
		run(n, callers)
		return time.Since(began)
	}
}

// against times ours and theirs in turns and returns the median time of one
// operation of each.
func against(n, callers int, ours, theirs contender) (time.Duration, time.Duration) {
	var a, b []time.Duration
	ours(n/10, callers)
	theirs(n/10, callers)
	for i := 0; i < rounds; i++ {
		var x, y time.Duration
		for j := 0; j < slices; j++ { // a disturbance of the machine affects both
			x += ours(n/slices, callers)
			y += theirs(n/slices, callers)
		}
		a = append(a, x/time.Duration(n))
		b = append(b, y/time.Duration(n))
	}
	return median(a), median(b)
}

func median(d []time.Duration) time.Duration {
	sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
	return d[len(d)/2]
}

func row(what string, ours, theirs time.Duration, bound float64) {
	ratio := float64(ours) / float64(theirs)
	verdict := "within"
	if ratio > bound {
		verdict = "ABOVE"
	}
	fmt.Printf("%-44s %10v %10v  ratio %.2f  %s %.2f\n", what, ours, theirs, ratio, verdict, bound)
}

// BenchmarkRatios prints how long an operation takes us and others, medians of
// five interleaved rounds: go test -run xxx -bench Ratios -benchtime 1x
func BenchmarkRatios(b *testing.B) {
	s := startServer(b)
	const n = 8000
	value := make([]byte, 300)
	c := s.client(func(o *resp.Options) { o.PoolSize = 16 })
	if err := c.Set(bg, benchKey, value, time.Hour); err != nil {
		b.Fatal(err)
	}
	rd, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Address()}, DisableCache: true})
	if err != nil {
		b.Fatal(err)
	}
	defer rd.Close()
	gr := goredis.NewClient(&goredis.Options{Addr: s.Address(), PoolSize: 16})
	defer gr.Close()
	text := string(value)
	rows := []struct {
		what               string
		ours, rueid, redis func()
	}{
		{"GET", func() { _, _ = c.Get(bg, benchKey) },
			func() { _, _ = rd.Do(bg, rd.B().Get().Key(benchKey).Build()).AsBytes() },
			func() { _, _ = gr.Get(bg, benchKey).Bytes() }},
		{"SET", func() { _ = c.Set(bg, "k", value, time.Minute) },
			func() { _ = rd.Do(bg, rd.B().Set().Key("k").Value(text).PxMilliseconds(60000).Build()).Error() },
			func() { _ = gr.Set(bg, "k", value, time.Minute).Err() }},
		{"SET NX", func() { _, _ = c.SetNX(bg, "nx", value, time.Minute) },
			func() { _ = rd.Do(bg, rd.B().Set().Key("nx").Value(text).Nx().PxMilliseconds(60000).Build()).Error() },
			func() { _ = gr.SetNX(bg, "nx", value, time.Minute).Err() }},
	}
	fmt.Printf("%-44s %10s %10s\n", "", "ours", "theirs")
	for _, r := range rows {
		ours, theirs := against(n, 1, each(r.ours), each(r.rueid))
		row(r.what+", 1 caller, rueidis", ours, theirs, 1.05)
		ours, theirs = against(2*n, 16, each(r.ours), each(r.redis))
		row(r.what+", 16 callers, go-redis", ours, theirs, 0.85)
	}
	for _, name := range []string{"GET", "SET"} {
		ours, theirs := against(64*1000, 1, pipelined(c, name), ofRedisBenchmark(b, s, name))
		row("pipeline of 64 "+name+", redis-benchmark -P 64", ours, theirs, 1.2)
	}
	interpreted := interpretedGets(b, s)
	for _, callers := range []int{1, 16} {
		ours, theirs := against(6000, callers, interpreted, each(rows[0].ours))
		row(fmt.Sprintf("GET interpreted, %d callers, compiled", callers), ours, theirs, 2.5)
	}
}

func pipelined(c *resp.Client, name string) contender {
	var cmds []resp.Command
	for i := 0; i < 64; i++ {
		cmd := resp.Command{name, fmt.Sprintf("key:%012d", i)}
		if name == "SET" {
			cmd = append(cmd, strings.Repeat("x", 64))
		}
		cmds = append(cmds, cmd)
	}
	return clocked(func(n, _ int) {
		for i := 0; i < n/64; i++ {
			_, _ = c.Pipeline(bg, cmds)
		}
	})
}

var perSecond = regexp.MustCompile(`"(?:GET|SET)","([0-9.]+)"`)

// ofRedisBenchmark returns the duration that redis-benchmark reports, without the
// start and the end of its process.
func ofRedisBenchmark(b *testing.B, s *server, name string) contender {
	return func(n, _ int) time.Duration {
		ctx, cancel := context.WithTimeout(bg, 20*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "redis-benchmark", "-p", s.Port(), "-c", "1", "-P", "64", "-n", strconv.Itoa(n),
			"-d", "64", "-t", strings.ToLower(name), "--csv").Output()
		found := perSecond.FindSubmatch(out)
		if err != nil || found == nil {
			b.Fatalf("redis-benchmark: %v: %s", err, out)
		}
		rate, _ := strconv.ParseFloat(string(found[1]), 64)
		return time.Duration(float64(n) / rate * float64(time.Second))
	}
}

const getters = `package getters

import (
	"context"
	"sync"

	"github.com/traefikoidc/traefikoidc/resp"
)

var c *resp.Client
var bg = context.Background()

func Use(addr string) { c = resp.NewClient(resp.Options{Address: addr, PoolSize: 16}) }

func gets(n int, wg *sync.WaitGroup) {
	for i := 0; i < n; i++ {
		c.Get(bg, "` + benchKey + `")
	}
	wg.Done()
}

func Run(n, callers int) {
	var wg sync.WaitGroup
	for g := 0; g < callers; g++ {
		wg.Add(1)
		go gets(n/callers, &wg)
	}
	wg.Wait()
}
`

func interpretedGets(b *testing.B, s *server) contender {
	i := interpreter(b)
	if _, err := i.Eval(getters); err != nil {
		b.Fatal(err)
	}
	use, err := i.Eval("getters.Use")
	if err != nil {
		b.Fatal(err)
	}
	use.Interface().(func(string))(s.Address())
	run, err := i.Eval("getters.Run")
	if err != nil {
		b.Fatal(err)
	}
	return clocked(run.Interface().(func(int, int)))
}

func TestGetAllocatesItsValueAndSetNothing(t *testing.T) {
	s := startServer(t)
	c := s.client(nil)
	value := make([]byte, 300)
	rows := []struct {
		name string
		most float64
		call func()
	}{
		{"SET", 0, func() { _ = c.Set(bg, benchKey, value, time.Minute) }},
		{"GET", 1, func() { _, _ = c.Get(bg, benchKey) }},
		{"SET NX", 0, func() { _, _ = c.SetNX(bg, benchKey, value, time.Minute) }},
	}
	for _, r := range rows {
		// Every 5 ms an operation carries a proof, which allocates: on a busy machine
		// that may be each of them. An operation that allocates itself does so each time.
		least := testing.AllocsPerRun(2000, r.call)
		for tries := 0; least > r.most && tries < 4; tries++ {
			least = min(least, testing.AllocsPerRun(2000, r.call))
		}
		if least > r.most {
			t.Errorf("%s allocates %v times", r.name, least)
		}
	}
}
