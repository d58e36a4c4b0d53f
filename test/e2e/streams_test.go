package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

const large = "0123456789abcdefghijklmnopqrstuvwxyz"

// answers are the responses of the backend that are not an echo.
func answers(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.Path {
	case "/socket":
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return true
		}
		defer c.Close()
		_ = c.WriteMessage(websocket.TextMessage, []byte("hello "+r.Header.Get("X-Forwarded-User")))
		for {
			kind, text, err := c.ReadMessage()
			if err != nil {
				return true
			}
			if c.WriteMessage(kind, text) != nil {
				return true
			}
		}
	case "/switch", "/open/switch":
		return backend.Switch(w, r)
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d for %s\n\n", i, r.Header.Get("X-Forwarded-User"))
			w.(http.Flusher).Flush()
			if i == 0 {
				<-nextEvent
			}
		}
	case "/ticks":
		w.Header().Set("Content-Type", "text/event-stream")
		for range 600 {
			if _, err := io.WriteString(w, "data: tick\n\n"); err != nil || r.Context().Err() != nil {
				return true
			}
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	case "/file":
		http.ServeContent(w, r, "file.txt", time.Unix(1, 0), strings.NewReader(large))
	case "/trailers":
		w.Header().Set("Trailer", "X-Checksum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Checksum", "sum")
	default:
		return false
	}
	return true
}

// nextEvent lets the event stream go on after its first event.
var nextEvent = make(chan struct{})

