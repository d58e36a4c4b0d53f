package resp

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// A Location is the address of a server that moves. Sentinels publish the address. Each
// connection belongs to the address that was published when it was opened. It is closed
// when another one is published, also while a command is under way, and that command fails
// with ErrAmbiguous. A Location is safe for concurrent use.
type Location struct {
	name string // of the server, for errors

	mu         sync.Mutex // guards the fields below
	news       *sync.Cond // signals a change of the fields below
	address    string     // empty: not known
	generation uint64     // counts the addresses
	err        error      // why the address is not known
	conns      map[net.Conn]bool
	stale      bool               // the address did not lead to the server
	wake       context.CancelFunc // of a publisher that rests; nil: it is at work
}

func newLocation(name string) *Location {
	l := &Location{name: name, conns: map[net.Conn]bool{}}
	l.news = sync.NewCond(&l.mu)
	return l
}

// Address returns the address of the server, and a number that grows with each change of
// it. Both are zero until the first address is known. The address is empty while it is
// not known.
func (l *Location) Address() (string, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.address, l.generation
}

// Recheck has the publisher verify the address, because it did not lead to the server.
func (l *Location) Recheck() {
	l.mu.Lock()
	l.stale = true
	wake := l.wake
	l.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// rest lets Recheck call wake. It reports false where that was called already.
func (l *Location) rest(wake context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale {
		return false
	}
	l.wake = wake
	return true
}

// work ends a rest.
func (l *Location) work() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake = nil
	l.stale = false
}

// A locating wakes all calls that wait for an address, because the time of one is over.
type locating struct {
	l *Location
}

// Run implements background.Runner.
func (w *locating) Run() {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	w.l.news.Broadcast()
}

// locate is Address. It waits for the first address until ctx is done.
func (l *Location) locate(ctx context.Context) (string, uint64, error) {
	address, generation := l.Address()
	if address != "" {
		return address, generation, nil
	}
	background.Done(ctx, &locating{l: l})
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.address == "" && l.err == nil && ctx.Err() == nil {
		l.news.Wait()
	}
	if l.address != "" {
		return l.address, l.generation, nil
	}
	err := l.err
	if err == nil {
		err = ctx.Err()
	}
	return "", 0, fmt.Errorf("%w: %s is not found: %w", ErrNotSent, l.name, err)
}

// publish sets the address. Connections to another one are closed.
func (l *Location) publish(address string) {
	l.mu.Lock()
	l.err = nil
	if l.address == address {
		l.mu.Unlock()
		return
	}
	l.address = address
	old := l.moveLocked()
	l.mu.Unlock()
	closeConns(old)
}

// retract says that the address is not known, and why. Connections are closed.
func (l *Location) retract(err error) {
	l.mu.Lock()
	l.err = err
	if l.address == "" {
		l.news.Broadcast()
		l.mu.Unlock()
		return
	}
	l.address = ""
	old := l.moveLocked()
	l.mu.Unlock()
	closeConns(old)
}

// moveLocked begins another generation. It returns the connections of the last one.
func (l *Location) moveLocked() map[net.Conn]bool {
	l.generation++
	old := l.conns
	l.conns = map[net.Conn]bool{}
	l.news.Broadcast()
	return old
}

func closeConns(conns map[net.Conn]bool) {
	for nc := range conns {
		_ = nc.Close()
	}
}

// attach has nc closed when the generation ends. It reports false where that has ended.
func (l *Location) attach(generation uint64, nc net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.generation != generation || l.address == "" {
		return false
	}
	l.conns[nc] = true
	return true
}

// detach ends attach.
func (l *Location) detach(nc net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, nc)
}
