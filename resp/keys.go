package resp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Get returns the value of key, which is the caller's to keep and to change, or
// ErrNil.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	r, err := c.do(ctx, opGet, []string{"GET", key})
	if err != nil {
		return nil, err
	}
	return r.Bytes()
}

// Set stores value under key for px, in milliseconds. Zero px keeps it without
// a limit.
func (c *Client) Set(ctx context.Context, key string, value []byte, px time.Duration) error {
	r, err := c.do(ctx, opSet, setCommand(key, value, px, ""))
	if err != nil {
		return err
	}
	return wasOK(r)
}

// SetNX stores value under key for px unless the key exists, and reports
// whether it did. The value names its owner, by a nonce that nobody else uses:
// where the reply is lost, the value that is found says who was first.
func (c *Client) SetNX(ctx context.Context, key string, value []byte, px time.Duration) (bool, error) {
	t := c.begin(ctx, opSetNX, c.at(key))
	t.out = appendCommand(nil, setCommand(key, value, px, "NX"))
	r, err := t.run()
	for errors.Is(err, ErrAmbiguous) {
		mine, known, err2 := c.settle(ctx, t, key, value)
		if err2 != nil {
			return false, err
		}
		if known {
			return mine, nil
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

// settle asks whose value is under key, after a SET NX whose reply was lost.
func (c *Client) settle(ctx context.Context, t *task, key string, value []byte) (mine, known bool, err error) {
	q := &task{c: c, p: t.p, ctx: ctx, op: opGet, start: t.p.now(), deadline: t.deadline, repeatable: true, proof: true}
	q.out = appendCommand(nil, []string{"GET", key})
	r, err := q.run()
	if err != nil {
		return false, false, err
	}
	if r.Kind == Null {
		return false, false, nil
	}
	found, err := r.Bytes()
	return bytes.Equal(found, value), true, err
}

func setCommand(key string, value []byte, px time.Duration, condition string) []string {
	args := []string{"SET", key, string(value)}
	if px > 0 {
		args = append(args, "PX", strconv.FormatInt(milliseconds(px), 10))
	}
	if condition != "" {
		args = append(args, condition)
	}
	return args
}

// milliseconds rounds up: a positive duration never becomes none.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

func wasOK(r Reply) error {
	if r.Kind == Status && string(r.Str) == "OK" {
		return nil
	}
	return fmt.Errorf("%w: reply is not OK", ErrProtocol)
}

// Del removes keys and returns how many there were.
func (c *Client) Del(ctx context.Context, keys ...string) (int64, error) {
	if len(keys) == 0 {
		return 0, nil
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

// PTTL returns how long key will live. It fails with ErrNil when there is no
// such key, and returns a negative duration when it has no limit.
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

// Ping asks the server whether it serves. A refusal is an error like any other.
func (c *Client) Ping(ctx context.Context) error {
	r, err := c.do(ctx, opPing, []string{"PING"})
	if err != nil {
		return err
	}
	if r.Kind != Status || string(r.Str) != "PONG" {
		return fmt.Errorf("%w: reply is not PONG", ErrProtocol)
	}
	return nil
}
