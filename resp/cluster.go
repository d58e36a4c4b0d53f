package resp

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// ErrNoCluster is returned when a server that should be a node of a cluster is none.
var ErrNoCluster = fmt.Errorf("%w: the server is no node of a Redis Cluster", ErrTerminal)

// ClusterOptions say how to find and reach the nodes of a cluster.
type ClusterOptions struct {
	// Addresses are nodes, each a host:port. The others are learnt from them.
	Addresses []string
	// Node says how to reach a node: credentials, TLS, Dial and DialTimeout.
	Node Options
	// Poll is the time between two rounds of questions without a cause. Zero means 10 s.
	Poll time.Duration
	// Timeout bounds a question to one node. Zero means 500 ms.
	Timeout time.Duration
}

const (
	clusterPoll    = 10 * time.Second
	clusterTimeout = 500 * time.Millisecond
	// coolDown is the least time between two rounds. It doubles with each round that
	// brought nothing new, to coolDownMost; to coolDownDead where no node answers.
	coolDown     = 200 * time.Millisecond
	coolDownMost = 500 * time.Millisecond
	coolDownDead = 2 * time.Second
	// askNodes is the number of nodes in a round of questions. If none of them responds,
	// askSeeds is that of configured ones.
	askNodes = 4
	askSeeds = 16
	// mostMasters is the most masters that a node may name.
	mostMasters = 1000
)

// A Cluster follows the slots of a Redis Cluster. It queries several nodes and takes the
// reply of the latest epoch, so that a node that was cut off does not lead back to the past.
// Topology is where the slots are. A Cluster is safe for concurrent use.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
type Cluster struct {
	o        ClusterOptions
	topology *Topology
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{}

	members map[string]*Client // only the goroutine that watches uses these
	pause   time.Duration

	mu      sync.Mutex // guards the field below
	started bool
}

// NewCluster returns a Cluster that sends nothing before Start.
func NewCluster(o ClusterOptions) *Cluster {
	o.Poll = orDuration(o.Poll, clusterPoll)
	o.Timeout = orDuration(o.Timeout, clusterTimeout)
	c := &Cluster{o: o, members: map[string]*Client{}, pause: coolDown, done: make(chan struct{})}
	c.topology = newTopology("the cluster at " + strings.Join(o.Addresses, ","))
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Topology returns where the slots are, for Options.Topology.
func (c *Cluster) Topology() *Topology {
	return c.topology
}

// Start begins to ask the nodes. It does so once.
func (c *Cluster) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		c.started = true
		background.Start(&following{c: c})
	}
}

// Close ends the questions, and returns when the last one has ended. Another Close does
// nothing more.
func (c *Cluster) Close() {
	c.cancel()
	c.mu.Lock()
	if !c.started {
		c.started = true
		close(c.done)
	}
	c.mu.Unlock()
	<-c.done
	c.topology.end(ErrClosed)
}

// A following is the life of a Cluster.
type following struct {
	c *Cluster
}

// Run implements background.Runner.
func (f *following) Run() {
	c := f.c
	defer close(c.done)
	for c.ctx.Err() == nil {
		asked := c.topology.begin()
		changed, err := c.round()
		if c.ctx.Err() != nil {
			break
		}
		c.topology.end(err)
		c.rest(asked, changed, err)
	}
	for _, m := range c.members {
		m.Close()
	}
}

// rest waits until the next round is due.
func (c *Cluster) rest(asked, changed bool, err error) {
	most := coolDownMost
	if err != nil {
		most = coolDownDead
	}
	if changed || !asked && err == nil {
		c.pause = coolDown
	}
	background.Pause(c.ctx, c.pause+time.Duration(rand.Int63n(int64(c.pause)/5)))
	c.pause *= 2
	if c.pause > most {
		c.pause = most
	}
	if err != nil {
		return
	}
	poll := c.o.Poll - c.o.Poll/10 + time.Duration(rand.Int63n(int64(c.o.Poll/5)+1))
	ctx, cancel := context.WithTimeout(c.ctx, poll)
	defer cancel()
	if c.topology.rest(cancel) {
		<-ctx.Done()
	}
}

// round asks nodes for the slots, the configured ones if no other answers. It reports
// whether the topology changed.
func (c *Cluster) round() (bool, error) {
	known := c.topology.current()
	var list []string
	if known != nil {
		list = shuffled(known.nodes(), askNodes)
	}
	changed, err := c.consult(list)
	if err != nil || known == nil {
		seeds := map[string]bool{}
		for _, a := range c.o.Addresses {
			seeds[a] = true
		}
		changed, err = c.consult(shuffled(seeds, askSeeds))
	}
	c.prune()
	return changed, err
}

// shuffled returns up to n of the addresses in a random order.
func shuffled(addresses map[string]bool, n int) []string {
	var list []string
	for a := range addresses {
		list = append(list, a)
	}
	sort.Strings(list)
	for i := range list {
		k := i + rand.Intn(len(list)-i)
		held := list[i]
		list[i] = list[k]
		list[k] = held
	}
	if len(list) > n {
		list = list[:n]
	}
	return list
}

// consult queries the nodes at the same time, and publishes the slots.
func (c *Cluster) consult(addresses []string) (bool, error) {
	if len(addresses) == 0 {
		return false, ErrNotSent
	}
	out := make(chan *survey, len(addresses))
	for _, a := range addresses {
		c.askOne(a, out)
	}
	changed := false
	settled := false
	answers := 0
	var best *survey
	var failure error
	for range addresses {
		a := <-out
		if a.err != nil {
			failure = prefer(failure, fmt.Errorf("%s: %w", a.address, a.err))
			continue
		}
		answers++
		if best == nil || a.isBetter(best) {
			best = a
		}
		if a.isNews(c.topology.current(), settled) {
			settled = true
			changed = c.topology.publish(a.slots) || changed
		}
	}
	if best == nil {
		return false, failure
	}
	if !settled && 2*answers > len(addresses) {
		changed = c.topology.publish(best.slots)
	}
	return changed, nil
}

// prefer returns the error that says more: that a server is no node of a cluster, or that
// it refuses the credentials.
func prefer(a, b error) error {
	if a == nil || !errors.Is(a, ErrTerminal) && errors.Is(b, ErrTerminal) {
		return b
	}
	return a
}

func (c *Cluster) askOne(address string, out chan *survey) {
	m := c.members[address]
	if m == nil {
		m = NewClient(c.nodeOptions(address))
		c.members[address] = m
	}
	answer := &survey{address: address, err: ErrNotSent}
	background.Start(&inquiry{m: m, out: out, answer: answer})
}

func (c *Cluster) nodeOptions(address string) Options {
	o := c.o.Node
	o.Address = address
	o.Network = ""
	o.DB = 0
	o.Location = nil
	o.Topology = nil
	o.Node = true
	o.PoolSize = 1
	o.MinIdle = 0
	o.MaxRetries = 1
	o.OperationTimeout = c.o.Timeout
	o.ReadTimeout = c.o.Timeout
	o.WriteTimeout = c.o.Timeout
	return o
}

// prune closes the connections to nodes that have left.
func (c *Cluster) prune() {
	known := map[string]bool{}
	if m := c.topology.current(); m != nil {
		known = m.nodes()
	}
	for _, a := range c.o.Addresses {
		known[a] = true
	}
	for a, m := range c.members {
		if !known[a] {
			delete(c.members, a)
			m.Close()
		}
	}
}
