package resp

import (
	"context"
	"errors"
	"math/bits"
	"time"
)

// op is a kind of operation that is counted.
type op int

const (
	opGet op = iota
	opSet
	opSetNX
	opDel
	opExists
	opPTTL
	opPing
	opScan
	opEval
	opPipeline
	opOther
	ops
)

var opNames = [ops]string{"get", "set", "setnx", "del", "exists", "pttl", "ping", "scan", "eval", "pipeline", "other"}

// The classes of failures in the counters.
const (
	failNotSent = iota
	failRejected
	failAmbiguous
	failTerminal
	failProtocol
	failCancelled
	failClasses
)

var failNames = [failClasses]string{"not_sent", "rejected", "ambiguous", "terminal", "protocol", "cancelled"}

// bucketCount is the number of latency buckets. The first is below 65.5 µs, and
// each next one twice as wide, up to 8 s. The last has no bound.
const bucketCount = 19

// CommandStats count the operations of one command.
type CommandStats struct {
	Command  string
	Count    uint64            // operations, each once with its retries
	Failures map[string]uint64 // by class: not_sent, rejected, ambiguous, terminal, protocol, cancelled
	Retries  uint64
	Buckets  []uint64      // operations by latency; bound i is BucketBound(i)
	Total    time.Duration // approximate sum of the latencies
}

// PoolStats are the connections of a pool and its counters.
type PoolStats struct {
	Open, Idle, InUse, Dialling, Waiting int

	Dials        uint64 // connections opened
	DialFailures uint64
	Timeouts     uint64 // operations that got no connection in time
	Stale        uint64 // connections found dead or out of step before use
	Broken       uint64 // connections closed by an exchange that failed
	Retired      uint64 // connections closed for their age or idleness
}

// Stats are a snapshot.
type Stats struct {
	Commands []CommandStats // only those that were used
	Pool     PoolStats
	Cluster  ClusterStats // zero: one server
}

// BucketBound is the upper bound of latency bucket i. The last has none.
func BucketBound(i int) time.Duration {
	return time.Duration(1) << (16 + i)
}

// Latencies below fineSpan are counted by the grain, others by powers of two.
const (
	grain    = 16384 * time.Nanosecond
	fineSpan = 256 * grain
)

// record counts the operations of one kind. The pool's mutex guards it.
type record struct {
	fine     []uint64 // by latency in grains
	rough    []uint64 // by the number of bits of the latency
	retries  uint64
	failures [failClasses]uint64
}

func newRecord() *record {
	return &record{fine: make([]uint64, fineSpan/grain), rough: make([]uint64, 65)}
}

// add counts one operation that took so long.
func (r *record) add(took time.Duration) {
	if took < fineSpan {
		r.fine[took/grain]++
		return
	}
	r.rough[bits.Len64(uint64(took))]++
}

// tally has the counters of a pool. The pool's mutex guards it.
type tally struct {
	dials, dialFailures, timeouts, stale, broken, retired uint64
}

func failure(err error) int {
	switch {
	case errors.Is(err, context.Canceled):
		return failCancelled
	case errors.Is(err, ErrNotSent):
		return failNotSent
	case errors.Is(err, ErrRejected):
		return failRejected
	case errors.Is(err, ErrAmbiguous):
		return failAmbiguous
	case errors.Is(err, ErrTerminal):
		return failTerminal
	}
	return failProtocol
}

// count counts the operation t, which ended with err.
func (p *pool) count(t *task, err error) {
	took := p.now() - t.start
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.records[t.op]
	r.add(took)
	if t.tried > 0 {
		r.retries += uint64(t.tried)
		if err != nil {
			r.retries--
		}
	}
	if err != nil {
		r.failures[failure(err)]++
	} else if p.credit < maxCredit {
		p.credit++
	}
}

// Breaks counts the connections that ended by themselves, ever.
func (c *Client) Breaks() uint64 {
	if c.router != nil {
		return c.router.brokenOff()
	}
	return c.only.breaks()
}

func (p *pool) breaks() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats.broken + p.stats.stale
}

// Stats returns a snapshot of the client's counters.
func (c *Client) Stats() Stats {
	if c.router == nil {
		return c.only.snapshot()
	}
	var s Stats
	for _, p := range c.router.list() {
		s.include(p.snapshot())
	}
	s.Cluster = c.router.topology.Stats()
	return s
}

func (p *pool) snapshot() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idleLocked()
	s := Stats{Pool: PoolStats{
		Open: p.open, Idle: idle, InUse: p.open - p.dialling - idle,
		Dialling: p.dialling, Waiting: p.waiting,
		Dials: p.stats.dials, DialFailures: p.stats.dialFailures, Timeouts: p.stats.timeouts,
		Stale: p.stats.stale, Broken: p.stats.broken, Retired: p.stats.retired,
	}}
	for i := range p.records {
		if c := snapshot(opNames[i], p.records[i]); c.Count > 0 {
			s.Commands = append(s.Commands, c)
		}
	}
	return s
}

// include adds the counters of another node of the cluster.
func (s *Stats) include(o Stats) {
	a := &s.Pool
	b := o.Pool
	a.Open += b.Open
	a.Idle += b.Idle
	a.InUse += b.InUse
	a.Dialling += b.Dialling
	a.Waiting += b.Waiting
	a.Dials += b.Dials
	a.DialFailures += b.DialFailures
	a.Timeouts += b.Timeouts
	a.Stale += b.Stale
	a.Broken += b.Broken
	a.Retired += b.Retired
	for i := range o.Commands {
		s.includeCommand(o.Commands[i])
	}
}

func (s *Stats) includeCommand(c CommandStats) {
	for i := range s.Commands {
		a := &s.Commands[i]
		if a.Command != c.Command {
			continue
		}
		a.Count += c.Count
		a.Retries += c.Retries
		a.Total += c.Total
		for k := range c.Buckets {
			a.Buckets[k] += c.Buckets[k]
		}
		for k, n := range c.Failures {
			a.Failures[k] += n
		}
		return
	}
	s.Commands = append(s.Commands, c)
}

func snapshot(name string, r *record) CommandStats {
	c := CommandStats{Command: name, Retries: r.retries, Buckets: make([]uint64, bucketCount)}
	for i, n := range r.fine {
		c.add(n, time.Duration(i)*grain+grain/2)
	}
	for i, n := range r.rough {
		c.add(n, time.Duration(3)<<i>>2)
	}
	c.Failures = map[string]uint64{}
	for i, n := range r.failures {
		if n > 0 {
			c.Failures[failNames[i]] = n
		}
	}
	return c
}

// add adds n operations that took about so long.
func (c *CommandStats) add(n uint64, took time.Duration) {
	i := bits.Len64(uint64(took) >> 16)
	if i >= bucketCount {
		i = bucketCount - 1
	}
	c.Buckets[i] += n
	c.Count += n
	c.Total += time.Duration(n) * took
}
