package headers

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// maxLearned bounds how many names of other headers a Cleaner learns, so that a
// client cannot make it grow.
const maxLearned = 64

// A Cleaner removes from requests the headers that only the middleware may set.
// It is safe for concurrent use.
type Cleaner struct {
	ours   map[string]bool // by spelling
	closed *io.PipeWriter  // fails every write
	known  atomic.Value    // map[string]bool: names that are not ours; replaced, never changed

	mu      sync.Mutex // guards learned and the replacing of known
	learned int
}

// NewCleaner returns a cleaner for the standard headers and names.
func NewCleaner(names []string) *Cleaner {
	c := &Cleaner{ours: map[string]bool{}}
	for _, n := range standardNames {
		c.ours[spelling(n)] = true
	}
	for _, n := range names {
		c.ours[spelling(n)] = true
	}
	c.ours[settingsOfHTTP2] = true
	known := knownNames()
	known["Authorization"] = true
	delete(known, "Connection")
	delete(known, "Upgrade")
	for n := range known {
		if c.ours[spelling(n)] {
			delete(known, n)
		}
	}
	c.known.Store(known)
	_, c.closed = io.Pipe()
	_ = c.closed.Close()
	return c
}

// Clean removes our headers from r in every spelling: any case, and underscores
// or other separators for dashes, as servers that speak CGI to their programs
// take them for the same. It removes them from the trailer too, and from the
// Connection header, which would make the proxy drop what we set later. An offer
// to change the protocol is removed too, unless it is that of a WebSocket.
//
// The trailer of a chunked body is read, and put into r, with the end of the body:
// it is cleaned then.
func (c *Cleaner) Clean(r *http.Request) {
	// One call of the standard library looks at all names: it fails as soon as it
	// has a header to write that is not known, in most requests never.
	h := r.Header
	if h.WriteSubset(c.closed, c.known.Load().(map[string]bool)) != nil {
		c.clean(h)
	}
	if r.Trailer != nil {
		c.clean(r.Trailer)
	}
	if len(r.TransferEncoding) > 0 && r.Body != nil {
		c.guardTrailer(r)
	}
	cleanUpgrade(r)
	if v := h["Connection"]; len(v) > 0 && (len(v) > 1 || v[0] != "keep-alive") {
		c.cleanConnection(h, v)
	}
}

// Harmless holds the names of headers that need no cleaning, in a map[string]bool
// that is replaced and never changed. A request whose header has no others and no
// trailer is clean. Connection and Upgrade are never among them: it depends on
// their values.
func (c *Cleaner) Harmless() *atomic.Value {
	return &c.known
}

// clean looks at every name by itself.
func (c *Cleaner) clean(h http.Header) {
	known := c.known.Load().(map[string]bool)
	var others []string
	for name := range h {
		if known[name] {
			continue
		}
		if c.ours[spelling(name)] {
			delete(h, name)
			continue
		}
		if name != "Connection" && name != "Upgrade" {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		c.learn(others)
	}
}

// learn adds names that are not ours to the known ones.
func (c *Cleaner) learn(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.learned >= maxLearned {
		return
	}
	known := map[string]bool{}
	for n := range c.known.Load().(map[string]bool) {
		known[n] = true
	}
	for _, n := range names {
		if !known[n] && c.learned < maxLearned && len(n) <= 100 {
			known[n] = true
			c.learned++
		}
	}
	c.known.Store(known)
}

// cleanConnection drops our names from the list of headers that end at this
// connection (RFC 9110, section 7.6.1), and Upgrade where that header is not there.
func (c *Cleaner) cleanConnection(h http.Header, values []string) {
	var kept []string
	found := false
	upgrades := len(h["Upgrade"]) > 0
	for _, option := range strings.Split(strings.Join(values, ","), ",") {
		option = strings.TrimSpace(option)
		name := spelling(option)
		if c.ours[name] || name == "upgrade" && !upgrades {
			found = true
			continue
		}
		if option != "" {
			kept = append(kept, option)
		}
	}
	if !found {
		return
	}
	if kept == nil {
		delete(h, "Connection")
		return
	}
	h["Connection"] = []string{strings.Join(kept, ", ")}
}
