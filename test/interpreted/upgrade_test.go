package interpreted

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
)

// TestUpgrade has the plugin before a proxy like Traefik's, and behind that a
// backend that accepts every protocol that it is offered.
func TestUpgrade(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !backend.Switch(w, r) {
			_, _ = io.WriteString(w, "plain")
		}
	}))
	t.Cleanup(server.Close)
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Scheme = "http"
		p.Out.URL.Host = strings.TrimPrefix(server.URL, "http://")
	}}
	echo := &backend.Echo{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		proxy.ServeHTTP(w, r)
		return true
	}}
	whole := newSite(t, setup{echo: echo, options: map[string]any{"excludedURLs": []any{"/public"}}})
	session := "Cookie: " + cookie + "=" + whole.value(whole.signedIn("alice"))
	branches := []struct {
		name  string
		lines []string
		open  bool // the request reaches the backend
	}{
		{"a public path", []string{"GET /public/x HTTP/1.1"}, true},
		{"a public path, signed in", []string{"GET /public/x HTTP/1.1", session}, true},
		{"signed in", []string{"GET /x HTTP/1.1", session}, true},
		{"signed in, a form", []string{"POST /x HTTP/1.1", session, "Content-Length: 0"}, true},
		{"signed in, HTTP/1.0", []string{"GET /x HTTP/1.0", session}, true},
		{"nobody", []string{"GET /x HTTP/1.1"}, false},
		{"the callback", []string{"GET /oidc/callback HTTP/1.1"}, false},
	}
	for _, offer := range []struct {
		name  string
		lines []string
	}{
		{"h2c", []string{"Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"}},
		{"h2c, spelled", []string{"upgrade:   H2c  ", "connection: keep-alive", "connection: uPGRADE,http2_settings", "HTTP2_settings: AAMAAABkAAQAAP__"}},
		{"h2c alone", []string{"Upgrade: h2c", "Connection: Upgrade"}},
		{"h2c, unsaid", []string{"Upgrade: h2c"}},
		{"h2c, unsaid, kept alive", []string{"Upgrade: h2c", "Connection: keep-alive"}},
		{"a list", []string{"Upgrade: websocket, h2c", "Connection: Upgrade"}},
		{"a list from h2c on", []string{"Upgrade: h2c,websocket", "Connection: Upgrade"}},
		{"two headers", []string{"Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade"}},
		{"a version", []string{"Upgrade: websocket/13", "Connection: Upgrade"}},
		{"any", []string{"Upgrade: anything", "Connection: Upgrade"}},
	} {
		t.Run("L1 H14 H15 no tunnel by "+offer.name, func(t *testing.T) {
			for _, branch := range branches {
				s := whole.in(t)
				before := s.echo.Count()
				res := s.raw(append(append(append([]string{}, branch.lines...), offer.lines...), "Host: "+appHost)...)
				if res.StatusCode == http.StatusSwitchingProtocols || (res.StatusCode == http.StatusOK) != branch.open {
					t.Errorf("%s: status %d", branch.name, res.StatusCode)
				}
				if !branch.open {
					if s.echo.Count() != before {
						t.Errorf("%s: the request reached the backend", branch.name)
					}
					continue
				}
				seen := s.echo.Last()
				if n := append(seen.Names("Upgrade"), seen.Names("HTTP2-Settings")...); len(n) != 0 || s.echo.Count() != before+1 {
					t.Errorf("%s: %v arrived", branch.name, n)
				}
				named := strings.ToLower(strings.Join(seen.Header["Connection"], ","))
				if strings.Contains(named, "upgrade") || strings.Contains(named, "settings") {
					t.Errorf("%s: Connection: %s", branch.name, named)
				}
			}
		})
	}
	t.Run("H14 a WebSocket still passes", func(t *testing.T) {
		s := whole.in(t)
		for _, lines := range [][]string{
			{"GET /public/x HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade"},
			{"GET /x HTTP/1.1", session, "Upgrade: WebSocket", "Connection: keep-alive, Upgrade"},
			{"GET /x HTTP/1.1", session, "Upgrade: websocket", "Connection: upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		} {
			res := s.raw(append(lines, "Host: "+appHost, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")...)
			if res.StatusCode != http.StatusSwitchingProtocols || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") {
				t.Errorf("%q: status %d, Upgrade %q", lines, res.StatusCode, res.Header.Get("Upgrade"))
			}
			if n := s.echo.Last().Names("HTTP2-Settings"); len(n) != 0 {
				t.Errorf("%q: %v arrived", lines, n)
			}
		}
	})
}
