package resp

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// Invalidations receives the names of keys that changed. Its methods are called one
// at a time, by a goroutine that does nothing else meanwhile.
type Invalidations interface {
	// Up is called when every change from now on will be reported.
	Up()
	// Down is called when changes are not reported from now on, and after every
	// attempt to listen again that fails. The error says why. It is ErrRetired where
	// the connection was only too old, and another one is opened at once.
	Down(err error)
	// Invalidate is called when keys were written, expired, were evicted or
	// removed. Nil means all of them.
	Invalidate(keys []string)
}

const (
	pingPeriod  = time.Second
	pongTimeout = 1500 * time.Millisecond

	reconnectBase = 50 * time.Millisecond
	reconnectMost = time.Second

	refusedBase = 5 * time.Second
	refusedMost = 5 * time.Minute
)

// A Tracker listens for changes of keys on a connection of its own, and opens
// it again whenever it is lost. A connection that is silent for 1.5 s is taken
// for lost.
type Tracker struct {
	o     Options
	h     Invalidations
	proto int
	m     *manners
	begin []string // the command after which the server reports changes

	period  time.Duration // between two PINGs
	silence time.Duration // the longest time without a message
	refused time.Duration // the shortest pause after a refusal

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	now    func() time.Time

	mu      sync.Mutex // guards the fields below
	x       *conn      // the connection, once it listens
	server  string     // the run ID of the server that it leads to; empty: unknown
	retired bool       // x was closed so that another one is opened
	started bool
}

// NewTracker returns a Tracker of the keys that begin with one of prefixes, by
// RESP3 client tracking in broadcasting mode (Redis 6). Where the server
// refuses that, Down gets ErrTerminal.
// https://redis.io/docs/latest/develop/reference/client-side-caching/
func NewTracker(o Options, prefixes []string, h Invalidations) *Tracker {
	begin := []string{"CLIENT", "TRACKING", "ON", "BCAST"}
	for _, p := range prefixes {
		begin = append(begin, "PREFIX", p)
	}
	return newTracker(o, 3, begin, h)
}

// NewSubscriber returns a Tracker of the keys that are published on channel, one
// in each message. It serves where tracking is refused. An empty message means all
// keys.
func NewSubscriber(o Options, channel string, h Invalidations) *Tracker {
	return newTracker(o, 2, []string{"SUBSCRIBE", channel}, h)
}

func newTracker(o Options, proto int, begin []string, h Invalidations) *Tracker {
	t := &Tracker{o: o.withDefaults(), h: h, m: newManners(), proto: proto, begin: begin, period: pingPeriod, silence: pongTimeout, refused: refusedBase, done: make(chan struct{})}
	t.o.DB = 0
	t.now = t.o.Now
	if t.now == nil {
		t.now = time.Now
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Start begins to listen. It does so once.
func (t *Tracker) Start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started {
		t.started = true
		background.Start(&listening{t: t})
	}
}

// Close ends it. No method of the Invalidations is called after it returns, so
// it must not be called by one. Another Close does nothing more.
func (t *Tracker) Close() {
	t.cancel()
	t.mu.Lock()
	if !t.started {
		t.started = true
		close(t.done)
	}
	if t.x != nil {
		t.x.close()
	}
	t.mu.Unlock()
	<-t.done
}

// A listening is the life of a Tracker.
type listening struct {
	t *Tracker
}

// Run implements background.Runner.
func (l *listening) Run() {
	t := l.t
	defer close(t.done)
	pause := reconnectBase
	for t.ctx.Err() == nil {
		began := time.Now()
		listened, err := t.listen()
		if t.ctx.Err() != nil {
			err = ErrClosed
		}
		t.h.Down(err)
		if time.Since(began) > reconnectMost {
			pause = reconnectBase
		}
		if errors.Is(err, ErrRetired) {
			continue
		}
		least, most := t.pauses(listened, err)
		if pause < least {
			pause = least
		}
		if pause > most {
			pause = most
		}
		background.Pause(t.ctx, pause+time.Duration(rand.Int63n(int64(pause)/5)))
		pause *= 2
	}
}

// pauses returns the shortest and the longest pause before another attempt after err,
// which ended a connection that listened or not. A refusal to listen lasts until an
// operator changes something.
func (t *Tracker) pauses(listened bool, err error) (time.Duration, time.Duration) {
	switch {
	case listened:
	case errors.Is(err, ErrHandshake):
		return t.refused, t.refused
	case errors.Is(err, ErrTerminal):
		return t.refused, refusedMost
	}
	return reconnectBase, reconnectMost
}

// listen opens a connection and reports changes until it fails. It returns whether it
// listened.
func (t *Tracker) listen() (bool, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.o.DialTimeout)
	x, err := dial(ctx, &t.o, t.proto, time.Now(), t.m, &stage{})
	cancel()
	if err != nil {
		return false, err
	}
	defer x.close()
	run, err := t.identify(x)
	if err != nil {
		return false, err
	}
	if err := t.enable(x); err != nil {
		return false, err
	}
	if !t.keep(x, run) {
		return false, ErrClosed
	}
	p := &pinging{x: x, period: t.period}
	p.start()
	t.h.Up()
	err = t.read(x)
	p.stop()
	return true, t.leave(err)
}

