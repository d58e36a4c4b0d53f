package circuitbreaker

import (
	"math/rand"
	"time"
)

// probes is the progress of the probes of an open breaker.
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

// scheduleLocked starts the timer of the next probe. It is called when the breaker opens
// and at the end of each probe, so that there is at most one probe at a time.
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

// probe is one attempt. It runs in a goroutine of its own.
type probe struct {
	b *Breaker
}

// Run probes the server. A panic of the prober is a Failure.
func (p *probe) Run() {
	outcome := Failure
	defer p.b.probed(&outcome)
	outcome = p.b.o.Prober.Probe()
}

func (b *Breaker) probed(outcome *Outcome) {
	b.mu.Lock()
	b.probedLocked(*outcome)
	b.mu.Unlock()
	b.notify()
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
