package demo

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A visitor is a browser without scripts. It follows redirects only in follow.
type visitor struct {
	t      *testing.T
	site   string
	client *http.Client
}

// A reply is a response to a visitor.
type reply struct {
	Status   int
	Header   http.Header
	Location *url.URL // nil: none
	Body     string
}

func newVisitor(p *process) *visitor {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return &visitor{t: p.t, site: "http://localhost:" + p.port, client: &http.Client{
		Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// open requests a path of the site, or a whole URL, as a navigation.
func (v *visitor) open(target string) reply {
	v.t.Helper()
	return v.get(target, map[string]string{
		"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
	})
}

// get sends a request with the given headers; without headers, that of an API client.
func (v *visitor) get(target string, headers map[string]string) reply {
	v.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = v.site + target
	}
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		v.t.Fatal(err)
	}
	location, _ := resp.Location()
	return reply{resp.StatusCode, resp.Header, location, string(body)}
}

// follow follows redirects, at most ten.
func (v *visitor) follow(r reply) reply {
	v.t.Helper()
	for range 10 {
		if r.Location == nil {
			return r
		}
		r = v.open(r.Location.String())
	}
	v.t.Fatal("more than ten redirects")
	return r
}

// signIn opens a protected path and chooses a user at the provider.
func (v *visitor) signIn(path, name string) reply {
	v.t.Helper()
	r := v.open(path)
	if r.Status != http.StatusFound {
		v.t.Fatalf("%s without a session: %d, want a redirect to the provider", path, r.Status)
	}
	choice := *r.Location
	q := choice.Query()
	q.Set("user", name)
	choice.RawQuery = q.Encode()
	return v.follow(v.open(choice.String()))
}

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
