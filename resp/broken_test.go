package resp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// brokenReplies are replies that are damaged by a fault of the server or the network.
var brokenReplies = []struct {
	name  string
	fault resptest.Fault
}{
	{"nothing", resptest.Fault{Cut: -1}},
	{"half a reply", resptest.Fault{Cut: 3}},
	{"nothing, and not carried out", resptest.Fault{Cut: -1, Skip: true}},
	{"garbage", resptest.Fault{Reply: "HTTP/1.1 400 Bad Request\r\n\r\n"}},
	{"another type", resptest.Fault{Reply: ":1\r\n"}},
	{"a push", resptest.Fault{Reply: ">1\r\n+x\r\n"}},
	{"an extra reply", resptest.Fault{Extra: "$5\r\nother\r\n"}},
	{"another's reply first", resptest.Fault{Reply: "$5\r\nother\r\n$4\r\nmine\r\n"}},
	{"the reply twice", resptest.Fault{Reply: "$5\r\nother\r\n$5\r\nother\r\n"}},
	{"negative length", resptest.Fault{Reply: "$-5\r\n"}},
	{"huge bulk", resptest.Fault{Reply: "$2000000000\r\n"}},
	{"huge array", resptest.Fault{Reply: "*1000000000\r\n"}},
	{"deep array", resptest.Fault{Reply: strings.Repeat("*1\r\n", 50000)}},
	{"long line", resptest.Fault{Reply: "+" + strings.Repeat("x", 1<<20) + "\r\n"}},
	{"bulk without end", resptest.Fault{Reply: "$5\r\nhelloXX"}},
	{"only LF", resptest.Fault{Reply: "+OK\n"}},
}

func TestJ5ABrokenReplyReachesNobodyAndTheNextOperationSucceeds(t *testing.T) {
	for _, row := range brokenReplies {
		for _, warm := range []bool{false, true} {
			t.Run(fmt.Sprintf("J5 %s, warm %v", row.name, warm), func(t *testing.T) {
				s, c := start(t, func(o *Options) { o.PoolSize = 1 })
				s.Put("a", "of a")
				s.Put("b", "of b")
				if warm {
					warmUp(t, c)
				}
				f := row.fault
				f.Times, f.Command = 1, "GET"
				s.Inject(f)
				ctx, cancel := context.WithTimeout(bg, 400*time.Millisecond) // some replies have no end
				defer cancel()
				if got, err := c.Get(ctx, "a"); err == nil && string(got) != "of a" {
					t.Errorf("a holds %q", got)
				}
				for i := 0; i < 3; i++ {
					if got, err := c.Get(bg, "b"); err != nil || string(got) != "of b" {
						t.Errorf("b holds %q, %v", got, err)
					}
				}
				if open := c.Stats().Pool; open.Open != 1 || open.Idle != 1 {
					t.Errorf("pool %+v", open)
				}
			})
		}
	}
}

func TestAStrayReplyOnAnIdleConnectionIsDetected(t *testing.T) {
	s, c := start(t, func(o *Options) { o.PoolSize = 1 })
	s.Put("a", "of a")
	s.Put("b", "of b")
	warmUp(t, c)
	s.Stray("$5\r\nstray\r\n")
	x := c.only.pop()
	x.fresh = 0 // it was not used just now
	c.only.put(x)
	for i := 0; i < 3; i++ {
		if got, err := c.Get(bg, "b"); err != nil || string(got) != "of b" {
			t.Errorf("b holds %q, %v", got, err)
		}
	}
	if n := c.Stats().Pool.Broken; n != 1 {
		t.Errorf("%d connections closed", n)
	}
}

func TestJ6TheLateReplyOfOneCommandReachesNobody(t *testing.T) {
	for _, warm := range []bool{false, true} {
		s, c := start(t, func(o *Options) { o.PoolSize = 1 })
		s.Put("a", "of a")
		s.Put("b", "of b")
		late := make(chan struct{})
		s.Inject(resptest.Fault{Command: "GET", Key: "a", Until: late})
		err := onceSent(t, s, "a", func(budget time.Duration) error {
			if warm {
				warmUp(t, c)
			}
			ctx, cancel := context.WithTimeout(bg, budget)
			defer cancel()
			_, err := c.Get(ctx, "a")
			return err
		})
		if !errors.Is(err, ErrAmbiguous) {
			t.Errorf("J6 warm %v: %v", warm, err)
		}
		close(late)
		for i := 0; i < 20; i++ {
			if got, err := c.Get(bg, "b"); err != nil || string(got) != "of b" {
				t.Errorf("J6 b holds %q, %v", got, err)
			}
		}
	}
}

func TestADripOfBytesDoesNotExtendTheBudget(t *testing.T) {
	s := resptest.Start(t)
	s.Put("b", strings.Repeat("x", 1<<20))
	s.Inject(resptest.Fault{Command: "GET", Drip: 10 * time.Millisecond})
	err := onceSent(t, s, "b", func(budget time.Duration) error {
		o := patient(s.Addr())
		o.OperationTimeout = budget
		c := NewClient(o)
		defer c.Close()
		_, err := c.Get(bg, "b")
		return err
	})
	if !errors.Is(err, ErrAmbiguous) {
		t.Error(err)
	}
}

func TestALostReplyOfSetNXIsResolvedByItsOwner(t *testing.T) {
	rows := []struct {
		name  string
		there string
		fault resptest.Fault
		won   bool
	}{
		{"carried out", "", resptest.Fault{Cut: -1}, true},
		{"not carried out", "", resptest.Fault{Cut: -1, Skip: true}, true},
		{"another was first", "theirs", resptest.Fault{Cut: -1}, false},
		{"another was first, half a reply", "theirs", resptest.Fault{Cut: 2}, false},
		{"carried out, half a reply", "", resptest.Fault{Cut: 2}, true},
	}
	for _, row := range rows {
		for _, warm := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, warm %v", row.name, warm), func(t *testing.T) {
				s, c := start(t, nil)
				s.Put("b", "v")
				if row.there != "" {
					s.Put("k", row.there)
				}
				if warm {
					warmUp(t, c)
				}
				f := row.fault
				f.Command, f.Times = "SET", 1
				s.Inject(f)
				won, err := c.SetNX(bg, "k", []byte("mine"), time.Minute)
				if err != nil || won != row.won {
					t.Errorf("won %v, %v", won, err)
				}
				again, err := c.SetNX(bg, "k", []byte("second"), time.Minute)
				if err != nil || again {
					t.Errorf("a second one won %v, %v", again, err)
				}
			})
		}
	}
}
