package resp_test

import (
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// routed uses a cluster as a plugin would.
const routed = `package routed

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/resp"
)

var (
	bg      = context.Background()
	cluster *resp.Cluster
	client  *resp.Client
	links   *resp.Links
	callers sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	bad     []string
	written int
	told    int
	ups     int
)

type heard struct{}

func (h *heard) Up() {
	mu.Lock()
	defer mu.Unlock()
	ups++
}

func (h *heard) Down(err error) {}

func (h *heard) Invalidate(keys []string) {
	mu.Lock()
	defer mu.Unlock()
	told += len(keys)
}

func over() bool {
	mu.Lock()
	defer mu.Unlock()
	return ended
}

func note(what string) {
	mu.Lock()
	defer mu.Unlock()
	if len(bad) < 10 {
		bad = append(bad, what)
	}
}

func wrote() {
	mu.Lock()
	defer mu.Unlock()
	written++
}

func turn(key, value string) {
	if client.Set(bg, key, []byte(value), time.Hour) != nil {
		return
	}
	wrote()
	got, err := client.Get(bg, key)
	if err == nil && string(got) != value {
		note(key + " holds " + string(got))
	}
	replies, err := client.Pipeline(bg, []resp.Command{{"GET", key}, {"ECHO", value}, {"GET", key + "{other}"}})
	if err == nil && (string(replies[0].Str) != value || string(replies[1].Str) != value) {
		note(key + " in a pipeline: " + string(replies[0].Str) + ", " + string(replies[1].Str))
	}
	replies, err = client.Phases(bg, [][]resp.Command{{{"GET", key}, {"ECHO", value}, {"SET", key + "{other}", value}}, {{"GET", key}, {"GET", key + "{none}"}}})
	if err == nil && (string(replies[0].Str) != value || string(replies[1].Str) != value || string(replies[3].Str) != value || replies[4].Kind != resp.Null) {
		note(key + " in phases")
	}
}

func caller(g int) {
	key := fmt.Sprintf("key-%d", g)
	for i := 0; !over(); i++ {
		turn(key, fmt.Sprintf("%s-%d", key, i))
	}
	callers.Done()
}

func Begin(addresses []string) {
	server := resp.Options{OperationTimeout: 20 * time.Second}
	cluster = resp.NewCluster(resp.ClusterOptions{Addresses: addresses, Node: server, Timeout: 20 * time.Second})
	cluster.Start()
	server.Topology = cluster.Topology()
	client = resp.NewClient(server)
	links = resp.NewLinks(server, []string{"key"}, &heard{})
	links.Start()
	for g := 0; g < 16; g++ {
		callers.Add(1)
		go caller(g)
	}
}

func Written() int {
	mu.Lock()
	defer mu.Unlock()
	if told == 0 {
		return 0
	}
	return written
}

func Ups() int {
	mu.Lock()
	defer mu.Unlock()
	return ups
}

func Changes() int {
	s := client.Stats()
	return int(s.Cluster.Changes)
}

func End() string {
	mu.Lock()
	ended = true
	mu.Unlock()
	callers.Wait()
	links.Close()
	client.Close()
	cluster.Close()
	cluster.Close()
	return strings.Join(bad, ", ")
}
`

func TestInterpretedCluster(t *testing.T) {
	g := redistest.StartCluster(t, 2, true)
	i := interpreter(t)
	if _, err := i.Eval(routed); err != nil {
		t.Fatal(err)
	}
	call := map[string]any{}
	for _, name := range []string{"Begin", "Written", "Ups", "Changes", "End"} {
		v, err := i.Eval("routed." + name)
		if err != nil {
			t.Fatal(err)
		}
		call[name] = v.Interface()
	}
	written, ups, changes := call["Written"].(func() int), call["Ups"].(func() int), call["Changes"].(func() int)
	call["Begin"].(func([]string))(g.Addresses()[:1])
	eventually.True(t, "the cluster serves", func() bool { return written() > 100 && ups() > 0 })
	n, before := written(), ups()
	g.Failover(0)
	eventually.True(t, "the new master serves", func() bool { return written() > n+100 && ups() > before && changes() > 0 })
	n = written()
	masters := []int{2, 1} // of the lower and of the upper slots
	half := g.Slot("key-1") / 8192
	g.Move(g.Slot("key-1"), masters[half], masters[1-half])
	eventually.True(t, "the slot is served at another master", func() bool { return written() > n+100 })
	if bad := call["End"].(func() string)(); bad != "" {
		t.Error(bad)
	}
}
