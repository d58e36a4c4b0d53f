// Package resptest is a Redis server for tests. It serves TCP, keeps its data in memory,
// supports the part of the protocol that this project uses, and has faults on demand.
//
//	s := resptest.Start(t)
//	s.Inject(resptest.Fault{Command: "GET", Reply: "$3\r\nfoo\r\n", Times: 1})
//	c := resp.NewClient(resp.Options{Address: s.Addr()})
//
// It supports these commands:
//   - HELLO, AUTH, SELECT, CLIENT (SETNAME, TRACKING, ID), PING, ECHO, INFO, CONFIG GET;
//   - GET, GETRANGE, MGET, SET (NX, XX, PX, PXAT, EX, EXAT), DEL, UNLINK, EXISTS, TYPE;
//   - PTTL, PEXPIRE, PEXPIREAT, SCAN, FLUSHALL, FLUSHDB, DBSIZE;
//   - WATCH, UNWATCH, MULTI, EXEC, DISCARD, PUBLISH, SUBSCRIBE;
//   - ZADD, ZREM, ZCARD, ZSCAN, ZRANGEBYSCORE, ZREMRANGEBYSCORE.
//
// It supports no scripts: EVAL and EVALSHA are unknown commands.
package resptest

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Server is a running server. It is safe for concurrent use.
type Server struct {
	addr string

	mu       sync.Mutex // guards the fields below
	ln       net.Listener
	conns    map[*conn]bool
	accepted int
	data     map[int]map[string]*entry // by database
	users    map[string]string         // password by name; empty: no authentication
	refusal  string                    // error for all commands except the handshake; empty: none
	config   map[string]string
	faults   []*Fault
	log      [][]string
	runID    string
	now      func() time.Time
	writes   uint64
}

// A Fault replaces or disturbs the execution of commands. The server applies the first
// fault that matches a command.
type Fault struct {
	// Command is the name of the command that the fault matches. Empty: any, except those
	// of the handshake (HELLO, AUTH, SELECT, CLIENT).
	Command string
	// Key is the first argument of the commands that the fault matches. Empty: any.
	Key string
	// Times is the number of commands that the fault is applied to. Zero: all.
	Times int

	// Skip prevents the execution of the command.
	Skip bool
	// Delay is the time before the reply is sent.
	Delay time.Duration
	// Until delays the reply until the channel is closed. Nil: no delay.
	Until <-chan struct{}
	// Reply replaces the reply, byte for byte, and implies Skip. Empty: no replacement.
	Reply string
	// Cut closes the connection after the first Cut bytes of the reply. Negative: before
	// the first byte. Zero: never.
	Cut int
	// Hang sends no reply and keeps the connection open.
	Hang bool
	// Extra is appended to the reply, in the same write.
	Extra string
	// Drip is the pause before each byte of the reply. Zero: one write sends all of it.
	Drip time.Duration
}

// Start returns a running server on a loopback port. It stops at the end of the test.
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

// Addr returns the server's address, host:port.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Stop closes all connections and refuses new ones. The data stay.
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

// Restart stops the server and starts it again at the same address. Without data it is
// empty and has another run id, like a Redis server without persistence.
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

// Conns returns the number of open connections.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Accepted returns the number of connections accepted since Start.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Inject adds a fault after the present ones.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults and the error of Refuse.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.refusal = nil, ""
}

// Refuse makes all commands except the handshake fail with an error, such as "LOADING
// Redis is loading the dataset in memory". PING fails only with the errors with which a
// Redis server refuses PING too. An empty text ends it.
func (s *Server) Refuse(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = text
}

// Require makes the server require authentication and adds a user. AUTH with only a
// password is for the user "default".
func (s *Server) Require(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user] = password
}

// Configure sets a value that CONFIG GET returns.
func (s *Server) Configure(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config[name] = value
}

// Clock replaces the clock for the expiry of keys.
func (s *Server) Clock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Commands returns the commands received so far, in order, with names in capitals.
func (s *Server) Commands() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]string(nil), s.log...)
}

// Count returns the number of commands of a name that were received.
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

// Keys returns the names of the keys in database 0, sorted.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keysLocked(0)
}

// Put stores value under key in database 0 without expiry, like another client.
func (s *Server) Put(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storeLocked(0, key, &entry{value: value})
}

// Remove removes key from database 0, like an eviction. Clients that track the key get
// an invalidation.
func (s *Server) Remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(0, key)
}

// Push sends raw bytes to every connection with tracking.
func (s *Server) Push(raw string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.tracking || c.channels != nil {
			c.send(raw)
		}
	}
}

// Stray sends raw bytes to every connection.
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
