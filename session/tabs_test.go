package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestManySignInsOfABrowser(t *testing.T) {
	for _, row := range []struct {
		name    string
		cookies Cookies
		shared  bool
	}{
		{"L32 B6 no sign-in loses its cookie", Cookies{Name: "__Host-oidc", Secure: true}, true},
		{"L32 B6 no sign-in loses its cookie on a domain of one's own", Cookies{Name: "__Secure-oidc", Domain: "example.com", Secure: true}, true},
		{"L32 B7 a cookie that a sibling domain may set is not shared", Cookies{Name: "oidc"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newClock()
			l := newLogins(t, c, "identity")
			l.Cookies = row.cookies
			j := jar{"app": "1", l.cookieName("junkjunk"): "junk"}
			var all []*Login
			secrets := map[string]bool{}
			for i := 0; i < 40; i++ {
				g := start(t, l, j, fmt.Sprintf("/%d", i))
				all = append(all, g)
				secrets[g.Nonce] = true
				secrets[g.Verifier] = true
				secrets[string(g.proof())] = true
				c.turn(time.Second)
			}
			if len(j) != loginsKept+1 || j["app"] != "1" {
				t.Errorf("the jar holds %d cookies", len(j))
			}
			if len(secrets) != 3*len(all) {
				t.Error("two sign-ins have the same nonce, verifier or proof")
			}
			for i, g := range all {
				f, err := l.Find(g.State, j.request())
				if f == nil || f.Target != fmt.Sprintf("/%d", i) {
					t.Fatalf("the target of sign-in %d is lost", i)
				}
				if kept := row.shared || i >= len(all)-loginsKept; kept != (err == nil) {
					t.Errorf("sign-in %d: %v", i, err)
				}
				if err == nil && (f.Nonce != g.Nonce || f.Verifier != g.Verifier) {
					t.Errorf("sign-in %d has other secrets", i)
				}
			}
			for name, value := range j {
				if n := len(name) + len(value); n > 400 {
					t.Errorf("a cookie of %d bytes", n)
				}
			}
		})
	}
}

func TestASharedSignInCookie(t *testing.T) {
	c := newClock()
	l := newLogins(t, c, "identity")
	j := jar{}
	var all []*Login
	for i := 0; i < loginsKept+2; i++ {
		all = append(all, start(t, l, j, "/"))
		c.turn(time.Second)
	}
	owner, one, two := all[loginsKept-1], all[loginsKept], all[loginsKept+1]
	if one.id != owner.id || two.id != owner.id {
		t.Fatal("they share no cookie")
	}
	t.Run("L32 B1 only this browser's", func(t *testing.T) {
		if _, err := l.Find(two.State, jar{}.request()); !errors.Is(err, ErrLoginElsewhere) {
			t.Error(err)
		}
	})
	t.Run("L32 each has its own long target", func(t *testing.T) {
		mine := jar{}
		mine.add(j)
		a := start(t, l, mine, "/a"+strings.Repeat("x", stateTarget))
		b := start(t, l, mine, "/b"+strings.Repeat("x", stateTarget))
		for _, g := range []*Login{a, b} {
			if f, err := l.Find(g.State, mine.request()); err != nil || f.Target != g.Target || f.id != owner.id {
				t.Errorf("%.2s: %v", g.Target, err)
			}
		}
	})
	t.Run("L32 a sign-in that fails leaves it to the others", func(t *testing.T) {
		for _, g := range []*Login{owner, two} {
			if len(l.Fail(g, j.request())) != 0 {
				t.Error("the cookie is deleted")
			}
		}
		few := jar{l.cookieName(owner.id): j[l.cookieName(owner.id)]}
		if d := l.Fail(owner, few.request()); len(d) != 1 || d[0].Name != l.cookieName(owner.id) || d[0].MaxAge >= 0 {
			t.Errorf("a cookie that no other sign-in shares stays: %v", d)
		}
	})
	t.Run("L32 tabs that began at once have more cookies, within bounds", func(t *testing.T) {
		many := jar{}
		for i := 0; i < 3*loginsSeen; i++ {
			mine := jar{}
			start(t, l, mine, "/")
			many.add(mine)
		}
		for i := 0; i < loginsSeen; i++ {
			start(t, l, many, "/")
		}
		if len(many) != loginsLeft {
			t.Errorf("%d cookies", len(many))
		}
	})
	t.Run("L32 each of its sign-ins ends in time, and it lasts for the newest", func(t *testing.T) {
		c.turn(LoginLifetime - 2*time.Second)
		if _, err := l.Find(one.State, j.request()); !errors.Is(err, ErrLoginExpired) {
			t.Error(err)
		}
		if _, err := l.Find(two.State, j.request()); err != nil {
			t.Error(err)
		}
	})
}

// The first sign-in cookie of one second that the browser sends is the oldest.
func TestSignInCookiesOfOneSecond(t *testing.T) {
	l := newLogins(t, newClock(), "identity")
	l.Cookies.Name = "oidc" // not shared
	var pairs []string
	var first string
	for i := 0; i < loginsKept; i++ {
		mine := jar{}
		g := start(t, l, mine, "/")
		if i == 0 {
			first = g.id
		}
		pairs = append(pairs, l.cookieName(g.id)+"="+mine[l.cookieName(g.id)])
	}
	g, err := l.Start([]string{strings.Join(pairs, "; ")}, "/", 0, AnyAccount)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("L32 the oldest goes", func(t *testing.T) {
		if len(g.gone) != 1 || g.gone[0] != l.cookieName(first) {
			t.Errorf("%v go, want that of %s", g.gone, first)
		}
	})
}
