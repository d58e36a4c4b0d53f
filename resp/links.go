package resp

import (
	"context"
	"fmt"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// Links are Trackers of the same keys: one of a server, or one of each master of a cluster.
// Up is called when every server reports its changes. They are safe for concurrent use.
type Links struct {
	o        Options
	prefixes []string
	h        Invalidations
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{}
	only     *Tracker // of the server; nil: of a cluster

	mu      sync.Mutex // guards the fields below, and calls h
	started bool
	links   map[string]*nodeLink
	up      bool // of all
}

// NewLinks returns Links with a Tracker of the keys that begin with one of prefixes, as
// NewTracker.
func NewLinks(o Options, prefixes []string, h Invalidations) *Links {
	l := &Links{o: o, prefixes: prefixes, h: h, links: map[string]*nodeLink{}, done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if o.Topology == nil {
		l.only = NewTracker(o, prefixes, h)
	}
	return l
}

// Start begins to listen. It does so once.
func (l *Links) Start() {
	if l.only != nil {
		l.only.Start()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.started {
		l.started = true
		background.Start(&linking{l: l})
	}
}

// Close ends it. No method of the Invalidations is called after it returns, so it must not
// be called by one. Another Close does nothing more.
func (l *Links) Close() {
	if l.only != nil {
		l.only.Close()
		return
	}
	l.cancel()
	l.mu.Lock()
	if !l.started {
		l.started = true
		close(l.done)
	}
	l.mu.Unlock()
	<-l.done
}

// Server returns the run IDs of the servers that the links lead to, as Client.Runs. It is
// empty where one is not known, or a master has no link.
func (l *Links) Server() string {
	if l.only != nil {
		return l.only.Server()
	}
	l.mu.Lock()
	up := l.up
	var trackers []*Tracker
	for _, n := range l.links {
		trackers = append(trackers, n.tracker)
	}
	l.mu.Unlock()
	if !up {
		return ""
	}
	var runs []string
	for _, t := range trackers {
		runs = append(runs, t.Server())
	}
	return joinRuns(runs)
}

// Reconnect replaces the connections, because the names of the servers may lead elsewhere.
func (l *Links) Reconnect() {
	if l.only != nil {
		l.only.Reconnect()
		return
	}
	l.mu.Lock()
	var trackers []*Tracker
	for _, n := range l.links {
		trackers = append(trackers, n.tracker)
	}
	l.mu.Unlock()
	for _, t := range trackers {
		t.Reconnect()
	}
}

// A linking keeps a Tracker of each master of a cluster.
type linking struct {
	l *Links
}

// Run implements background.Runner.
func (w *linking) Run() {
	l := w.l
	defer close(l.done)
	background.Done(l.ctx, &waking{t: l.o.Topology})
	seen := int64(0)
	for l.ctx.Err() == nil {
		seen = l.o.Topology.await(l.ctx, seen)
		if l.ctx.Err() == nil {
			l.match(l.o.Topology.Masters())
		}
	}
	l.match(nil)
}

// await returns the number of the topology once it is not seen any more, or ctx is done. A
// waking ends its wait.
func (t *Topology) await(ctx context.Context, seen int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ctx.Err() == nil && (t.slots == nil || t.generation.Load() == seen) {
		t.news.Wait()
	}
	return t.generation.Load()
}

// match gives each master a link, and ends the others. Until all are up, changes are not reported.
func (l *Links) match(masters []string) {
	wanted := map[string]bool{}
	for _, a := range masters {
		wanted[a] = true
	}
	var gone []*Tracker
	var fresh []*Tracker
	l.mu.Lock()
	for a, n := range l.links {
		if !wanted[a] {
			n.left = true
			delete(l.links, a)
			gone = append(gone, n.tracker)
		}
	}
	for _, a := range masters {
		if l.links[a] == nil {
			n := l.link(a)
			l.links[a] = n
			fresh = append(fresh, n.tracker)
		}
	}
	if l.up && len(fresh) > 0 {
		l.up = false
		l.h.Down(ErrRetired)
	}
	if len(masters) > 0 {
		l.riseLocked()
	}
	l.mu.Unlock()
	for _, t := range gone {
		t.Close()
	}
	for _, t := range fresh {
		t.Start()
	}
}

func (l *Links) link(address string) *nodeLink {
	o := l.o
	o.Topology = nil
	o.Address = address
	o.Network = "tcp"
	o.Node = true
	n := &nodeLink{l: l, address: address}
	n.tracker = NewTracker(o, l.prefixes, n)
	return n
}

// riseLocked calls Up if every link is up and the last call was Down.
func (l *Links) riseLocked() {
	for _, n := range l.links {
		if !n.up {
			return
		}
	}
	if !l.up && len(l.links) > 0 {
		l.up = true
		l.h.Up()
	}
}

// A nodeLink receives the changes that one master reports. It implements Invalidations.
type nodeLink struct {
	l       *Links
	address string
	tracker *Tracker

	// The lock of the Links guards the fields below.
	up   bool
	left bool // the master has left
}

// Up implements Invalidations.
func (n *nodeLink) Up() {
	l := n.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.left {
		return
	}
	n.up = true
	l.riseLocked()
}

// Down implements Invalidations.
func (n *nodeLink) Down(err error) {
	l := n.l
	l.o.Topology.Recheck()
	l.mu.Lock()
	defer l.mu.Unlock()
	n.up = false
	if n.left {
		return
	}
	l.up = false
	l.h.Down(fmt.Errorf("%s: %w", n.address, err))
}

// Invalidate implements Invalidations.
func (n *nodeLink) Invalidate(keys []string) {
	l := n.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if !n.left {
		l.h.Invalidate(keys)
	}
}
