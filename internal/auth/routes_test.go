package auth

import (
	"net/http"
	"strings"
	"testing"
)

// Each path of the plugin serves its methods and no other, and none of its requests
// reaches the backend.
func TestRoutes(t *testing.T) {
	s := newSite(t, func(o *Options) { o.BackchannelPath, o.FrontchannelPath = "/back", "/front" })
	allowed := map[string]string{s.callbackPath: "GET", s.o.LogoutPath: "GET, POST", "/back": "POST", "/front": "GET"}
	if len(s.routes) != len(allowed) || len(s.paths) != len(allowed) {
		t.Fatalf("routes %v, paths %v", len(s.routes), s.paths)
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "X"}
	for path, want := range allowed {
		for _, method := range methods {
			before := s.hits()
			b := s.browser()
			r := b.request("GET", path, nil)
			r.Method = method
			resp := b.send(s.handler, r)
			serves := strings.Contains(", "+want+", ", ", "+method+", ")
			if serves != (resp.StatusCode != http.StatusMethodNotAllowed) {
				t.Errorf("%s %s: status %d", method, path, resp.StatusCode)
			}
			if allow := resp.Header.Get("Allow"); !serves && allow != want || serves && allow != "" {
				t.Errorf("%s %s: Allow %q, want %q", method, path, allow, want)
			}
			if s.hits() != before {
				t.Errorf("%s %s reached the backend", method, path)
			}
		}
	}
}

// A path whose option is off is one of the backend's.
func TestARouteThatIsOff(t *testing.T) {
	s := newSite(t, func(o *Options) { o.BackchannelPath, o.FrontchannelPath = "", "" })
	if len(s.routes) != 2 || len(s.paths) != 2 {
		t.Errorf("routes %v, paths %v", len(s.routes), s.paths)
	}
}
