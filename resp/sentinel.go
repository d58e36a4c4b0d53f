package resp

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// ErrUnknownMaster is returned when most sentinels know no master of the name.
var ErrUnknownMaster = fmt.Errorf("%w: unknown master", ErrTerminal)

// SentinelOptions say which master to find, and how to reach it and the sentinels.
type SentinelOptions struct {
	// Master is the name of the master at the sentinels.
	Master string
	// Addresses are sentinels, each a host:port. The others are learnt from them.
	Addresses []string
	// Sentinel says how to reach a sentinel: credentials, TLS, Dial and DialTimeout.
	Sentinel Options
	// Server says how to reach the master: the Options of its Client.
	Server Options
	// Poll is the time between two rounds of questions without an event. Zero means 5 s.
	Poll time.Duration
	// Timeout bounds a question to one sentinel, and the verification of a master. Zero
	// means 500 ms.
	Timeout time.Duration
}

const (
	sentinelPoll    = 5 * time.Second
	sentinelTimeout = 500 * time.Millisecond
	// sentinelPause is the least time between two rounds of questions.
	sentinelPause = 500 * time.Millisecond
	// hurriedPause is the same within hurriedPeriod after a sentinel announced a
	// failover, because the others follow one by one.
	hurriedPause  = 100 * time.Millisecond
	hurriedPeriod = 5 * time.Second
	// listenTo is how many sentinels are listened to for failovers.
	listenTo = 2
	// mostSentinels is the most sentinels that are known.
	mostSentinels = 32

	failoverChannel = "+switch-master"
)

// Sentinels follow a master of Redis Sentinel. A majority of all known sentinels names it,
// and it says itself that it is a master. While no majority responds, the last master stays
// as long as it does not turn out to be a replica. Location has its address. A Sentinels is
// safe for concurrent use.
// https://redis.io/docs/latest/develop/reference/sentinel-clients/
type Sentinels struct {
	o        SentinelOptions
	location *Location
	manners  *manners // of the master
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{}

	members []*sentinel // only the goroutine that watches uses it

	mu      sync.Mutex // guards the fields below
	started bool
	hurried time.Time          // until when rounds follow each other quickly
	alarmed bool               // an event came that no rest has heeded
	wake    context.CancelFunc // of the present rest; nil: none
}

// NewSentinels returns Sentinels that send nothing before Start.
func NewSentinels(o SentinelOptions) *Sentinels {
	o.Poll = orDuration(o.Poll, sentinelPoll)
	o.Timeout = orDuration(o.Timeout, sentinelTimeout)
	o.Server = o.Server.withDefaults()
	s := &Sentinels{o: o, manners: newManners(), done: make(chan struct{})}
	s.location = newLocation(fmt.Sprintf("the master %q", o.Master))
	s.o.Server.Location = s.location
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, address := range o.Addresses {
		s.members = append(s.members, s.member(address, true))
	}
	return s
}

// Location returns where the master is, for Options.Location.
func (s *Sentinels) Location() *Location {
	return s.location
}

// Start begins to query the sentinels. It does so once.
func (s *Sentinels) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.started = true
		background.Start(&watching{s: s})
	}
}

// Close ends the questions and the connections to the master, and returns when the last
// question has ended. Another Close does nothing more.
func (s *Sentinels) Close() {
	s.cancel()
	s.mu.Lock()
	if !s.started {
		s.started = true
		close(s.done)
	}
	s.mu.Unlock()
	<-s.done
	s.location.retract(ErrClosed)
}

// A watching is the life of Sentinels.
type watching struct {
	s *Sentinels
}

// Run implements background.Runner.
func (w *watching) Run() {
	s := w.s
	defer close(s.done)
	for s.ctx.Err() == nil {
		settled := s.round()
		s.rest(settled)
	}
	for _, m := range s.members {
		m.close()
	}
}

