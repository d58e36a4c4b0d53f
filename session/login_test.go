package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
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
	g, err := l.StartWith(j.request().Header["Cookie"], target, 0, AnyAccount)
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
	g, err := l.StartWith([]string{strings.Join(pairs, "; ")}, "/", 0, AnyAccount)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("L32 the oldest goes", func(t *testing.T) {
		if len(g.gone) != 1 || g.gone[0] != l.cookieName(first) {
			t.Errorf("%v go, want that of %s", g.gone, first)
		}
	})
}

func TestCookieAttributes(t *testing.T) {
	for _, c := range []*http.Cookie{
		Cookies{Name: "__Host-oidc", Secure: true}.Set("__Host-oidc", "v", time.Hour),
		Cookies{Name: "__Host-oidc", Secure: true}.Delete("__Host-oidc"),
	} {
		text := c.String()
		for _, want := range []string{"Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age="} {
			if !strings.Contains(text, want) {
				t.Errorf("F19: %q lacks %s", text, want)
			}
		}
		if strings.Contains(text, "Domain") {
			t.Errorf("F8: %q has a domain", text)
		}
	}
}

func TestStrip(t *testing.T) {
	c := Cookies{Name: "__Host-oidc"}.Stripper()
	many := strings.Repeat("a;", 5000)
	rows := []struct{ in, want string }{
		{"__Host-oidc=v", ""},
		{"a=1; __Host-oidc=v; b=2", "a=1; b=2"},
		{"__Host-oidc=v; b=2", "b=2"},
		{"a=1; __Host-oidc=v", "a=1"},
		{"a=1;__Host-oidc=v;b=2", "a=1;b=2"},
		{"__Host-oidc-s-AAAAAAAA=v; __Host-oidc=v", ""},
		{"__Host-oidcx=v; __Host-oidc-sx=1", "__Host-oidcx=v; __Host-oidc-sx=1"},
		{"x__Host-oidc=v", "x__Host-oidc=v"},
		{`q="__Host-oidc"; a=b=c; ;  d`, `q="__Host-oidc"; a=b=c; ;  d`},
		{"a=__Host-oidc=v", "a=__Host-oidc=v"},
		{"a=1; \t__Host-oidc =v ; __Host-oidc; b=2", "a=1; b=2"},
		{"__Host-oidc", ""},
		{"a=1;__Host-oidc-s-;;", "a=1;;"},
		{"a=1; __Host-oidc=v;", "a=1;"},
		{many + " __Host-oidc=v; __Host-oidc-s-AAAAAAAA=v; b=2", many + " b=2"},
		{strings.Repeat("__Host-oidcx;", 400), strings.Repeat("__Host-oidcx;", 400)},
		{"", ""},
	}
	for _, row := range rows {
		if got, ok := c.Strip(row.in); got != row.want || !ok {
			t.Errorf("F23: Strip(%.100q) = %.100q, %v, want %.100q", row.in, got, ok, row.want)
		}
	}
	for name, header := range map[string]string{
		"L5 many cookies of ours":           strings.Repeat("__Host-oidc=v;", 100),
		"L5 many sign-ins":                  strings.Repeat("__Host-oidc-s-AAAAAAAA=v; ", 100),
		"L5 many names like ours, in names": strings.Repeat("__Host-oidcx;", 1000),
		"L5 many names like ours, at ends":  strings.Repeat("x__Host-oidc;", 100),
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := c.Strip("a=1; " + header); ok || got != "" {
				t.Errorf("Strip accepted it: %.100q", got)
			}
		})
	}
}

func TestValues(t *testing.T) {
	many := strings.Repeat("a;", 5000)
	for _, row := range []struct {
		in   []string
		want string
	}{
		{[]string{"n=1"}, "1"},
		{[]string{"a=1; n=2; b=3"}, "2"},
		{[]string{"a=1;n=2 ;b=3"}, "2"},
		{[]string{"n=1; n=2", "x", "n=3;n=4"}, "1,2,3,4"},
		{[]string{"n1=1; xn=2; x; N=3; m=n=4; n"}, ""},
		{[]string{many + " n=1;" + many + "n=2"}, "1,2"},
		{[]string{strings.Repeat("n=1; ", 100)}, "1,1,1,1,1,1,1,1"},
		{nil, ""},
	} {
		if got := strings.Join(values(row.in, "n"), ","); got != row.want {
			t.Errorf("values(%.100q) = %s, want %s", row.in, got, row.want)
		}
	}
}

