package resp

import (
	"context"
	"errors"
	"math/bits"
	"time"
)

// op tells the counted operations apart.
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

// The classes that failures are counted by.
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

// bucketCount is the number of latency buckets: below 65.5 µs, and each twice as
// wide as the one before, up to 8 s; the last has no bound.
const bucketCount = 19

// CommandStats count the operations of one command.
type CommandStats struct {
	Command  string
	Count    uint64            // operations, retries not counted twice
	Failures map[string]uint64 // by class: not_sent, rejected, ambiguous, terminal, protocol, cancelled
	Retries  uint64
	Buckets  []uint64      // operations by latency; bound i is BucketBound(i)
	Total    time.Duration // sum of the latencies
}

// PoolStats tell what the pool holds and has done.
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
}

// BucketBound is the upper bound of latency bucket i; the last has none.
func BucketBound(i int) time.Duration {
	return time.Duration(1) << (16 + i)
}

// record counts the operations of one kind; it is guarded by the pool's mutex.
type record struct {
	count    uint64
	retries  uint64
	failures [failClasses]uint64
	buckets  []uint64 // one for every power of two
	total    int64
}

// tally is what a pool counts; it is guarded by the pool's mutex.
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
	r.count++
	r.total += took
	r.buckets[bits.Len64(uint64(took)>>16)]++
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

// Stats returns a snapshot of what the client has done.
func (c *Client) Stats() Stats {
	p := c.only
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Pool: PoolStats{
		Open: p.open, Idle: p.idle, InUse: p.open - p.dialling - p.idle,
		Dialling: p.dialling, Waiting: p.queue.Len(),
		Dials: p.stats.dials, DialFailures: p.stats.dialFailures, Timeouts: p.stats.timeouts,
		Stale: p.stats.stale, Broken: p.stats.broken, Retired: p.stats.retired,
	}}
	for i := range p.records {
		if r := p.records[i]; r.count > 0 {
			s.Commands = append(s.Commands, snapshot(opNames[i], r))
		}
	}
	return s
}

func snapshot(name string, r *record) CommandStats {
	c := CommandStats{Command: name, Count: r.count, Retries: r.retries, Total: time.Duration(r.total)}
	c.Buckets = append(c.Buckets, r.buckets[:bucketCount]...)
	for _, n := range r.buckets[bucketCount:] {
		c.Buckets[bucketCount-1] += n
	}
	c.Failures = map[string]uint64{}
	for i, n := range r.failures {
		if n > 0 {
			c.Failures[failNames[i]] = n
		}
	}
	return c
}