// round queries the sentinels and publishes the master. It reports whether that is settled.
func (s *Sentinels) round() bool {
	address, err := s.consult()
	if s.ctx.Err() != nil {
		return false
	}
	current, _ := s.location.Address()
	if err != nil {
		if current == "" || errors.Is(s.verify(current), errNotMaster) {
			s.location.retract(err)
		}
		return false
	}
	if address != current {
		if err := s.verify(address); err != nil {
			return s.unverified(current, address, err)
		}
		s.calm()
	}
	s.location.publish(address)
	return true
}

// unverified keeps the current master where the one that the sentinels name cannot be
// used, unless the current one is a replica.
func (s *Sentinels) unverified(current, address string, err error) bool {
	if current == "" || errors.Is(s.verify(current), errNotMaster) {
		s.location.retract(fmt.Errorf("the sentinels name %s: %w", address, err))
	}
	return false
}

// verify connects to address and verifies that the server there is a master.
func (s *Sentinels) verify(address string) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Timeout)
	defer cancel()
	o := s.o.Server
	o.Address = address
	plain := s.manners.plain.Load()
	x, err := dialAt(ctx, &o, 2, time.Now(), s.manners, plain, &stage{})
	if errors.Is(err, errHello) && !plain {
		x, err = dialAt(ctx, &o, 2, time.Now(), s.manners, true, &stage{})
		if err == nil {
			s.manners.plain.Store(true)
		}
	}
	if err != nil {
		return err
	}
	x.close()
	return nil
}

// rest waits until the next round is due.
func (s *Sentinels) rest(settled bool) {
	if s.isHurried() {
		s.nap(hurriedPause, false)
		return
	}
	s.nap(sentinelPause, false)
	if settled && !s.isHurried() {
		s.nap(s.o.Poll-s.o.Poll/10+time.Duration(rand.Int63n(int64(s.o.Poll/5)+1)), true)
	}
}

// nap waits for d at most. An event ends it, and with recheck also Location.Recheck.
func (s *Sentinels) nap(d time.Duration, recheck bool) {
	ctx, cancel := context.WithTimeout(s.ctx, d)
	defer cancel()
	s.mu.Lock()
	alarmed := s.alarmed
	s.wake = cancel
	s.mu.Unlock()
	if alarmed || recheck && !s.location.rest(cancel) {
		cancel()
	}
	<-ctx.Done()
	if recheck {
		s.location.work()
	}
	s.mu.Lock()
	s.alarmed = false
	s.wake = nil
	s.mu.Unlock()
}

func (s *Sentinels) isHurried() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.hurried)
}

// hurry has rounds follow each other quickly.
func (s *Sentinels) hurry() {
	s.mu.Lock()
	s.hurried = time.Now().Add(hurriedPeriod)
	s.alarmed = true
	wake := s.wake
	s.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// calm ends hurry.
func (s *Sentinels) calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurried = time.Time{}
}

// listen listens to the first of the sentinels that responded.
func (s *Sentinels) listen(answered []*sentinel) {
	if len(answered) > listenTo {
		answered = answered[:listenTo]
	}
	for _, m := range s.members {
		if m.listener != nil && !isAmong(m, answered) {
			m.listener.Close()
			m.listener = nil
		}
	}
	for _, m := range answered {
		s.listenTo(m)
	}
}

func (s *Sentinels) listenTo(m *sentinel) {
	if m.listener == nil {
		m.listener = NewSubscriber(m.o, failoverChannel, &failovers{s: s})
		m.listener.Start()
	}
}

func isAmong(m *sentinel, list []*sentinel) bool {
	for _, other := range list {
		if other == m {
			return true
		}
	}
	return false
}

// failovers receives the announcements of one sentinel. It implements Invalidations.
type failovers struct {
	s *Sentinels
}

// Up implements Invalidations. A failover may have been missed until now.
func (f *failovers) Up() {
	f.s.location.Recheck()
}

// Down implements Invalidations.
func (f *failovers) Down(err error) {}

// Invalidate implements Invalidations. A message is the name of a master, its old and its
// new address.
func (f *failovers) Invalidate(messages []string) {
	for _, m := range messages {
		if strings.HasPrefix(m, f.s.o.Master+" ") {
			f.s.hurry()
		}
	}
}
