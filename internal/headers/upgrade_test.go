package headers

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestUpgrade(t *testing.T) {
	both := []string{"Upgrade, HTTP2-Settings"}
	rows := []struct {
		name       string
		upgrade    []string
		connection []string
		want       http.Header
	}{
		{"a WebSocket", []string{"websocket"}, []string{"Upgrade"}, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}},
		{"a WebSocket, as some write it", []string{"WebSocket"}, []string{"keep-alive, upgrade"}, http.Header{"Upgrade": {"WebSocket"}, "Connection": {"keep-alive, upgrade"}}},
		{"a WebSocket with settings", []string{"websocket"}, []string{"http2-settings,Upgrade"}, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}},
		{"L1 H15 h2c", []string{"h2c"}, both, http.Header{}},
		{"L1 H15 h2c in capitals", []string{"H2C"}, []string{"UPGRADE, HTTP2_SETTINGS"}, http.Header{}},
		{"L1 h2c without settings", []string{"h2c"}, []string{"Upgrade"}, http.Header{}},
		{"L1 h2c without Connection", []string{"h2c"}, nil, http.Header{}},
		{"L1 H15 h2c before a WebSocket", []string{"h2c, websocket"}, both, http.Header{}},
		{"L1 H15 h2c after a WebSocket", []string{"websocket,h2c"}, both, http.Header{}},
		{"L1 h2c after a WebSocket and a tab", []string{"websocket\t,\th2c"}, both, http.Header{}},
		{"L1 H15 two headers", []string{"websocket", "h2c"}, both, http.Header{}},
		{"L1 two headers, both WebSockets", []string{"websocket", "websocket"}, both, http.Header{}},
		{"L1 an empty header before it", []string{"", "h2c"}, both, http.Header{}},
		{"L1 an empty header", []string{""}, []string{"Upgrade"}, http.Header{}},
		{"L1 a version", []string{"websocket/13"}, []string{"Upgrade"}, http.Header{}},
		{"L1 TLS", []string{"TLS/1.0"}, []string{"close, Upgrade"}, http.Header{"Connection": {"close"}}},
		{"L1 any other", []string{"connect-udp"}, []string{"x-a", "\tupgrade\t", "x-b"}, http.Header{"Connection": {"x-a, x-b"}}},
		{"L1 letters that fold to ASCII", []string{"web\u017focket"}, []string{"Upgrade"}, http.Header{}},
		{"L1 another letter that does", []string{"websoc\u212aet"}, []string{"Upgrade"}, http.Header{}},
		{"L1 the name only in Connection", nil, []string{"close, Upgrade"}, http.Header{"Connection": {"close"}}},
	}
	for _, x := range rows {
		t.Run(x.name, func(t *testing.T) {
			c := NewCleaner(nil, nil)
			for i := 0; i < 2; i++ { // learned names must not matter
				h := http.Header{"Http2-Settings": {"AAMAAABk"}, "HTTP2_Settings": {"AAMAAABk"}, "X-Other": {"stays"}}
				if x.upgrade != nil {
					h["Upgrade"] = append([]string{}, x.upgrade...)
				}
				if x.connection != nil {
					h["Connection"] = append([]string{}, x.connection...)
				}
				c.Clean(&http.Request{Method: "GET", ProtoMajor: 1, ProtoMinor: 1, Header: h})
				c.Learn(h, len(h))
				want := x.want.Clone()
				want["X-Other"] = []string{"stays"}
				if !reflect.DeepEqual(h, want) {
					t.Errorf("round %d: %v, want %v", i, h, want)
				}
			}
		})
	}
	for _, x := range []struct {
		name, method string
		minor        int
	}{{"L1 HTTP/1.0 has no upgrades", "GET", 0}, {"L1 a WebSocket is opened by GET", "POST", 1}} {
		t.Run(x.name, func(t *testing.T) {
			h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
			NewCleaner(nil, nil).Clean(&http.Request{Method: x.method, ProtoMajor: 1, ProtoMinor: x.minor, Header: h})
			if len(h) != 0 {
				t.Error(h)
			}
		})
	}
}

// The quick check of a request's header must not take an upgrade for harmless, nor
// learn its name.
func TestUpgradeIsNeverHarmless(t *testing.T) {
	c := NewCleaner(nil, nil)
	for i := 0; i < 3; i++ {
		for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
			if c.Harmless().Load().(map[string]bool)[name] {
				t.Errorf("L1 round %d: %s", i, name)
			}
		}
		h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Http2-Settings": {"AAMAAABk"}, "X-New": {"a"}}
		c.Learn(h, len(h))
	}
	for _, name := range []string{"Upgrade", "HTTP2-Settings", "http2_settings"} {
		if err := checkName(name); err == nil || !strings.Contains(err.Error(), "cannot be set") {
			t.Errorf("%s: a template may set it: %v", name, err)
		}
	}
}
