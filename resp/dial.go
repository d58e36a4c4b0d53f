package resp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// dial opens a connection and prepares it: TLS, credentials, database and name
// in one round trip. All of it ends at the deadline of ctx. It says in s how far it is.
func dial(ctx context.Context, o *Options, proto int, epoch time.Time, s *stage) (*conn, error) {
	s.at.Store(stageConnect)
	nc, err := reach(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if at, ok := ctx.Deadline(); ok {
		_ = nc.SetDeadline(at)
	}
	if o.TLS != nil {
		s.at.Store(stageTLS)
		secured := tls.Client(nc, clientConfig(o))
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, handshakeFailed(ctx, o, err)
		}
		nc = secured
	}
	s.at.Store(stageGreet)
	x := newConn(nc, o.Limits, epoch)
	if err := x.greet(o, proto); err != nil {
		x.close()
		if o.TLS == nil && isSilence(ctx, err) {
			return nil, fmt.Errorf("%w: %s: %w", ErrNotSent, stageText(stageGreet, o), err)
		}
		return nil, err
	}
	return x, nil
}

// A stage is how far the opening of a connection is.
type stage struct {
	at atomic.Int64
}

const (
	stageConnect = 1 + iota
	stageTLS
	stageGreet
)

// stageText says what an opening that is at a stage waits for. A server that expects
// TLS, or does not know it, often says nothing at all, so the address and TLS are named.
func stageText(at int64, o *Options) string {
	switch {
	case at == stageConnect:
		return "no connection to " + o.Address
	case at == stageTLS:
		return "no TLS answer from " + o.Address + " (does it speak TLS?)"
	case at == stageGreet && o.TLS == nil:
		return "no answer from " + o.Address + " to a connection without TLS (does it want TLS, or is it not Redis?)"
	case at == stageGreet:
		return "no answer from " + o.Address
	}
	return ""
}

// isSilence reports whether err says that the server gave no answer of the protocol that
// it was spoken to in: none in time, the end of the connection, or something else.
func isSilence(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, ErrProtocol)
}

// handshakeFailed says whether there was no TLS at all, or what was wrong with it.
func handshakeFailed(ctx context.Context, o *Options, err error) error {
	if isSilence(ctx, err) {
		return fmt.Errorf("%w: %s: %w", ErrNotSent, stageText(stageTLS, o), err)
	}
	return fmt.Errorf("%w: TLS with %s: %w", ErrNotSent, o.Address, err)
}

// reach opens a connection on which nothing was said yet.
func reach(ctx context.Context, o *Options) (net.Conn, error) {
	if o.Dial != nil {
		return o.Dial(ctx, o.Network, o.Address)
	}
	var d net.Dialer
	return d.DialContext(ctx, o.Network, o.Address)
}

// clientConfig is the configuration for a server whose name is not given.
func clientConfig(o *Options) *tls.Config {
	if o.TLS.ServerName != "" {
		return o.TLS
	}
	c := o.TLS.Clone()
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		host = o.Address
	}
	c.ServerName = host
	return c
}

// greet authenticates and selects. A server that does not know HELLO is greeted
// again, as it was done before Redis 6.
func (x *conn) greet(o *Options, proto int) error {
	hello := []string{"HELLO", strconv.Itoa(proto)}
	if o.Password != "" || o.Username != "" {
		user := o.Username
		if user == "" {
			user = "default"
		}
		hello = append(hello, "AUTH", user, o.Password)
	}
	replies, err := x.present(hello, o)
	if err != nil {
		return err
	}
	if outdated(replies[0]) && proto == 2 {
		var auth []string
		if o.Password != "" && o.Username != "" {
			auth = []string{"AUTH", o.Username, o.Password}
		} else if o.Password != "" {
			auth = []string{"AUTH", o.Password}
		} else {
			auth = []string{"PING"}
		}
		if replies, err = x.present(auth, o); err != nil {
			return err
		}
		if loading := string(replies[0].Str) == "LOADING"; loading && auth[0] == "PING" {
			replies[0] = Reply{Kind: Status}
		}
	}
	return accepted(replies, o)
}

// outdated reports that a server knows no HELLO, or not this protocol.
func outdated(hello Reply) bool {
	word := string(hello.Str)
	return hello.Kind == Error && (word == "UNKNOWN" || word == "NOPROTO" || word == "ERR")
}

// present sends first, and then the selection and the name.
func (x *conn) present(first []string, o *Options) ([]Reply, error) {
	b := appendCommand(nil, first)
	n := 1
	if o.DB != 0 {
		b = appendCommand(b, []string{"SELECT", strconv.Itoa(o.DB)})
		n++
	}
	if o.ClientName != "" {
		b = appendCommand(b, []string{"CLIENT", "SETNAME", o.ClientName})
		n++
	}
	replies := make([]Reply, n)
	got, err := x.converse(b, replies)
	if got > 0 && replies[0].Kind == Error && string(replies[0].Str) == "MAXCLIENTS" {
		return nil, ErrMaxClients
	}
	if got > 0 && replies[0].Kind == Error && string(replies[0].Str) == "DENIED" {
		return nil, ErrDenied
	}
	if err == nil && !x.clean() {
		err = malformed("more replies than commands")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return replies, nil
}

// accepted checks the replies that a connection cannot do without: only the
// name may be refused.
func accepted(replies []Reply, o *Options) error {
	if err := replies[0].Err(); err != nil {
		return unaccepted("authentication", err)
	}
	if o.DB == 0 {
		return nil
	}
	if err := replies[1].Err(); err != nil {
		return unaccepted(fmt.Sprintf("SELECT %d", o.DB), err)
	}
	return nil
}

// unaccepted makes an error of the reply to a step of the handshake.
func unaccepted(step string, err error) error {
	if !errors.Is(err, ErrTerminal) {
		return fmt.Errorf("resp: %s: %w", step, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrHandshake, step, err)
}
