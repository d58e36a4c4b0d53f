package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"time"
)

// A conn is a connection to a server that has been authenticated. One goroutine
// uses it at a time. Times are offsets from epoch.
type conn struct {
	nc    net.Conn
	r     *Reader
	br    *bufio.Reader // of r
	epoch time.Time

	out []byte // room for the bytes to send
	in  []byte // room for the bytes of a single read
	num []byte // a number in decimal

	fresh   time.Duration // until when it was in use a moment ago
	proved  time.Duration // until when it needs neither a proof nor a new deadline
	due     time.Duration // when it must prove itself before it gets a command
	opened  time.Duration // when its opening began
	retires time.Duration // when it is too old, by pool.clock
	used    time.Duration // when it was last examined, by pool.clock
	nonce   uint64        // of the last proof
	proof   int           // the proof that its server understands
	next    *conn         // below it in the pool

	location *Location // that it is attached to; nil: none
}

const (
	// readRoom is the size of conn.in.
	readRoom = 4 << 10
	// writeRoom is the size of conn.out.
	writeRoom = hotValue + hotKey + 128
)

func newConn(nc net.Conn, l Limits, epoch time.Time) *conn {
	x := &conn{nc: nc, epoch: epoch, nonce: rand.Uint64()}
	x.out, x.in = make([]byte, writeRoom), make([]byte, readRoom)
	x.r = NewReader(nc, l)
	x.br = x.r.br
	return x
}

// resume reads the rest of a reply. Its first n bytes were read into x.in
// already. Nothing may follow it.
func (x *conn) resume(n int) (Reply, error) {
	i := bytes.IndexByte(x.in[:n], '\n')
	if i > 2 && x.in[0] == '$' && x.in[1] != '-' && x.in[i-1] == '\r' {
		return x.resumeString(x.in[1:i-1], x.in[i+1:n])
	}
	x.br.Reset(io.MultiReader(bytes.NewReader(x.in[:n]), x.nc))
	r, err := x.r.ReadReply()
	if err == nil && !x.clean() {
		err = errOutOfStep
	}
	x.br.Reset(x.nc)
	return r, err
}

// resumeString reads the rest of a string from its length in decimal and its
// first bytes.
func (x *conn) resumeString(size, have []byte) (Reply, error) {
	n, err := length(size, x.r.limits.Bulk)
	if err != nil {
		return Reply{}, err
	}
	if len(have) > n+2 {
		return Reply{}, errOutOfStep
	}
	b := make([]byte, n+2)
	copy(b, have)
	if _, err := io.ReadFull(x.nc, b[len(have):]); err != nil {
		return Reply{}, cutShort(err)
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return Reply{}, malformed("string not ended by CR LF")
	}
	return Reply{Kind: Bulk, Str: b[:n:n]}, nil
}

// arm gives the socket the deadline at. The commands that are sent now come with a
// proof, so that for a window the connection needs none.
func (x *conn) arm(at, now, window time.Duration) {
	x.proved = now + window
	x.fresh = now + freshPeriod
	x.due = now + proofPeriod
	_ = x.nc.SetDeadline(x.epoch.Add(at))
}

// clean reports whether every byte that arrived belonged to a reply.
func (x *conn) clean() bool {
	return x.br.Buffered() == 0
}

// ask sends the commands in b and reads their replies into out. It verifies
// that these are the replies to them: after the commands it requests a nonce.
// It returns the number of replies. An error says why there are fewer than
// commands, or that none can be relied on.
func (x *conn) ask(b []byte, out []Reply) (int, error) {
	if _, err := x.nc.Write(x.appendProof(b)); err != nil {
		return 0, err
	}
	n, err := x.read(out)
	if err != nil {
		return n, err
	}
	if err := x.proven(); err != nil {
		return 0, err
	}
	return n, nil
}

// converse sends the commands in b and reads their replies into out, without
// proof.
func (x *conn) converse(b []byte, out []Reply) (int, error) {
	if _, err := x.nc.Write(b); err != nil {
		return 0, err
	}
	return x.read(out)
}

// read reads replies into out until all are there or one fails.
func (x *conn) read(out []Reply) (int, error) {
	for i := range out {
		if err := readInto(x.r, &out[i]); err != nil {
			return i, err
		}
		if out[i].Kind == Push {
			return i, malformed("push")
		}
	}
	return len(out), nil
}

// isMaster fails where the server is not a master. A server that does not name its role
// may be one.
func (x *conn) isMaster() error {
	var got [1]Reply
	if _, err := x.converse(appendCommand(nil, []string{"ROLE"}), got[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if err := got[0].Err(); err != nil {
		if errors.Is(err, ErrTerminal) {
			return nil
		}
		return fmt.Errorf("%w: ROLE: %w", ErrNotSent, err)
	}
	if len(got[0].Elems) == 0 || string(got[0].Elems[0].Str) != "master" {
		return errNotMaster
	}
	return nil
}

func (x *conn) close() {
	if x.location != nil {
		x.location.detach(x.nc)
	}
	_ = x.nc.Close()
}
