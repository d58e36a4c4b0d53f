package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
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
		if l.allow(l.client(from("192.0.2.1:1000"))) {
			passed++
		}
	}
	if passed != 20 {
		t.Errorf("%d of 100 requests at once passed, want 20", passed)
	}
	if !l.allow(l.client(from("192.0.2.2:1000"))) {
		t.Error("K2: another client is refused")
	}
	now = now.Add(-time.Hour)
	l.allow(l.client(from("192.0.2.1:1000")))
	now = now.Add(time.Hour + time.Second/2)
	passed = 0
	for i := 0; i < 100; i++ {
		if l.allow(l.client(from("192.0.2.1:2000"))) {
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
		{"IPv6 by its networks", from("[2001:db8:1:2:3::4%eth0]:1"), "2001:db8:1:2::/64 2001:db8:1::/56 2001:db8:1::/48"},
		{"IPv4 through a gateway", from("[64:ff9b::192.0.2.1]:1"), "192.0.2.1"},
		{"behind a proxy with IPv6", from("10.1.1.1:1", "2001:db8:1:2:3::4, [fd00::1]:99"), "2001:db8:1:2::/64 2001:db8:1::/56 2001:db8:1::/48"},
		{"no address", from("@"), "@"},
		{"an empty element", from("10.1.1.1:1", "198.51.100.7,"), "10.1.1.1"},
		{"proxies alone", from("10.1.1.1:1", strings.Repeat("10.2.2.2, ", 99)+"10.3.3.3"), "10.2.2.2"},
		{"L12 a megabyte in front of the address", from("10.1.1.1:1", strings.Repeat("a,", 1<<19)+"198.51.100.7"), "198.51.100.7"},
		{"L12 a megabyte without a comma", from("10.1.1.1:1", strings.Repeat("1", 1<<20)+"98.51.100.7"), "10.1.1.1"},
		{"L12 an address that the bound cuts", from("10.1.1.1:1", "198.51.100.7"+strings.Repeat(" ", forwardedBytes-8)), "10.1.1.1"},
		{"L12 a thousand headers", from("10.1.1.1:1", strings.Split(strings.Repeat("203.0.113.9;", 999)+"198.51.100.7", ";")...), "198.51.100.7"},
		{"IPv4 in IPv6", from("[::ffff:192.0.2.1]:1"), "192.0.2.1"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := strings.Join(l.client(row.r), " "); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// passes returns how many of n requests from an address are admitted.
func (l *limiter) passes(n int, address string) int {
	passed := 0
	for i := 0; i < n; i++ {
		if l.allow(l.client(from(address))) {
			passed++
		}
	}
	return passed
}

func TestALimitIsOfANetwork(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, row := range []struct {
		name, format string
		want         int
	}{
		{"L12 addresses of one /64", "[2001:db8:1:2::%x]:1", 20},
		{"L12 networks of one /56", "[2001:db8:1:2%02x::1]:1", 40},
		{"L12 networks of one /48", "[2001:db8:1:%x00::1]:1", 80},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := newLimiter(10, nil, func() time.Time { return now })
			passed := 0
			for i := 0; i < 256; i++ {
				passed += l.passes(2, fmt.Sprintf(row.format, i))
			}
			if passed != row.want {
				t.Errorf("%d of 512 requests at once passed, want %d", passed, row.want)
			}
			if n := l.passes(30, "[2001:db8:2::1]:1"); n != 20 {
				t.Errorf("of another /48 %d passed", n)
			}
		})
	}
	t.Run("L12 a refused request leaves the larger networks' shares as they are", func(t *testing.T) {
		l := newLimiter(10, nil, func() time.Time { return now })
		l.passes(1000, "[2001:db8:1:2::1]:1")
		if n := l.passes(30, "[2001:db8:1:3::1]:1"); n != 20 {
			t.Errorf("of the /64 beside a flood %d passed", n)
		}
	})
	t.Run("L12 a forgiven request is forgiven to all of them", func(t *testing.T) {
		l := newLimiter(10, nil, func() time.Time { return now })
		for i := 0; i < 500; i++ {
			c := l.client(from(fmt.Sprintf("[2001:db8:1:%x::1]:1", i)))
			if !l.allow(c) {
				t.Fatalf("request %d is refused", i)
			}
			l.forgive(c)
		}
	})
}

func TestALimiterIsBoundedAndForgetsNothing(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLimiter(10, nil, func() time.Time { return now })
	const flooding = "192.0.2.1:1"
	if n := l.passes(30, flooding); n != 20 {
		t.Fatalf("%d passed", n)
	}
	refused := 0
	for i := 0; i < 30000; i++ {
		if l.passes(1, fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)) == 0 {
			refused++
		}
	}
	t.Run("L12 thirty thousand addresses win nobody a second chance", func(t *testing.T) {
		if n := l.passes(10, flooding); n != 0 {
			t.Errorf("%d more passed", n)
		}
	})
	t.Run("L12 thirty thousand addresses shut out nobody", func(t *testing.T) {
		if n := l.passes(1, "198.51.100.7:1"); refused != 0 || n != 1 {
			t.Errorf("%d of them were refused, one more passes: %d", refused, n)
		}
	})
	t.Run("L12 floods from a hundred addresses shut out nobody", func(t *testing.T) {
		for i := 0; i < 100; i++ {
			l.passes(100, fmt.Sprintf("203.0.113.%d:1", i))
		}
		refused := 0
		for i := 0; i < 1000; i++ {
			refused += 1 - l.passes(1, fmt.Sprintf("172.16.%d.%d:1", i>>8, i&255))
		}
		if refused > 20 {
			t.Errorf("%d of 1000 other addresses are refused", refused)
		}
	})
	t.Run("L12 the memory is bounded", func(t *testing.T) {
		if n := len(l.levels[0].first) + len(l.levels[0].second); l.levels[1] != nil || n != 2*limitCounters {
			t.Errorf("%d counters", n)
		}
	})
}
