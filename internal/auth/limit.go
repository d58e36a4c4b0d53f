package auth

import (
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	// limitWindow is the time whose share of its rate a client may use at once.
	limitWindow = int64(2 * time.Second)
	// limitCounters is the number of counters in each row of a level. It is a power of
	// two.
	limitCounters = 1 << 12

	// forwardedHops and forwardedBytes bound the part of X-Forwarded-For that is read.
	forwardedHops  = 32
	forwardedBytes = 4096
)

// prefixLengths are the IPv6 networks by which requests are counted. One customer of a
// network operator has a network between the first and the last. Each level admits
// twice as many requests as the one before.
var prefixLengths = []int{64, 56, 48}

// nat64 is the network in which a gateway places the IPv4 clients of an IPv6 server
// (RFC 6052). Their address is the last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// A limiter admits a number of requests a second from each client, and twice as many at
// once. It limits only requests that cause work: sign-ins, callbacks and logouts.
//
// Its memory is bounded for any number of addresses. A keyed hash chooses two counters
// for each client. A client is refused when both are used up. So a flood of addresses
// does not erase the count of a client, and it refuses another client only if it uses
// up both of that client's counters.
type limiter struct {
	period  int64 // between two requests, in ns; negative: no limit
	trusted []netip.Prefix
	now     func() time.Time
	start   time.Time
	seed    maphash.Seed

	mu     sync.Mutex // guards levels
	levels []*level   // by index in client; nil: not needed yet
}

// A level counts the clients of one size of network. A counter is the time, in ns since
// the limiter's start, at which its client has its full share again (the generic cell
// rate algorithm).
type level struct {
	period        int64
	first, second []int64
}

// newLimiter returns a limiter of a number of requests a second; zero: no limit.
func newLimiter(rate int, trusted []netip.Prefix, now func() time.Time) *limiter {
	l := &limiter{period: -1, trusted: trusted, now: now, start: now(), seed: maphash.MakeSeed(), levels: make([]*level, len(prefixLengths))}
	if rate > 0 {
		l.period = int64(time.Second) / int64(rate)
	}
	return l
}

// allow takes one request from the share of each network of c, unless one of them has
// none left.
func (l *limiter) allow(c client) bool {
	if l.period < 0 {
		return true
	}
	now := int64(l.now().Sub(l.start))
	l.mu.Lock()
	ok := true
	for i := range c {
		if l.levelLocked(i).isUsedUp(maphash.String(l.seed, c[i]), now) {
			ok = false
		}
	}
	for i := range c {
		if ok {
			l.levels[i].use(maphash.String(l.seed, c[i]), now)
		}
	}
	l.mu.Unlock()
	return ok
}

// forgive returns the request that allow took.
func (l *limiter) forgive(c client) {
	if l.period < 0 {
		return
	}
	l.mu.Lock()
	for i := range c {
		l.levelLocked(i).giveBack(maphash.String(l.seed, c[i]))
	}
	l.mu.Unlock()
}

func (l *limiter) levelLocked(i int) *level {
	if l.levels[i] == nil {
		l.levels[i] = &level{period: l.period >> uint(i), first: make([]int64, limitCounters), second: make([]int64, limitCounters)}
	}
	return l.levels[i]
}

// places returns the indexes of a hash's two counters.
func (v *level) places(hash uint64) (int, int) {
	return int(hash % limitCounters), int((hash >> 32) % limitCounters)
}

func (v *level) isUsedUp(hash uint64, now int64) bool {
	latest := now + limitWindow - v.period
	i, j := v.places(hash)
	return v.first[i] > latest && v.second[j] > latest
}

func (v *level) use(hash uint64, now int64) {
	i, j := v.places(hash)
	v.first[i] = v.used(v.first[i], now)
	v.second[j] = v.used(v.second[j], now)
}

// used returns a counter after one more request. If two clients share it, one client's
// excess does not reduce the other's share.
func (v *level) used(counter, now int64) int64 {
	if counter < now {
		counter = now
	}
	counter += v.period
	if counter > now+limitWindow {
		return now + limitWindow
	}
	return counter
}

func (v *level) giveBack(hash uint64) {
	i, j := v.places(hash)
	v.first[i] -= v.period
	v.second[j] -= v.period
}

// A client is the source of a request: the IPv4 address, or the IPv6 networks of
// prefixLengths.
type client []string

// network returns the largest network that belongs to one client.
func (c client) network() string {
	return c[len(c)-1]
}

// client returns the source of r: the address of the connection. Behind proxies that
// the operator trusts, it is the last address in X-Forwarded-For that is not trusted.
func (l *limiter) client(r *http.Request) client {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return client{host}
	}
	addr = addr.Unmap()
	if l.isTrusted(addr) {
		addr = l.forwarded(addr, r.Header["X-Forwarded-For"])
	}
	return clientAt(addr)
}

func clientAt(addr netip.Addr) client {
	if nat64.Contains(addr) {
		b := addr.As16()
		if v4, ok := netip.AddrFromSlice(b[12:]); ok {
			addr = v4
		}
	}
	if !addr.Is6() {
		return client{addr.String()}
	}
	c := make(client, 0, len(prefixLengths))
	for _, bits := range prefixLengths {
		p, _ := addr.Prefix(bits) // does not fail for these lengths
		c = append(c, p.String())
	}
	return c
}

// forwarded reads X-Forwarded-For from its end, where the trusted proxies wrote. It
// neither splits nor parses the part before that, which a client may have sent.
func (l *limiter) forwarded(from netip.Addr, headers []string) netip.Addr {
	if n := len(headers) - forwardedHops; n > 0 {
		headers = headers[n:]
	}
	rest := strings.Join(headers, ",")
	if n := len(rest) - forwardedBytes; n > 0 {
		_, rest, _ = strings.Cut(rest[n:], ",") // the cut may have split an address
	}
	for hop := 0; hop < forwardedHops; hop++ {
		comma := strings.LastIndexByte(rest, ',')
		a, err := forwardedAddr(strings.TrimSpace(rest[comma+1:]))
		if err != nil {
			return from
		}
		from = a.Unmap()
		if comma < 0 || !l.isTrusted(from) {
			return from
		}
		rest = rest[:comma]
	}
	return from
}

// forwardedAddr parses an address. Some proxies add the port to it.
func forwardedAddr(text string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr(), nil
	}
	return netip.ParseAddr(text)
}

func (l *limiter) isTrusted(a netip.Addr) bool {
	for _, p := range l.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
