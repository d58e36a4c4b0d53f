package auth

import (
	"net/http"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/chain"
)

// stripCookies takes our cookies out of what the backend sees, and those of every other
// middleware of the process: browsers send them all, and to whoever has them they are
// sessions. It returns the request to pass on, or nil if there are too many.
//
// The middleware that a cookie belongs to may come later in the chain, so asSent tells
// it what the client sent. That costs something, and is done where cookies of others
// are taken out, and on a public path, where the next middleware may ask for a session.
func (m *Middleware) stripCookies(r *http.Request, public bool) *http.Request {
	cookies := r.Header["Cookie"]
	if !m.o.StripCookies || len(cookies) == 0 {
		return r
	}
	others := m.o.CookieNames.Others(strings.Join(cookies, "; "), m.o.Cookies.Name)
	told := false
	var kept []string
	for _, c := range cookies {
		left, ok := m.stripper.Strip(c)
		if !ok {
			return nil
		}
		told = told || public && left != c
		if others {
			own := left
			left, ok = m.o.CookieNames.StripOthers(own, m.o.Cookies.Name)
			if !ok {
				return nil
			}
			told = told || left != own
		}
		if left != "" {
			kept = append(kept, left)
		}
	}
	if kept == nil {
		delete(r.Header, "Cookie")
	} else {
		r.Header["Cookie"] = kept
	}
	if !told {
		return r
	}
	return r.WithContext(chain.WithCookies(r.Context(), cookies))
}

// keepOthers is stripCookies for the one Cookie header of a session that was found,
// with what stands before it and after it.
func (h *handler) keepOthers(r *http.Request, before, after string) *http.Request {
	head := r.Header
	if len(head["Cookie"][0]) > maxCookieBytes {
		return nil
	}
	if strings.Contains(before, h.name) || strings.Contains(after, h.name) {
		return h.m.stripCookies(r, false)
	}
	switch {
	case before == "":
		after = strings.TrimLeft(after, " \t")
	case after == "":
		after = strings.TrimSuffix(before, "; ")
	default:
		after = strings.TrimSuffix(before, " ") + after
	}
	if len(h.names.Load().([]string)) > 1 && h.m.o.CookieNames.Others(after, h.name) {
		return h.m.stripCookies(r, false)
	}
	head["Cookie"] = []string{after}
	return r
}

// asSent returns r with the cookies that the client sent, if an earlier middleware of
// the chain took some of them out. It is for our own eyes; the backend gets r.
func asSent(r *http.Request) *http.Request {
	cookies := chain.Cookies(r.Context())
	if cookies == nil {
		return r
	}
	sent := r.WithContext(r.Context())
	sent.Header = r.Header.Clone()
	sent.Header["Cookie"] = cookies
	return sent
}
