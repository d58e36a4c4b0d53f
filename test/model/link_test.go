package model

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A network joins replicas to the server. Its connections are in memory, so that
// simulated time passes while a replica waits for one. Its latencies come from the
// seed. One lock guards all of it, and the server.
type network struct {
	seed   uint64
	server *server

	mu      sync.Mutex // guards the fields below, and those of paths, conns and server
	stopped bool       // bytes that arrive at the server wait
	down    bool       // connections are refused
	paths   []*path
}

// A path is the way of one replica to the server.
type path struct {
	n      *network
	number uint64
	dialed uint64
	conns  []*conn

	refused bool          // cut: connections are refused
	up      bool          // the bytes that the replica sends are held
	back    bool          // the bytes that the server sends are held
	told    bool          // the bytes that the server sends on every invalidation link are held
	healed  chan struct{} // closed when nothing is held any more
	gone    bool          // the replica's process ended
}

func (n *network) path(number uint64) *path {
	p := &path{n: n, number: number, healed: make(chan struct{})}
	n.mu.Lock()
	n.paths = append(n.paths, p)
	n.mu.Unlock()
	return p
}

// A chunk is bytes on their way to the replica.
type chunk struct {
	at time.Time
	b  []byte
}

// A conn is the replica's end of a connection. It has one reader at a time.
type conn struct {
	p      *path
	random *rand.Rand
	client *client // the server's end

	wake      chan struct{}
	timer     *time.Timer // the reader's
	in        []chunk
	heldOut   [][]byte
	heldIn    [][]byte
	waiting   [][]byte  // at a server that is stopped
	sent      time.Time // of the arrival of the bytes that were sent last
	answered  time.Time // of the arrival of the last reply
	readUntil time.Time
	failure   error // of the replica's reads and writes
	lost      bool  // the bytes that were sent do not arrive
}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// dial opens a connection. While the way is blocked it waits.
func (p *path) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.n.mu.Lock()
	p.dialed++
	random := rand.New(rand.NewPCG(p.n.seed, p.number<<32|p.dialed))
	for p.up || p.back {
		healed := p.healed
		p.n.mu.Unlock()
		select {
		case <-healed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		p.n.mu.Lock()
	}
	p.n.mu.Unlock()
	time.Sleep(latency(random) + latency(random))
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.refused || p.gone || p.n.down {
		return nil, errRefused
	}
	c := &conn{p: p, random: random, wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	c.timer.Stop()
	c.client = p.n.server.accept(c)
	p.conns = append(p.conns, c)
	return c, nil
}

// latency draws the latency of one way. It is mostly tens of microseconds, sometimes
// milliseconds.
func latency(random *rand.Rand) time.Duration {
	most := 100_000
	switch random.IntN(20) {
	case 0:
		most = 5_000_000
	case 1, 2:
		most = 1_000_000
	}
	return time.Duration(20_000 + random.IntN(most))
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	n := c.p.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.failure != nil {
		return 0, c.failure
	}
	copied := append([]byte(nil), b...)
	if c.p.up {
		c.heldOut = append(c.heldOut, copied)
		return len(b), nil
	}
	c.sendLocked(copied)
	return len(b), nil
}

func (c *conn) sendLocked(b []byte) {
	now := time.Now()
	at := now.Add(latency(c.random))
	if !at.After(c.sent) {
		at = c.sent.Add(1)
	}
	c.sent = at
	time.AfterFunc(at.Sub(now), func() { c.arrive(b) })
}

// arrive hands the server the bytes that the replica sent.
func (c *conn) arrive(b []byte) {
	n := c.p.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.lost {
		return
	}
	if n.stopped {
		c.waiting = append(c.waiting, b)
		n.server.waiting = append(n.server.waiting, c)
		return
	}
	n.server.receive(c.client, b)
}

// answerLocked sends b to the replica, now and then in two parts.
func (c *conn) answerLocked(b []byte) {
	if len(b) > 1 && c.random.IntN(50) == 0 {
		cut := 1 + c.random.IntN(len(b)-1)
		c.deliverLocked(b[:cut])
		b = b[cut:]
	}
	c.deliverLocked(b)
}

func (c *conn) deliverLocked(b []byte) {
	if c.failure != nil || len(b) == 0 {
		return
	}
	if c.p.back || c.p.told && c.client.listens {
		c.heldIn = append(c.heldIn, b)
		return
	}
	at := time.Now().Add(latency(c.random))
	if !at.After(c.answered) {
		at = c.answered.Add(1)
	}
	c.answered = at
	c.in = append(c.in, chunk{at: at, b: b})
	c.stirLocked()
}

func (c *conn) stirLocked() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	for {
		n, wait, err := c.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		if wait < 0 {
			<-c.wake
			continue
		}
		c.timer.Reset(wait)
		select {
		case <-c.wake:
		case <-c.timer.C:
		}
		c.timer.Stop()
	}
}

