package policy

import (
	"net/url"
	"strings"
	"testing"
)

func TestReturnTarget(t *testing.T) {
	tests := []struct{ name, raw, want string }{ // empty want: the URI is refused
		{"path", "/a/b", "/a/b"},
		{"root", "/", "/"},
		{"query", "/a?b=c&d=/e//f", "/a?b=c&d=/e//f"},
		{"empty query", "/a?", "/a?"},
		{"URL in the query", "/a?u=https://b.c/%2F", "/a?u=https://b.c/%2F"},
		{"escapes stay", "/a%20b%2Fc", "/a%20b%2Fc"},
		{"letters are escaped", "/\u00fc?\u00fc", "/%C3%BC?%C3%BC"},
		{"backslash in the query is escaped", `/a?b=\\c`, "/a?b=%5C%5Cc"},
		{"quotes in the query are escaped", `/a?"><script>`, "/a?%22%3E%3Cscript%3E"},
		{"colon", "/a:b@c", "/a:b@c"},
		{"slashes later", "/a//b", "/a//b"},

		{"A1 two slashes", "//evil.com/x", "/evil.com/x"},
		{"A1 three slashes", "///evil.com", "/evil.com"},
		{"A1 only slashes", "////", "/"},
		{"A1 encoded slash", "/%2Fevil.com", ""},
		{"A1 encoded slash after slashes", "//%2fevil.com", ""},
		{"A2 backslash", `/\evil.com`, ""},
		{"A2 backslash first", `\/evil.com`, ""},
		{"A2 two backslashes", `\\evil.com`, ""},
		{"A2 encoded backslash", "/%5Cevil.com", ""},
		{"A2 encoded backslash, lower case", "/%5cevil.com", ""},
		{"A2 backslash later", `/a\b`, ""},
		{"A3 tab", "/\t/evil.com", ""},
		{"A3 line break", "/a\r\nSet-Cookie: a=b", ""},
		{"A3 encoded tab", "/%09/evil.com", ""},
		{"A3 encoded line break", "/a%0d%0ab", ""},
		{"A3 vertical tab", "/\v/evil.com", ""},
		{"A3 space", "/ /evil.com", ""},
		{"A3 encoded space", "/%20/evil.com", ""},
		{"A3 NUL", "/a%00", ""},
		{"A3 space in the query", "/a?b c", ""},
		{"A3 line break in the query", "/a?b\nc", ""},
		{"A4 dot and backslash", `/./\evil.com`, ""},
		{"A4 dots and backslash", `/.././\evil.com`, ""},
		{"A4 dot and slashes", "/.//evil.com", ""},
		{"A4 dots", "/a/..//evil.com", ""},
		{"A4 encoded dots", "/%2e%2e//evil.com", ""},
		{"A4 dots and encoded backslash", "/a/..%5c%5cevil.com", ""},
		{"A5 scheme", "https://evil.com", ""},
		{"A5 userinfo", "https://good@evil.com", ""},
		{"A7 javascript", "javascript:alert(1)", ""},
		{"A7 data", "data:text/html,x", ""},
		{"A8 absolute form", "http://evil.com/", ""},
		{"A8 asterisk", "*", ""},
		{"A8 authority form", "evil.com:443", ""},
		{"A8 empty", "", ""},
		{"A15 longest", "/" + strings.Repeat("a", 999), "/" + strings.Repeat("a", 999)},
		{"A15 too long", "/" + strings.Repeat("a", 1000), ""},
		{"A15 too long once escaped", "/" + strings.Repeat("\u00fc", 400), ""},
		{"A15 too long after slashes", strings.Repeat("/", 8000), ""},
		{"fragment", "/a#b", ""},
		{"broken escape", "/%zz", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ReturnTarget(tt.raw, MaxTarget)
			if ok != (tt.want != "") || ok && got != tt.want {
				t.Errorf("%q: %q, %v, want %q", tt.raw, got, ok, tt.want)
			}
		})
	}
}

func TestTargetsOfSignIns(t *testing.T) {
	// link is a link of Grafana, with escaped characters and with some that clients may
	// send unescaped.
	link := func(n int) string {
		const pane = `/explore?schemaVersion=1&panes=%7B%22a1b%22:{"datasource":"P8E80F9AEF21F6940","queries":[{"expr":"{job=%5C%22x%5C%22}|="}]}&q=\u00fc&x=`
		return pane + strings.Repeat("{", 200) + strings.Repeat("a", n-len(pane)-200)
	}
	for _, tt := range []struct {
		name, raw string
		ok        bool
	}{
		{"the longest in a state", link(1000), true},
		{"one byte more", link(1001), true},
		{"1.5 KB", link(1500), true},
		{"A15 longest", link(2000), true},
		{"A15 too long", link(2001), false},
		{"A15 longest of plain bytes", "/" + strings.Repeat("a", 1999), true},
		{"A15 too long, of plain bytes", "/" + strings.Repeat("a", 2000), false},
		{"A15 a path that is too long once escaped", "/" + strings.Repeat("\u00fc", 900), false},
		{"A15 too long after slashes", strings.Repeat("/", 8000), false},
		{"A1 slashes", "/" + link(1500), true},
		{"A2 backslash", `/\evil.com/` + link(1500), false},
		{"A3 line break in the query", link(1500) + "\r\n", false},
		{"A4 dot segments", "/a/.." + link(1500), false},
		{"A5 scheme", "https://evil.com" + link(1500), false},
		{"fragment", link(1500) + "#a", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, ok := ReturnTarget(tt.raw, MaxSignInTarget)
			if ok != tt.ok {
				t.Fatalf("%q: %v", tt.raw, ok)
			}
			if !ok {
				return
			}
			checkTarget(t, tt.raw, target)
			compact := Compact(target)
			if again, ok := ReturnTarget(compact, MaxSignInTarget); !ok || again != target || len(compact) > MaxSignInTarget {
				t.Errorf("%q is kept as %q, which becomes %q, %v", target, compact, again, ok)
			}
		})
	}
}

