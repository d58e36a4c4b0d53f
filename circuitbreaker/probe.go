package circuitbreaker

import (
	"math/rand"
	"time"
)

// probes is how far the prober of an open breaker has come.
type probes struct {
	pause     time.Duration // before the next
	successes int           // in a row
	timer     *time.Timer
}

func withProbeDefaults(o Options) Options {
	if o.ProbeMin <= 0 {
		o.ProbeMin = 250 * time.Millisecond
	}
	if o.ProbeMax <= 0 {
		o.ProbeMax = time.Second
	}
	if o.ProbeMin > o.ProbeMax {
		o.ProbeMin = o.ProbeMax
	}
	if o.DeniedPause <= 0 {
		o.DeniedPause = 5 * time.Second
	}
	if o.Successes <= 0 {
		o.Successes = 2
	}
	return o
}

// scheduleLocked arms the next probe. There is one at a time: the next is armed
// when the one before has ended, and none while the breaker is closed.
func (b *Breaker) scheduleLocked(denied bool) {
	if b.closed {
		return
	}
	pause := b.probes.pause
	if denied && pause < b.o.DeniedPause {
		pause = b.o.DeniedPause
	}
	fifth := int64(pause / 5)
	if fifth > 0 {
		pause += time.Duration(rand.Int63n(2*fifth+1) - fifth)
	}
	b.probes.timer = b.after(pause, &probe{b: b})
}

// probe is one attempt; it runs in a goroutine of its own.
type probe struct {
	b *Breaker
}

// Run asks the server. A prober that panics counts as failed.
func (p *probe) Run() {
	outcome := Failure
	defer p.b.probed(&outcome)
	outcome = p.b.o.Prober.Probe()
}

func (b *Breaker) probed(outcome *Outcome) {
	b.mu.Lock()
	b.probedLocked(*outcome)
	b.mu.Unlock()
	b.tell()
}

func (b *Breaker) probedLocked(o Outcome) {
	if b.closed || b.state == Closed {
		return
	}
	if o != Success {
		b.probes.successes = 0
		b.probes.pause *= 2
		if b.probes.pause > b.o.ProbeMax {
			b.probes.pause = b.o.ProbeMax
		}
		if b.state == HalfOpen {
			b.setLocked(Open)
		}
		b.scheduleLocked(o == Denied)
		return
	}
	b.probes.successes++
	b.probes.pause = b.o.ProbeMin
	if b.state == Open {
		b.setLocked(HalfOpen)
	}
	if b.probes.successes >= b.o.Successes {
		b.setLocked(Closed)
		return
	}
	b.scheduleLocked(false)
}
