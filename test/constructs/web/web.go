// Package web has the constructs of HTTP and networking that the plugin uses.
package web

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Table has all constructs by the names of their functions.
var Table = map[string]func(g int) string{
	"Cookies": Cookies, "Client": Client, "Refused": Refused, "Trace": Trace, "Addresses": Addresses, "Header": Header, "Handler": Handler,
	"Timeout": Timeout, "Redirects": Redirects, "LRU": LRU, "HostPort": HostPort,
}

// A writer records the response of a handler.
type writer struct {
	header http.Header
	status int
	body   strings.Builder
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *writer) Write(b []byte) (int, error) { return w.body.Write(b) }

func newWriter() *writer {
	return &writer{header: http.Header{}, status: http.StatusOK}
}

// Cookies sets cookies and reads them again.
func Cookies(g int) string {
	w := newWriter()
	var rw http.ResponseWriter = w
	http.SetCookie(rw, &http.Cookie{Name: "__Host-a", Value: strconv.Itoa(g), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.SetCookie(rw, &http.Cookie{Name: "b", MaxAge: -1})
	set := w.header["Set-Cookie"]
	if len(set) != 2 || set[0] != fmt.Sprintf("__Host-a=%d; Path=/; HttpOnly; Secure; SameSite=Lax", g) || set[1] != "b=; Max-Age=0" {
		return fmt.Sprint("set ", set)
	}
	r := &http.Request{Header: http.Header{"Cookie": {fmt.Sprintf("x=1; __Host-a=%d; x=2", g)}}}
	c, err := r.Cookie("__Host-a")
	if err != nil || c.Value != strconv.Itoa(g) || len(r.Cookies()) != 3 {
		return "read another cookie"
	}
	return ""
}

var errRefused = errors.New("web: the address is refused")

// A dialer serves each connection itself, with one response that has the requested host.
type dialer struct {
	allowed string
}

type answering struct {
	side net.Conn
	text string
}

func (a *answering) run() {
	buf := make([]byte, 2048)
	if n, err := a.side.Read(buf); err == nil && n > 0 {
		fmt.Fprintf(a.side, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(a.text), a.text)
	}
	a.side.Close()
}

func answer(a *answering) {
	a.run()
}

// DialContext has the signature of http.Transport.DialContext.
func (d *dialer) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host != d.allowed {
		return nil, fmt.Errorf("web: %s %s: %w", network, host, errRefused)
	}
	ours, theirs := net.Pipe()
	go answer(&answering{side: theirs, text: "hello " + host})
	return ours, nil
}

func transport(d *dialer) *http.Transport {
	return &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute}
}

func get(c *http.Client, url string) (string, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(r)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	resp.Body.Close()
	return string(b), err
}

// Client sends requests through our own dialer, one for each client.
func Client(g int) string {
	host := fmt.Sprintf("h%d.test", g)
	c := &http.Client{}
	c.Transport = transport(&dialer{allowed: host})
	if text, err := get(c, "http://"+host+"/"); err != nil || text != "hello "+host {
		return fmt.Sprintf("%q, %v", text, err)
	}
	return ""
}

// Refused finds the dialer's error wrapped in the client's.
func Refused(g int) string {
	c := &http.Client{}
	c.Transport = transport(&dialer{allowed: "other.test"})
	if _, err := get(c, fmt.Sprintf("http://h%d.test/", g)); !errors.Is(err, errRefused) {
		return fmt.Sprint("the error is ", err)
	}
	return ""
}

type trace struct {
	wrote chan string
}

func (t *trace) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		t.wrote <- "wrote"
	}
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{WroteRequest: t.wroteRequest}
}

// Trace detects whether a request was sent.
func Trace(g int) string {
	t := &trace{wrote: make(chan string, 4)}
	host := fmt.Sprintf("h%d.test", g)
	c := &http.Client{}
	c.Transport = transport(&dialer{allowed: host})
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), t.hooks()), http.MethodPost, "http://"+host+"/", strings.NewReader("a=b"))
	if err != nil {
		return err.Error()
	}
	resp, err := c.Do(r)
	if err != nil {
		return err.Error()
	}
	resp.Body.Close()
	if got := <-t.wrote; got != "wrote" {
		return "not written"
	}
	return ""
}

