package resp

import (
	"context"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// A slotMap says which master of a cluster has which slot. It is immutable, but for the
// epoch, which only a Cluster uses.
type slotMap struct {
	masters  []string   // addresses, sorted
	replicas [][]string // of each master
	index    []int16    // of the master by slot; -1: no node has it
	covered  int        // slots that a node has
	epoch    uint64     // of the node that gave it
	text     string     // the same for the same content; empty: a slot was patched
}

// nodes returns the addresses of all nodes.
func (m *slotMap) nodes() map[string]bool {
	all := map[string]bool{}
	for i := range m.masters {
		all[m.masters[i]] = true
		for _, a := range m.replicas[i] {
			all[a] = true
		}
	}
	return all
}

// master returns the address of the master of slot, or nothing where there is none. Any
// master will do for noSlot.
func (m *slotMap) master(slot int) string {
	if slot == noSlot {
		return m.masters[rand.Intn(len(m.masters))]
	}
	if i := m.index[slot]; i >= 0 {
		return m.masters[i]
	}
	return ""
}

// patched returns m with slot at address, which is that of a master of m or becomes one.
func (m *slotMap) patched(slot int, address string) *slotMap {
	next := *m
	next.text = ""
	at := -1
	for i, a := range m.masters {
		if a == address {
			at = i
		}
	}
	if at < 0 {
		at = len(m.masters)
		next.masters = append(append([]string{}, m.masters...), address)
		var none []string
		next.replicas = append(append([][]string{}, m.replicas...), none)
	}
	next.index = append([]int16{}, m.index...)
	next.index[slot] = int16(at)
	return &next
}

// A Topology has the nodes of the slots of a cluster. A Cluster publishes it. A Topology
// is safe for concurrent use.
type Topology struct {
	name       string // of the cluster, for errors
	generation atomic.Int64

	moved, asked, unknown, changes atomic.Int64

	mu    sync.Mutex // guards the fields below
	news  *sync.Cond // signals a change of the fields below
	slots *slotMap   // nil: not known
	err   error      // why not
	begun int        // rounds of questions
	ended int
	stale bool               // the slots did not lead to the right node
	wake  context.CancelFunc // of a publisher that rests; nil: it is at work
}

func newTopology(name string) *Topology {
	t := &Topology{name: name}
	t.news = sync.NewCond(&t.mu)
	return t
}

// ClusterStats are a snapshot of the redirects and changes of a cluster.
type ClusterStats struct {
	Masters int
	Nodes   int
	Moved   int64 // redirects to another node for good
	Asked   int64 // redirects of one command
	Unknown int64 // redirects to an address that is no node of the cluster
	Changes int64 // of the topology
}

// Stats returns a snapshot.
func (t *Topology) Stats() ClusterStats {
	s := ClusterStats{Moved: t.moved.Load(), Asked: t.asked.Load(), Unknown: t.unknown.Load(), Changes: t.changes.Load()}
	if m := t.current(); m != nil {
		s.Masters = len(m.masters)
		s.Nodes = len(m.nodes())
	}
	return s
}

// Masters returns the addresses of the masters, sorted. It is empty while they are not
// known.
func (t *Topology) Masters() []string {
	m := t.current()
	if m == nil {
		return nil
	}
	return append([]string{}, m.masters...)
}

// Master returns the address of the node that has the slot of key, or nothing.
func (t *Topology) Master(key string) string {
	m := t.current()
	if m == nil {
		return ""
	}
	return m.master(slotOf(key))
}

func (t *Topology) current() *slotMap {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.slots
}

// Recheck has the slots requested, because they did not lead to the right node.
func (t *Topology) Recheck() {
	t.mu.Lock()
	t.stale = true
	wake := t.wake
	t.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// rest lets Recheck call wake. It reports false where that was called already.
func (t *Topology) rest(wake context.CancelFunc) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stale {
		return false
	}
	t.wake = wake
	return true
}

// begin begins a round of questions. It reports whether Recheck was called.
func (t *Topology) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun++
	asked := t.stale
	t.stale = false
	t.wake = nil
	return asked
}

// end ends a round, with the reason where it brought nothing.
func (t *Topology) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = t.begun
	t.err = err
	t.news.Broadcast()
}

// publish sets the slots. It reports whether they changed.
func (t *Topology) publish(m *slotMap) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = nil
	if t.slots != nil && t.slots.text == m.text {
		t.slots.epoch = m.epoch
		return false
	}
	if t.slots != nil {
		t.changes.Add(1)
	}
	t.slots = m
	t.generation.Add(1)
	t.news.Broadcast()
	return true
}

// A waking wakes all calls that wait for news, because the time of one is over.
type waking struct {
	t *Topology
}

// Run implements background.Runner.
func (w *waking) Run() {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	w.t.news.Broadcast()
}

// locate returns the slots. It waits for the first ones until ctx is done.
func (t *Topology) locate(ctx context.Context) (*slotMap, error) {
	if m := t.current(); m != nil {
		return m, nil
	}
	t.Recheck()
	background.Done(ctx, &waking{t: t})
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.slots == nil && t.err == nil && ctx.Err() == nil {
		t.news.Wait()
	}
	if t.slots != nil {
		return t.slots, nil
	}
	err := t.err
	if err == nil {
		err = ctx.Err()
	}
	return nil, fmt.Errorf("%w: %s is not found: %w", ErrNotSent, t.name, err)
}

// confirm reports whether address is a node of the cluster. For an unknown one it waits for
// another round, until ctx is done.
func (t *Topology) confirm(ctx context.Context, address string) bool {
	t.mu.Lock()
	if t.slots != nil && t.slots.nodes()[address] {
		t.mu.Unlock()
		return true
	}
	next := t.begun + 1
	t.mu.Unlock()
	t.Recheck()
	background.Done(ctx, &waking{t: t})
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.ended < next && ctx.Err() == nil && !(t.slots != nil && t.slots.nodes()[address]) {
		t.news.Wait()
	}
	return t.slots != nil && t.slots.nodes()[address]
}

// move has slot at address, a node of the cluster, until the next round.
func (t *Topology) move(slot int, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slots == nil || t.slots.master(slot) == address {
		return
	}
	t.slots = t.slots.patched(slot, address)
	t.generation.Add(1)
}
