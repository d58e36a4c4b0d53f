package resp

import (
	"context"
	"strconv"
	"time"
)

// A user's request waits for the commands in this file: GET, SET and SET NX on a
// connection that is idle and fresh. It is written for the interpreter, to which a
// method call is five function calls, a function call five statements, and
// every expression an allocation. Every other case is left to a task.

// hotKey and hotValue are the longest key and value of a command for which a
// connection has room.
const (
	hotKey   = 1023
	hotValue = 12 << 10
)

// getHeads are commands up to the key, by the length of the key. bulkHeads are
// headers of strings by the length of the whole: header, content and end of line. So
// the length of a single read determines the header.
var (
	getHeads  = makeGetHeads()
	bulkHeads = makeBulkHeads()
)

func makeGetHeads() []string {
	out := make([]string, hotKey+1)
	for i := range out {
		out[i] = "*2\r\n$3\r\nGET" + sized[i]
	}
	return out
}

func makeBulkHeads() []string {
	out := make([]string, readRoom+1)
	for i := 0; i < readRoom-8; i++ {
		head := "$" + strconv.Itoa(i) + "\r\n"
		out[len(head)+i+2] = head
	}
	return out
}

// ends reports whether the context may end before the budget of an operation
// that begins now, or has ended.
func (c *Client) ends(ctx context.Context, now time.Duration) bool {
	if ctx.Err() != nil {
		return true
	}
	d, ok := ctx.Deadline()
	return ok && d.Sub(c.only.epoch) < now+c.budget
}

// Get returns the value of key, which is the caller's to keep and to change, or
// ErrNil.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	p := c.only
	now := time.Since(p.epoch)
	if len(key) > hotKey || c.router != nil || ctx != c.background && c.ends(ctx, now) {
		return c.get(ctx, now, key, nil, 0, nil)
	}
	p.mu.Lock()
	x := p.top
	n := 0
	var err error
	if x != nil && x.fresh > now && x.proved > now {
		p.top = x.next
		p.mu.Unlock()
	} else {
		p.mu.Unlock()
		x, n, err = queueUp(p, ctx, now)
		if x == nil || n < 0 {
			return c.get(ctx, now, key, x, n, err)
		}
	}

	n = copy(x.out, getHeads[len(key)])
	n += copy(x.out[n:], key)
	n += copy(x.out[n:], "\r\n")
	_, err = x.nc.Write(x.out[:n])
	if err != nil {
		return c.get(ctx, now, key, x, 0, err)
	}
	n, err = x.nc.Read(x.in)
	head := bulkHeads[n]
	h := len(head)
	if err != nil || h == 0 || string(x.in[:h]) != head || x.in[n-2] != '\r' || x.in[n-1] != '\n' {
		return c.get(ctx, now, key, x, n, err)
	}
	v := make([]byte, n-h-2)
	copy(v, x.in[h:])

	took := time.Since(p.epoch) - now
	p.mu.Lock()
	if p.odd || took >= fineSpan {
		p.mu.Unlock()
		settle(p, x, opGet, took)
		return v, nil
	}
	p.gets[took/grain]++
	x.fresh = now + freshPeriod
	x.next = p.top
	p.top = x
	p.mu.Unlock()
	return v, nil
}

// get is Get in every other case. The operation began at start. If x is not nil,
// the command was sent on it, and n bytes of the reply are in x.in, or err was
// met. With a negative n nothing was sent yet.
func (c *Client) get(ctx context.Context, start time.Duration, key string, x *conn, n int, err error) ([]byte, error) {
	t := c.begin(ctx, start, opGet, []string{"GET", key})
	r, err := t.resume(x, n, err)
	if err != nil {
		return nil, err
	}
	return r.Bytes()
}

// Set stores value under key for px, in whole milliseconds. A px of zero or
// less sets no limit.
func (c *Client) Set(ctx context.Context, key string, value []byte, px time.Duration) error {
	now := time.Since(c.only.epoch)
	x, n, err := c.takeFor(ctx, now, key, value, px)
	if x == nil || n < 0 {
		return c.set(ctx, now, setCommand(key, value, px, ""), x, n, err)
	}
	n, err = sendSet(x, "*5\r\n$3\r\nSET", key, value, px)
	if err != nil || string(x.in[:n]) != "+OK\r\n" {
		return c.set(ctx, now, setCommand(key, value, px, ""), x, n, err)
	}
	if took := time.Since(c.only.epoch) - now; !giveBack(c.only, x, c.only.sets, now, took) {
		settle(c.only, x, opSet, took)
	}
	return nil
}

// takeFor takes a connection for a SET that begins now: an idle one that is
// fresh, or else the results of queueUp. It returns nil for a SET that is out of
// the ordinary.
func (c *Client) takeFor(ctx context.Context, now time.Duration, key string, value []byte, px time.Duration) (*conn, int, error) {
	if px <= 0 || len(key) > hotKey || len(value) > hotValue || c.router != nil || ctx != c.background && c.ends(ctx, now) {
		return nil, 0, nil
	}
	p := c.only
	p.mu.Lock()
	x := p.top
	if x == nil || x.fresh <= now || x.proved <= now {
		p.mu.Unlock()
		return queueUp(p, ctx, now)
	}
	p.top = x.next
	p.mu.Unlock()
	return x, 0, nil
}

// giveBack ends an operation that began at start, took so long and succeeded.
// It is counted in fine, and its connection returns to the pool. It returns
// false where settle must do that.
func giveBack(p *pool, x *conn, fine []uint64, start, took time.Duration) bool {
	p.mu.Lock()
	if p.odd || took >= fineSpan {
		p.mu.Unlock()
		return false
	}
	fine[took/grain]++
	x.fresh = start + freshPeriod
	x.next = p.top
	p.top = x
	p.mu.Unlock()
	return true
}

// sendSet sends a SET that begins with head, with NX if head announces six
// arguments. It reads once into x.in and returns the number of bytes.
func sendSet(x *conn, head, key string, value []byte, px time.Duration) (int, error) {
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
	if _, err := x.nc.Write(b); err != nil {
		return 0, err
	}
	return x.nc.Read(x.in)
}

// set is Set in every other case; see get.
func (c *Client) set(ctx context.Context, start time.Duration, args []string, x *conn, n int, err error) error {
	t := c.begin(ctx, start, opSet, args)
	r, err := t.resume(x, n, err)
	if err != nil {
		return err
	}
	return wasOK(r)
}

// SetNX stores value under key for px unless the key exists, and reports
// whether it did. The value names its owner by a nonce that nobody else uses.
// Where the reply is lost, the value that is found names the first.
func (c *Client) SetNX(ctx context.Context, key string, value []byte, px time.Duration) (bool, error) {
	now := time.Since(c.only.epoch)
	x, n, err := c.takeFor(ctx, now, key, value, px)
	if x == nil || n < 0 {
		return c.setNX(ctx, now, setCommand(key, value, px, "NX"), x, n, err)
	}
	n, err = sendSet(x, "*6\r\n$3\r\nSET", key, value, px)
	won := string(x.in[:n]) == "+OK\r\n"
	if err != nil || !won && string(x.in[:n]) != "$-1\r\n" {
		return c.setNX(ctx, now, setCommand(key, value, px, "NX"), x, n, err)
	}
	if took := time.Since(c.only.epoch) - now; !giveBack(c.only, x, c.only.setNXs, now, took) {
		settle(c.only, x, opSetNX, took)
	}
	return won, nil
}