// Addresses recognises private addresses, also inside IPv6 addresses.
func Addresses(g int) string {
	for text, public := range map[string]bool{
		"10.1.2.3": false, "127.0.0.1": false, "::1": false, "::ffff:192.168.1.1": false, "169.254.1.1": false, "8.8.8.8": true, "2606:4700::1111": true,
	} {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return err.Error()
		}
		a = a.Unmap()
		if got := a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast(); got != public {
			return fmt.Sprintf("%s public: %v", text, got)
		}
	}
	p := netip.MustParsePrefix("10.0.0.0/8")
	if !p.Contains(netip.AddrFrom4([4]byte{10, byte(g), 1, 1})) || p.Contains(netip.AddrFrom4([4]byte{11, byte(g), 1, 1})) {
		return "a wrong prefix"
	}
	return ""
}

// Header changes a header by its canonical name and by other spellings.
func Header(g int) string {
	h := http.Header{"X_user": {"a"}, "X-User": {"b"}, "Accept": {"c"}}
	for name := range h {
		if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "x-user") {
			delete(h, name)
		}
	}
	h[textproto.CanonicalMIMEHeaderKey("x-user")] = []string{strconv.Itoa(g)}
	if len(h) != 2 || h.Get("X-USER") != strconv.Itoa(g) {
		return fmt.Sprint("the header is ", h)
	}
	return ""
}

// A guard calls the next handler.
type guard struct {
	next http.Handler
	n    int
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/open" {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	w.Header().Set("X-N", strconv.Itoa(g.n))
	g.next.ServeHTTP(w, r)
}

func status(h http.Handler, path string) (*writer, error) {
	r, err := http.NewRequest(http.MethodGet, "http://a.test"+path, nil)
	if err != nil {
		return nil, err
	}
	w := newWriter()
	h.ServeHTTP(w, r)
	return w, nil
}

// Handler passes a request to a handler of the standard library.
func Handler(g int) string {
	h := &guard{next: http.RedirectHandler("/elsewhere", http.StatusFound), n: g}
	in, err := status(h, "/open")
	if err != nil || in.status != http.StatusFound || in.header.Get("X-N") != strconv.Itoa(g) || in.header.Get("Location") != "/elsewhere" {
		return "did not pass"
	}
	out, err := status(h, "/closed")
	if err != nil || out.status != http.StatusUnauthorized || out.header.Get("X-N") != "" || out.body.String() != "no\n" {
		return "passed"
	}
	return ""
}

// Timeout recognises the deadline of a connection.
func Timeout(_ int) string {
	ours, theirs := net.Pipe()
	ours.SetReadDeadline(time.Now().Add(-time.Second))
	_, err := ours.Read(make([]byte, 1))
	ours.Close()
	theirs.Close()
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		return fmt.Sprint("the error is ", err)
	}
	return ""
}

func stay(_ *http.Request, _ []*http.Request) error {
	return http.ErrUseLastResponse
}

type redirecting struct{}

// RoundTrip implements http.RoundTripper.
func (t *redirecting) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {r.URL.Path + "/x"}}, Body: http.NoBody, Request: r}, nil
}

// Redirects uses a client with a function that forbids redirects.
func Redirects(g int) string {
	var t http.RoundTripper = &redirecting{}
	c := &http.Client{CheckRedirect: stay}
	c.Transport = t
	r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://a.test/%d", g), nil)
	if err != nil {
		return err.Error()
	}
	resp, err := c.Do(r)
	if err != nil || resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != fmt.Sprintf("/%d/x", g) {
		return fmt.Sprint("followed: ", err)
	}
	return ""
}

type item struct {
	key   string
	place *list.Element
}

type lru struct {
	order *list.List
	items map[string]*item
	most  int
}

func (c *lru) use(key string) {
	it := c.items[key]
	if it != nil {
		c.order.MoveToFront(it.place)
		return
	}
	it = &item{key: key}
	it.place = c.order.PushFront(it)
	c.items[key] = it
	for c.order.Len() > c.most {
		last := c.order.Back()
		old := c.order.Remove(last).(*item)
		delete(c.items, old.key)
	}
}

// LRU keeps the items that were used last.
func LRU(g int) string {
	c := &lru{order: list.New(), items: map[string]*item{}, most: 2}
	for _, n := range []int{g, g + 1, g, g + 2} {
		c.use(strconv.Itoa(n))
	}
	if c.items[strconv.Itoa(g)] == nil || c.items[strconv.Itoa(g+1)] != nil || c.items[strconv.Itoa(g+2)] == nil {
		return "the wrong one went"
	}
	return ""
}

// HostPort joins and splits addresses of both families.
func HostPort(g int) string {
	port := strconv.Itoa(g % 65536)
	for _, host := range []string{"a.test", "::1"} {
		h, p, err := net.SplitHostPort(net.JoinHostPort(host, port))
		if err != nil || h != host || p != port {
			return "another address"
		}
	}
	return ""
}
