package resp

import "context"

// Pipeline implements Doer.
func (c *Client) Pipeline(ctx context.Context, cmds []Command) ([]Reply, error) {
	return nil, ErrClosed
}
