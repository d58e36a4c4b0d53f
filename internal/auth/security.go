package auth

import (
	"net/http"

	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// dressed is a backend whose responses have the operator's headers. They are set before
// the request is passed on with the original ResponseWriter. A wrapped one would lose
// the methods that streams and upgrades need.
type dressed struct {
	next http.Handler
	set  []headers.Header
	cors *headers.CORS // nil: scripts of other origins have no access
}

// ServeHTTP passes a request to the backend.
func (d *dressed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	headers.Set(head, d.set)
	if d.cors != nil {
		headers.Set(head, d.cors.Response(r.Header["Origin"]))
	}
	d.next.ServeHTTP(w, r)
}

// A crossing is a handler that answers preflights itself. They have no cookies, so they
// would never reach a backend behind a sign-in. A preflight with a session gets no
// further either (Fetch, section "CORS-preflight request").
type crossing struct {
	h    http.Handler
	cors *headers.CORS
}

func newCrossing(h http.Handler, cors *headers.CORS) *crossing {
	c := &crossing{cors: cors}
	c.h = h
	return c
}

// ServeHTTP answers a preflight, and passes any other request on.
func (c *crossing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions && policy.IsPreflight(r) {
		headers.Set(w.Header(), c.cors.Preflight(r))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	c.h.ServeHTTP(w, r)
}

// dress returns next with the headers of its responses. It returns next itself if there
// are none, because each handler costs time.
func (m *Middleware) dress(next http.Handler) http.Handler {
	if len(m.o.Security.Backend) == 0 && m.o.CORS == nil {
		return next
	}
	var d http.Handler = &dressed{next: next, set: m.o.Security.Backend, cors: m.o.CORS}
	return d
}

// ownHeaders sets the headers of the plugin's own responses. They are the strict
// headers in every configuration, and CORS headers for the scripts that may read the
// backend's responses. So a script can detect that the user is not signed in.
func (m *Middleware) ownHeaders(head http.Header, r *http.Request) {
	headers.Set(head, m.o.Security.Pages)
	if m.o.CORS != nil {
		headers.Set(head, m.o.CORS.Response(r.Header["Origin"]))
	}
	head.Add("Vary", "Cookie")
}
