package redistest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/freeport"
	"github.com/traefikoidc/traefikoidc/resp"
)

// slots is the number of slots of a cluster.
const slots = 16384

// A Cluster has the nodes of a cluster of a test: the masters first, and then a replica of
// each. They end with the test.
type Cluster struct {
	Nodes []*Fixture

	t       testing.TB
	masters int
	ids     []string
}

// StartCluster returns a cluster of masters that share the slots, each with a replica if
// that is wanted. It serves. The args are added to the command line of each node.
func StartCluster(t testing.TB, masters int, replicated bool, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, masters: masters}
	n := masters
	if replicated {
		n *= 2
	}
	for i := 0; i < n; i++ {
		port, err := freeport.Get()
		if err != nil {
			t.Fatal(err)
		}
		node := Run(t, append([]string{
			"--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(port), "--cluster-node-timeout", "5000",
			"--cluster-allow-replica-migration", "no", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes",
		}, args...)...)
		node.Do("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		c.Nodes = append(c.Nodes, node)
		c.ids = append(c.ids, string(node.Do("CLUSTER", "MYID").Str))
		if i > 0 {
			c.Nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", node.Port(), fmt.Sprint(port))
		}
		if i < masters {
			node.Do("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/masters), fmt.Sprint((i+1)*slots/masters-1))
		}
	}
	c.await("the nodes know each other", "cluster_known_nodes", fmt.Sprint(n))
	for i := masters; i < n; i++ {
		c.Nodes[i].Do("CLUSTER", "REPLICATE", c.ids[i-masters])
	}
	c.await("the cluster serves", "cluster_state", "ok")
	for i := masters; i < n; i++ {
		c.Until("a replica follows", func() bool {
			return resp.InfoField(c.Nodes[i].Do("INFO", "replication"), "master_link_status") == "up"
		})
	}
	if replicated {
		for _, node := range c.Nodes {
			c.Until("a node knows the replicas", func() bool {
				return strings.Count(string(node.Do("CLUSTER", "NODES").Str), "slave") == masters
			})
		}
	}
	return c
}

func (c *Cluster) await(what, field, value string) {
	c.t.Helper()
	for _, node := range c.Nodes {
		c.Until(what, func() bool { return resp.InfoField(node.Do("CLUSTER", "INFO"), field) == value })
	}
}

// Until returns when ask returns true. It fails the test when its time is over.
func (c *Cluster) Until(what string, ask func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatal("not so: " + what)
		}
	}
}

// Addresses returns the addresses of all nodes.
func (c *Cluster) Addresses() []string {
	var all []string
	for _, node := range c.Nodes {
		all = append(all, node.Address())
	}
	return all
}

// IsMaster reports whether node i is a master.
func (c *Cluster) IsMaster(i int) bool {
	return resp.InfoField(c.Nodes[i].Do("INFO", "replication"), "role") == "master"
}

// Failover makes the replica of master i a master in its stead, with both alive.
func (c *Cluster) Failover(i int) {
	c.t.Helper()
	replica := i + c.masters
	c.Until("a failover begins", func() bool {
		_, err := c.Nodes[replica].Admin.Do(context.Background(), "CLUSTER", "FAILOVER")
		return err == nil
	})
	c.Until("the replica is a master", func() bool { return c.IsMaster(replica) && !c.IsMaster(i) })
}

// Slot returns the slot of key.
func (c *Cluster) Slot(key string) int {
	return int(c.Nodes[0].Do("CLUSTER", "KEYSLOT", key).Int)
}

// Open begins to move a slot from one master to another. The first redirects commands of
// absent keys by ASK.
func (c *Cluster) Open(slot, from, to int) {
	c.Nodes[to].Do("CLUSTER", "SETSLOT", fmt.Sprint(slot), "IMPORTING", c.ids[from])
	c.Nodes[from].Do("CLUSTER", "SETSLOT", fmt.Sprint(slot), "MIGRATING", c.ids[to])
}

// Move moves a slot with its keys from one master to another.
func (c *Cluster) Move(slot, from, to int) {
	c.t.Helper()
	c.Open(slot, from, to)
	for {
		keys, err := c.Nodes[from].Do("CLUSTER", "GETKEYSINSLOT", fmt.Sprint(slot), "100").Strings()
		if err != nil {
			c.t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		c.Nodes[from].Do(append([]string{"MIGRATE", "127.0.0.1", c.Nodes[to].Port(), "", "0", "60000", "KEYS"}, keys...)...)
	}
	c.Nodes[to].Do("CLUSTER", "SETSLOT", fmt.Sprint(slot), "NODE", c.ids[to])
	c.Nodes[from].Do("CLUSTER", "SETSLOT", fmt.Sprint(slot), "NODE", c.ids[to])
}

// Join adds a master without slots, and returns which node it is.
func (c *Cluster) Join() int {
	c.t.Helper()
	port, err := freeport.Get()
	if err != nil {
		c.t.Fatal(err)
	}
	node := Run(c.t, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(port), "--cluster-node-timeout", "5000")
	c.Nodes = append(c.Nodes, node)
	c.ids = append(c.ids, string(node.Do("CLUSTER", "MYID").Str))
	c.Nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", node.Port(), fmt.Sprint(port))
	c.await("the nodes know each other", "cluster_known_nodes", fmt.Sprint(len(c.Nodes)))
	c.await("the cluster serves", "cluster_state", "ok")
	return len(c.Nodes) - 1
}

// Leave kills node i, which has no slots, and has the others forget it.
func (c *Cluster) Leave(i int) {
	c.t.Helper()
	c.Nodes[i].Kill()
	for k, node := range c.Nodes {
		if k != i {
			node.Do("CLUSTER", "FORGET", c.ids[i])
		}
	}
}
