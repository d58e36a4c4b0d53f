package loader

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/traefik/yaegi/interp"
)

// Clock is the time as the interpreted code sees it: the real one, plus what a
// test has let pass. Timers and deadlines keep to the real time.
type Clock struct {
	ahead atomic.Int64
}

// Now is the time as the plugin sees it.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Pass lets d pass.
func (c *Clock) Pass(d time.Duration) { c.ahead.Add(int64(d)) }

func (c *Clock) symbols() interp.Exports {
	return interp.Exports{"time/time": {
		"Now":   reflect.ValueOf(c.Now),
		"Since": reflect.ValueOf(func(t time.Time) time.Duration { return c.Now().Sub(t) }),
		"Until": reflect.ValueOf(func(t time.Time) time.Duration { return t.Sub(c.Now()) }),
	}}
}
