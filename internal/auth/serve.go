package auth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/session"
)

// A handler is one router's use of the middleware.
type handler struct {
	m    *Middleware
	next http.Handler
}

// ServeHTTP is the path of every request. It is flat because each call costs a
// microsecond when interpreted: a signed-in person's request is cleaned, found in
// memory by its cookie's value and handed on, without a decryption or a parse.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := h.m
	m.o.Cleaner.Clean(r)
	path := r.URL.Path
	if path == m.callbackPath || path == m.o.LogoutPath {
		m.serveOwn(w, r)
		return
	}
	if m.o.Bypass != nil && m.o.Bypass.Matches(r) {
		m.forget(r.Header)
		h.next.ServeHTTP(w, r)
		return
	}
	var found *session.Opened
	if cookies := r.Header["Cookie"]; len(cookies) == 1 {
		c := cookies[0]
		i := strings.Index(c, m.cookieMark)
		if i == 0 || i > 0 && c[i-1] == ' ' {
			v := c[i+len(m.cookieMark):]
			if j := strings.IndexByte(v, ';'); j >= 0 {
				v = v[:j]
			}
			found = m.sessions.Lookup(v)
		}
	}
	if found == nil || !m.o.Now().Before(found.Until) {
		found = m.find(w, r)
		if found == nil {
			return
		}
	}
	if !found.Allowed {
		m.refuse(w, r, found)
		return
	}
	head := r.Header
	m.forget(head)
	if m.o.StripAuthorization {
		delete(head, "Authorization")
	}
	for _, f := range found.Headers {
		head[f.Name] = []string{f.Value}
	}
	if !m.o.Minimal {
		head[headers.RequestRedirect] = []string{r.URL.RequestURI()}
	}
	h.next.ServeHTTP(w, r)
}

// forget removes our cookies from what the backend sees.
func (m *Middleware) forget(head http.Header) {
	if !m.o.StripCookies {
		return
	}
	cookies := head["Cookie"]
	if len(cookies) == 0 {
		return
	}
	if c := cookies[0]; len(cookies) == 1 && strings.HasPrefix(c, m.cookieMark) && strings.IndexByte(c, ';') < 0 {
		delete(head, "Cookie")
		return
	}
	var kept []string
	for _, c := range cookies {
		if c = m.o.Cookies.Strip(c); c != "" {
			kept = append(kept, c)
		}
	}
	if kept == nil {
		delete(head, "Cookie")
		return
	}
	head["Cookie"] = kept
}

// find returns the session of a request that memory did not answer, or answers
// the request itself and returns nil.
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

// serveOwn serves the paths that are ours and never the backend's. A panic of
// ours must not take the connection's goroutine with it unexplained.
func (m *Middleware) serveOwn(w http.ResponseWriter, r *http.Request) {
	defer m.recovered(w, r)
	if r.URL.Path == m.callbackPath {
		m.callback(w, r)
		return
	}
	m.logout(w, r)
}

func (m *Middleware) recovered(w http.ResponseWriter, r *http.Request) {
	if recover() != nil {
		m.fail(w, r, internalFault, nil)
	}
}
