package headers

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// maxLearned bounds how many names of other headers a Cleaner learns, so that
	// clients cannot make it grow.
	maxLearned = 512
	// maxLearnedBytes bounds the length of a name that is learned.
	maxLearnedBytes = 100
	// MaxNames bounds how many names a request's header, and its trailer, may have.
	MaxNames = 200
	// maxNameBytes bounds the length of the names that are looked at, together.
	maxNameBytes = 16 << 10
	// maxConnection bounds the Connection header, in bytes. A longer one is left out:
	// it is about the client's own connection.
	maxConnection = 1 << 10
)

// A Cleaner removes from requests the headers that only the middleware may set, and the
// headers by which other proxies name the user. It is safe for concurrent use.
type Cleaner struct {
	ours    *regexp.Regexp // our names among lines
	options *regexp.Regexp // our names among the options of a Connection header
	closed  *io.PipeWriter // fails every write
	initial map[string]bool
	known   atomic.Value // map[string]bool: the initial and the learned names; replaced, never changed

	mu      sync.Mutex // guards learned and the replacing of known
	learned int
}

// NewCleaner returns a cleaner for the standard headers, for names, and for the headers
// by which other proxies name the user. Of the last, the kept ones pass, in the
// spelling of http.CanonicalHeaderKey. CheckKept reports those that cannot be kept.
func NewCleaner(names, kept []string) *Cleaner {
	c := &Cleaner{}
	all := strings.Join(patterns(names), "|")
	c.ours = regexp.MustCompile("(?i)\n(?:" + all + ")\n")
	c.options = regexp.MustCompile("(?i),[ \t]*(?:" + all + ")[ \t]*,")
	known := knownNames()
	known["Authorization"] = true
	for n := range known {
		if !c.learnable(n) {
			delete(known, n)
		}
	}
	keep(known, kept)
	c.initial = known
	c.known.Store(known)
	_, c.closed = io.Pipe()
	_ = c.closed.Close()
	return c
}

// Clean removes the middleware's headers from r in every spelling: in any case, and
// with underscores or other separators for dashes, because CGI servers read them as the
// same name. It removes them from the trailer too, and from the Connection header,
// which would make the proxy drop headers that are set later. It also removes an offer
// to change the protocol, unless it is that of a WebSocket.
//
// The trailer of a chunked body arrives with the end of the body, and is cleaned then.
//
// Clean reports whether r is clean. If it is not, r must not be passed on: a header or
// a trailer has more than MaxNames names, or names that are too long.
func (c *Cleaner) Clean(r *http.Request) bool {
	h := r.Header
	if len(h) > MaxNames || h.WriteSubset(c.closed, c.known.Load().(map[string]bool)) != nil && !c.clean(h) {
		return false
	}
	if r.Trailer != nil && !c.cleanTrailer(r.Trailer) {
		return false
	}
	if len(r.TransferEncoding) > 0 && r.Body != nil {
		c.guardTrailer(r)
	}
	cleanUpgrade(r)
	if v := h["Connection"]; len(v) > 0 && (len(v) > 1 || v[0] != "keep-alive") {
		c.cleanConnection(h, v)
	}
	return true
}

// Harmless holds the names of headers that need no cleaning, in a map[string]bool that
// is replaced and never changed. A request is clean if its header has no others and it
// has no trailer. Connection and Upgrade are never among them, because their values
// matter.
//
// One call of the standard library reports whether a header has other names:
// WriteSubset to Closed fails as soon as it has one to write.
func (c *Cleaner) Harmless() *atomic.Value {
	return &c.known
}

// Closed fails every write.
func (c *Cleaner) Closed() io.Writer {
	return c.closed
}

// clean removes the middleware's headers from h. A client may send many headers, so one
// call of the standard library finds them among all names.
func (c *Cleaner) clean(h http.Header) bool {
	if len(h) > MaxNames {
		return false
	}
	known := c.known.Load().(map[string]bool)
	var others []string
	for name := range h {
		if !known[name] {
			others = append(others, name)
		}
	}
	return others == nil || c.remove(h, others)
}

// cleanTrailer removes the middleware's headers from a trailer, and kept ones too. A
// proxy before Traefik sets them in the header, but a client may have sent the trailer.
func (c *Cleaner) cleanTrailer(t http.Header) bool {
	if len(t) > MaxNames {
		return false
	}
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	return c.remove(t, names)
}

// remove removes those of names from h that belong to the middleware.
func (c *Cleaner) remove(h http.Header, names []string) bool {
	lines := "\n" + strings.Join(names, "\n\n") + "\n"
	if len(lines) > maxNameBytes {
		return false
	}
	for _, line := range c.ours.FindAllString(lines, -1) {
		delete(h, line[1:len(line)-1])
	}
	return true
}

// Learn adds names of h to the harmless ones, but no more than most, and returns how
// many. h is the header of a request that Clean has cleaned. When the harmless names
// would become too many, the learned ones are dropped first.
//
// A request with other than harmless names costs more. So only requests of users should
// add names, and each user few of them. The names of an attacker would replace those
// that browsers send.
func (c *Cleaner) Learn(h http.Header, most int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.known.Load().(map[string]bool)
	var others []string
	for name := range h {
		if len(others) < most && !known[name] && c.learnable(name) {
			others = append(others, name)
		}
	}
	if others == nil {
		return 0
	}
	if c.learned+len(others) > maxLearned {
		known = c.initial
		c.learned = 0
	}
	more := map[string]bool{}
	for name := range known {
		more[name] = true
	}
	for _, name := range others {
		more[name] = true
	}
	c.learned += len(others)
	c.known.Store(more)
	return len(others)
}

// methodOverride matches the names of headers by which some servers take another method.
// They are never harmless: a request with one needs a closer look at its access rules.
// Servers with CGI variables read any other character in place of a hyphen.
var methodOverride = regexp.MustCompile(`(?i)^X[^a-z0-9](?:Http[^a-z0-9])?(?:Original[^a-z0-9])?Method(?:[^a-z0-9]?Override)?$`)

// learnable reports whether a header of the name is always harmless.
func (c *Cleaner) learnable(name string) bool {
	if name == "Connection" || name == "Upgrade" || len(name) > maxLearnedBytes || methodOverride.MatchString(name) {
		return false
	}
	return !c.ours.MatchString("\n" + name + "\n")
}

// cleanConnection removes the middleware's names from the list of headers that end at
// this connection (RFC 9110, section 7.6.1), and Upgrade if that header is missing.
func (c *Cleaner) cleanConnection(h http.Header, values []string) {
	list := strings.Join(values, ", ")
	if len(list) > maxConnection {
		delete(h, "Connection")
		return
	}
	// Each option has commas of its own, so that matches do not overlap.
	list = "," + strings.ReplaceAll(list, ",", ",,") + ","
	kept := c.options.ReplaceAllLiteralString(list, "")
	if len(h["Upgrade"]) == 0 {
		kept = upgradeOption.ReplaceAllLiteralString(kept, "")
	}
	if kept == list {
		return
	}
	kept = strings.Trim(strings.ReplaceAll(kept, ",,", ","), ", \t")
	if kept == "" {
		delete(h, "Connection")
		return
	}
	h["Connection"] = []string{kept}
}
