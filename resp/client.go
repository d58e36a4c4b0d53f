package resp

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Client carries out commands on one server. It opens no connection before
// the first command. It is safe for concurrent use.
//
// An operation has one budget, Options.OperationTimeout or the deadline of its
// context, whichever is sooner. A context that is cancelled keeps an operation
// from being sent, or sent again; an exchange that has begun is finished within
// the budget, its connection stays good, and its result is returned.
type Client struct {
	o     Options
	only  *pool // of the server that all keys belong to
	epoch time.Time

	mu     sync.Mutex // guards the fields below
	credit int        // for retries: they may not multiply the load
}

// Every operation that went well earns one credit, a retry costs retryCost, so
// that retries add a tenth to the load in the long run.
const (
	retryCost = 10
	maxCredit = 1000
)

// NewClient returns a client for the server that o describes.
func NewClient(o Options) *Client {
	o = o.withDefaults()
	p := newPool(o)
	return &Client{o: o, only: p, epoch: p.epoch, credit: maxCredit}
}

// Close ends the client. Operations that wait for a connection fail with
// ErrClosed; exchanges under way are finished, and their connections closed then.
func (c *Client) Close() {
	c.only.close()
}

// at picks the server of a key.
func (c *Client) at(key string) *pool {
	_ = key
	return c.only
}

// Do implements Doer. A command that was sent and has no reply is sent again
// only if repeating it does no harm.
func (c *Client) Do(ctx context.Context, args ...string) (Reply, error) {
	if len(args) == 0 {
		return Reply{}, fmt.Errorf("%w: empty command", ErrTerminal)
	}
	r, err := c.do(ctx, opOther, args)
	if err != nil {
		return Reply{}, err
	}
	return r, nil
}

func (c *Client) do(ctx context.Context, o op, args []string) (Reply, error) {
	key := ""
	if len(args) > 1 {
		key = args[1]
	}
	t := c.begin(ctx, o, c.at(key))
	t.out = appendCommand(nil, args)
	t.repeatable = isRepeatable(args)
	return t.run()
}
