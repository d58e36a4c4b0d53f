// Package browser acts as a user's browser at real servers. It keeps cookies, follows
// redirects, sends the Sec-Fetch headers and fills in forms.
package browser

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// hopLimit is the number of redirects that a browser follows before it gives up.
const hopLimit = 20

// Network has the addresses of the hosts of a test.
type Network map[string]string // "app.test:443" -> "127.0.0.1:40123"; others are dialled as they are

// Browser is one user's browser. Its methods end the calling goroutine, and the test
// with it, when the network fails. They accept every status.
type Browser struct {
	Jar    *Jar
	Header http.Header // sent along with every request, for tests of odd clients

	t      testing.TB
	client *http.Transport
}

// New returns a browser without cookies.
func New(t testing.TB, n Network) *Browser {
	b := &Browser{Jar: &Jar{}, Header: http.Header{}, t: t}
	b.client = Transport(func(address string) string { return n[address] })
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// Transport returns a transport that dials the address that where returns. For "" it
// dials the address of the request.
func Transport(where func(address string) string) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: true}, // the certificates of the tests are their own
		ResponseHeaderTimeout: 60 * time.Second,
		DisableCompression:    true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if to := where(addr); to != "" {
				addr = to
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}
}

// Page is the last response in a user's browser.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   []byte
	Hops   []Hop // the way of the browser, the page itself last
}

// Hop is one response on the way.
type Hop struct {
	Method  string
	URL     *url.URL
	Sent    http.Header
	Status  int
	Header  http.Header
	cookies string
}

// Location returns the absolute target of the redirect, nil for none.
func (h Hop) Location() *url.URL {
	l := h.Header.Get("Location")
	if l == "" {
		return nil
	}
	u, err := h.URL.Parse(l)
	if err != nil {
		return nil
	}
	return u
}

// Location returns the absolute target of the last redirect, nil for none.
func (p *Page) Location() *url.URL { return p.Hops[len(p.Hops)-1].Location() }

// Request describes a request of a browser.
type Request struct {
	Method   string // empty: GET
	URL      string
	From     *url.URL // the page that causes it; nil: the user
	Header   http.Header
	Body     string
	Fetch    bool // a script's request, not a navigation
	Frame    bool // a frame of the page that causes it
	OneHop   bool // no redirect is followed
	NoCookie bool
}

// Open navigates to the address as if the user had typed it.
func (b *Browser) Open(address string) *Page {
	b.t.Helper()
	return b.Do(Request{URL: address})
}

// Hop navigates as Open does, without following a redirect.
func (b *Browser) Hop(address string) *Page {
	b.t.Helper()
	return b.Do(Request{URL: address, OneHop: true})
}

// Fetch sends the request of fetch(address) in a page of the same origin.
func (b *Browser) Fetch(address string) *Page {
	b.t.Helper()
	u := b.parse(address)
	return b.Do(Request{URL: address, From: u, Fetch: true, OneHop: true})
}

func (b *Browser) parse(address string) *url.URL {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	u.Fragment = ""
	return u
}

// Do sends the request and follows redirects.
func (b *Browser) Do(r Request) *Page {
	b.t.Helper()
	p := &Page{}
	method, body, u := r.Method, r.Body, b.parse(r.URL)
	if method == "" {
		method = http.MethodGet
	}
	for range hopLimit {
		req := b.request(r, method, body, u)
		hop := Hop{Method: method, URL: u, Sent: req.Header}
		res, err := b.client.RoundTrip(req)
		if err != nil {
			b.t.Fatalf("browser: %s %s: %v", method, u, err)
		}
		b.Jar.Store(u, res.Header)
		p.Body, err = io.ReadAll(io.LimitReader(res.Body, 8<<20))
		res.Body.Close()
		if err != nil {
			b.t.Fatalf("browser: %s %s: %v", method, u, err)
		}
		hop.Status, hop.Header = res.StatusCode, res.Header
		p.URL, p.Status, p.Header, p.Hops = u, res.StatusCode, res.Header, append(p.Hops, hop)

		next := hop.Location()
		if r.OneHop || next == nil || res.StatusCode < 300 || res.StatusCode > 399 {
			return p
		}
		if res.StatusCode != http.StatusTemporaryRedirect && res.StatusCode != http.StatusPermanentRedirect && method != http.MethodHead {
			method, body = http.MethodGet, ""
		}
		next.Fragment = ""
		u = next
	}
	b.t.Fatalf("browser: more than %d redirects, the last to %s", hopLimit, u)
	return nil
}

func (b *Browser) request(r Request, method, body string, u *url.URL) *http.Request {
	b.t.Helper()
	req, err := http.NewRequest(method, u.String(), strings.NewReader(body))
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	if body == "" {
		req.Body, req.ContentLength = nil, 0
	} else {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) test")
	if r.Fetch {
		req.Header.Set("Accept", "*/*")
	} else {
		req.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
		req.Header.Set("Upgrade-Insecure-Requests", "1")
	}
	if trustworthy(u) {
		secFetch(req.Header, r, u)
	}
	for _, h := range []http.Header{b.Header, r.Header} {
		for k, v := range h {
			req.Header[k] = v
		}
	}
	context := Context{Initiator: r.From, Method: method, TopLevel: !r.Fetch && !r.Frame}
	if c := b.Jar.Header(u, context); c != "" && !r.NoCookie {
		req.Header.Set("Cookie", c)
	}
	return req
}

// trustworthy reports whether browsers send u the Sec-Fetch headers.
func trustworthy(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// secFetch sets the Sec-Fetch headers (Fetch Metadata Request Headers, section 2).
func secFetch(h http.Header, r Request, u *url.URL) {
	h.Set("Sec-Fetch-Site", relation(r.From, u))
	if r.Fetch {
		h.Set("Sec-Fetch-Mode", "cors")
		h.Set("Sec-Fetch-Dest", "empty")
		return
	}
	h.Set("Sec-Fetch-Mode", "navigate")
	if r.Frame {
		h.Set("Sec-Fetch-Dest", "iframe")
		return
	}
	h.Set("Sec-Fetch-Dest", "document")
	h.Set("Sec-Fetch-User", "?1")
}

func relation(from, to *url.URL) string {
	switch {
	case from == nil:
		return "none"
	case from.Scheme == to.Scheme && from.Host == to.Host:
		return "same-origin"
	case site(from) == site(to):
		return "same-site"
	}
	return "cross-site"
}
