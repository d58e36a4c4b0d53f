package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func from(remote string, forwarded ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remote
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	return r
}

func TestALimitIsPerClientAndRefills(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLimiter(10, nil, func() time.Time { return now })
	passed := 0
	for i := 0; i < 100; i++ {
		if l.allow(from("192.0.2.1:1000")) {
			passed++
		}
	}
	if passed != 20 {
		t.Errorf("%d of 100 requests at once passed, want 20", passed)
	}
	if !l.allow(from("192.0.2.2:1000")) {
		t.Error("K2: another client is refused")
	}
	now = now.Add(-time.Hour)
	l.allow(from("192.0.2.1:1000"))
	now = now.Add(time.Hour + time.Second/2)
	passed = 0
	for i := 0; i < 100; i++ {
		if l.allow(from("192.0.2.1:2000")) {
			passed++
		}
	}
	if passed != 5 {
		t.Errorf("%d passed after half a second, want 5", passed)
	}
}

func TestTheClientIsWhoTheTrustedProxiesSay(t *testing.T) {
	l := newLimiter(10, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, time.Now)
	rows := []struct {
		name string
		r    *http.Request
		want string
	}{
		{"the connection", from("192.0.2.1:1"), "192.0.2.1"},
		{"H12 forged by an untrusted client", from("192.0.2.1:1", "198.51.100.7"), "192.0.2.1"},
		{"behind one proxy", from("10.1.1.1:1", "198.51.100.7"), "198.51.100.7"},
		{"behind two", from("10.1.1.1:1", "198.51.100.7, 10.2.2.2"), "198.51.100.7"},
		{"H12 forged in front of a proxy", from("10.1.1.1:1", "203.0.113.9, 198.51.100.7"), "198.51.100.7"},
		{"with ports", from("10.1.1.1:1", "198.51.100.7:4711, [fd00::1]:99"), "198.51.100.7"},
		{"in two headers", from("10.1.1.1:1", "203.0.113.9", "198.51.100.7"), "198.51.100.7"},
		{"garbage", from("10.1.1.1:1", "nonsense"), "10.1.1.1"},
		{"none", from("10.1.1.1:1"), "10.1.1.1"},
		{"IPv6 by its network", from("[2001:db8::1:2:3:4]:1"), "2001:db8::/64"},
		{"IPv4 in IPv6", from("[::ffff:192.0.2.1]:1"), "192.0.2.1"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := l.client(row.r); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestALimiterIsBounded(t *testing.T) {
	l := newLimiter(10, nil, time.Now)
	for i := 0; i < 3*clientsKept; i++ {
		l.allow(from(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)))
	}
	if n := len(l.young) + len(l.old); n > clientsKept {
		t.Errorf("%d clients remembered", n)
	}
}
