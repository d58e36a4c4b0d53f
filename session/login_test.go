package session

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func newLogins(t *testing.T, c *clock, identity string) *Logins {
	return &Logins{Keys: keyring(t, keyA), Identity: identity, Cookies: Cookies{Name: "__Host-oidc", Secure: true}, Now: c.now}
}

// A jar is a browser's cookies.
type jar map[string]string

func (j jar) take(cookies []*http.Cookie) {
	for _, c := range cookies {
		if c.MaxAge < 0 {
			delete(j, c.Name)
			continue
		}
		j[c.Name] = c.Value
	}
}

func (j jar) add(other jar) {
	for n, v := range other {
		j[n] = v
	}
}

func (j jar) request() *http.Request {
	var pairs []string
	for n, v := range j {
		pairs = append(pairs, n+"="+v)
	}
	return with(strings.Join(pairs, "; "))
}

func start(t *testing.T, l *Logins, j jar, target string) *Login {
	t.Helper()
	g, err := l.Start(j.request().Header["Cookie"], target, 0, AnyAccount)
	if err != nil {
		t.Fatal(err)
	}
	cookies, err := l.Set(g, j.request())
	if err != nil {
		t.Fatal(err)
	}
	j.take(cookies)
	return g
}

func TestALoginIsFoundInItsOwnBrowser(t *testing.T) {
	c := newClock()
	l := newLogins(t, c, "identity")
	mine, theirs := jar{}, jar{}
	g := start(t, l, mine, "/deep?link=1")
	start(t, l, theirs, "/")

	found, err := l.Find(g.State, mine.request())
	if err != nil || found.Nonce != g.Nonce || found.Verifier != g.Verifier || found.Target != "/deep?link=1" {
		t.Fatalf("got %+v, %v", found, err)
	}
	if len(g.Verifier) < 43 || g.Verifier == g.Nonce {
		t.Errorf("verifier %q, nonce %q", g.Verifier, g.Nonce)
	}
	rows := []struct {
		name  string
		state string
		jar   jar
		want  error
	}{
		{"B1 another browser", g.State, theirs, ErrLoginElsewhere},
		{"B1 no cookies", g.State, jar{}, ErrLoginElsewhere},
		{"B2 empty", "", mine, ErrState},
		{"B2 truncated", g.State[:len(g.State)-2], mine, ErrState},
		{"B2 appended", g.State + "AA", mine, ErrState},
		{"B2 made up", strings.Repeat("A", 120), mine, ErrState},
		{"B2 huge", strings.Repeat("A", 1<<20), mine, ErrState},
		{"F3 a cookie's value as state", mine["__Host-oidc-s-"+g.id], mine, ErrState},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if f, err := l.Find(row.state, row.jar.request()); !errors.Is(err, row.want) || (f != nil && f.seed != nil) {
				t.Errorf("got %+v, %v, want %v", f, err, row.want)
			}
		})
	}
	t.Run("B5 another middleware", func(t *testing.T) {
		if _, err := newLogins(t, c, "other").Find(g.State, mine.request()); !errors.Is(err, ErrState) {
			t.Error(err)
		}
	})
	t.Run("B1 the cookie of one sign-in with the state of another", func(t *testing.T) {
		h := start(t, l, jar{}, "/")
		forged := jar{"__Host-oidc-s-" + h.id: mine["__Host-oidc-s-"+g.id]}
		if _, err := l.Find(h.State, forged.request()); !errors.Is(err, ErrLoginElsewhere) {
			t.Error(err)
		}
	})
	t.Run("B4 expired", func(t *testing.T) {
		c.turn(LoginLifetime)
		if f, err := l.Find(g.State, mine.request()); !errors.Is(err, ErrLoginExpired) || f.Target != "/deep?link=1" {
			t.Error(f, err)
		}
	})
}

func FuzzState(f *testing.F) {
	c := newClock()
	k, _ := NewKeyring([][]byte{[]byte(keyA)})
	l := &Logins{Keys: k, Identity: "i", Cookies: Cookies{Name: "oidc"}, Now: c.now}
	f.Add(uint16(3), byte(1), "")
	f.Add(uint16(60), byte(32), "A")
	f.Add(uint16(0), byte(0), "=")
	f.Fuzz(func(t *testing.T, at uint16, flip byte, tail string) {
		g, err := l.Start(nil, "/x", 0, AnyAccount)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte(g.State)
		b[int(at)%len(b)] ^= flip
		altered := string(b) + tail
		found, err := l.Find(altered, with())
		if altered == g.State {
			if !errors.Is(err, ErrLoginElsewhere) {
				t.Errorf("a state of ours without its cookie: %v", err)
			}
			return
		}
		if !errors.Is(err, ErrState) || found != nil {
			t.Errorf("%q is taken for %q", altered, g.State)
		}
	})
}
