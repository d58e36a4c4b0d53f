package auth

import (
	"net/http"

	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// A dressed backend is one whose responses have the operator's headers. They are
// set before the request is handed on, with the ResponseWriter as it came: a
// wrapped one would lose what streams and upgrades need.
type dressed struct {
	next http.Handler
	set  []headers.Header
	cors *headers.CORS // nil: no scripts of other origins
}

// ServeHTTP hands a request on to the backend.
func (d *dressed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	headers.Set(head, d.set)
	if d.cors != nil {
		headers.Set(head, d.cors.Response(r.Header["Origin"]))
	}
	d.next.ServeHTTP(w, r)
}

// A crossing is a handler that answers preflights itself. They come without
// cookies, so that a backend behind a sign-in could never answer them; and one that
// does bring a session gets no further (Fetch, section "CORS-preflight request").
type crossing struct {
	h    http.Handler
	cors *headers.CORS
}

func newCrossing(h http.Handler, cors *headers.CORS) *crossing {
	c := &crossing{cors: cors}
	c.h = h
	return c
}

// ServeHTTP answers a preflight, or goes the way of every request.
func (c *crossing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions && policy.IsPreflight(r) {
		headers.Set(w.Header(), c.cors.Preflight(r))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	c.h.ServeHTTP(w, r)
}

// dress returns next with the headers that its responses have to have; next itself
// when there are none, so that nobody pays for what is not set.
func (m *Middleware) dress(next http.Handler) http.Handler {
	if len(m.o.Security.Backend) == 0 && m.o.CORS == nil {
		return next
	}
	var d http.Handler = &dressed{next: next, set: m.o.Security.Backend, cors: m.o.CORS}
	return d
}

// ownHeaders sets what our own answers have: the strict headers, whatever the
// operator says, and leave for the scripts that may read the backend's responses,
// so that they can tell that nobody is signed in.
func (m *Middleware) ownHeaders(head http.Header, r *http.Request) {
	headers.Set(head, m.o.Security.Pages)
	if m.o.CORS != nil {
		headers.Set(head, m.o.CORS.Response(r.Header["Origin"]))
	}
	head.Add("Vary", "Cookie")
}