func TestReplayGuard(t *testing.T) {
	c := newClock()
	memory := cache.NewMemory(cache.MemoryOptions{Now: c.now})
	g := &ReplayGuard{Backend: memory, Keys: keyring(t, keyA), Identity: "identity"}
	other := &ReplayGuard{Backend: memory, Keys: keyring(t, keyA), Identity: "other"}
	rotated := &ReplayGuard{Backend: memory, Keys: keyring(t, keyB, keyA), Identity: "identity"}
	ctx := context.Background()
	for _, row := range []struct {
		guard       *ReplayGuard
		kind, value string
		want        error
	}{
		{g, "state", "v", nil},
		{g, "state", "v", ErrReplayed},
		{g, "code", "v", nil},
		{other, "state", "v", nil},
		{rotated, "code", "v", ErrReplayed},
		{g, "state", "a\r\nFLUSHALL{}:", nil},
	} {
		if err := row.guard.Use(ctx, row.kind, row.value, time.Minute); !errors.Is(err, row.want) {
			t.Errorf("%s %q: %v, want %v", row.kind, row.value, err, row.want)
		}
	}
	t.Run("J3 a store that only journals", func(t *testing.T) {
		lax := &ReplayGuard{Backend: &journalling{memory}, Keys: keyring(t, keyA), Identity: "outage"}
		if err := lax.Use(ctx, "state", "v", time.Minute); err != nil {
			t.Errorf("allow: %v", err)
		}
		strict := &ReplayGuard{Backend: &journalling{memory}, Keys: keyring(t, keyA), Identity: "outage", Strict: true}
		if err := strict.Use(ctx, "state", "w", time.Minute); !errors.Is(err, ErrUnavailable) {
			t.Errorf("deny: %v", err)
		}
		if err := strict.Use(ctx, "state", "v", time.Minute); !errors.Is(err, ErrReplayed) {
			t.Errorf("deny, used before: %v", err)
		}
	})
	c.turn(2 * time.Minute)
	if err := g.Use(ctx, "state", "v", time.Minute); err != nil {
		t.Errorf("after its lifetime: %v", err)
	}
}

// journalling is a store in an outage: it takes records and does not share them yet.
type journalling struct {
	*cache.Memory
}

func (j *journalling) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := j.Memory.Add(ctx, key, value, ttl); err != nil {
		return err
	}
	return cache.ErrJournalled
}

func FuzzSessionCookie(f *testing.F) {
	k, _ := NewKeyring([][]byte{[]byte(keyA)})
	m := k.keys[0]
	valid := ticket{key: m, id: make([]byte, idBytes), secret: make([]byte, secretBytes)}.value("n", "i")
	f.Add(valid)
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := k.ticket(text, "n", "i")
		if err == nil && got.value("n", "i") != text {
			t.Errorf("%q is accepted and is not the text that would be given", text)
		}
	})
}

// own reports whether name is a cookie of this relying party.
func (c Cookies) own(name string) bool {
	if !strings.HasPrefix(name, c.Name) {
		return false
	}
	return len(name) == len(c.Name) || strings.HasPrefix(name[len(c.Name):], loginInfix)
}

func FuzzStrip(f *testing.F) {
	f.Add("a=1; __Host-oidc=v; b=2")
	f.Add(";;=; __Host-oidc")
	f.Add("x__Host-oidc;__Host-oidc ; \t__Host-oidc-s-=; __Host-oidc")
	names := Cookies{Name: "__Host-oidc"}
	f.Fuzz(func(t *testing.T, header string) {
		c := names.Stripper()
		got, ok := c.Strip(header)
		if !ok {
			if strings.Count(header, names.Name) <= ownStripped {
				t.Errorf("Strip(%q) gave up", header)
			}
			return
		}
		if again, _ := c.Strip(got); again != got {
			t.Errorf("Strip is not stable on %q", header)
		}
		for _, p := range strings.Split(got, ";") {
			name, _, _ := strings.Cut(strings.Trim(p, " \t"), "=")
			if names.own(strings.TrimRight(name, " \t")) {
				t.Errorf("Strip(%q) = %q still has our cookie", header, got)
			}
		}
		for _, p := range strings.Split(header, ";") {
			name, _, _ := strings.Cut(strings.Trim(p, " \t"), "=")
			if !names.own(strings.TrimRight(name, " \t")) && !strings.Contains(got, strings.Trim(p, " \t")) {
				t.Errorf("Strip(%q) = %q lost %q", header, got, p)
			}
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
		g, err := l.Start("/x", 0)
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
