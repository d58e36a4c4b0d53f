package resp

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Client carries out commands on one server, or on the nodes of a cluster. It opens no connection before
// the first command. It is safe for concurrent use.
//
// An operation has one budget, Options.OperationTimeout or the deadline of its
// context, whichever is sooner. A context that is cancelled keeps an operation
// from being sent, or sent again. An exchange that has begun is finished within
// the budget: its connection stays good, and its result is returned.
type Client struct {
	o    Options
	only *pool // of the server that every key belongs to

	router *router // of a cluster, in which only connects to nothing; nil: one server

	budget     time.Duration   // OperationTimeout, or the bound of an exchange if that is less
	background context.Context // the one that needs no watching

	mu         sync.Mutex    // guards the field below
	unscripted time.Duration // until when scripts are not tried, as they were refused
}

// NewClient returns a client for the server that o describes.
func NewClient(o Options) *Client {
	o = o.withDefaults()
	p := newPool(o, time.Now())
	c := &Client{o: o, only: p, budget: o.budget(), background: context.Background()}
	if o.Topology != nil {
		c.router = newRouter(o, p.epoch)
	}
	return c
}

// Close ends the client. Operations that wait for a connection fail with
// ErrClosed; exchanges under way are finished, and their connections closed then.
func (c *Client) Close() {
	if c.router != nil {
		c.router.close()
	}
	c.only.close()
}

// Reconnect replaces the connections, because the name of the server may lead elsewhere.
// Exchanges under way are finished.
func (c *Client) Reconnect() {
	if c.router != nil {
		c.router.reconnect()
	}
	c.only.reconnect()
}

// Do implements Doer. A command that was sent and has no reply is sent again
// only if repeating it does no harm.
func (c *Client) Do(ctx context.Context, args ...string) (Reply, error) {
	if len(args) == 0 {
		return Reply{}, fmt.Errorf("%w: empty command", ErrTerminal)
	}
	return c.do(ctx, opOther, args)
}

func (c *Client) do(ctx context.Context, o op, args []string) (Reply, error) {
	return c.begin(ctx, c.only.now(), o, args).run()
}
