package resp_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// patient is a budget for which no machine is too slow.
const patient = 30 * time.Second

// route returns a started Cluster that knows the first n nodes of c, and a client of it.
func route(t testing.TB, addresses []string, change func(*resp.ClusterOptions, *resp.Options)) (*resp.Cluster, *resp.Client) {
	t.Helper()
	o := resp.ClusterOptions{Addresses: addresses, Timeout: patient, Poll: time.Hour}
	server := resp.Options{
		OperationTimeout: patient, ReadTimeout: patient, WriteTimeout: patient, PoolTimeout: patient, DialTimeout: patient, MaxRetries: 1000,
	}
	if change != nil {
		change(&o, &server)
	}
	o.Node = server
	follower := resp.NewCluster(o)
	follower.Start()
	t.Cleanup(follower.Close)
	server.Topology = follower.Topology()
	c := resp.NewClient(server)
	t.Cleanup(c.Close)
	return follower, c
}

// keysOf returns keys of different slots, on all masters.
func keysOf(n int) []string {
	var keys []string
	for i := 0; i < n; i++ {
		keys = append(keys, fmt.Sprintf("key-%d", i))
	}
	return keys
}

func TestCommandsOfAClusterReachTheirNodes(t *testing.T) {
	g := redistest.StartCluster(t, 3, true)
	follower, c := route(t, g.Addresses()[5:], nil)
	topology := follower.Topology()
	for _, k := range keysOf(30) {
		if err := c.Set(bg, k, []byte("v-"+k), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Get(bg, k); err != nil || string(got) != "v-"+k {
			t.Fatalf("%s: %q, %v", k, got, err)
		}
		for i, node := range g.Nodes[:3] {
			if got := node.Do("CLUSTER", "COUNTKEYSINSLOT", fmt.Sprint(g.Slot(k))).Int; (got == 1) != (topology.Master(k) == g.Nodes[i].Address()) {
				t.Fatalf("%s is at %s, and node %d has %d", k, topology.Master(k), i, got)
			}
		}
	}
	eventually.True(t, "the replicas are known", func() bool {
		topology.Recheck()
		s := topology.Stats()
		return s.Masters == 3 && s.Nodes == 6 && s.Moved == 0
	})
	if _, err := c.Get(bg, "none"); !errors.Is(err, resp.ErrNil) {
		t.Error(err)
	}
	if won, err := c.SetNX(bg, "once", []byte("a"), time.Hour); !won || err != nil {
		t.Error(won, err)
	}
	if won, err := c.SetNX(bg, "once", []byte("b"), time.Hour); won || err != nil {
		t.Error(won, err)
	}
	t.Run("a pipeline keeps its order", func(t *testing.T) { pipelineInACluster(t, c) })
	t.Run("scripts", func(t *testing.T) {
		for _, k := range keysOf(10) {
			r, err := c.Eval(bg, resp.NewScript("return redis.call('GET', KEYS[1])", true, nil), []string{k}, nil)
			if err != nil || string(r.Str) != "v-"+k {
				t.Errorf("%s: %q, %v", k, r.Str, err)
			}
		}
	})
	t.Run("all masters are scanned", func(t *testing.T) {
		seen := map[string]bool{}
		cursor := "0"
		for {
			keys, next, err := c.Scan(bg, cursor, "key-*", 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				seen[k] = true
			}
			if next == "0" {
				break
			}
			cursor = next
		}
		if len(seen) != 30 {
			t.Errorf("%d keys", len(seen))
		}
		if n, err := c.Del(bg, keysOf(30)...); n != 30 || err != nil {
			t.Error(n, err)
		}
	})
	runs, err := c.Runs(bg)
	if err != nil || len(strings.Fields(runs)) != 3 {
		t.Errorf("%q, %v", runs, err)
	}
}

func pipelineInACluster(t *testing.T, c *resp.Client) {
	var cmds []resp.Command
	for _, k := range keysOf(10) {
		cmds = append(cmds, resp.Command{"SET", "n-" + k, k}, resp.Command{"INFO", "server"}, resp.Command{"GET", "n-" + k})
	}
	replies, err := c.Pipeline(bg, cmds)
	if err != nil {
		t.Fatal(err)
	}
	phased, err := c.Phases(bg, [][]resp.Command{cmds[:3], cmds[3:], nil})
	if err != nil || len(phased) != len(cmds) {
		t.Fatal(len(phased), err)
	}
	for i, k := range keysOf(10) {
		if string(replies[3*i+2].Str) != k || string(phased[3*i+2].Str) != k || resp.InfoField(replies[3*i+1], "run_id") == "" {
			t.Errorf("%s: %q, %q", k, replies[3*i+2].Str, phased[3*i+2].Str)
		}
	}
	cmds = nil
	for _, k := range keysOf(10) {
		cmds = append(cmds, resp.Command{"INCR", "once-" + k})
	}
	replies, err = c.Phases(bg, [][]resp.Command{cmds})
	for i := range replies {
		if err != nil || replies[i].Int != 1 {
			t.Errorf("carried out %d times, %v", replies[i].Int, err)
		}
	}
	replies, err = c.Pipeline(bg, []resp.Command{{"GET", "a"}, {"LPUSH", "n-key-1", "x"}, {"NONE", "b"}})
	if err != nil || !errors.Is(replies[1].Err(), resp.ErrWrongType) || !errors.Is(replies[2].Err(), resp.ErrUnknownCommand) {
		t.Errorf("%v, %v", replies, err)
	}
}

func TestServersThatAreNoNodes(t *testing.T) {
	g := redistest.StartCluster(t, 1, false)
	plain := resp.NewClient(resp.Options{Address: g.Nodes[0].Address(), OperationTimeout: patient, ReadTimeout: patient, WriteTimeout: patient})
	defer plain.Close()
	if err := plain.Ping(bg); !errors.Is(err, resp.ErrClusterNode) || !strings.Contains(err.Error(), "redis.clusterMode") {
		t.Errorf("a node without a topology: %v", err)
	}
	_, c := route(t, []string{startServer(t).Address()}, nil)
	if err := c.Ping(bg); !errors.Is(err, resp.ErrNoCluster) {
		t.Errorf("a server that is no node: %v", err)
	}
	_, c = route(t, []string{redistest.FreeAddress(t), g.Nodes[0].Address()}, nil)
	if err := c.Ping(bg); err != nil {
		t.Errorf("one of two seeds is down: %v", err)
	}
}

// Redirects are followed while a slot moves, and nothing is lost.
func TestASlotMovesUnderTraffic(t *testing.T) {
	g := redistest.StartCluster(t, 2, false)
	follower, c := route(t, g.Addresses()[:1], nil)
	t.Run("ASK", func(t *testing.T) {
		slot := g.Slot("{ask}")
		from := 0
		if follower.Topology().Master("{ask}"); slot >= 8192 {
			from = 1
		}
		if err := c.Set(bg, "{ask}there", []byte("a"), time.Hour); err != nil {
			t.Fatal(err)
		}
		g.Open(slot, from, 1-from)
		if err := c.Set(bg, "{ask}new", []byte("b"), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Get(bg, "{ask}new"); err != nil || string(got) != "b" {
			t.Errorf("%q, %v", got, err)
		}
		replies, err := c.Pipeline(bg, []resp.Command{{"GET", "{ask}there"}, {"GET", "{ask}new"}, {"GET", "other"}})
		if err != nil || string(replies[0].Str) != "a" || string(replies[1].Str) != "b" {
			t.Errorf("%v, %v", replies, err)
		}
		if s := follower.Topology().Stats(); s.Asked < 3 || s.Moved != 0 {
			t.Errorf("%+v", s)
		}
	})
	const key = "moving"
	slot := g.Slot(key)
	at := slot / 8192
	var ended atomic.Bool
	var callers sync.WaitGroup
	counted := make([]int64, 4)
	for i := range counted {
		callers.Add(1)
		go func(n int) {
			defer callers.Done()
			name := fmt.Sprintf("{%s}%d", key, n)
			for !ended.Load() {
				if _, err := c.Do(bg, "INCR", name); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				counted[n]++
			}
		}(i)
	}
	for i := 0; i < 6; i++ {
		g.Move(slot, at, 1-at)
		at = 1 - at
	}
	ended.Store(true)
	callers.Wait()
	for n, want := range counted {
		if got, err := c.Get(bg, fmt.Sprintf("{%s}%d", key, n)); err != nil || string(got) != fmt.Sprint(want) {
			t.Errorf("%d: %s of %d, %v", n, got, want, err)
		}
	}
	if follower.Topology().Stats().Moved == 0 {
		t.Error("no redirect was met")
	}
}

func TestAFailoverOfAMaster(t *testing.T) {
	g := redistest.StartCluster(t, 3, true)
	follower, c := route(t, g.Addresses()[:3], nil)
	keys := keysOf(20)
	set := func() {
		t.Helper()
		for _, k := range keys {
			if err := c.Set(bg, k, []byte(k), time.Hour); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Get(bg, k); err != nil || string(got) != k {
				t.Fatalf("%s: %q, %v", k, got, err)
			}
		}
	}
	set()
	told := make(chan []string, 1024)
	links := resp.NewLinks(resp.Options{Topology: follower.Topology()}, []string{"key"}, &keyList{keys: told})
	links.Start()
	defer links.Close()
	hears := func() {
		t.Helper()
		for _, k := range keys {
			eventually.True(t, "a change of "+k+" is told", func() bool {
				if c.Set(bg, k, []byte(k), time.Hour) != nil {
					return false
				}
				for len(told) > 0 {
					if names := <-told; len(names) == 1 && names[0] == k {
						return true
					}
				}
				return false
			})
		}
	}
	hears()
	if runs, err := c.Runs(bg); err != nil || links.Server() != runs {
		t.Errorf("the links lead to %s, and the commands to %s, %v", links.Server(), runs, err)
	}

	g.Failover(0)
	set()
	hears()
	if s := follower.Topology().Stats(); s.Moved == 0 && s.Changes == 0 {
		t.Errorf("%+v", s)
	}

	// A stopped master is replaced once the others notice.
	g.Nodes[1].Signal(syscall.SIGSTOP)
	defer g.Nodes[1].Signal(syscall.SIGCONT)
	eventually.True(t, "a replica serves instead", func() bool { return g.IsMaster(4) })
	eventually.True(t, "no address of the old master is used", func() bool {
		for _, m := range follower.Topology().Masters() {
			if m == g.Nodes[1].Address() {
				follower.Topology().Recheck()
				return false
			}
		}
		return true
	})
	set()
	hears()

	g.Nodes[2].Kill()
	eventually.True(t, "another replica serves instead", func() bool { return g.IsMaster(5) })
	set()
	hears()
}

func TestNodesThatEnterAndLeave(t *testing.T) {
	g := redistest.StartCluster(t, 2, false)
	follower, c := route(t, g.Addresses()[:1], nil)
	if err := c.Set(bg, "moving", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	slot := g.Slot("moving")
	from := slot / 8192
	third := g.Join()
	g.Move(slot, from, third)
	if got, err := c.Get(bg, "moving"); err != nil || string(got) != "v" {
		t.Errorf("at a node that entered: %q, %v", got, err)
	}
	if at := follower.Topology().Master("moving"); at != g.Nodes[third].Address() {
		t.Errorf("%s", at)
	}
	g.Move(slot, third, from)
	g.Leave(third)
	if got, err := c.Get(bg, "moving"); err != nil || string(got) != "v" {
		t.Errorf("after a node left: %q, %v", got, err)
	}
	eventually.True(t, "the node is forgotten", func() bool {
		follower.Topology().Recheck()
		return follower.Topology().Stats().Nodes == 2
	})
}

func TestNodesWithCredentials(t *testing.T) {
	g := redistest.StartCluster(t, 2, false)
	for _, node := range g.Nodes {
		node.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all")
		node.Do("ACL", "SETUSER", "default", "resetpass")
	}
	_, c := route(t, g.Addresses(), func(o *resp.ClusterOptions, s *resp.Options) { s.Username, s.Password = "app", "secret" })
	for _, k := range keysOf(10) {
		if err := c.Set(bg, k, []byte(k), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	_, c = route(t, g.Addresses(), func(o *resp.ClusterOptions, s *resp.Options) { s.Username, s.Password = "app", "other" })
	if err := c.Ping(bg); !errors.Is(err, resp.ErrWrongPass) || strings.Contains(err.Error(), "other") {
		t.Errorf("another password: %v", err)
	}
}
