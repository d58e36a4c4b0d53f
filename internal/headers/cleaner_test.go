package headers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"
)

// spellings returns all forms of a name that a server accepts: each separator a dash or
// an underscore, in several cases, canonical or as they are.
func spellings(name string) []string {
	forms := []string{""}
	for _, part := range strings.Split(name, "-") {
		var next []string
		for _, f := range forms {
			if f == "" {
				next = append(next, part)
				continue
			}
			next = append(next, f+"-"+part, f+"_"+part)
		}
		forms = next
	}
	var all []string
	for _, f := range forms {
		all = append(all, f, strings.ToLower(f), strings.ToUpper(f), textproto.CanonicalMIMEHeaderKey(f))
	}
	return append(all, strings.ReplaceAll(name, "-", "."), strings.ReplaceAll(name, "-", "~"))
}

func TestCleaner(t *testing.T) {
	c := NewCleaner([]string{"X-Mail", "Authorization"}, nil)
	for _, name := range append([]string{"X-Mail", "Authorization"}, standardNames[:]...) {
		for _, s := range spellings(name) {
			t.Run("G3 "+s, func(t *testing.T) {
				r := &http.Request{Header: http.Header{s: {"evil"}, "Accept": {"*/*"}}, Trailer: http.Header{s: {"evil"}}}
				c.Clean(r)
				if len(r.Header) != 1 || len(r.Trailer) != 0 {
					t.Errorf("left: %v, G13 trailer: %v", r.Header, r.Trailer)
				}
			})
		}
	}
}

func TestCleanerLeavesWhatIsNotOurs(t *testing.T) {
	c := NewCleaner([]string{"X-Mail"}, nil)
	others := http.Header{
		"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Host": {"a"}, "X-Forwarded-Users": {"b"}, "X-Forwarded-Use": {"c"},
		"Authorization": {"Basic x"}, "X-User": {"d"}, "X-Mails": {"e"}, "x-odd": {"f"}, "X_other": {"g"}, "Cookie": {"h", "i"},
		"Connection": {"keep-alive, X-Other"}, "X-Auth-Request": {"j"}, "X--Forwarded-User": {"k"},
	}
	r := &http.Request{Header: others.Clone()}
	for i := 0; i < 3; i++ { // learned names must not matter
		c.Clean(r)
		if !reflect.DeepEqual(r.Header, others) {
			t.Fatalf("round %d: %v", i, r.Header)
		}
		c.Learn(r.Header, len(others))
	}
}

func TestCleanerConnection(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"G5 only the plugin's", "X-Forwarded-User", ""},
		{"G5 lower case", "x-forwarded-user", ""},
		{"G5 underscores", "X_Forwarded_User", ""},
		{"G5 among others", "Te, X-User-Roles , keep-alive", "Te, keep-alive"},
		{"G5 the request's own", "x-auth-request-redirect,close", "close"},
		{"others stay", "keep-alive,  Te", "keep-alive,  Te"},
		{"others' names stay", "X-Forwarded-For", "X-Forwarded-For"},
	}
	c := NewCleaner(nil, nil)
	for _, tt := range tests {
		r := &http.Request{Header: http.Header{"Connection": {tt.in}}}
		c.Clean(r)
		if got := r.Header.Get("Connection"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	r := &http.Request{Header: http.Header{"Connection": {"keep-alive", "X-Forwarded-User", "Te"}}}
	c.Clean(r)
	if got := r.Header["Connection"]; !reflect.DeepEqual(got, []string{"keep-alive, Te"}) {
		t.Errorf("G5 several lines: %q", got)
	}
}

// harmless reports whether a request with the name costs a cleaner as little as one
// without it.
func harmless(c *Cleaner, name string) bool {
	return http.Header{name: {"a"}}.WriteSubset(c.Closed(), c.Harmless().Load().(map[string]bool)) == nil
}

func TestCleanerLearns(t *testing.T) {
	t.Run("L37 nothing from a request that it cleans", func(t *testing.T) {
		c := NewCleaner(nil, nil)
		for i := 0; i < 1000; i++ {
			r := &http.Request{Header: http.Header{fmt.Sprintf("X-Junk-%d", i): {"a"}, "X_user-Roles": {"evil"}}}
			if c.Clean(r); len(r.Header) != 1 {
				t.Fatalf("left: %v", r.Header)
			}
		}
		if len(c.known.Load().(map[string]bool)) != len(c.initial) {
			t.Error("it learned a name")
		}
	})
	t.Run("L37 a full list begins anew", func(t *testing.T) {
		c := NewCleaner(nil, nil)
		for i := 0; i < 10*maxLearned; i++ {
			c.Learn(http.Header{fmt.Sprintf("X-Junk-%d", i): {"a"}, fmt.Sprintf("X-Trash-%d", i): {"a"}, "Accept": {"*/*"}}, 16)
			if n := len(c.known.Load().(map[string]bool)); n > len(c.initial)+maxLearned {
				t.Fatalf("it knows %d names", n)
			}
		}
		if n := c.Learn(http.Header{"X-Browser": {"a"}, "Accept": {"*/*"}}, 16); n != 1 || !harmless(c, "X-Browser") || !harmless(c, "Accept") {
			t.Errorf("it learned %d names of a browser", n)
		}
	})
	t.Run("L37 as many as the limit", func(t *testing.T) {
		c := NewCleaner(nil, nil)
		if n := c.Learn(http.Header{"X-A": {"a"}, "X-B": {"a"}, "X-C": {"a"}}, 2); n != 2 || len(c.known.Load().(map[string]bool)) != len(c.initial)+2 {
			t.Errorf("it learned %d names", n)
		}
	})
	t.Run("G1 none that needs cleaning", func(t *testing.T) {
		c := NewCleaner([]string{"X-Mail"}, nil)
		long := strings.Repeat("x", maxLearnedBytes+1)
		for _, name := range []string{"X-Mail", "x_mail", "X-Forwarded-User", "Connection", "Upgrade", long} {
			if n := c.Learn(http.Header{name: {"a"}}, 16); n != 0 || harmless(c, name) {
				t.Errorf("it learned %.20q", name)
			}
		}
	})
}

func TestCleanerConcurrently(t *testing.T) {
	c := NewCleaner(nil, nil)
	var wg sync.WaitGroup
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			for i := 0; i < 50; i++ {
				r := &http.Request{Header: http.Header{fmt.Sprintf("X-%d-%d", g, i): {"a"}, "X-Forwarded-User": {"evil"}}}
				if c.Clean(r); len(r.Header) != 1 {
					t.Errorf("left: %v", r.Header)
				}
				c.Learn(r.Header, 16)
			}
		}(g)
	}
	wg.Wait()
}

