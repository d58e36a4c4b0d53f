package session

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestASessionIsFoundByItsCookieOnly(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.create(t, "ada"), w.create(t, "bob")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	w.mustBe(t, "bob", "x=1; __Host-oidc="+b+"; y=2")
	w.mustFail(t, ErrNone)
	w.mustFail(t, ErrNone, "x=1")
	if w.lookup(a) == nil || w.lookup(a).Subject != "ada" {
		t.Error("an opened session is not looked up by its cookie value")
	}
	if n := len("__Host-oidc=" + a); n > 110 {
		t.Errorf("the cookie has %d bytes", n)
	}
}

func TestInvalidCookies(t *testing.T) {
	w := newWorld(t, nil)
	good := w.create(t, "ada")
	other := newWorld(t, func(o *Options) { o.Identity = "another middleware" })
	foreign := other.create(t, "ada")
	renamed := newWorld(t, func(o *Options) { o.Cookies.Name = "__Host-oidc-s-AAAAAAAA" })
	swapped := renamed.create(t, "ada")
	flipped := []byte(good)
	flipped[30] ^= 1
	rows := []struct{ name, value string }{
		{"F2 flipped bit", string(flipped)},
		{"F2 truncated", good[:len(good)-1]},
		{"F2 extended", good + "A"},
		{"F2 empty", ""},
		{"F2 not base64", strings.Repeat("!", len(good))},
		{"F2 three bytes", "abc"},
		{"F2 padded", good + "="},
		{"F2 huge", strings.Repeat("A", 1<<16)},
		{"F3 of a sign-in", swapped},
		{"F17 of another middleware", foreign},
		{"B5 of another middleware", foreign},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before := w.store.gets
			w.mustFail(t, ErrForeign, "__Host-oidc="+row.value)
			if w.store.gets != before {
				t.Error("a cookie without a valid MAC reached the store")
			}
		})
	}
	t.Run("F7 the valid one among duplicates", func(t *testing.T) {
		w.mustBe(t, "ada", "__Host-oidc=planted; __Host-oidc="+foreign+"; __Host-oidc="+good)
		w.mustBe(t, "ada", "__Host-oidc=planted", "__Host-oidc="+good)
	})
	t.Run("F24 bounded scan", func(t *testing.T) {
		many := strings.Repeat("__Host-oidc=planted; ", 5000)
		w.mustFail(t, ErrNone, many+"__Host-oidc="+good)
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
		{strings.Repeat("__Host-oidcx;", 4000), strings.Repeat("__Host-oidcx;", 4000)},
		{strings.Repeat("x__Host-oidc;", 4000), strings.Repeat("x__Host-oidc;", 4000)},
		{"a=" + strings.Repeat("__Host-oidc=", 4000), "a=" + strings.Repeat("__Host-oidc=", 4000)},
		{"__Host-oidc" + strings.Repeat("\t", 4000) + "x; a", "__Host-oidc" + strings.Repeat("\t", 4000) + "x; a"},
		{"__Host-oidc" + strings.Repeat("\t", 4000) + "=x; a", "a"},
		{"", ""},
	}
	for _, row := range rows {
		if got, ok := c.Strip(row.in); got != row.want || !ok {
			t.Errorf("F23: Strip(%.100q) = %.100q, %v, want %.100q", row.in, got, ok, row.want)
		}
	}
	for name, header := range map[string]string{
		"L5 L51 many cookies of ours": strings.Repeat("__Host-oidc=v;", 100),
		"L5 many sign-ins":            strings.Repeat("__Host-oidc-s-AAAAAAAA=v; ", 100),
		"L5 many names of ours":       strings.Repeat("__Host-oidc; ", 100),
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := c.Strip("a=1; " + header); ok || got != "" {
				t.Errorf("Strip accepted it: %.100q", got)
			}
		})
	}
}

// Only the places where a cookie may begin are looked at, so a header of any length has few.
func TestStripLooksAtFewPlaces(t *testing.T) {
	const name = "__Host-oidc"
	texts := Cookies{Name: name}.Stripper().texts
	for row, header := range map[string]string{
		"L51 one long value":            name + "=" + strings.Repeat("x", 60_000),
		"L51 a name of a sign-in":       name + "-s-" + strings.Repeat("x", 60_000),
		"L51 semicolons":                strings.Repeat(";", 60_000) + name + "=x",
		"L51 blanks":                    name + strings.Repeat("\t", 60_000) + "x",
		"L51 names in a value":          "a=" + strings.Repeat(name+"=", 5_000) + "; " + name,
		"L51 names that continue":       strings.Repeat(name+"x; ", 4_000) + name,
		"L51 beginnings of a name":      strings.Repeat("; __Host-oid", 4_000) + "; " + name,
		"L51 names that are the end":    strings.Repeat("x"+name+"=; ", 4_000) + name,
		"L51 names in one sign-in name": name + "-s-" + strings.Repeat(name+"-s-", 4_000),
	} {
		t.Run(row, func(t *testing.T) {
			if found, ok := places(marked(header), texts, nil, 1); !ok || len(found) != 1 {
				t.Errorf("places %v, %v, want one", found, ok)
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
