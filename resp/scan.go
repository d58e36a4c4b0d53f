package resp

import "context"

// Scan returns one page of the keys that match pattern, and the cursor of the
// next; the first and the one after the last are "0".
func (c *Client) Scan(ctx context.Context, cursor, pattern string, count int) ([]string, string, error) {
	return nil, "", ErrClosed
}