func TestPlainTargetsAreNotChanged(t *testing.T) {
	for _, raw := range []string{"/", "/a", "/a/b.c/", "/app.js?v=1.2", "/d/x1/board?orgId=1&from=now-6h&to=now&var-host=%2F[a]", "/a:b@c/d~e_f-g", "/a...b"} {
		if !PlainTarget.MatchString(raw) {
			t.Errorf("%q is not plain, which makes each request slower", raw)
		}
	}
	for _, raw := range []string{"", "a", "//evil.com", "/a//b", `/\evil.com`, `/a\b`, "/.", "/..", "/a/../b", "/a/./b", "/.a", "/a b", "/a?b c", "/a\tb", "/a\nb", "/a\n",
		"/a%2f", "/a#b", "/a?b#c", "/\u00fc", "/a?\u00fc", `/a?"`, `/a?\`, "/a?<", "/a?{", "/a?^", "/a?|", "/a?`", "/a\x00", "/a?\x7f", "http://a/b", "*", "/a;b"} {
		if PlainTarget.MatchString(raw) {
			t.Errorf("L14 %q is plain", raw)
		}
	}
}

// Attack A3: separators that browsers drop or change are between and around slashes.
func TestReturnTargetsOfManySpellings(t *testing.T) {
	marks := []string{"", "\t", "\n", "\r", "\v", "\f", " ", "\x00", "\x1f", "\x7f", ".", "..", `\`, "/", "%09", "%0a", "%0d", "%20",
		"%2f", "%5c", "%2e", "%00", "\u00a0", "\u2028", "\uff0f", ";", "@", ":"}
	n := 0
	for _, a := range marks {
		for _, b := range marks {
			for _, form := range []string{"/" + a + "/" + b + "/evil.com", "/" + a + `\` + b + "evil.com", a + "/" + b + "/evil.com"} {
				n++
				target, ok := ReturnTarget(form, MaxTarget)
				if ok {
					checkTarget(t, form, target)
				}
				if PlainTarget.MatchString(form) && (!ok || target != form) {
					t.Errorf("%q is plain, and became %q, %v", form, target, ok)
				}
			}
		}
	}
	t.Logf("A3 %d spellings", n)
}

func FuzzReturnTarget(f *testing.F) {
	for _, s := range []string{"/a?b=c", "//evil.com", `/\evil.com`, "/%5Cevil.com", "/%09/evil.com", "/./\\evil.com", "/\u00fc", "/.//evil.com",
		"/a/..%2f%2fevil.com", "https://evil.com", "/a?b=\\", "/a.b/c?d=%2F[e]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		target, ok := ReturnTarget(raw, MaxTarget)
		if len(raw) <= MaxTarget && PlainTarget.MatchString(raw) && (!ok || target != raw) {
			t.Errorf("%q is plain, and became %q, %v", raw, target, ok)
		}
		if ok {
			checkTarget(t, raw, target)
			if again, ok := ReturnTarget(target, MaxTarget); !ok || again != target {
				t.Errorf("%q became %q, which became %q", raw, target, again)
			}
		}
		long, okLong := ReturnTarget(raw, MaxSignInTarget)
		if ok && (!okLong || long != target) {
			t.Errorf("%q: %q, as the target of a sign-in %q, %v", raw, target, long, okLong)
		}
		if okLong {
			checkTarget(t, raw, long)
			compact := Compact(long)
			if again, ok := ReturnTarget(compact, MaxSignInTarget); !ok || again != long || len(compact) > len(long) {
				t.Errorf("%q became %q, kept as %q, which became %q", raw, long, compact, again)
			}
		}
	})
}

// checkTarget fails if net/url or a browser resolves a target to another site. Browsers
// read a backslash as a slash and drop tabs and line breaks (WHATWG URL, section 4.4).
func checkTarget(t *testing.T, raw, target string) {
	t.Helper()
	if len(target) > 3*MaxSignInTarget || !isASCII(target) || strings.ContainsAny(target, unprintable) {
		t.Errorf("%q became %q, which a header must not have", raw, target)
	}
	base := &url.URL{Scheme: "https", Host: "ours.example", Path: "/callback"}
	decoded, err := url.PathUnescape(target)
	if err != nil {
		decoded = target
	}
	for _, seen := range []string{target, browserReads(target), browserReads(decoded)} {
		path, _, _ := strings.Cut(seen, "?")
		u, err := base.Parse(path)
		if err != nil {
			continue // a decoded target need not be a URL
		}
		if u.Host != "ours.example" || u.Scheme != "https" || u.User != nil {
			t.Errorf("%q became %q, which leads to %s", raw, target, u)
		}
		if strings.HasPrefix(u.Path, "//") {
			t.Errorf("%q became %q, and a browser reads its path %q as a host", raw, target, u.Path)
		}
	}
}

func browserReads(s string) string {
	return strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.Trim(s, " \x00\x1f"))
}

func TestLeadsTo(t *testing.T) {
	own := []string{"/oauth2/callback", "/logout"}
	for target, want := range map[string]bool{
		"/logout": true, "/logout?x=1": true, "/%6Cogout": true, "/logout/": true, "/oauth2/callback?code=a": true,
		"/": false, "/logouts": false, "/a?b=/logout": false, "/Logout": false,
	} {
		if LeadsTo(target, own) != want {
			t.Errorf("A17 %s: not %v", target, want)
		}
	}
}
