package cache

import (
	"context"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// A Candidate is a store that may replace another one. Verify tries every operation that
// the store needs. The error says which step failed and names no secret.
type Candidate interface {
	Verify(ctx context.Context) error
	Backend() Store
}

// An Accepter decides last if a store comes to serve.
type Accepter interface {
	Accept() bool
}

// A Switch is a Backend that is one store after another. Each command goes to one store:
// to the one that serves when it begins. A command that is running when the next store
// comes to serve ends where it began, and the Handover sends the next store its change.
type Switch struct {
	mu       sync.Mutex // guards the fields below
	serving  Store
	watchers []Watcher
	gate     *gate // nil: no pause
	running  int   // commands in the stores
	waiting  int   // commands held by the pause
	switches int
	handover *Handover // from the store before; nil: there is none
}

var _ Backend = (*Switch)(nil)

// A SwitchStatus is a snapshot of a Switch.
type SwitchStatus struct {
	Running  int  // commands in the stores
	Waiting  int  // commands that a pause holds
	Paused   bool // new commands wait
	Switches int  // number of times that the next store came to serve
}

// A gate is one pause.
type gate struct {
	s     *Switch
	open  chan struct{} // closed when the pause ends
	idle  chan struct{} // closed when no command is running, and when the pause ends
	quiet bool          // idle is closed
}

// NewSwitch returns a Switch that is the store serving.
func NewSwitch(serving Store) *Switch {
	return &Switch{serving: serving}
}

// Serving returns the store that serves.
func (s *Switch) Serving() Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serving
}

// Status returns a snapshot.
func (s *Switch) Status() SwitchStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SwitchStatus{Running: s.running, Waiting: s.waiting, Paused: s.gate != nil, Switches: s.switches}
}

// Pause holds new commands until Resume, for no longer than limit, and returns when no
// command is running or the pause is over. It reports whether the commands that were
// running ended, and does nothing while another pause lasts.
func (s *Switch) Pause(limit time.Duration) bool {
	s.mu.Lock()
	if s.gate != nil {
		s.mu.Unlock()
		return false
	}
	g := &gate{s: s, open: make(chan struct{}), idle: make(chan struct{})}
	s.gate = g
	s.settleLocked()
	s.mu.Unlock()
	timer := background.After(limit, g)
	<-g.idle
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate != g {
		timer.Stop()
		return false
	}
	return true
}

// Resume ends a pause, if there is one.
func (s *Switch) Resume() {
	s.mu.Lock()
	s.resumeLocked()
	s.mu.Unlock()
}

// Run ends the pause at its limit.
func (g *gate) Run() {
	g.s.mu.Lock()
	if g.s.gate == g {
		g.s.resumeLocked()
	}
	g.s.mu.Unlock()
}

// resumeLocked adds the commands that waited to the running ones, so that no further
// pause holds them again.
func (s *Switch) resumeLocked() {
	g := s.gate
	if g == nil {
		return
	}
	s.gate = nil
	s.running += s.waiting
	s.waiting = 0
	close(g.open)
	if !g.quiet {
		g.quiet = true
		close(g.idle)
	}
}

// settleLocked ends the wait of a pause when no command is running.
func (s *Switch) settleLocked() {
	if s.gate != nil && s.running == 0 && !s.gate.quiet {
		s.gate.quiet = true
		close(s.gate.idle)
	}
}

// begin returns the store for a command, after the pause if there is one.
func (s *Switch) begin() Store {
	s.mu.Lock()
	g := s.gate
	if g == nil {
		s.running++
		store := s.serving
		s.mu.Unlock()
		return store
	}
	s.waiting++
	s.mu.Unlock()
	<-g.open
	return s.Serving()
}

// end is called when a command has ended.
func (s *Switch) end() {
	s.mu.Lock()
	s.running--
	s.settleLocked()
	s.mu.Unlock()
}

// Offer lets next serve. First next takes over the data of the store before. Then new
// commands are held until those that are running have ended, for no longer than limit.
// Then next serves, if accept allows it; nil allows it. Otherwise, and after an error,
// the store before serves on.
//
// A command that outlasts the limit ends in the store before, which passes its change on
// to next until EndHandover. The caller has verified next.
func (s *Switch) Offer(ctx context.Context, next Store, limit time.Duration, accept Accepter) (bool, error) {
	h, err := TakeOver(ctx, s.Serving(), next)
	if err != nil {
		return false, err
	}
	s.Pause(limit)
	served := accept == nil || accept.Accept()
	if served {
		s.turnTo(next, h)
	}
	s.Resume()
	if !served {
		h.End()
		return false, nil
	}
	s.mu.Lock()
	watchers := s.watchers
	s.mu.Unlock()
	AnnounceAll(watchers)
	return true, nil
}

// turnTo lets a store serve.
func (s *Switch) turnTo(next Store, h *Handover) {
	s.mu.Lock()
	before := s.serving
	for i := range s.watchers {
		w := s.watchers[i]
		before.Unwatch(w)
		next.Watch(w)
	}
	s.serving = next
	s.switches++
	ended := s.handover
	s.handover = h
	s.mu.Unlock()
	if ended != nil {
		ended.End()
	}
}

// EndHandover ends the passing on of changes from the store before to the one that
// serves.
func (s *Switch) EndHandover() {
	s.mu.Lock()
	h := s.handover
	s.handover = nil
	s.mu.Unlock()
	if h != nil {
		h.End()
	}
}
