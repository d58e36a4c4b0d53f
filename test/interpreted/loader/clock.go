package loader

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/traefik/yaegi/interp"
)

// Clock is the time in the interpreted code: the real one, plus the time that a test
// has let pass. Timers and deadlines keep to the real time.
type Clock struct {
	ahead atomic.Int64
}

// Now returns the time of the plugin.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Pass advances the clock by d.
func (c *Clock) Pass(d time.Duration) { c.ahead.Add(int64(d)) }

func (c *Clock) symbols() interp.Exports {
	return interp.Exports{"time/time": {
		"Now":   reflect.ValueOf(c.Now),
		"Since": reflect.ValueOf(func(t time.Time) time.Duration { return c.Now().Sub(t) }),
		"Until": reflect.ValueOf(func(t time.Time) time.Duration { return t.Sub(c.Now()) }),
	}}
}