// TestCleanerBehindARealServer sends raw requests through a server and a proxy as
// Traefik's are, and checks the request that the backend gets.
func TestCleanerBehindARealServer(t *testing.T) {
	seen := make(chan []string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		var names []string
		for n, v := range r.Header {
			names = append(names, n+"="+strings.Join(v, ","))
		}
		for n, v := range r.Trailer {
			names = append(names, "trailer "+n+"="+strings.Join(v, ","))
		}
		sort.Strings(names)
		seen <- names
	}))
	defer backend.Close()
	to, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	c := NewCleaner(nil, nil)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.Clean(r)
		r.Header["X-Forwarded-User"] = []string{"me"}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()

	for name, lines := range map[string]string{
		"G1 the header itself":           "X-Forwarded-User: evil\r\n",
		"G3 underscores":                 "X_FORWARDED_USER: evil\r\nx-forwarded_user: evil\r\nX_Forwarded-User: evil\r\n",
		"G5 named in Connection":         "Connection: X-Forwarded-User\r\n",
		"G6 several of them":             "X-Forwarded-User: evil\r\nX-Forwarded-User: evil2\r\n",
		"G13 in the trailer":             "Transfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\n",
		"G13 in the trailer, not said":   "Transfer-Encoding: chunked\r\n",
		"G13 in the trailer, underscore": "Transfer-Encoding: chunked\r\nTrailer: X_Forwarded_User\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", front.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			body := "\r\n"
			if strings.Contains(lines, "chunked") {
				body = "\r\n1\r\na\r\n0\r\nX-Forwarded-User: evil\r\nX_Forwarded_User: evil\r\n\r\n"
			}
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\n%s%s", lines, body)
			if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(<-seen, "\n")
			if strings.Contains(got, "evil") || !strings.Contains(got, "X-Forwarded-User=me") {
				t.Errorf("the backend saw\n%s", got)
			}
		})
	}
}

func FuzzCleaner(f *testing.F) {
	for _, s := range []string{"X-Forwarded-User", "x_forwarded_user", "X-Other", "X_USER-ROLES", "X.User.Groups", ""} {
		f.Add(s)
	}
	c := NewCleaner([]string{"X-Mail"}, nil)
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || strings.Trim(name, token) != "" {
			return // no server and no transport lets it through
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		r := &http.Request{Header: http.Header{name: {"a"}, canonical: {"b"}}}
		c.Clean(r)
		// The variable of a CGI server, by another computation than that of spelling.
		cgi := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '_'
		}, strings.ToLower(name))
		ours := false
		for _, n := range append([]string{"X-Mail"}, standardNames[:]...) {
			ours = ours || cgi == strings.ReplaceAll(strings.ToLower(n), "-", "_")
		}
		for _, n := range append([]string{"http2-settings"}, identityNames[:]...) {
			ours = ours || cgi == strings.ReplaceAll(n, "-", "_")
		}
		for _, n := range []string{"x_auth_request_", "oidc_claim_"} {
			ours = ours || strings.HasPrefix(cgi, n) && cgi != n
		}
		if (len(r.Header) == 0) != ours {
			t.Errorf("%q: left %v", name, r.Header)
		}
	})
}
