package auth

import (
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/session"
)

const (
	// markerSlack is how much longer than its sign-in the replay marker of a state
	// lives, since the clocks of replicas differ.
	markerSlack = time.Minute
	// markersKept is how many replay markers of callbacks that brought no session may
	// be there at a time.
	markersKept = 1 << 16
	// markersPart is how much of what is left of them a network may have: one of so
	// many.
	markersPart = 4
	// markersAnyway is what each network may have all the same, so that many of them
	// together shut out nobody.
	markersAnyway = 64
)

// A markerCount bounds the replay markers that callbacks with made-up codes leave in
// the store. Those of callbacks that bring a session do not count. It knows no marker
// by itself: it counts those of the latest two spans of a marker's life.
type markerCount struct {
	now func() time.Time

	mu         sync.Mutex // guards the fields below
	since      time.Time  // when young began
	young, old *markerSpan
}

// A markerSpan is the markers that were added in one span of time.
type markerSpan struct {
	total    int
	networks map[string]int
}

func newMarkerCount(now func() time.Time) *markerCount {
	return &markerCount{now: now, young: newMarkerSpan(), old: newMarkerSpan()}
}

func newMarkerSpan() *markerSpan {
	return &markerSpan{networks: map[string]int{}}
}

// add counts a marker of a network. It returns false, and counts nothing, if the
// network has too many.
func (c *markerCount) add(network string) bool {
	c.mu.Lock()
	c.turnLocked()
	has := c.young.networks[network] + c.old.networks[network]
	ok := has < markersAnyway || has*markersPart < markersKept-c.young.total-c.old.total
	if ok {
		c.young.networks[network]++
		c.young.total++
	}
	c.mu.Unlock()
	return ok
}

// remove takes back what add counted.
func (c *markerCount) remove(network string) {
	c.mu.Lock()
	s := c.young
	if s.networks[network] == 0 {
		s = c.old
	}
	if s.networks[network] > 0 {
		s.networks[network]--
		s.total--
	}
	if s.networks[network] == 0 {
		delete(s.networks, network)
	}
	c.mu.Unlock()
}

// turnLocked forgets the markers that are over.
func (c *markerCount) turnLocked() {
	life := session.LoginLifetime + markerSlack
	age := c.now().Sub(c.since)
	if age < life {
		return
	}
	c.old = c.young
	if age >= 2*life {
		c.old = newMarkerSpan()
	}
	c.young = newMarkerSpan()
	c.since = c.now()
}
