// Package resptest is a Redis server for tests: over TCP, in memory, with as
// much of the protocol as this project uses, and with faults on demand.
//
//	s := resptest.Start(t)
//	s.Inject(resptest.Fault{Command: "GET", Reply: "$3\r\nfoo\r\n", Times: 1})
//	c := resp.NewClient(resp.Options{Address: s.Addr()})
//
// It knows HELLO, AUTH, SELECT, CLIENT (SETNAME, TRACKING, ID), PING, ECHO, GET,
// MGET, SET (NX, XX, PX, PXAT, EX, EXAT), DEL, UNLINK, EXISTS, TYPE, PTTL, PEXPIREAT,
// SCAN, WATCH, UNWATCH, MULTI, EXEC, FLUSHALL, FLUSHDB, DBSIZE, ZADD, ZREM, ZRANGEBYSCORE,
// ZREMRANGEBYSCORE, INFO, CONFIG GET, PUBLISH and SUBSCRIBE. It runs no scripts:
// EVAL and EVALSHA are unknown commands.
package resptest

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Server is one running server. Its methods are safe for concurrent use.
type Server struct {
	addr string

	mu       sync.Mutex // guards the fields below
	ln       net.Listener
	conns    map[*conn]bool
	accepted int
	data     map[int]map[string]*entry // by database
	users    map[string]string         // password by name; empty: none is asked for
	refusal  string                    // to everything but the handshake
	config   map[string]string
	faults   []*Fault
	log      [][]string
	runID    string
	now      func() time.Time
	writes   uint64
}

// A Fault is what the server does to commands instead of, or besides, carrying
// them out. The first that matches is applied.
type Fault struct {
	// Command is the name of the command it befalls. Empty means any but those
	// of the handshake (HELLO, AUTH, SELECT, CLIENT).
	Command string
	// Key restricts it to commands whose first argument this is. Empty means any.
	Key string
	// Times is how often it strikes. Zero means always.
	Times int

	// Skip keeps the command from being carried out.
	Skip bool
	// Delay passes before the reply is sent.
	Delay time.Duration
	// Until holds the reply back until the channel is closed. Nil holds nothing back.
	Until <-chan struct{}
	// Reply is sent instead of the reply, byte for byte, and implies Skip.
	Reply string
	// Cut closes the connection after the first Cut bytes of the reply; negative
	// means before the first.
	Cut int
	// Hang sends no reply, and keeps the connection open.
	Hang bool
	// Extra follows the reply in the same write.
	Extra string
	// Drip sends the reply byte by byte, with this pause before each.
	Drip time.Duration
}

// Start returns a running server on a loopback port, which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		conns: map[*conn]bool{}, data: map[int]map[string]*entry{}, users: map[string]string{},
		config: map[string]string{"maxmemory-policy": "noeviction", "maxmemory": "0"},
		runID:  strings.Repeat("a", 40), now: time.Now,
	}
	if err := s.listen("127.0.0.1:0"); err != nil {
		t.Fatalf("resptest: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) listen(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ln, s.addr = ln, ln.Addr().String()
	s.mu.Unlock()
	go s.accept(ln)
	return nil
}

// Addr is the server's address.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Stop refuses connections from now on and cuts those there are. The data stay.
func (s *Server) Stop() {
	s.mu.Lock()
	ln := s.ln
	s.ln = nil
	s.mu.Unlock()
	if ln != nil {
		_ = ln.Close()
	}
	s.Cut()
}

// Restart starts a stopped server again at the same address. Without data it
// has another run id and is empty, like a server that persists nothing.
func (s *Server) Restart(t testing.TB, withData bool) {
	t.Helper()
	s.Stop()
	s.mu.Lock()
	if !withData {
		s.data = map[int]map[string]*entry{}
		s.runID = strings.Repeat("b", 20) + s.runID[:20]
	}
	s.mu.Unlock()
	var err error
	for i := 0; i < 50; i++ {
		if err = s.listen(s.Addr()); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("resptest: %v", err)
}

// Cut closes every connection.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.nc.Close()
	}
}

// Conns is the number of open connections.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Accepted is the number of connections ever made.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Inject adds a fault, after those that are there.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes every fault and refusal.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.refusal = nil, ""
}

// Refuse answers every command but the handshake's with this error, such as
// "LOADING Redis is loading the dataset in memory". Empty ends it.
func (s *Server) Refuse(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = text
}

// Require makes the server ask for these credentials, beside others required
// before. The user of AUTH with a password alone is "default".
func (s *Server) Require(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user] = password
}

// Configure sets what CONFIG GET answers.
func (s *Server) Configure(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config[name] = value
}

// Clock replaces the clock by which keys expire.
func (s *Server) Clock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Commands are the commands received so far, in order, names in capitals.
func (s *Server) Commands() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]string(nil), s.log...)
}

// Count is how many commands of that name were received.
func (s *Server) Count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, args := range s.log {
		if args[0] == name {
			n++
		}
	}
	return n
}

// Value returns the string under key in database 0.
func (s *Server) Value(key string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lookupLocked(0, key)
	if e == nil {
		return "", false
	}
	return e.value, true
}

// Keys are the names of the keys in database 0.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keysLocked(0)
}

// Put stores value under key in database 0, for ever, as another client would.
func (s *Server) Put(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storeLocked(0, key, &entry{value: value})
}

// Remove removes key from database 0 as an eviction would: trackers are told.
func (s *Server) Remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(0, key)
}

// Push sends bytes to every connection that tracks, as they are.
func (s *Server) Push(raw string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.tracking || c.channels != nil {
			c.send(raw)
		}
	}
}

// Stray sends bytes to every connection, as they are.
func (s *Server) Stray(raw string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.send(raw)
	}
}

func (s *Server) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		c := &conn{s: s, nc: nc, r: bufio.NewReader(nc), proto: 2}
		s.mu.Lock()
		s.accepted++
		s.conns[c] = true
		stopped := s.ln != ln
		s.mu.Unlock()
		if stopped {
			_ = nc.Close()
		}
		go c.serve()
	}
}
