package resp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// setNX is SetNX in every other case; see get. Where the outcome stays ambiguous it
// compares the value that the key has.
func (c *Client) setNX(ctx context.Context, start time.Duration, args []string, x *conn, n int, err error) (bool, error) {
	t := c.begin(ctx, start, opSetNX, args)
	r, err := t.resume(x, n, err)
	for errors.Is(err, ErrAmbiguous) {
		owner, lookErr := c.owner(t, args[1])
		if lookErr == nil {
			return bytes.Equal(owner, []byte(args[2])), nil
		}
		if !errors.Is(lookErr, ErrNil) || !t.again(ErrNotSent) {
			return false, err
		}
		r, err = t.run()
	}
	if err != nil {
		return false, err
	}
	if r.Kind == Null {
		return false, nil
	}
	return true, wasOK(r)
}

// owner returns the value of key within the budget of t.
func (c *Client) owner(t *task, key string) ([]byte, error) {
	q := c.begin(t.ctx, t.p.now(), opGet, []string{"GET", key})
	q.deadline = t.deadline
	q.proof = true
	r, err := q.run()
	if err != nil {
		return nil, err
	}
	return r.Bytes()
}

func setCommand(key string, value []byte, px time.Duration, condition string) []string {
	args := []string{"SET", key, string(value)}
	if px > 0 {
		ms := (px + time.Millisecond - 1) / time.Millisecond
		args = append(args, "PX", strconv.FormatInt(int64(ms), 10))
	}
	if condition != "" {
		args = append(args, condition)
	}
	return args
}

func wasOK(r Reply) error {
	if r.Kind == Status && string(r.Str) == "OK" {
		return nil
	}
	return fmt.Errorf("%w: reply is not OK", ErrProtocol)
}

// Del removes keys and returns how many existed.
func (c *Client) Del(ctx context.Context, keys ...string) (int64, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	if c.router != nil && len(keys) > 1 {
		return c.delEach(ctx, keys)
	}
	r, err := c.do(ctx, opDel, append([]string{"DEL"}, keys...))
	if err != nil {
		return 0, err
	}
	return r.Integer()
}

// Exists reports whether there is a key.
func (c *Client) Exists(ctx context.Context, key string) (bool, error) {
	r, err := c.do(ctx, opExists, []string{"EXISTS", key})
	if err != nil {
		return false, err
	}
	n, err := r.Integer()
	return n > 0, err
}

// PTTL returns the remaining lifetime of key, or a negative duration when it has
// no limit. It fails with ErrNil when there is no such key.
func (c *Client) PTTL(ctx context.Context, key string) (time.Duration, error) {
	r, err := c.do(ctx, opPTTL, []string{"PTTL", key})
	if err != nil {
		return 0, err
	}
	n, err := r.Integer()
	if err == nil && n == -2 {
		return 0, ErrNil
	}
	return time.Duration(n) * time.Millisecond, err
}

// Ping verifies that the server serves. A refusal is an error like any other.
func (c *Client) Ping(ctx context.Context) error {
	r, err := c.do(ctx, opPing, []string{"PING"})
	if err != nil {
		return err
	}
	if !isPong(r) {
		return fmt.Errorf("%w: reply is not PONG", ErrProtocol)
	}
	return nil
}

// Scan returns one page of the keys that match pattern, and the cursor of the
// next page. The cursors of the first page and after the last are "0". A page
// may be empty. In a cluster, the pages of all masters follow each other.
// Its budget is Options.ReadTimeout.
func (c *Client) Scan(ctx context.Context, cursor, pattern string, count int) ([]string, string, error) {
	if c.router != nil {
		return c.scanNodes(ctx, cursor, pattern, count)
	}
	return c.scan(ctx, "", cursor, pattern, count)
}

// scan is Scan on the node at an address of a cluster.
func (c *Client) scan(ctx context.Context, address, cursor, pattern string, count int) ([]string, string, error) {
	t := c.begin(ctx, c.only.now(), opScan, []string{"SCAN", cursor, "MATCH", pattern, "COUNT", strconv.Itoa(count)})
	t.target = address
	t.extend(c.o.ReadTimeout)
	r, err := t.run()
	if err != nil {
		return nil, "", err
	}
	if r.Kind != Array || len(r.Elems) != 2 {
		return nil, "", fmt.Errorf("%w: reply is not a page", ErrProtocol)
	}
	next, err := r.Elems[0].Bytes()
	if err != nil {
		return nil, "", err
	}
	keys, err := r.Elems[1].Strings()
	return keys, string(next), err
}
