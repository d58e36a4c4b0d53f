package policy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// request makes the request that Traefik's server makes of a request line.
func request(t testing.TB, method, uri string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		t.Skip("no server accepts this")
	}
	return &http.Request{Method: method, URL: u, RequestURI: uri, Header: http.Header{}}
}

func newBypass(t testing.TB, prefixes ...string) *Bypass {
	t.Helper()
	b, err := NewBypass(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBypass(t *testing.T) {
	b := newBypass(t, "/public", "/below/", "/.well-known/acme-challenge", "/a.b/c+d", "/\u00fcber")
	tests := []struct {
		name, uri string
		want      bool
	}{
		{"prefix itself", "/public", true},
		{"below", "/public/a/b.css", true},
		{"slash at the end", "/public/", true},
		{"query", "/public/a?b=//../x%2e", true},
		{"space", "/public/a%20b", true},
		{"letters", "/public/%C3%BC", true},
		{"letters and their marks", "/public/u%CC%88", true},
		{"letters of Hindi", "/public/%E0%A4%B9%E0%A4%BF%E0%A4%A8%E0%A5%8D%E0%A4%A6%E0%A5%80", true},
		{"L15 a compatibility form with dots", "/public/%EF%B8%B0/admin", false},
		{"L15 a fraction", "/public/%C2%BD", false},
		{"L15 a symbol with a slash", "/public/%E2%84%80", false},
		{"L15 a question mark of another width", "/public/%EF%BC%9F", false},
		{"L15 invisible characters", "/public/.%E2%80%8B./admin", false},
		{"L15 a variation selector", "/public/a%EF%B8%8F", false},
		{"L15 a filler", "/public/%E3%85%A4/admin", false},
		{"L15 a combining character without a letter", "/public/.%CC%81./admin", false},
		{"L15 a letter that becomes a combining character", "/public/.%EF%BE%9E./admin", false},
		{"L15 a letter that becomes a space", "/public/%EF%B9%B0", false},
		{"letters in the prefix", "/%c3%bcber/x", true},
		{"letters as they are", "/\u00fcber/x", true},
		{"dot at the beginning of a name", "/.well-known/acme-challenge/token", true},
		{"only what is below", "/below", false},
		{"below a prefix with a slash", "/below/x", true},
		{"characters of expressions", "/a.b/c+d/x", true},
		{"characters of expressions are no expression", "/aXb/c+d", false},
		{"absolute form", "http://other.example/public/x", true},
		{"A8 absolute form to another path", "http://other.example/admin", false},
		{"A8 asterisk", "*", false},

		{"H1 no boundary", "/public-admin", false},
		{"H1 no boundary, dot", "/public.html", false},
		{"H2 dot segments", "/public/../admin", false},
		{"H2 one dot", "/public/./x", false},
		{"H2 encoded dots", "/public/%2e%2e/admin", false},
		{"H2 dots half encoded", "/public/.%2e/admin", false},
		{"H2 capitals", "/public/%2E%2E/admin", false},
		{"H2 dots and parameters", "/public/..;/admin", false},
		{"H2 dots and a space", "/public/..%20/admin", false},
		{"H2 many dots", "/public/.../admin", false},
		{"H2 dots at the end", "/public/..", false},
		{"H2 fullwidth dots", "/public/%EF%BC%8E%EF%BC%8E/admin", false},
		{"H3 encoded slash", "/public%2f..%2fadmin", false},
		{"H3 encoded slash below", "/public/x%2F..%2F..%2Fadmin", false},
		{"H3 encoded twice", "/public/%252e%252e/admin", false},
		{"H3 encoded slash in the prefix", "/public%2fx", false},
		{"H3 encoded slash beside a space", "/public%2f..%2fa b", false},
		{"H3 encoded slash in a path that is escaped badly", "/public/x%2fa\u00fc b", false},
		{"H3 backslash", `/public/..\admin`, false},
		{"H3 encoded backslash", "/public/..%5cadmin", false},
		{"H3 encoded dot in a name", "/public/a%2ejs", false},
		{"H3 bad UTF-8", "/public/%c0%ae%c0%ae/admin", false},
		{"H4 query names the prefix", "/admin?x=/public", false},
		{"H4 query parameter path", "/api/private?path=/public", false},
		{"H5 fragment", "/admin#/public", false},
		{"H5 fragment after the prefix", "/public/#/../admin", false},
		{"H5 encoded fragment", "/public/%23/x", false},
		{"H5 encoded question mark", "/public/%3f/x", false},
		{"H5 encoded fragment before", "/admin%23/public", false},
		{"H6 parameters", "/public;/../admin", false},
		{"H6 parameters below", "/public/x;y=1", false},
		{"H6 encoded semicolon", "/public/x%3by", false},
		{"H6 parameters of another path", "/admin;.css", false},
		{"H7 two slashes", "/public//admin", false},
		{"H7 two slashes at the beginning", "//public", false},
		{"H7 other case", "/PUBLIC", false},
		{"H7 NUL", "/public/%00", false},
		{"H7 line break", "/public/%0a", false},
		{"H7 space after the prefix", "/public%20", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := b.Matches(request(t, http.MethodGet, tt.uri)); got != tt.want {
				t.Errorf("%s: %v", tt.uri, got)
			}
		})
	}
}

func TestBypassUsesThePathThatTraefikSends(t *testing.T) {
	b := newBypass(t, "/public")
	r := request(t, http.MethodGet, "/admin")
	r.URL.Path = "/public"
	if b.Matches(r) {
		t.Error("A11 Traefik sends another path than the one that matched")
	}
	r = request(t, http.MethodGet, "/public/a%2Fb")
	r.URL.RawPath = ""
	if b.Matches(r) {
		t.Error("H3 an encoded slash in RequestURI matched")
	}
	r = request(t, http.MethodGet, "/public/x")
	r.RequestURI = "/public/x\x7f"
	if b.Matches(r) {
		t.Error("a malformed RequestURI matched")
	}
	r.RequestURI = ""
	if !b.Matches(r) {
		t.Error("a request without RequestURI did not match")
	}
}

func TestLongTargets(t *testing.T) {
	b := newBypass(t, "/public")
	rules := []AccessRule{{Paths: []string{"/admin"}}, {Paths: []string{"/public"}, Unauthenticated: Pass}}
	a, problems := NewAccess(AccessOptions{Lists: lists(t, Rules{}), Rules: rules})
	if problems != nil {
		t.Fatal(problems)
	}
	for _, row := range []struct {
		name, uri string
		sure      bool
	}{
		{"L50 the longest path", "/public/" + strings.Repeat("a", MaxPath-8), true},
		{"L50 the longest path, each byte escaped", "/public/" + strings.Repeat("%41", MaxPath-8), true},
		{"L50 a long query", "/public/x?" + strings.Repeat("%41", 100_000), true},
		{"L50 a longer path", "/public/" + strings.Repeat("a", MaxPath-7), false},
		{"L50 a path of a megabyte", "/public/" + strings.Repeat("a", 1_000_000), false},
		{"L50 the absolute form, with a megabyte before the path", "http://" + strings.Repeat("%41", 330_000) + "@a.test/public/x", false},
		{"L50 the absolute form, with a megabyte before the path and a query", "http://" + strings.Repeat("a", 990_000) + "@a.test/public/x?y", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := request(t, http.MethodGet, row.uri)
			if b.Matches(r) != row.sure {
				t.Errorf("public: %v, want %v", !row.sure, row.sure)
			}
			c := a.Choose(r)
			if row.sure && (c.Place != 3 || len(c.Also) != 0) {
				t.Errorf("the rules of place %d and %v decide, want 3", c.Place, c.Also)
			}
			if !row.sure && (c.Place != PlaceLists || len(c.Also) != 1 || c.Also[0] != 2 || c.Unauthenticated == Pass) {
				t.Errorf("the rules of place %d and %v decide, and without a session %q, want the lists and 2", c.Place, c.Also, c.Unauthenticated)
			}
		})
	}
}