// identify returns the run ID of the server. It is empty where the server does not send it.
func (t *Tracker) identify(x *conn) (string, error) {
	_ = x.nc.SetDeadline(time.Now().Add(t.silence))
	if _, err := x.nc.Write(appendCommand(nil, []string{"INFO", "server"})); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	r, err := x.r.ReadReply()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return InfoField(r, "run_id"), nil
}

// leave removes the connection that ended by err, and returns the reason.
func (t *Tracker) leave(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.x = nil
	t.server = ""
	if t.retired {
		t.retired = false
		return ErrRetired
	}
	return err
}

// Server returns the run ID of the server that the connection leads to. It is empty where
// it is not known.
func (t *Tracker) Server() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.server
}

// Reconnect replaces the connection, because the name of the server may lead elsewhere.
func (t *Tracker) Reconnect() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.x != nil && t.ctx.Err() == nil {
		t.retired = true
		t.x.close()
	}
}

// enable has the server report changes.
func (t *Tracker) enable(x *conn) error {
	_ = x.nc.SetDeadline(time.Now().Add(t.silence))
	if _, err := x.nc.Write(appendCommand(nil, t.begin)); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	r, err := x.r.ReadReply()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAmbiguous, err)
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("resp: %s: %w", t.begin[0], err)
	}
	subscribed := r.Kind == Array && len(r.Elems) == 3 && string(r.Elems[0].Str) == "subscribe"
	if t.proto == 3 {
		return wasOK(r)
	}
	if !subscribed {
		return malformed("reply to SUBSCRIBE")
	}
	return nil
}

// keep lets Close end x. It returns false when that was called already.
func (t *Tracker) keep(x *conn, run string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.x = x
	t.server = run
	return t.ctx.Err() == nil
}

// read reads the messages of the server until that fails.
func (t *Tracker) read(x *conn) error {
	retires := t.now().Add(t.o.age())
	for {
		if !t.now().Before(retires) {
			return ErrRetired
		}
		_ = x.nc.SetReadDeadline(time.Now().Add(t.silence))
		r, err := x.r.ReadReply()
		if err != nil {
			if errors.Is(err, ErrProtocol) {
				return err
			}
			return fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		if err := t.handle(r); err != nil {
			return err
		}
	}
}

// handle acts on one message of the server.
func (t *Tracker) handle(r Reply) error {
	if r.Kind == Error && (unproven(string(r.Str)) || string(r.Str) == "UNKNOWN") {
		return nil // a refused PING is a sign of life
	}
	if err := r.Err(); err != nil {
		return err
	}
	if r.Kind == Status && string(r.Str) == "PONG" {
		return nil
	}
	if r.Kind != Push && r.Kind != Array || len(r.Elems) < 2 {
		return malformed("neither a change nor PONG")
	}
	switch string(r.Elems[0].Str) {
	case "invalidate":
		return t.invalidate(r.Elems[1])
	case "message":
		if len(r.Elems) != 3 {
			return malformed("message")
		}
		return t.published(r.Elems[2])
	}
	return nil
}

func (t *Tracker) invalidate(keys Reply) error {
	if keys.Kind == Null {
		t.h.Invalidate(nil)
		return nil
	}
	names, err := keys.Strings()
	if err == nil && len(names) > 0 {
		t.h.Invalidate(names)
	}
	return err
}

func (t *Tracker) published(key Reply) error {
	if len(key.Str) == 0 {
		t.h.Invalidate(nil)
		return nil
	}
	t.h.Invalidate([]string{string(key.Str)})
	return nil
}

// A pinging writes to a connection once a period, so that there is something to
// read.
type pinging struct {
	x      *conn
	period time.Duration

	mu      sync.Mutex // guards the fields below, and the writes
	timer   *time.Timer
	stopped bool
}

func (p *pinging) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = background.After(p.period, p)
}

// Run implements background.Runner.
func (p *pinging) Run() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	_ = p.x.nc.SetWriteDeadline(time.Now().Add(p.period))
	if _, err := p.x.nc.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		p.x.close()
		return
	}
	p.timer = background.After(p.period, p)
}

func (p *pinging) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.timer.Stop()
}
