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

// A conn is a connection of a client.
type conn struct {
	s  *Server
	nc net.Conn
	r  *bufio.Reader

	writing sync.Mutex // held while bytes are sent

	// serve owns the fields below. Server.mu guards tracking, prefixes and channels.
	proto    int
	user     string
	authed   bool
	db       int
	queue    [][]string // commands since MULTI; nil: there is no transaction
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

// read reads one command, an array of strings.
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

// answer executes a command and replies. It reports false if the connection must be
// closed.
func (c *conn) answer(args []string) bool {
	f := c.s.takeFault(args)
	reply := ""
	if f == nil || !f.Skip && f.Reply == "" {
		reply = c.run(args)
	}
	if f == nil {
		c.send(reply)
		return true
	}
	return c.sendWithFault(f, reply)
}

// takeFault records a command and returns a copy of the fault that matches it; nil: none
// does.
func (s *Server) takeFault(args []string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, args)
	for i, f := range s.faults {
		if !f.matches(args) {
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

func (f *Fault) matches(args []string) bool {
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

// sendWithFault sends reply as f disturbs it. It reports false if the connection must be
// closed.
func (c *conn) sendWithFault(f *Fault, reply string) bool {
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

// bulk, list, failure and integer encode replies.
func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func list(items ...string) string {
	return fmt.Sprintf("*%d\r\n%s", len(items), strings.Join(items, ""))
}

// failure is a reply of one line, also for a text of several.
func failure(text string) string {
	return "-" + strings.NewReplacer("\r", " ", "\n", " ").Replace(text) + "\r\n"
}

func integer(n int) string { return fmt.Sprintf(":%d\r\n", n) }

func (c *conn) null() string {
	if c.proto == 3 {
		return "_\r\n"
	}
	return "$-1\r\n"
}

const ok = "+OK\r\n"