// take reads the bytes that have arrived, or returns how long to wait: negative for ever.
func (c *conn) take(b []byte) (int, time.Duration, error) {
	c.p.n.mu.Lock()
	defer c.p.n.mu.Unlock()
	if c.failure != nil {
		return 0, 0, c.failure
	}
	now := time.Now()
	if len(c.in) > 0 && !c.in[0].at.After(now) {
		n := copy(b, c.in[0].b)
		if c.in[0].b = c.in[0].b[n:]; len(c.in[0].b) == 0 {
			c.in = c.in[1:]
		}
		return n, 0, nil
	}
	if !c.readUntil.IsZero() && !now.Before(c.readUntil) {
		return 0, 0, os.ErrDeadlineExceeded
	}
	until := c.readUntil
	if len(c.in) > 0 && (until.IsZero() || c.in[0].at.Before(until)) {
		until = c.in[0].at
	}
	if until.IsZero() {
		return 0, -1, nil
	}
	return 0, until.Sub(now), nil
}

// Close implements net.Conn. The bytes that were sent arrive nevertheless. Those that
// are held arrive when the way is free again.
func (c *conn) Close() error {
	c.p.n.mu.Lock()
	defer c.p.n.mu.Unlock()
	c.endLocked(net.ErrClosed)
	if len(c.heldOut) == 0 {
		c.forgetLocked()
	}
	return nil
}

// endLocked lets the replica read and write no more.
func (c *conn) endLocked(err error) {
	if c.failure == nil {
		c.failure = err
	}
	c.in = nil
	c.heldIn = nil
	c.p.n.server.leave(c.client)
	c.stirLocked()
}

// breakLocked ends the connection. The bytes that have not arrived are lost.
func (c *conn) breakLocked(err error) {
	c.endLocked(err)
	c.lost = true
	c.heldOut = nil
	c.forgetLocked()
}

func (c *conn) forgetLocked() {
	for i, other := range c.p.conns {
		if other == c {
			c.p.conns = append(c.p.conns[:i:i], c.p.conns[i+1:]...)
			return
		}
	}
}

var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// resetLocked breaks every connection of the path.
func (p *path) resetLocked() {
	for len(p.conns) > 0 {
		c := p.conns[0]
		if c.random.IntN(2) == 0 {
			c.breakLocked(io.EOF)
		} else {
			c.breakLocked(errReset)
		}
	}
}

// cut breaks the connections and refuses others.
func (p *path) cut() {
	p.n.mu.Lock()
	p.refused = true
	p.resetLocked()
	p.n.mu.Unlock()
}

// reset breaks the present connections.
func (p *path) reset() {
	p.n.mu.Lock()
	p.resetLocked()
	p.n.mu.Unlock()
}

// stall holds the bytes that are sent, silently.
func (p *path) stall(up, back, told bool) {
	p.n.mu.Lock()
	p.up = p.up || up
	p.back = p.back || back
	p.told = p.told || told
	p.n.mu.Unlock()
}

// heal ends cut and stall. Held bytes arrive, or the connections with held bytes turn out
// to be dead.
func (p *path) heal(dead bool) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.refused, p.up, p.back, p.told = false, false, false, false
	close(p.healed)
	p.healed = make(chan struct{})
	for _, c := range append([]*conn(nil), p.conns...) {
		if dead && len(c.heldIn)+len(c.heldOut) > 0 {
			c.breakLocked(errReset)
			continue
		}
		c.releaseLocked()
	}
}

// releaseLocked sends the held bytes on, if nothing else holds them.
func (c *conn) releaseLocked() {
	if !c.p.up {
		held := c.heldOut
		c.heldOut = nil
		for _, b := range held {
			c.sendLocked(b)
		}
		if c.failure != nil {
			c.forgetLocked()
		}
	}
	if !c.p.back && !(c.p.told && c.client.listens) {
		held := c.heldIn
		c.heldIn = nil
		for _, b := range held {
			c.deliverLocked(b)
		}
	}
}

// leave ends the replica's process for the network.
func (p *path) leave() {
	p.n.mu.Lock()
	p.gone = true
	p.resetLocked()
	p.n.mu.Unlock()
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn. Writing never waits.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.p.n.mu.Lock()
	defer c.p.n.mu.Unlock()
	if errors.Is(c.failure, net.ErrClosed) {
		return c.failure
	}
	c.readUntil = t
	c.stirLocked()
	return nil
}
