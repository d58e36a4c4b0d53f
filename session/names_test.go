package session

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// anyValue is a text that has the form of a cookie of n bytes.
func anyValue(n int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xfb\xef\x01", n)[:n]))
}

func TestCookiesOfOtherMiddlewares(t *testing.T) {
	n := NewCookieNames()
	for _, name := range []string{"__Host-oidc", "__Host-two", "app", "app+x"} {
		n.Add(name)
	}
	s, l := anyValue(ticketBytes), anyValue(69)
	two, login := "__Host-two="+s, "__Host-two-s-aB_-5678="+l
	for _, row := range []struct{ name, header, left string }{
		{"none of any", "a=1; b=2", "a=1; b=2"},
		{"without others", two, ""},
		{"first", two + "; a=1", "a=1"},
		{"last", "a=1; " + two, "a=1"},
		{"in the middle", "a=1; " + two + "; b=2", "a=1; b=2"},
		{"without spaces", "a=1;" + two + ";b=2", "a=1;b=2"},
		{"one after the other", "a=1; " + two + "; " + login + ";b", "a=1;b"},
		{"twice", two + "; a=1; " + two, "a=1"},
		{"of several", two + "; " + login + "; app=" + s, ""},
		{"of several, and others between", two + "; a=1; app+x=" + s + "; b=2; app=" + s + "; c", "a=1; b=2; c"},
		{"with a space behind it", "a=1; " + two + " ; b=2", "a=1; b=2"},
		{"with spaces before it", "a=1; \t " + two + "; b=2", "a=1; b=2"},
		{"a sign-in's cookie that has more in it", "app-s-12345678=" + l + l + "; a", "a"},
		{"this middleware's own", "__Host-oidc=" + s + "; __Host-oidc-s-12345678=" + l, "__Host-oidc=" + s + "; __Host-oidc-s-12345678=" + l},
		{"L16 F23 a name with a sign of expressions", "app+x=" + s + "; appx=" + s + "; appp=" + s, "appx=" + s + "; appp=" + s},
		{"a value with the name in it", "app=app" + s[3:] + "; a=1; app=" + s[3:] + "app", "a=1"},
		{"L16 F23 the end of a name", "xapp=" + s + "; x__Host-two=" + s, "xapp=" + s + "; x__Host-two=" + s},
		{"L16 F23 the beginning of a name", "app2=" + s + "; app-=" + s + "; app-s=" + s, "app2=" + s + "; app-=" + s + "; app-s=" + s},
		{"L16 F23 another case", "APP=" + s, "APP=" + s},
		{"L16 F23 in a value", "a=app=" + s + "; b=" + two, "a=app=" + s + "; b=" + two},
		{"L16 F23 behind a space", "a=1 " + two, "a=1 " + two},
		{"L16 F23 a value of another length", "app=" + s + "A; app=" + s[1:] + "; app=; app", "app=" + s + "A; app=" + s[1:] + "; app=; app"},
		{"L16 F23 a value of other characters", "app=" + s[1:] + "=; app=" + s[1:] + ".; app=" + s[1:] + "\u00fc", "app=" + s[1:] + "=; app=" + s[1:] + ".; app=" + s[1:] + "\u00fc"},
		{"L16 F23 quoted", `app="` + s + `"`, `app="` + s + `"`},
		{"L16 F23 a sign-in's cookie that is none", "app-s-1234567=" + l + "; app-s-123456789=" + l + "; app-s-12345678=" + l[1:] + "; app-s-1234567.=" + l, "app-s-1234567=" + l + "; app-s-123456789=" + l + "; app-s-12345678=" + l[1:] + "; app-s-1234567.=" + l},
		{"L16 F23 odd pairs stay", `;; ;q="x y"; =v; n;` + two + ";; u=\u00fc;", `;; ;q="x y"; =v; n;; u=` + "\u00fc;"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if left, ok := n.StripOthers(row.header, "__Host-oidc"); left != row.left || !ok {
				t.Errorf("%q\nleft %q, %v\nwant %q", row.header, left, ok, row.left)
			}
		})
	}
	for _, row := range []struct {
		name, header string
		want         bool
	}{
		{"L16 F24 60 of the names", strings.Repeat("app=1; ", 30) + strings.Repeat("__Host-two=1; ", 30), true},
		{"L16 F24 61", strings.Repeat("app=1; ", 30) + strings.Repeat("__Host-two=1; ", 31), false},
		{"L16 F24 a megabyte of the name", strings.Repeat("__Host-two=;", 1<<20/12), false},
		{"L16 F24 a megabyte of the name in one value", strings.Repeat("__Host-two=", 1<<20/11), true},
		{"L16 F24 a megabyte of others", strings.Repeat("a;", 1<<19), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			if left, ok := n.StripOthers(row.header, "__Host-oidc"); ok != row.want || ok && left != row.header {
				t.Errorf("%v, %d bytes of %d", ok, len(left), len(row.header))
			}
		})
	}
}

