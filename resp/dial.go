package resp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// dial opens a connection and prepares it: TLS, credentials, database and name in one
// round trip. All of it ends at the deadline of ctx, or when ctx is canceled. It records
// its progress in s. A server that refuses HELLO, or closes the connection at it, is
// greeted by AUTH on another connection, as before Redis 6; m remembers that.
func dial(ctx context.Context, o *Options, proto int, epoch time.Time, m *manners, s *stage) (*conn, error) {
	plain := m.plain.Load()
	x, err := dialOnce(ctx, o, proto, epoch, m, plain, s)
	if err != nil && !plain && errors.Is(err, errHello) && ctx.Err() == nil {
		y, second := dialOnce(ctx, o, proto, epoch, m, true, s)
		switch {
		case second == nil:
			m.plain.Store(true)
			x = y
			err = nil
		case errors.Is(second, ErrTerminal):
			err = second
		}
	}
	if err == nil && proto == 2 {
		err = x.learnProof(m)
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// dialOnce opens one connection to the present address of Options.Location. With plain
// it sends no HELLO.
func dialOnce(ctx context.Context, o *Options, proto int, epoch time.Time, m *manners, plain bool, s *stage) (*conn, error) {
	if o.Topology != nil {
		return dialAny(ctx, o, proto, epoch, m, plain, s)
	}
	if o.Location == nil {
		return dialAt(ctx, o, proto, epoch, m, plain, s)
	}
	s.at.Store(stageConnect)
	address, generation, err := o.Location.locate(ctx)
	if err != nil {
		return nil, err
	}
	here := *o
	here.Address = address
	x, err := dialAt(ctx, &here, proto, epoch, m, plain, s)
	if err != nil {
		o.Location.Recheck()
		return nil, err
	}
	x.location = o.Location
	if !o.Location.attach(generation, x.nc) {
		x.close()
		return nil, fmt.Errorf("%w: %s moved", ErrNotSent, o.Location.name)
	}
	return x, nil
}

// dialAny opens one connection to any master of a cluster.
func dialAny(ctx context.Context, o *Options, proto int, epoch time.Time, m *manners, plain bool, s *stage) (*conn, error) {
	s.at.Store(stageConnect)
	slots, err := o.Topology.locate(ctx)
	if err != nil {
		return nil, err
	}
	here := *o
	here.Topology = nil
	here.Node = true
	here.Address = slots.master(noSlot)
	x, err := dialAt(ctx, &here, proto, epoch, m, plain, s)
	if err != nil {
		o.Topology.Recheck()
	}
	return x, err
}

// dialAt opens one connection to Options.Address.
func dialAt(ctx context.Context, o *Options, proto int, epoch time.Time, m *manners, plain bool, s *stage) (*conn, error) {
	s.at.Store(stageConnect)
	nc, err := reach(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if at, ok := ctx.Deadline(); ok {
		_ = nc.SetDeadline(at)
	}
	g := &guard{nc: nc}
	background.Done(ctx, g)
	if o.TLS != nil {
		s.at.Store(stageTLS)
		secured := tls.Client(nc, clientConfig(m.tls.get(o), o.Address))
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, handshakeFailed(ctx, o, err)
		}
		nc = secured
	}
	s.at.Store(stageGreet)
	x := newConn(nc, o.Limits, epoch)
	err = x.greet(o, proto, plain)
	if err == nil && o.Location != nil {
		err = x.isMaster()
	}
	if !g.release() && err == nil {
		err = fmt.Errorf("%w: %w", ErrNotSent, ctx.Err())
	}
	if err != nil {
		x.close()
		if o.TLS == nil && isSilence(ctx, err) {
			return nil, fmt.Errorf("%w: %s: %w", ErrNotSent, stageText(stageGreet, o), err)
		}
		return nil, err
	}
	return x, nil
}

// A guard closes a connection when the context of its opening ends, because a read does
// not end by a context.
type guard struct {
	nc net.Conn

	mu    sync.Mutex // guards the fields below
	over  bool       // the opening has ended
	fired bool       // the context ended before
}

// Run implements background.Runner.
func (g *guard) Run() {
	g.mu.Lock()
	g.fired = !g.over
	fired := g.fired
	g.mu.Unlock()
	if fired {
		_ = g.nc.Close()
	}
}

// release ends the guard. It reports whether the connection is still open.
func (g *guard) release() bool {
	g.mu.Lock()
	g.over = true
	fired := g.fired
	g.mu.Unlock()
	return !fired
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

// stageText says for which step an opening waits. A server that expects TLS, or
// does not know it, often sends nothing at all, so the address and TLS are named.
func stageText(at int64, o *Options) string {
	switch {
	case at == stageConnect:
		return "no connection to " + o.where()
	case at == stageTLS:
		return "no TLS answer from " + o.where() + " (does it speak TLS?)"
	case at == stageGreet && o.TLS == nil:
		return "no answer from " + o.where() + " to a connection without TLS (does it require TLS, or is it not Redis?)"
	case at == stageGreet:
		return "no answer from " + o.where()
	}
	return ""
}

// isSilence reports whether err says that the server sent no reply in the protocol of
// the request: none in time, the end of the connection, or bytes of another protocol.
func isSilence(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, ErrProtocol)
}

// handshakeFailed says that the server speaks no TLS, or which error ended the handshake.
func handshakeFailed(ctx context.Context, o *Options, err error) error {
	if isSilence(ctx, err) {
		return fmt.Errorf("%w: %s: %w", ErrNotSent, stageText(stageTLS, o), err)
	}
	return fmt.Errorf("%w: TLS with %s: %w", ErrNotSent, o.Address, err)
}

// reach opens a connection and sends nothing on it.
func reach(ctx context.Context, o *Options) (net.Conn, error) {
	if o.Dial != nil {
		return o.Dial(ctx, o.Network, o.Address)
	}
	var d net.Dialer
	return d.DialContext(ctx, o.Network, o.Address)
}

// clientConfig completes c by the server's name, which is the host of address where none
// is given.
func clientConfig(c *tls.Config, address string) *tls.Config {
	if c.ServerName != "" {
		return c
	}
	c = c.Clone()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	c.ServerName = host
	return c
}