func TestWebSocket(t *testing.T) {
	r := theRig(t)
	cookie, _ := r.signedIn("alice").Jar.Get(r.home(), r.cookie)
	dialer := websocket.Dialer{TLSClientConfig: insecure(), NetDialContext: transport(r.network).DialContext, HandshakeTimeout: 20 * time.Second}
	address := strings.Replace(r.url, "http", "ws", 1) + "/socket"

	_, res, err := dialer.Dial(address, http.Header{"Origin": {r.url}})
	if err == nil || res == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("H14 a stranger's WebSocket: %v, %v", res, err)
	}

	c, _, err := dialer.Dial(address, http.Header{"Origin": {r.url}, "Cookie": {r.cookie + "=" + cookie}, "X-Forwarded-User": {"root"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"hello alice@example.com", "one", strings.Repeat("x", 100_000)} {
		if i > 0 {
			if err := c.WriteMessage(websocket.TextMessage, []byte(want)); err != nil {
				t.Fatal(err)
			}
		}
		_, got, err := c.ReadMessage()
		if err != nil || string(got) != want {
			t.Fatalf("K17 message %d: %.40q, %v", i, got, err)
		}
	}
}

// TestUpgrade has a backend that accepts every protocol that it is offered.
func TestUpgrade(t *testing.T) {
	r := theRig(t)
	value, _ := r.signedIn("alice").Jar.Get(r.home(), r.cookie)
	session := "Cookie: " + r.cookie + "=" + value
	settings := []string{"Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"}
	for _, row := range []struct {
		name, target, upgrade string
		lines                 []string
		want                  int
	}{
		{"L1 H15 h2c on a public path", "/open/switch", "h2c", settings, 200},
		{"L1 H15 h2c, signed in", "/switch", "h2c", append([]string{session}, settings...), 200},
		{"L1 H15 h2c, not signed in", "/switch", "h2c", settings, 401},
		{"L1 H15 h2c in a list", "/open/switch", "websocket, h2c", settings, 200},
		{"L1 H15 h2c before another header", "/open/switch", "h2c", append([]string{"Upgrade: websocket"}, settings...), 200},
		{"L1 another protocol", "/open/switch", "anything", []string{"Connection: upgrade"}, 200},
		{"H14 a WebSocket on a public path", "/open/switch", "websocket", []string{"Connection: Upgrade"}, 101},
		{"H14 a WebSocket, signed in", "/switch", "websocket", append([]string{session}, settings...), 101},
		{"H14 a WebSocket, not signed in", "/switch", "websocket", settings, 401},
	} {
		t.Run(row.name, func(t *testing.T) {
			lines := append([]string{"GET " + row.target + " HTTP/1.1", "Host: " + r.home().Host, "Upgrade: " + row.upgrade}, row.lines...)
			res := browser.Raw(t, r.address(), true, lines...)
			if res.StatusCode != row.want {
				t.Errorf("status %d, want %d", res.StatusCode, row.want)
			}
		})
	}
}

func TestEventStream(t *testing.T) {
	r := theRig(t)
	cookie, _ := r.signedIn("alice").Jar.Get(r.home(), r.cookie)
	get := func(cookies string) *http.Response {
		req, err := http.NewRequest("GET", r.url+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Cookie", cookies)
		res, err := r.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	if res := get("a=b"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("H11 a stranger's stream: status %d", res.StatusCode)
	}
	lines := bufio.NewScanner(get(r.cookie + "=" + cookie).Body)
	for i := range 3 {
		for lines.Scan() && lines.Text() == "" {
		}
		if got, want := lines.Text(), fmt.Sprintf("data: %d for alice@example.com", i); got != want {
			t.Fatalf("K17 event %d: %q, want %q", i, got, want)
		}
		if i == 0 {
			nextEvent <- struct{}{} // the first event came before the second was written
		}
	}
}

func TestResponses(t *testing.T) {
	r := theRig(t)
	b := r.signedIn("alice")
	do := func(method, path string, header http.Header) *browser.Page {
		return b.Do(browser.Request{Method: method, URL: r.url + path, From: r.home(), Fetch: true, Header: header})
	}
	t.Run("K17 HEAD", func(t *testing.T) {
		p := do("HEAD", "/file", nil)
		if p.Status != http.StatusOK || p.Header.Get("Content-Length") != fmt.Sprint(len(large)) || len(p.Body) != 0 {
			t.Errorf("status %d, %v", p.Status, p.Header)
		}
	})
	t.Run("K17 Range", func(t *testing.T) {
		p := do("GET", "/file", http.Header{"Range": {"bytes=10-12"}})
		if p.Status != http.StatusPartialContent || string(p.Body) != "abc" {
			t.Errorf("status %d: %q", p.Status, p.Body)
		}
	})
	t.Run("K17 a conditional request", func(t *testing.T) {
		p := do("GET", "/file", http.Header{"If-Modified-Since": {time.Unix(2, 0).UTC().Format(http.TimeFormat)}})
		if p.Status != http.StatusNotModified {
			t.Errorf("status %d", p.Status)
		}
	})
	t.Run("K17 trailers of the response", func(t *testing.T) {
		cookie, _ := b.Jar.Get(r.home(), r.cookie)
		req, _ := http.NewRequest("GET", r.url+"/trailers", nil)
		req.Header.Set("Cookie", r.cookie+"="+cookie)
		res, err := r.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "body" || res.Trailer.Get("X-Checksum") != "sum" {
			t.Errorf("%q, %v, trailer %v", body, err, res.Trailer)
		}
	})
	t.Run("G13 trailers of the request", func(t *testing.T) {
		cookie, _ := b.Jar.Get(r.home(), r.cookie)
		res := browser.Raw(t, r.address(), true, "POST /x HTTP/1.1", "Host: "+r.home().Host, "Cookie: "+r.cookie+"="+cookie, "Transfer-Encoding: chunked",
			"Trailer: X-Forwarded-User, X-Checksum", "", "3", "abc", "0", "X-Forwarded-User: root", "X-Checksum: sum", "X_Subject: root", "", "")
		seen := r.echo.Last()
		if res.StatusCode != http.StatusOK || seen.Body != "abc" || seen.Header.Get("X-Forwarded-User") != "alice@example.com" {
			t.Errorf("status %d, body %q, %v", res.StatusCode, seen.Body, seen.Header)
		}
		for name, values := range seen.Trailer {
			if strings.Contains(strings.Join(values, ""), "root") {
				t.Errorf("trailer %s: %q", name, values)
			}
		}
	})
	t.Run("a large body", func(t *testing.T) {
		body := strings.Repeat("a=1&", 100_000)
		p := b.Do(browser.Request{Method: "POST", URL: r.url + "/x", From: r.home(), Fetch: true, Body: body})
		if seen := r.sees(p); seen.Body != body {
			t.Errorf("the backend got %d bytes", len(seen.Body))
		}
	})
}