// Only cookies with one of the names are stripped, not every place with the text of a
// name.
func TestNamesWithinOthers(t *testing.T) {
	s, l := anyValue(ticketBytes), anyValue(69)
	n := NewCookieNames()
	for _, name := range []string{"s", "s-s-b", "own", "own-2"} {
		n.Add(name)
	}
	others := "sessions=" + strings.Repeat("s", 200) + "; x-s=1"
	for _, row := range []struct{ name, header, left string }{
		{"L16 F23 a name of one letter", "s=" + s + "; " + others + "; s-s-12345678=" + l, others},
		{"L16 F23 a name that begins with another and its infix", "a=1; s-s-b=" + s + "; s-s-b-s-12345678=" + l + "; s-s-b2345678=" + l, "a=1"},
		{"L16 F23 a name that begins with this middleware's own", "own=" + s + "; own-2=" + s, "own=" + s},
	} {
		t.Run(row.name, func(t *testing.T) {
			if left, ok := n.StripOthers(row.header, "own"); left != row.left || !ok {
				t.Errorf("%q\nleft %q, %v\nwant %q", row.header, left, ok, row.left)
			}
		})
	}
	t.Run("L16 F24 ten middlewares with five sign-ins each, of names that begin alike", func(t *testing.T) {
		n := NewCookieNames()
		header := ""
		for i := 0; i < 10; i++ {
			name := "oidc" + strings.Repeat("-a", i)
			n.Add(name)
			header += name + "=" + s + "; "
			for j := 0; j < 5; j++ {
				header += fmt.Sprintf("%s-s-0000000%d=%s; ", name, j, l)
			}
		}
		if left, ok := n.StripOthers(header+"a=1", "own"); left != "a=1" || !ok {
			t.Errorf("left %q, %v", left, ok)
		}
	})
}

func TestCookieNamesComeAndGo(t *testing.T) {
	n := NewCookieNames()
	pair := "app=" + anyValue(ticketBytes)
	strips := func(want bool) {
		t.Helper()
		if left, _ := n.StripOthers(pair, "own"); (left == "") != want {
			t.Errorf("left: %q", left)
		}
	}
	strips(false)
	n.Add("app")
	n.Add("app")
	strips(true)
	n.Remove("app")
	strips(true)
	n.Remove("app")
	strips(false)
	if names := n.Known().Load().([]string); len(names) != 0 {
		t.Errorf("names: %v", names)
	}
}

// Our cookies have the form that is stripped.
func TestOurCookiesHaveTheFormThatIsStripped(t *testing.T) {
	keys, err := NewKeyring([][]byte{[]byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	n := NewCookieNames()
	n.Add("__Host-oidc")
	cookies := Cookies{Name: "__Host-oidc", Secure: true}
	for i := 0; i < 100; i++ {
		b, err := random(idBytes + secretBytes)
		if err != nil {
			t.Fatal(err)
		}
		k := ticket{key: keys.keys[0], created: time.Now(), id: b[:idBytes], secret: b[idBytes:]}
		l := &Logins{Keys: keys, Identity: "identity", Cookies: cookies, Now: time.Now}
		g, err := l.Start(nil, "/"+strings.Repeat("x", i*10), 0, AnyAccount)
		if err != nil {
			t.Fatal(err)
		}
		set, err := l.Set(g, with())
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range []string{"__Host-oidc=" + k.value("__Host-oidc", "identity"), set[0].Name + "=" + set[0].Value} {
			if left, _ := n.StripOthers("a=1; "+pair, "other"); left != "a=1" {
				t.Errorf("%s stays: %q", pair, left)
			}
		}
	}
}

func FuzzStripOthers(f *testing.F) {
	s := anyValue(ticketBytes)
	for _, h := range []string{"a=1; app=" + s + "; b", "app=" + s, ";app=" + s + ";", "app=app=" + s, "xapp=" + s + ";;app-s-12345678=" + s} {
		f.Add(h)
	}
	n := NewCookieNames()
	n.Add("app")
	f.Fuzz(func(t *testing.T, header string) {
		left, ok := n.StripOthers(header, "own")
		if !ok {
			return
		}
		if again, _ := n.StripOthers(left, "own"); again != left {
			t.Errorf("%q: left %q, and then %q", header, left, again)
		}
		kept := map[string]int{}
		for _, p := range strings.Split(left, ";") {
			kept[strings.Trim(p, " \t")]++
		}
		for _, p := range strings.Split(header, ";") {
			p = strings.Trim(p, " \t")
			ours := strings.HasPrefix(p, "app") && sealedForm(p[3:])
			if !ours && p != "" && kept[p] == 0 {
				t.Errorf("%q: %q is lost: left %q", header, p, left)
			}
			if ours && kept[p] > 0 {
				t.Errorf("%q: %q stays: left %q", header, p, left)
			}
			if !ours {
				kept[p]--
			}
		}
	})
}

func ExampleCookieNames() {
	n := NewCookieNames()
	n.Add("__Host-intranet")
	left, ok := n.StripOthers("theme=dark; __Host-intranet="+strings.Repeat("A", 98), "__Host-oidc")
	fmt.Println(left, ok)
	// Output: theme=dark true
}
