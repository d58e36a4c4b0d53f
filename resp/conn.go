package resp

import (
	"bufio"
	"bytes"
	"net"
	"strconv"
	"time"
)

// A conn is a connection to a server that has been authenticated. One goroutine
// uses it at a time. Times are offsets from epoch, in nanoseconds.
type conn struct {
	nc    net.Conn
	r     *Reader
	br    *bufio.Reader // of r
	epoch time.Time

	out []byte // what is being sent
	num []byte // a number in decimal

	armed   int64  // deadline that the socket has
	fresh   int64  // until when it needs no proof with a command
	due     int64  // when it must prove itself before a command
	retires int64  // when it is too old, by pool.clock
	used    int64  // when it was put back, by pool.clock
	nonce   uint64 // of the last proof
	next    *conn  // below it in the pool
}

// arm gives the socket a deadline.
func (x *conn) arm(at int64) {
	x.armed = at
	_ = x.nc.SetDeadline(x.epoch.Add(time.Duration(at)))
}

// clean reports whether every byte that arrived belonged to a reply.
func (x *conn) clean() bool {
	return x.br.Buffered() == 0
}

// ask sends the commands in b, reads their replies into out, and makes sure
// that these are the replies to them: behind the commands it asks for a nonce.
// It returns how many replies there are; an error says why not all, or that
// none can be relied on.
func (x *conn) ask(b []byte, out []Reply) (int, error) {
	x.out = append(x.out[:0], b...)
	x.appendProof()
	if _, err := x.nc.Write(x.out); err != nil {
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

// read reads replies into out until all are there or one is not to be had.
func (x *conn) read(out []Reply) (int, error) {
	for i := range out {
		r, err := x.r.ReadReply()
		if err != nil {
			return i, err
		}
		if r.Kind == Push {
			return i, malformed("push")
		}
		out[i] = r
	}
	return len(out), nil
}

// appendProof appends a PING with a nonce to what is sent.
func (x *conn) appendProof() {
	x.nonce++
	x.num = strconv.AppendUint(x.num[:0], x.nonce, 36)
	x.out = append(x.out, "*2\r\n$4\r\nPING"...)
	x.out = appendSize(x.out, len(x.num))
	x.out = append(x.out, x.num...)
	x.out = append(x.out, "\r\n"...)
}

// proven reads the nonce back, and makes sure that nothing follows it.
func (x *conn) proven() error {
	var got [1]Reply
	if _, err := x.read(got[:]); err != nil {
		return err
	}
	known := got[0].Kind == Bulk && bytes.Equal(got[0].Str, x.num)
	if got[0].Kind == Error {
		known = unproven(string(got[0].Str))
	}
	if !known || !x.clean() {
		return errOutOfStep
	}
	return nil
}

// prove asks for a nonce alone.
func (x *conn) prove() error {
	x.out = x.out[:0]
	x.appendProof()
	if _, err := x.nc.Write(x.out); err != nil {
		return err
	}
	return x.proven()
}

// unproven reports a refusal of PING that says nothing against the connection:
// the command itself may be welcome, or learns the same.
func unproven(word string) bool {
	switch word {
	case "MISCONF", "NOPERM", "LOADING", "BUSY", "MASTERDOWN", "NOAUTH":
		return true
	}
	return false
}

func (x *conn) close() {
	_ = x.nc.Close()
}
