package resp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// drainPeriod is the time for a node that has left a cluster to finish its commands.
const drainPeriod = 5 * time.Second

// A router keeps a pool of connections to each node of a cluster.
type router struct {
	o        Options // of a node, but for its address
	topology *Topology
	epoch    time.Time // of all pools

	mu         sync.Mutex // guards the fields below
	generation int64      // of the topology that the pools match
	pools      map[string]*pool
	breaks     uint64 // of pools that are gone
	closed     bool
}

func newRouter(o Options, epoch time.Time) *router {
	r := &router{o: o, topology: o.Topology, epoch: epoch, pools: map[string]*pool{}}
	r.o.Topology = nil
	r.o.Location = nil
	r.o.Network = "tcp"
	r.o.DB = 0
	r.o.Node = true
	return r
}

// pool returns the pool of a node of the cluster.
func (r *router) pool(address string) (*pool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if r.generation != r.topology.generation.Load() {
		r.matchLocked()
	}
	p := r.pools[address]
	if p == nil {
		o := r.o
		o.Address = address
		p = newPool(o, r.epoch)
		r.pools[address] = p
	}
	return p, nil
}

// matchLocked removes the pools of nodes that have left.
func (r *router) matchLocked() {
	r.generation = r.topology.generation.Load()
	m := r.topology.current()
	if m == nil {
		return
	}
	nodes := m.nodes()
	for address, p := range r.pools {
		if !nodes[address] {
			delete(r.pools, address)
			r.breaks += p.breaks()
			drain(p)
		}
	}
}

func drain(p *pool) {
	background.After(drainPeriod, &draining{p: p})
}

// A draining closes the pool of a node that has left.
type draining struct {
	p *pool
}

// Run implements background.Runner.
func (d *draining) Run() {
	d.p.close()
}

// list returns the pools.
func (r *router) list() []*pool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*pool
	for _, p := range r.pools {
		all = append(all, p)
	}
	return all
}

func (r *router) reconnect() {
	r.topology.Recheck()
	for _, p := range r.list() {
		p.reconnect()
	}
}

func (r *router) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, p := range r.list() {
		p.close()
	}
}

// brokenOff counts the connections that ended by themselves, ever.
func (r *router) brokenOff() uint64 {
	all := r.list()
	r.mu.Lock()
	n := r.breaks
	r.mu.Unlock()
	for _, p := range all {
		n += p.breaks()
	}
	return n
}

// aim gives t the pool of the node for its next attempt: the one that a redirect named, or
// the master of its slot.
func (t *task) aim() error {
	address := t.target
	t.target = ""
	if address == "" {
		m, err := t.locate()
		if err != nil {
			return err
		}
		address = m.master(t.slot)
		if address == "" {
			return fmt.Errorf("%w: no node has slot %d", errClusterDown, t.slot)
		}
	}
	p, err := t.c.router.pool(address)
	if err != nil {
		return err
	}
	t.p = p
	return nil
}

// redirectAddress returns the address of a redirect by the node at origin. A redirect
// without a host has the host of origin.
func redirectAddress(to, origin string) (string, bool) {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		i := strings.LastIndexByte(to, ':') // an IPv6 address without brackets
		if i < 0 {
			return "", false
		}
		host = to[:i]
		port = to[i+1:]
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return "", false
	}
	return nodeAddress(host, n, origin)
}

// locate returns the slots, within the budget.
func (t *task) locate() (*slotMap, error) {
	topology := t.c.router.topology
	if m := topology.current(); m != nil {
		return m, nil
	}
	ctx, cancel := context.WithDeadline(t.ctx, t.p.epoch.Add(t.deadline))
	defer cancel()
	return topology.locate(ctx)
}

// attemptAsking carries the operation out once, at a node that has not got the slot for good.
func (t *task) attemptAsking(x *conn) (Reply, error) {
	t.asking = false
	var got [2]Reply
	b := append(appendCommand(nil, []string{"ASKING"}), t.out...)
	if _, err := x.ask(b, got[:]); err != nil {
		return Reply{}, t.lost(x, err)
	}
	if err := got[0].Err(); err != nil {
		t.p.put(x)
		return Reply{}, err
	}
	return got[1], t.done(x, got[1])
}

// redirected records the redirect r, if it is one.
func (t *task) redirected(r Reply) {
	if t.c.router != nil && len(r.Elems) == 1 {
		t.redirect = r.Elems[0]
	}
}

// follow decides whether a redirect is followed. It leads only to a node that the cluster
// itself names, so that a node cannot have credentials sent to an address of its choice.
func (t *task) follow(err error) bool {
	to := t.redirect
	t.redirect = Reply{}
	topology := t.c.router.topology
	t.redirects++
	if to.Kind != Int || t.redirects > t.c.o.MaxRedirects || t.ctx.Err() != nil {
		topology.Recheck()
		return false
	}
	address, ok := redirectAddress(string(to.Str), t.p.o.Address)
	if !ok || !t.confirm(address) {
		topology.unknown.Add(1)
		return t.pauseLess()
	}
	t.target = address
	if errors.Is(err, errAsk) {
		topology.asked.Add(1)
		t.asking = true
		return true
	}
	topology.moved.Add(1)
	topology.Recheck()
	if address == t.p.o.Address {
		t.p.reconnect() // the connection led to another node
		return t.pause()
	}
	topology.move(int(to.Int), address)
	return true
}

// confirm reports whether address is a node of the cluster, within the budget.
func (t *task) confirm(address string) bool {
	ctx, cancel := context.WithDeadline(t.ctx, t.p.epoch.Add(t.deadline))
	defer cancel()
	return t.c.router.topology.confirm(ctx, address)
}

// pauseLess is a pause before another retry.
func (t *task) pauseLess() bool {
	t.tried++
	return t.tried <= t.c.o.MaxRetries && t.pause()
}

// suspect has the slots requested again after a failure that another node may not have.
func (t *task) suspect(err error) {
	if errors.Is(err, ErrNotSent) || errors.Is(err, ErrAmbiguous) || errors.Is(err, errPassing) && !errors.Is(err, errTryAgain) {
		t.c.router.topology.Recheck()
	}
}
