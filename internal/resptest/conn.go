package resptest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A conn is a client's connection.
type conn struct {
	s  *Server
	nc net.Conn
	r  *bufio.Reader

	writing sync.Mutex // held while bytes are sent

	// The fields below belong to serve, but tracking, prefixes and channels,
	// which Server.mu guards.
	proto    int
	user     string
	authed   bool
	db       int
	queue    [][]string // since MULTI; nil outside
	watched  map[string]uint64
	tracking bool
	prefixes []string
	channels map[string]bool
}

func (c *conn) serve() {
	defer func() {
		c.s.mu.Lock()
		delete(c.s.conns, c)
		c.s.mu.Unlock()
		_ = c.nc.Close()
	}()
	for {
		args, err := c.read()
		if err != nil {
			return
		}
		if !c.answer(args) {
			return
		}
	}
}

var errCommand = errors.New("resptest: not a command")

// read reads one command: an array of strings.
func (c *conn) read() ([]string, error) {
	n, err := c.header('*')
	if err != nil || n < 1 {
		return nil, errCommand
	}
	args := make([]string, n)
	for i := range args {
		size, err := c.header('$')
		if err != nil || size < 0 {
			return nil, errCommand
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(c.r, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	args[0] = strings.ToUpper(args[0])
	return args, nil
}

func (c *conn) header(kind byte) (int, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 4 || line[0] != kind || line[len(line)-2] != '\r' {
		return 0, errCommand
	}
	return strconv.Atoi(line[1 : len(line)-2])
}

func (c *conn) send(b string) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.nc.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c.nc, b)
}

// answer carries out a command and replies. It returns false when the
// connection is to be closed.
func (c *conn) answer(args []string) bool {
	f := c.s.strike(args)
	reply := ""
	if f == nil || !f.Skip && f.Reply == "" {
		reply = c.run(args)
	}
	if f == nil {
		c.send(reply)
		return true
	}
	return c.fault(f, reply)
}

// strike notes a command and returns the fault that befalls it.
func (s *Server) strike(args []string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, args)
	for i, f := range s.faults {
		if !f.befalls(args) {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		copied := *f
		return &copied
	}
	return nil
}

func (f *Fault) befalls(args []string) bool {
	if f.Key != "" && (len(args) < 2 || args[1] != f.Key) {
		return false
	}
	if f.Command != "" {
		return f.Command == args[0]
	}
	switch args[0] {
	case "HELLO", "AUTH", "SELECT", "CLIENT":
		return false
	}
	return true
}

// fault sends reply as f has it.
func (c *conn) fault(f *Fault, reply string) bool {
	time.Sleep(f.Delay)
	if f.Until != nil {
		<-f.Until
	}
	if f.Reply != "" {
		reply = f.Reply
	}
	if f.Hang {
		return true
	}
	if f.Cut != 0 {
		if f.Cut > 0 && f.Cut < len(reply) {
			c.send(reply[:f.Cut])
		}
		return false
	}
	if f.Drip > 0 {
		for i := range reply {
			time.Sleep(f.Drip)
			c.send(reply[i : i+1])
		}
		return true
	}
	c.send(reply + f.Extra)
	return true
}

// bulk, list and failure encode replies.
func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func list(items ...string) string {
	return fmt.Sprintf("*%d\r\n%s", len(items), strings.Join(items, ""))
}

func failure(text string) string { return "-" + text + "\r\n" }

func integer(n int) string { return fmt.Sprintf(":%d\r\n", n) }

func (c *conn) null() string {
	if c.proto == 3 {
		return "_\r\n"
	}
	return "$-1\r\n"
}

const ok = "+OK\r\n"
