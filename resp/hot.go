package resp

import (
	"context"
	"io"
	"math/bits"
	"strconv"
	"time"
)

// What a user's request waits for is in this file: GET, SET and SET NX on a
// connection that is at hand. It is written for the interpreter, to which a
// method call is five function calls, a function call five statements, and
// every expression an allocation. Whatever is not the usual course is left to
// a task.

// trustPeriod is how long after an exchange a connection is taken to be in step
// without proof: less than any pause in which a stray reply could go unnoticed
// under load, more than the pauses between the commands of a busy client.
const trustPeriod = int64(5 * time.Millisecond)

// takeFresh takes an idle connection that was in use a moment ago, and gives it
// the deadline at. It returns nil when there is none.
func takeFresh(p *pool, now, at int64) *conn {
	p.mu.Lock()
	x := p.top
	if x == nil || x.due <= now || x.fresh <= now {
		p.mu.Unlock()
		return nil
	}
	p.top = x.next
	p.idle--
	p.mu.Unlock()
	if x.armed > at || x.armed < at-p.slack {
		x.arm(at)
	}
	return x
}

// giveBack ends an operation that began at start and went well, and returns its
// connection to the pool.
func giveBack(p *pool, x *conn, r *record, start int64) {
	end := int64(time.Since(p.epoch))
	left := x.br.Buffered()
	p.mu.Lock()
	r.count++
	r.total += end - start
	r.buckets[bits.Len64(uint64(end-start)>>16)]++
	if left+p.waiting != 0 || p.odd {
		p.mu.Unlock()
		p.put(x)
		return
	}
	if p.credit < maxCredit {
		p.credit++
	}
	x.used = end
	x.fresh = end + trustPeriod
	x.next = p.top
	p.top = x
	p.idle++
	p.mu.Unlock()
}

// Get returns the value of key, which is the caller's to keep and to change, or
// ErrNil.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	p := c.only
	now := int64(time.Since(p.epoch))
	at := now + c.budget
	if d, ok := ctx.Deadline(); ok {
		at = sooner(p, at, d)
	}
	if len(key) >= sizes || at <= now || ctx.Err() != nil {
		return c.get(ctx, key, nil, nil, nil)
	}
	x := takeFresh(p, now, at)
	if x == nil {
		return c.get(ctx, key, nil, nil, nil)
	}
	b := append(x.out[:0], "*2\r\n$3\r\nGET"...)
	b = append(b, sized[len(key)]...)
	b = append(b, key...)
	b = append(b, "\r\n"...)
	x.out = b
	if _, err := x.nc.Write(b); err != nil {
		return c.get(ctx, key, x, nil, err)
	}
	line, err := x.br.ReadSlice('\n')
	n := len(line) - 2
	if err != nil || n < 2 || line[0] != '$' || line[n] != '\r' || line[1] < '0' {
		return c.get(ctx, key, x, line, err)
	}
	size, err := strconv.Atoi(string(line[1:n]))
	if err != nil || size > c.maxBulk {
		return c.get(ctx, key, x, line, nil)
	}
	v := make([]byte, size+2)
	_, err = io.ReadFull(x.br, v)
	if err != nil || v[size] != '\r' || v[size+1] != '\n' {
		return c.get(ctx, key, x, nil, cutShort(err))
	}
	giveBack(p, x, c.gets, now)
	return v[:size:size], nil
}

// sooner is at, or the deadline d of a context where that is sooner. The last
// millisecond before a deadline is not used.
func sooner(p *pool, at int64, d time.Time) int64 {
	t := int64(d.Sub(p.epoch))
	if t >= at {
		return at
	}
	if time.Until(d) < time.Millisecond {
		return 0
	}
	return t
}

// get is Get in every other case: x, if any, has got that far with it.
func (c *Client) get(ctx context.Context, key string, x *conn, line []byte, err error) ([]byte, error) {
	t := c.begin(ctx, opGet, c.only, []string{"GET", key})
	r, err := t.resume(x, line, err)
	if err != nil {
		return nil, err
	}
	return r.Bytes()
}

// Set stores value under key for px, in whole milliseconds. A px of zero or
// less sets no limit.
func (c *Client) Set(ctx context.Context, key string, value []byte, px time.Duration) error {
	p := c.only
	now := int64(time.Since(p.epoch))
	at := now + c.budget
	if d, ok := ctx.Deadline(); ok {
		at = sooner(p, at, d)
	}
	var x *conn
	if px > 0 && len(key) < sizes && len(value) <= hotValue && at > now && ctx.Err() == nil {
		x = takeFresh(p, now, at)
	}
	if x == nil {
		return c.set(ctx, setCommand(key, value, px, ""), nil, nil, nil)
	}
	line, err := sendSet(x, "*5\r\n$3\r\nSET", key, value, px)
	if err != nil || string(line) != "+OK\r\n" {
		return c.set(ctx, setCommand(key, value, px, ""), x, line, err)
	}
	giveBack(p, x, c.sets, now)
	return nil
}

// hotValue is the longest value that a connection keeps room for.
const hotValue = 16 << 10

// sendSet sends a SET that begins with head, whose five or six arguments tell
// whether it has NX, and returns the first line of the reply.
func sendSet(x *conn, head, key string, value []byte, px time.Duration) ([]byte, error) {
	x.num = strconv.AppendInt(x.num[:0], int64((px+time.Millisecond-1)/time.Millisecond), 10)
	b := append(x.out[:0], head...)
	b = append(b, sized[len(key)]...)
	b = append(b, key...)
	b = appendSize(b, len(value))
	b = append(b, value...)
	b = append(b, "\r\n$2\r\nPX"...)
	b = append(b, sized[len(x.num)]...)
	b = append(b, x.num...)
	if head[1] == '6' {
		b = append(b, "\r\n$2\r\nNX"...)
	}
	b = append(b, "\r\n"...)
	x.out = b
	if _, err := x.nc.Write(b); err != nil {
		return nil, err
	}
	return x.br.ReadSlice('\n')
}

// set is Set in every other case: x, if any, has got that far with args.
func (c *Client) set(ctx context.Context, args []string, x *conn, line []byte, err error) error {
	t := c.begin(ctx, opSet, c.only, args)
	r, err := t.resume(x, line, err)
	if err != nil {
		return err
	}
	return wasOK(r)
}

// SetNX stores value under key for px unless the key exists, and reports
// whether it did. The value names its owner by a nonce that nobody else uses:
// where the reply is lost, the value that is found says who was first.
func (c *Client) SetNX(ctx context.Context, key string, value []byte, px time.Duration) (bool, error) {
	p := c.only
	now := int64(time.Since(p.epoch))
	at := now + c.budget
	if d, ok := ctx.Deadline(); ok {
		at = sooner(p, at, d)
	}
	var x *conn
	if px > 0 && len(key) < sizes && len(value) <= hotValue && at > now && ctx.Err() == nil {
		x = takeFresh(p, now, at)
	}
	if x == nil {
		return c.setNX(ctx, setCommand(key, value, px, "NX"), nil, nil, nil)
	}
	line, err := sendSet(x, "*6\r\n$3\r\nSET", key, value, px)
	if err != nil || string(line) != "+OK\r\n" && string(line) != "$-1\r\n" {
		return c.setNX(ctx, setCommand(key, value, px, "NX"), x, line, err)
	}
	won := line[0] == '+'
	giveBack(p, x, c.setNXs, now)
	return won, nil
}
