package auth

import (
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/session"
)

// Siblings are the middlewares of the process, for the lines of the log that name them.
// They are safe for concurrent use. The zero value has none.
type Siblings struct {
	mu  sync.Mutex // guards the field below
	all []*sibling
}

// A sibling has the properties of a middleware that its siblings use.
type sibling struct {
	name     string // of the middleware
	identity string
	callback string // callbackURL
	path     string // of the callback
	logins   *session.Logins
	hosts    *firsts // at which it began sign-ins
}

// hostsKept bounds the hosts that a sibling remembers.
const hostsKept = 100

// siblingsAsked bounds the siblings that are searched for the owner of a state.
const siblingsAsked = 50

// siblingsNamed bounds the siblings that a line of the log names. The latest are named.
const siblingsNamed = 10

func (s *Siblings) add(a *sibling) {
	s.mu.Lock()
	s.all = append(s.all, a)
	s.mu.Unlock()
}

func (s *Siblings) remove(a *sibling) {
	s.mu.Lock()
	var kept []*sibling
	for _, other := range s.all {
		if other != a {
			kept = append(kept, other)
		}
	}
	s.all = kept
	s.mu.Unlock()
}

// others returns the siblings of a. Of those with the same name and callback it returns
// the latest.
func (s *Siblings) others(a *sibling) []*sibling {
	s.mu.Lock()
	all := s.all
	s.mu.Unlock()
	var others []*sibling
	seen := map[string]bool{a.name + "\n" + a.callback: true}
	for i := len(all) - 1; i >= 0; i-- {
		o := all[i]
		what := o.name + "\n" + o.callback
		if !seen[what] {
			seen[what] = true
			others = append(others, o)
		}
	}
	return others
}

// foreignState returns, for the log, the middleware that made the state of a callback
// that is not m's.
func (m *Middleware) foreignState(r *http.Request, state string) error {
	others := m.o.Siblings.others(m.self)
	for i, o := range others {
		if i == siblingsAsked {
			break
		}
		if _, err := o.logins.Find(state, r); !errors.Is(err, session.ErrState) {
			return fmt.Errorf("auth: the middleware %q, whose callbackURL is %q, started this sign-in, and the middleware %q, whose callbackURL is %q, served its callback: "+
				"give each a callbackURL of its own that only its router serves, or give both the same sessionGroup, issuer and client", o.name, o.callback, m.self.name, m.self.callback)
		}
	}
	var same []string
	for _, o := range others {
		if len(same) < siblingsNamed && o.path == m.self.path {
			same = append(same, fmt.Sprintf("%q", o.name))
		}
	}
	sort.Strings(same)
	text := "no middleware of this Traefik started this sign-in; if users report it, check that all replicas have the same sessionEncryptionKey"
	if len(same) > 0 {
		text += fmt.Sprintf(", and that the callback path %s is served by one middleware: %q, %s have it", m.self.path, m.self.name, strings.Join(same, ", "))
	}
	return fmt.Errorf("auth: %s: %w", text, session.ErrState)
}

var misplacedCallback = failure{http.StatusBadRequest, "misplaced_callback", false}

// misplaced returns an error if the provider redirected the user of r to a path that is
// not the callback of m. Another sign-in would end there again. It returns nil for the
// callback of a middleware of the same identity that comes later in the chain.
func (m *Middleware) misplaced(r *http.Request) error {
	if !strings.Contains(r.URL.RawQuery, "state=") {
		return nil
	}
	a, problem := parseAnswer(r.URL.RawQuery)
	if problem != "" || a.code == "" && a.err == "" {
		return nil
	}
	if _, err := m.logins.Find(a.state, r); errors.Is(err, session.ErrState) {
		return nil
	}
	for i, o := range m.o.Siblings.others(m.self) {
		if i == siblingsAsked {
			break
		}
		if o.identity != m.self.identity {
			continue
		}
		if o.path == r.URL.Path {
			return nil
		}
		if strings.HasSuffix(r.URL.Path, o.path) {
			return fmt.Errorf("auth: the middleware %q sees a callback at the path %q, and its callbackURL is %q: "+
				"if the middleware %q, whose callbackURL is %q, comes later in the chain and behind a StripPrefix, give both the same cookiePrefix and cookieDomain, so that the first completes its sign-ins, "+
				"or put StripPrefix behind both; otherwise put middlewares that change the path (StripPrefix, AddPrefix, ReplacePath) behind %[1]q",
				m.self.name, brief(r.URL.Path), m.self.path, o.name, o.path)
		}
	}
	return fmt.Errorf("auth: the provider sent the user back to %s, and the middleware %q sees the path %q, which is not that of its callbackURL, %q: "+
		"put middlewares that change the path (StripPrefix, AddPrefix, ReplacePath) behind this one", brief(m.callbackAddress(r)), m.self.name, brief(r.URL.Path), m.self.path)
}

// foreignPause is the shortest time between two lines of the log about foreign cookies.
const foreignPause = 10 * time.Minute

// tellOfForeignCookie warns, at most once in foreignPause, of session cookies that
// other middlewares made.
func (m *Middleware) tellOfForeignCookie(r *http.Request) {
	if !session.IsSessionCookie(r.Header["Cookie"], m.o.Cookies.Name) {
		return
	}
	now := m.o.Now().UnixNano()
	last := m.foreignTold.Load()
	if last != 0 && now-last < int64(foreignPause) || !m.foreignTold.CompareAndSwap(last, now) {
		return
	}
	same := m.sharersOf(strings.ToLower(r.Host))
	if len(same) == 0 {
		same = m.sharersOf("")
	}
	sort.Strings(same)
	m.log(r, slogWarn, "a session cookie is ignored because this middleware did not make it; middlewares of one host need the same sessionGroup, issuer and client, or a cookiePrefix each, "+
		"and all replicas the same sessionEncryptionKey", "cookie", m.o.Cookies.Name, "middlewaresWithThisCookie", strings.Join(same, " "))
}

// sharersOf names the siblings of another identity that use a cookie of the same name
// and began sign-ins at host; "": at any host.
func (m *Middleware) sharersOf(host string) []string {
	var same []string
	for _, o := range m.o.Siblings.others(m.self) {
		switch {
		case len(same) == siblingsNamed:
			return same
		case o.identity == m.self.identity || o.logins.Cookies.Name != m.o.Cookies.Name:
		case host == "" || o.hosts.has(host):
			same = append(same, o.name)
		}
	}
	return same
}

var signInRepeats = failure{http.StatusBadGateway, "sign_in_repeats", true}

var errRepeats = errors.New("auth: a browser completed several sign-ins within seconds and has no session; " +
	"another middleware of the host may have a cookie of the same name (cookiePrefix), or something takes the cookie away")
