package session

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// size is how many bytes the cookies of j have in a request.
func (j jar) size() int { return len(j.request().Header.Get("Cookie")) }

func longTarget(n int) string { return "/" + strings.Repeat("a", n-1) }

func TestLongTargets(t *testing.T) {
	c := newClock()
	l := newLogins(t, c, "identity")
	for _, n := range []int{1, stateTarget, stateTarget + 1, 1500, 2000, cookieTarget} {
		t.Run(fmt.Sprintf("A15 a target of %d bytes", n), func(t *testing.T) {
			j := jar{}
			g := start(t, l, j, longTarget(n))
			want := 1
			if n > stateTarget {
				want = 2
			}
			if len(j) != want {
				t.Errorf("%d cookies, want %d", len(j), want)
			}
			if len(g.State) > stateLimit {
				t.Errorf("a state of %d bytes", len(g.State))
			}
			f, err := l.Find(g.State, j.request())
			if err != nil || f.Target != longTarget(n) || f.TargetLost || f.Nonce != g.Nonce {
				t.Fatalf("found %+v, %v", f, err)
			}
			j.take(l.Delete(f))
			if len(j) != 0 {
				t.Errorf("after the sign-in, %d cookies are left", len(j))
			}
		})
	}
	t.Run("A15 one byte more", func(t *testing.T) {
		if g, err := l.Start(nil, longTarget(cookieTarget+1), 0, AnyAccount); err == nil {
			t.Errorf("a state of %d bytes", len(g.State))
		}
	})
	t.Run("F24 no cookie is longer than browsers take", func(t *testing.T) {
		wide := newLogins(t, c, "identity")
		wide.Cookies = Cookies{Name: "__Secure-" + strings.Repeat("n", 55), Domain: strings.Repeat("d", 253), Secure: true}
		g, err := wide.Start(nil, longTarget(cookieTarget), 0, AnyAccount)
		if err != nil {
			t.Fatal(err)
		}
		set, err := wide.Set(g, with())
		if err != nil || len(set) != 2 {
			t.Fatalf("%d cookies, %v", len(set), err)
		}
		for _, k := range set {
			if n := len(k.String()); n > 4096 {
				t.Errorf("a cookie of %d bytes", n)
			}
			if !sealedForm(strings.TrimPrefix(k.Name, wide.Cookies.Name) + "=" + k.Value) {
				t.Errorf("a backend of another middleware sees %s", k.Name)
			}
		}
	})
	t.Run("a sign-in without its own cookie keeps its target", func(t *testing.T) {
		j := jar{}
		g := start(t, l, j, longTarget(1500))
		delete(j, l.cookieName(g.id))
		if f, err := l.Find(g.State, j.request()); !errors.Is(err, ErrLoginElsewhere) || f.Target != longTarget(1500) || f.TargetLost {
			t.Errorf("%+v, %v", f, err)
		}
	})
	t.Run("B4 a sign-in that took too long keeps its target", func(t *testing.T) {
		j := jar{}
		g := start(t, l, j, longTarget(1500))
		c.turn(LoginLifetime)
		if f, err := l.Find(g.State, j.request()); !errors.Is(err, ErrLoginExpired) || f.Target != longTarget(1500) {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

func TestCookiesOfLongTargets(t *testing.T) {
	c := newClock()
	l := newLogins(t, c, "identity")
	j := jar{}
	g := start(t, l, j, longTarget(1500))
	name := ""
	for n := range j {
		if strings.Contains(n, "target-") {
			name = n
		}
	}
	h := start(t, l, jar{}, longTarget(1400))
	foreign := jar{}
	start(t, newLogins(t, c, "other"), foreign, longTarget(1500))
	start(t, newLogins(t, c, "other"), foreign, longTarget(1500))
	lost := func(t *testing.T, l *Logins, state string, more jar, want error) {
		t.Helper()
		all := jar{}
		for n, v := range j {
			all[n] = v
		}
		for n, v := range more {
			all[n] = v
		}
		f, err := l.Find(state, all.request())
		if !errors.Is(err, want) || !f.TargetLost || f.Target != "" {
			t.Errorf("found %.100v, %v", f, err)
		}
	}
	other := "target-0"
	if strings.HasSuffix(name, other) {
		other = "target-1"
	}
	t.Run("L30 gone", func(t *testing.T) { lost(t, l, g.State, jar{name: ""}, nil) })
	t.Run("L30 altered", func(t *testing.T) {
		lost(t, l, g.State, jar{name: "A" + j[name][1:]}, nil)
		lost(t, l, g.State, jar{name: j[name][:1000] + "A" + j[name][1000:]}, nil)
		lost(t, l, g.State, jar{name: j[name][:len(j[name])-8]}, nil)
	})
	t.Run("L30 of another sign-in", func(t *testing.T) { lost(t, l, h.State, nil, ErrLoginElsewhere) })
	t.Run("L30 F3 under the other name", func(t *testing.T) {
		lost(t, l, g.State, jar{name: "", l.cookieName(other): j[name]}, nil)
	})
	t.Run("L30 F3 another cookie of the sign-in", func(t *testing.T) { lost(t, l, g.State, jar{name: j[l.cookieName(g.id)]}, nil) })
	t.Run("L30 B5 of another middleware", func(t *testing.T) { lost(t, l, g.State, foreign, nil) })
	t.Run("its own", func(t *testing.T) {
		if f, err := l.Find(g.State, j.request()); err != nil || f.Target != longTarget(1500) {
			t.Error(err)
		}
	})
	t.Run("L30 a cookie that only its key's owner can make", func(t *testing.T) {
		value, err := l.Keys.Seal("sign-in target "+name, l.Identity, []byte("short"))
		if err != nil {
			t.Fatal(err)
		}
		lost(t, l, g.State, jar{name: value}, nil)
	})
}

func TestLongTargetsOfManyTabs(t *testing.T) {
	const most = 8 << 10
	t.Run("L30 B6 one after the other", func(t *testing.T) {
		c := newClock()
		l := newLogins(t, c, "identity")
		j := jar{"__Host-oidc": strings.Repeat("s", sessionText)}
		var all []*Login
		for i := 0; i < 30; i++ {
			all = append(all, start(t, l, j, longTarget(2000)))
			c.turn(time.Second)
			if j.size() >= most {
				t.Fatalf("after %d tabs, the cookies have %d bytes", i+1, j.size())
			}
		}
		for i, g := range all {
			if f, _ := l.Find(g.State, j.request()); f.TargetLost != (i < len(all)-len(targetIDs)) {
				t.Errorf("tab %d: %v", i, f.TargetLost)
			}
		}
	})
	t.Run("L30 B6 two at once", func(t *testing.T) {
		l := newLogins(t, newClock(), "identity")
		for i := 0; i < 5; i++ {
			j := jar{}
			g, h := start(t, l, jar{}, longTarget(2000)), start(t, l, jar{}, longTarget(2000))
			for _, x := range []*Login{g, h} {
				set, err := l.Set(x, with())
				if err != nil {
					t.Fatal(err)
				}
				j.take(set)
			}
			for _, x := range []*Login{g, h} {
				if f, err := l.Find(x.State, j.request()); err != nil || f.TargetLost {
					t.Errorf("a target is lost, %v", err)
				}
			}
		}
	})
	t.Run("L30 B6 twenty at once", func(t *testing.T) {
		l := newLogins(t, newClock(), "identity")
		j := jar{}
		var all []*Login
		var mu sync.Mutex // guards j and all
		var done sync.WaitGroup
		for i := 0; i < 20; i++ {
			done.Add(1)
			go func() {
				defer done.Done()
				g, err := l.Start(nil, longTarget(1900), 0, AnyAccount)
				if err != nil {
					t.Error(err)
					return
				}
				set, err := l.Set(g, with())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				j.take(set)
				all = append(all, g)
				mu.Unlock()
			}()
		}
		done.Wait()
		if j.size() >= most {
			t.Errorf("the cookies have %d bytes", j.size())
		}
		kept := 0
		for _, g := range all {
			f, err := l.Find(g.State, j.request())
			if err != nil {
				t.Fatal(err)
			}
			if !f.TargetLost {
				kept++
			}
		}
		if kept != len(targetIDs) {
			t.Errorf("%d targets are kept", kept)
		}
		g := start(t, l, j, longTarget(1900))
		if f, err := l.Find(g.State, j.request()); err != nil || f.TargetLost {
			t.Errorf("the next one is lost: %v", err)
		}
	})
	t.Run("a target of an expired sign-in makes room", func(t *testing.T) {
		c := newClock()
		l := newLogins(t, c, "identity")
		j := jar{}
		start(t, l, j, longTarget(1100))
		c.turn(LoginLifetime - time.Second)
		g := start(t, l, j, longTarget(1200))
		c.turn(2 * time.Second)
		h := start(t, l, j, longTarget(1300))
		for _, x := range []*Login{g, h} {
			if f, err := l.Find(x.State, j.request()); err != nil || f.TargetLost {
				t.Errorf("a target is lost, %v", err)
			}
		}
	})
}
