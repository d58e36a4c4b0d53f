package auth

import (
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/session"
)

const (
	// markerSlack is how much longer than its sign-in the replay marker of a state
	// lives, because the clocks of replicas differ.
	markerSlack = time.Minute
	// markersKept bounds the replay markers of callbacks that brought no session.
	markersKept = 1 << 16
	// markersPart bounds the share of one network: a quarter of the free markers.
	markersPart = 4
	// markersAnyway is the number that each network may have in any case, so that many
	// networks together cannot block another one.
	markersAnyway = 64
)

// A markerCount bounds the replay markers that callbacks with made-up codes leave in
// the store. Callbacks that bring a session are not counted. It stores no marker, but
// counts those of the latest two spans of a marker's life.
type markerCount struct {
	now func() time.Time

	mu         sync.Mutex // guards the fields below
	since      time.Time  // when young began
	young, old *markerSpan
}

// A markerSpan counts the markers that were added in one span of time.
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

// add counts a marker of a network. If the network has too many, it returns false and
// does not count it.
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

// remove undoes one add.
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

// turnLocked drops the counts of expired markers.
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
