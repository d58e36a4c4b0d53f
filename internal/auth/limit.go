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
	// limitCounters is how many counters each row of a level has: a power of two.
	limitCounters = 1 << 12

	// forwardedHops and forwardedBytes bound how much of X-Forwarded-For is read.
	forwardedHops  = 32
	forwardedBytes = 4096
)

// prefixLengths are the IPv6 networks that requests are counted by. One customer of a
// network operator has between the first and the last. Each may have twice what the
// one before may.
var prefixLengths = []int{64, 56, 48}

// nat64 is where a gateway puts the IPv4 clients of an IPv6 server (RFC 6052): in the
// last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// A limiter gives each client so many requests a second, and twice as many at once.
// It counts only what costs something: sign-ins, callbacks, logouts.
//
// Its memory is bounded whatever number of addresses there is. A client is counted in
// two counters, which a keyed hash chooses, and is refused when both are used up. So
// no flood of addresses makes it forget what a client used, and to shut out another
// client both of the counters of that have to be used up.
type limiter struct {
	period  int64 // between two requests, in ns; negative: any number may come
	trusted []netip.Prefix
	now     func() time.Time
	start   time.Time
	seed    maphash.Seed

	mu     sync.Mutex // guards levels
	levels []*level   // by place in client; nil: not needed yet
}

// A level counts the clients of one size of network. A counter is the time, in ns
// since the limiter's start, at which nothing is used any more (the generic cell rate
// algorithm).
type level struct {
	period        int64
	first, second []int64
}

// newLimiter allows so many requests a second; zero: any number.
func newLimiter(rate int, trusted []netip.Prefix, now func() time.Time) *limiter {
	l := &limiter{period: -1, trusted: trusted, now: now, start: now(), seed: maphash.MakeSeed(), levels: make([]*level, len(prefixLengths))}
	if rate > 0 {
		l.period = int64(time.Second) / int64(rate)
	}
	return l
}

// allow takes one request from what each network of c has left.
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

// forgive gives back what allow took.
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

// places are where a hash is counted.
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

// used is counter after one more request. What one client of a shared counter uses
// beyond its end is not held against the other.
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

// A client is where a request comes from: the IPv4 address, or the IPv6 networks of
// prefixLengths.
type client []string

// network is the largest that is one client's.
func (c client) network() string {
	return c[len(c)-1]
}

// client returns where r came from: the address of the connection, or, behind proxies
// that the operator trusts, the last in X-Forwarded-For that is none of them.
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
		p, _ := addr.Prefix(bits) // fails for no length of these
		c = append(c, p.String())
	}
	return c
}

// forwarded reads X-Forwarded-For from its end, where the trusted proxies wrote. What
// a client may have put in front of that is neither split nor looked at.
func (l *limiter) forwarded(from netip.Addr, headers []string) netip.Addr {
	if n := len(headers) - forwardedHops; n > 0 {
		headers = headers[n:]
	}
	rest := strings.Join(headers, ",")
	if n := len(rest) - forwardedBytes; n > 0 {
		_, rest, _ = strings.Cut(rest[n:], ",") // not the half of an address
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

// forwardedAddr reads an address, to which some proxies add the port.
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
