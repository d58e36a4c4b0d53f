package replicas

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A link is the way to a server. A test decides which bytes pass it.
type link struct {
	address string // of this end

	listener net.Listener
	to       string

	mu    sync.Mutex // guards the fields below
	state passage
	open  map[net.Conn]bool
	alive int
	tries int      // connections for commands that came while deaf
	given int      // connections that got no reply and were closed by the other side
	froze int      // listening connections up to this number get nothing any more
	ears  int      // connections that listen for changes, ever
	told  int      // pieces with changes that passed to those
	asked []string // the first command of each piece on the connections for commands
}

type passage int

const (
	whole  passage = iota
	cut            // connections are closed at once
	silent         // connections are taken and nothing comes back
	deaf           // connections are closed after their first command
)

func newLink(t testing.TB, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{address: l.Addr().String(), listener: l, to: to, open: map[net.Conn]bool{}}
	go k.accept()
	t.Cleanup(func() {
		l.Close()
		k.set(cut)
	})
	return k
}

func (k *link) accept() {
	for {
		c, err := k.listener.Accept()
		if err != nil {
			return
		}
		go k.carry(c)
	}
}

func (k *link) carry(c net.Conn) {
	defer c.Close()
	k.mu.Lock()
	state := k.state
	k.open[c] = true
	k.alive++
	k.mu.Unlock()
	defer k.leave(c)
	switch state {
	case cut:
		return
	case deaf:
		_ = c.SetReadDeadline(time.Now().Add(patience))
		said := make([]byte, 4096)
		n, _ := c.Read(said)
		if strings.Contains(string(said[:n]), "HELLO\r\n$1\r\n2") {
			k.mu.Lock()
			k.tries++
			k.mu.Unlock()
		}
		return
	case silent:
		_, _ = io.Copy(io.Discard, c)
		k.mu.Lock()
		k.given++
		k.mu.Unlock()
		return
	}
	s, err := net.Dial("tcp", k.to)
	if err != nil {
		return
	}
	k.mu.Lock()
	k.open[s] = true
	k.mu.Unlock()
	defer k.forget(s)
	x := &carried{k: k}
	go func() {
		x.pass(s, c, true)
		s.Close()
	}()
	x.pass(c, s, false)
	s.Close()
}

// A carried connection passes until it is frozen.
type carried struct {
	k *link

	ear int // guarded by k.mu; the number among those that listen, zero for one of commands
}

// pass copies piece by piece. A client sends a pipeline in one piece, so the pieces
// are its round trips.
func (x *carried) pass(to, from net.Conn, asking bool) {
	b := make([]byte, 256<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && x.passes(b[:n], asking) {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (x *carried) passes(piece []byte, asking bool) bool {
	k := x.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if asking && x.ear == 0 && strings.Contains(string(piece), "HELLO\r\n$1\r\n3") {
		k.ears++
		x.ear = k.ears
	}
	if asking && x.ear == 0 {
		k.asked = append(k.asked, commandOf(piece))
	}
	through := x.ear == 0 || x.ear > k.froze
	if through && !asking && x.ear != 0 && strings.Contains(string(piece), "invalidate\r\n") {
		k.told++
	}
	return through
}

// commandOf returns the first command of a piece.
func commandOf(piece []byte) string {
	parts := strings.SplitN(string(piece), "\r\n", 4)
	if len(parts) < 4 {
		return ""
	}
	return strings.ToUpper(parts[2])
}

// freeze passes nothing more on the connections that listen for changes, and keeps them
// open. Connections that come later are whole.
func (k *link) freeze() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.froze = k.ears
}

// listeners returns the number of connections that ever listened for changes.
func (k *link) listeners() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ears
}

// changes returns the number of pieces with changes that passed.
func (k *link) changes() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.told
}

// pings returns the number of PINGs on connections for commands.
func (k *link) pings() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, command := range k.asked {
		if command == "PING" {
			n++
		}
	}
	return n
}

// trips returns the round trips so far, by their first command, without those that
// only keep connections.
func (k *link) trips() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var real []string
	for _, command := range k.asked {
		if command != "HELLO" && command != "PING" {
			real = append(real, command)
		}
	}
	return real
}

// leave is forget for a connection to this end.
func (k *link) leave(c net.Conn) {
	k.forget(c)
	k.mu.Lock()
	k.alive--
	k.mu.Unlock()
}

func (k *link) forget(c net.Conn) {
	k.mu.Lock()
	delete(k.open, c)
	k.mu.Unlock()
}

// set decides about new connections, and ends those that there are.
func (k *link) set(p passage) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state = p
	for c := range k.open {
		c.Close()
	}
}

// attempts returns the number of connections for commands that came while deaf.
func (k *link) attempts() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tries
}

// live returns the number of connections.
func (k *link) live() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alive
}

// unanswered returns the number of connections that were closed without a reply.
func (k *link) unanswered() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.given
}
