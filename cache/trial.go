package cache

import (
	"context"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

const (
	firstVerification = time.Second
	lastVerification  = 30 * time.Second
	verificationTime  = 10 * time.Second
	// longestPause bounds the time that a command waits while stores are switched.
	longestPause = 400 * time.Millisecond
)

// A Claim says if a store is to serve.
type Claim interface {
	// Wanted reports whether the store is still to serve.
	Wanted() bool
	// Serve claims the place, and reports whether the store may take it.
	Serve() bool
}

// A Trial offers a store to a Switch until it serves. An operator's mistake in the
// options of a store signs no user out, because the store before serves until the next
// one was verified and has taken over. The correction does not undo a sign-out, because
// the next store has the sign-outs first.
type Trial struct {
	o      TrialOptions
	ctx    context.Context // done when nothing is verified any more
	cancel context.CancelFunc

	mu      sync.Mutex // guards the fields below
	pause   time.Duration
	over    bool // nothing is verified any more
	resting bool // nothing is verified until Wake, because next is not wanted
}

// TrialOptions name the store that is offered, and the Switch. All but Linger are
// required.
type TrialOptions struct {
	Switch *Switch
	Next   Candidate
	Claim  Claim
	// Linger is the time for which the store before passes on changes by requests that
	// began before.
	Linger time.Duration
	// Settled receives the result of each attempt; nil: the next store serves. It is not
	// called for an attempt that ends because another store is wanted.
	Settled func(err error)
}

// NewTrial returns a Trial that does nothing until Start.
func NewTrial(o TrialOptions) *Trial {
	t := &Trial{o: o, pause: firstVerification}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Start begins in the background.
func (t *Trial) Start() {
	background.Start(t)
}

// Run tries to let the next store serve, and comes back later if it cannot. It rests
// while another store is wanted.
func (t *Trial) Run() {
	if !t.begin() {
		return
	}
	served, err := t.attempt()
	if served {
		background.After(t.o.Linger, &handoverEnd{t: t})
		t.o.Settled(nil)
		return
	}
	reported := err != nil && !t.isOver() && t.o.Claim.Wanted()
	background.After(t.wait(), t)
	if reported {
		t.o.Settled(err)
	}
}

// begin reports whether there is something to try. A Trial that finds its store
// unwanted rests, unless it was woken meanwhile.
func (t *Trial) begin() bool {
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return false
	}
	t.resting = true
	t.mu.Unlock()
	return t.o.Claim.Wanted() && t.rouse()
}

// rouse ends the rest, and reports whether there was one.
func (t *Trial) rouse() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.resting && !t.over
	t.resting = false
	return was
}

// Wake goes on verifying, if that had ended because another store was wanted.
func (t *Trial) Wake() {
	if !t.rouse() {
		return
	}
	t.mu.Lock()
	t.pause = firstVerification
	t.mu.Unlock()
	background.Start(t)
}

func (t *Trial) attempt() (bool, error) {
	ctx, cancel := context.WithTimeout(t.ctx, verificationTime)
	err := t.o.Next.Verify(ctx)
	cancel()
	if err != nil {
		return false, err
	}
	var accept Accepter = t
	return t.o.Switch.Offer(t.ctx, t.o.Next.Backend(), longestPause, accept)
}

// Accept implements Accepter: Close and the Claim decide last.
func (t *Trial) Accept() bool {
	if t.isOver() || !t.o.Claim.Serve() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	t.over = true
	return true
}

// A handoverEnd ends a handover after the requests that began before.
type handoverEnd struct {
	t *Trial
}

// Run implements background.Runner.
func (l *handoverEnd) Run() {
	l.t.o.Switch.EndHandover()
}

// Close ends the verification and the handover. The store that serves goes on serving.
func (t *Trial) Close() {
	t.cancel()
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.o.Switch.EndHandover()
}

func (t *Trial) isOver() bool {
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	return over
}

func (t *Trial) wait() time.Duration {
	t.mu.Lock()
	d := t.pause
	if t.pause *= 2; t.pause > lastVerification {
		t.pause = lastVerification
	}
	t.mu.Unlock()
	return d
}