func TestBypassNeverDependsOnHeaders(t *testing.T) {
	b := newBypass(t, "/public")
	for row, h := range map[string][2]string{
		"A11 X-Forwarded-Uri":    {"X-Forwarded-Uri", "/public"},
		"A11 X-Original-Url":     {"X-Original-Url", "/public"},
		"A11 X-Rewrite-Url":      {"X-Rewrite-Url", "/public"},
		"A11 X-Forwarded-Prefix": {"X-Forwarded-Prefix", "/public"},
		"H10 User-Agent":         {"User-Agent", "GoogleHC/1.0"},
		"H11 Accept":             {"Accept", "text/event-stream"},
		"H12 X-Real-Ip":          {"X-Real-Ip", "127.0.0.1"},
		"H9 method override":     {"X-Http-Method-Override", "OPTIONS"},
	} {
		r := request(t, http.MethodGet, "/admin")
		r.Header.Set(h[0], h[1])
		if b.Matches(r) {
			t.Errorf("%s: matched", row)
		}
	}
}

func TestBypassNeverDependsOnTheMethod(t *testing.T) {
	b := newBypass(t, "/public")
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "options"} {
		t.Run("H9 "+method, func(t *testing.T) {
			r := request(t, http.MethodGet, "/admin")
			r.Method = method
			r.Header.Set("Origin", "https://other.example")
			r.Header.Set("Access-Control-Request-Method", "GET")
			if b.Matches(r) {
				t.Error("a protected path matched")
			}
			if r.URL.Path, r.RequestURI = "/public", "/public"; !b.Matches(r) {
				t.Error("a public path did not")
			}
		})
	}
}

