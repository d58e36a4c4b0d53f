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

	armed   int64 // deadline that the socket has
	due     int64 // when it must prove itself again
	retires int64 // when it is too old
	used    int64 // when it was last put back
	nonce   uint64
}

// deadlineSlack is how much earlier than asked a deadline may strike, so that
// it need not be set anew for every exchange.
const deadlineSlack = int64(50 * time.Millisecond)

// arm gives the socket the deadline at, if it has not one that is as good.
func (x *conn) arm(at, now int64) error {
	slack := (at - now) / 8
	if slack > deadlineSlack {
		slack = deadlineSlack
	}
	if x.armed <= at && x.armed >= at-slack {
		return nil
	}
	x.armed = at
	return x.nc.SetDeadline(x.epoch.Add(time.Duration(at)))
}

// clean reports whether every byte that arrived belonged to a reply.
func (x *conn) clean() bool {
	return x.br.Buffered() == 0
}

// ask sends b and reads n replies into out, until the first that is not one.
func (x *conn) ask(b []byte, out []Reply) (int, error) {
	if _, err := x.nc.Write(b); err != nil {
		return 0, err
	}
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

// prove asks for a reply that only this moment can bring.
func (x *conn) prove() error {
	x.nonce++
	x.num = strconv.AppendUint(x.num[:0], x.nonce, 36)
	x.out = append(x.out[:0], "*2\r\n$4\r\nPING"...)
	x.out = appendSize(x.out, len(x.num))
	x.out = append(x.out, x.num...)
	x.out = append(x.out, "\r\n"...)
	var got [1]Reply
	if _, err := x.ask(x.out, got[:]); err != nil {
		return err
	}
	if got[0].Kind == Error && unproven(string(got[0].Str)) {
		return nil
	}
	if got[0].Kind != Bulk || !bytes.Equal(got[0].Str, x.num) || !x.clean() {
		return malformed("reply to something else")
	}
	return nil
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
