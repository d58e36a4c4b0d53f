package auth

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/chain"
	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// A handler is one router's use of the middleware. It holds the fields that every
// request needs, because the interpreter copies each intermediate value of an
// expression: m.o would be all of the options.
type handler struct {
	m        *Middleware
	next     http.Handler
	hot      *session.Hot
	since    func(time.Time) time.Duration
	harmless *atomic.Value   // names of headers that need no cleaning: map[string]bool
	closed   io.Writer       // fails every write
	special  *regexp.Regexp  // the plugin's own paths, and those that may be public
	name     string          // of the session cookie; the names of sign-in cookies begin with it
	cookie   string          // the name and "="
	signIns  *regexp.Regexp  // cookies of sign-ins, each after "; "
	strips   bool            // the plugin's cookies are removed
	owner    string          // of the callback
	callback string          // callbackURL
	tells    bool            // the backend gets the request's own URI
	several  *severalHandler // that h is a part of; nil: there is one provider
	plain    *regexp.Regexp  // URIs that are return targets as they are
	names    *atomic.Value   // of the session cookies of all middlewares: []string

	// The lock of hot guards the fields below.
	passages bool // withPassage adds passages
	chained  bool // a later middleware of the chain read a passage
	unread   int  // passages that none read
}

// ServeHTTP is the path of every request. Interpreted, a call costs two microseconds,
// and a function reserves memory for all of its expressions at each call, even for
// those that are not reached. So this one function has only the steps of a signed-in
// user's plain request. Memory has the session, and the request is passed on without a
// decryption or a parse. Middleware.serve has all steps.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := r.Header
	cookies := head["Cookie"]
	if len(cookies) != 1 || len(head) > headers.MaxNames || r.Method == http.MethodConnect || r.Trailer != nil || r.TransferEncoding != nil || h.special.MatchString(r.URL.Path) ||
		head.WriteSubset(h.closed, h.harmless.Load().(map[string]bool)) != nil {
		h.m.serve(w, r, h)
		return
	}
	before, after, _ := strings.Cut(cookies[0], h.cookie)
	value, rest, _ := strings.Cut(after, ";")
	h.hot.Mu.Lock()
	found := h.hot.Opened[value]
	passages := h.passages
	h.hot.Mu.Unlock()
	if found == nil || !found.Allowed || h.since(found.Until) >= 0 || before != "" && !strings.HasSuffix(before, "; ") {
		h.m.serve(w, r, h)
		return
	}
	if h.strips {
		if before == "" && rest == "" {
			delete(head, "Cookie")
		} else if !h.keepOthers(head, before, rest) {
			h.m.handOn(w, r, h, found, found.Headers)
			return
		}
	} else if len(cookies[0]) > maxCookieBytes {
		h.m.refuseCookies(w, r)
		return
	}
	for _, f := range found.Headers {
		head[f.Name] = []string{f.Value}
	}
	if h.tells {
		if len(r.RequestURI) <= policy.MaxTarget && h.plain.MatchString(r.RequestURI) {
			head[headers.RequestRedirect] = []string{r.RequestURI}
		} else {
			tellTarget(r)
		}
	}
	if passages {
		h.withPassage(w, r, cookies, found)
		return
	}
	h.next.ServeHTTP(w, r)
}

// serve has all steps of a request.
func (m *Middleware) serve(w http.ResponseWriter, r *http.Request, h *handler) {
	if r.Method == http.MethodConnect {
		m.refuseTunnel(w, r)
		return
	}
	if len(r.Host) > maxHost || !m.o.Cleaner.Clean(r) {
		m.refuseHeaders(w, r)
		return
	}
	if tooLarge(r.Header["Cookie"]) {
		m.refuseCookies(w, r)
		return
	}
	sent := r
	if r.Context().Value(chain.Key) != nil {
		sent = m.asSent(r)
	}
	for _, p := range m.paths {
		if r.URL.Path == p {
			m.serveOwn(w, sent)
			return
		}
	}
	if m.byRules {
		m.serveByRules(w, r, sent, h)
		return
	}
	if m.o.Bypass.Matches(r) {
		m.pass(w, r, h, nil)
		return
	}
	found := m.find(w, sent)
	if found == nil {
		return
	}
	if !found.Allowed {
		m.refuse(w, r, found, m.refusalDetails(found, found.Reason))
		return
	}
	m.learnNames(r.Header, found)
	m.handOn(w, r, h, found, found.Headers)
}

// maxTaught bounds the header names that the cleaner learns from the requests of one
// session. Browsers and proxies add fewer that it does not know.
const maxTaught = 16

// learnNames adds the names in head, which the cleaner has cleaned, to its harmless
// names. The next requests of all users with them cost less. Only allowed users add
// names, and each adds few, so that no client can fill the place with names of its own.
func (m *Middleware) learnNames(head http.Header, found *session.Opened) {
	if head.WriteSubset(m.closed, m.harmless.Load().(map[string]bool)) == nil {
		return
	}
	m.hot.Mu.Lock()
	left := maxTaught - int(found.Taught)
	m.hot.Mu.Unlock()
	if left <= 0 {
		return
	}
	taught := m.o.Cleaner.Learn(head, left)
	m.hot.Mu.Lock()
	found.Taught += uint8(taught)
	m.hot.Mu.Unlock()
}

// handOn passes a request of an allowed session to the backend, with headers about the
// user.
func (m *Middleware) handOn(w http.ResponseWriter, r *http.Request, h *handler, found *session.Opened, fields []session.Field) {
	for _, f := range fields {
		r.Header[f.Name] = []string{f.Value}
	}
	if !m.o.Minimal {
		tellTarget(r)
	}
	m.pass(w, r, h, found)
}

// pass passes a request on without the plugin's cookies. Found is nil on a public path.
// There, a later middleware of the chain may redirect the user to the provider.
func (m *Middleware) pass(w http.ResponseWriter, r *http.Request, h *handler, found *session.Opened) {
	cookies, ok := m.stripCookies(r.Header)
	if !ok {
		m.refuseCookies(w, r)
		return
	}
	if cookies == nil && found == nil && !navigation(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	h.withPassage(w, r, cookies, found)
}

// tellTarget gives the backend the request's own URI in a header, if it is a return
// target. A backend may redirect to it.
func tellTarget(r *http.Request) {
	if target, ok := targetOf(r, policy.MaxTarget); ok {
		r.Header[headers.RequestRedirect] = []string{target}
	}
}

// find returns the session of a request that memory did not answer. Without one it
// answers the request itself and returns nil.
func (m *Middleware) find(w http.ResponseWriter, r *http.Request) *session.Opened {
	defer m.recovered(w, r)
	o, err := m.sessions.Load(r.Context(), r)
	switch {
	case err == nil:
		return o
	case errors.Is(err, session.ErrNone):
		m.askToSignIn(w, r, errors.Is(err, session.ErrForeign))
	default:
		m.fail(w, r, storeDown, err)
	}
	return nil
}

func (m *Middleware) recovered(w http.ResponseWriter, r *http.Request) {
	if recover() != nil {
		m.fail(w, r, internalFault, nil)
	}
}