func TestBypassOfNothing(t *testing.T) {
	var none *Bypass
	if none.Matches(request(t, http.MethodGet, "/")) || newBypass(t).Matches(request(t, http.MethodGet, "/")) {
		t.Error("matched")
	}
}

func TestBypassPrefixesThatAreRefused(t *testing.T) {
	bad := []string{"public", "", "/", "//", "/a/../b", "/a/*", "/a?b", "/a#b", "/a;b", `/a\b`, "/a%2fb", "/a//b",
		"/a/./b", "/a\u2013b", "/\u00bd", "/a\nb", "/\xff", "https://a.b/c", "/" + strings.Repeat("a", 5000)}
	for _, p := range bad {
		if _, err := NewBypass([]string{p}); err == nil {
			t.Errorf("%q accepted", p)
		}
	}
	_, err := NewBypass([]string{"/fine", "bad1", "/bad2?x"})
	if err == nil || !strings.Contains(err.Error(), `"bad1"`) || !strings.Contains(err.Error(), `"/bad2?x"`) || strings.Contains(err.Error(), "fine") {
		t.Errorf("the error %v does not name exactly the refused prefixes", err)
	}
}

func TestPreflight(t *testing.T) {
	tests := []struct {
		name, method, origin, asks string
		want                       bool
	}{
		{"H9 preflight", "OPTIONS", "https://a.b", "PUT", true},
		{"H9 no origin", "OPTIONS", "", "PUT", false},
		{"H9 no method asked for", "OPTIONS", "https://a.b", "", false},
		{"H9 another method", "GET", "https://a.b", "PUT", false},
		{"H9 lower case", "options", "https://a.b", "PUT", false},
	}
	for _, tt := range tests {
		r := request(t, tt.method, "/")
		r.Header.Set("Origin", tt.origin)
		r.Header.Set("Access-Control-Request-Method", tt.asks)
		r.Header.Set("X-Http-Method-Override", "OPTIONS")
		if IsPreflight(r) != tt.want {
			t.Error(tt.name)
		}
	}
}

// FuzzCanonicalPath checks that a public path stays below the prefix for every server
// that decodes, normalises, cuts or translates it once more.
func FuzzCanonicalPath(f *testing.F) {
	for _, s := range []string{"/public/x", "/public/..;/admin", "/public/%2e%2e/admin", "/public%2f..%2fadmin", "/public/%252e%252e/a",
		`/public/..\admin`, "//public", "/public/%c0%ae", "/public/..%20/x", "/public/%EF%BC%8E%EF%BC%8E/a", "/public/./x", "/public/x%3f/../y"} {
		f.Add(s)
	}
	b := newBypass(f, "/public")
	f.Fuzz(func(t *testing.T, uri string) {
		r := request(t, http.MethodGet, uri)
		if !b.Matches(r) {
			return
		}
		seen := uri
		if i := strings.IndexByte(seen, '?'); i >= 0 {
			seen = seen[:i]
		}
		if u := strings.Index(seen, "://"); u >= 0 {
			seen = r.URL.EscapedPath()
		}
		for i := 0; i < 4; i++ {
			if !below(seen) {
				t.Fatalf("%q reads %q after decoding %d times", uri, seen, i)
			}
			next, err := url.PathUnescape(seen)
			if err != nil {
				t.Fatalf("%q cannot be decoded %d times", uri, i+1)
			}
			seen = next
		}
	})
}

// below reports whether the most lenient server finds path below /public.
func below(path string) bool {
	path = strings.NewReplacer(`\`, "/", "\uff0f", "/", "\uff0e", ".", "\x00", "").Replace(path)
	if i := strings.IndexAny(path, "#?"); i >= 0 {
		path = path[:i]
	}
	var kept []string
	for _, s := range strings.Split(path, "/") {
		s, _, _ = strings.Cut(s, ";")
		switch s = strings.TrimRight(s, " "); s {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, s)
		}
	}
	return len(kept) > 0 && kept[0] == "public"
}
