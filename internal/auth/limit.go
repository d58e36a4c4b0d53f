package auth

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// clientsKept bounds the addresses that a limiter remembers. Beyond it the ones
// not seen lately are forgotten, which forgives them.
const clientsKept = 20000

// forwardedHops bounds how much of X-Forwarded-For is read.
const forwardedHops = 32

// A limiter gives each client address so many requests a second, and twice as many
// at once. It counts only what costs something: sign-ins, callbacks, logouts.
type limiter struct {
	rate    float64 // a second
	trusted []netip.Prefix
	now     func() time.Time

	mu         sync.Mutex // guards the fields below
	young, old map[string]*bucket
}

// A bucket is what an address has left, as of a moment.
type bucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(rate int, trusted []netip.Prefix, now func() time.Time) *limiter {
	return &limiter{rate: float64(rate), trusted: trusted, now: now, young: map[string]*bucket{}, old: map[string]*bucket{}}
}

// allow takes one from what the client of r has left.
func (l *limiter) allow(r *http.Request) bool {
	if l.rate <= 0 {
		return true
	}
	who := l.client(r)
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucketLocked(who, now)
	if since := now.Sub(b.at); since > 0 {
		b.tokens += since.Seconds() * l.rate
		b.at = now
	}
	if b.tokens > 2*l.rate {
		b.tokens = 2 * l.rate
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// forgive gives back what allow took.
func (l *limiter) forgive(r *http.Request) {
	if l.rate <= 0 {
		return
	}
	who := l.client(r)
	now := l.now()
	l.mu.Lock()
	l.bucketLocked(who, now).tokens++
	l.mu.Unlock()
}

func (l *limiter) bucketLocked(who string, now time.Time) *bucket {
	b := l.young[who]
	if b != nil {
		return b
	}
	b = l.old[who]
	if b == nil {
		b = &bucket{tokens: 2 * l.rate, at: now}
	}
	if len(l.young) >= clientsKept/2 {
		l.old = l.young
		l.young = map[string]*bucket{}
	}
	l.young[who] = b
	return b
}

// client is the address that r came from: of the connection, or, behind proxies
// that the operator trusts, the last in X-Forwarded-For that is none of them. An
// IPv6 client is its /64, since it has all of it.
func (l *limiter) client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap()
	if l.isTrusted(addr) {
		addr = l.forwarded(addr, r.Header["X-Forwarded-For"])
	}
	if addr.Is6() {
		p, err := addr.WithZone("").Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// forwarded reads X-Forwarded-For from its end, where the trusted proxies wrote.
func (l *limiter) forwarded(from netip.Addr, headers []string) netip.Addr {
	all := strings.Split(strings.Join(headers, ","), ",")
	for i := 0; i < len(all) && i < forwardedHops; i++ {
		a, err := forwardedAddr(strings.TrimSpace(all[len(all)-1-i]))
		if err != nil {
			return from
		}
		from = a.Unmap()
		if !l.isTrusted(from) {
			return from
		}
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
