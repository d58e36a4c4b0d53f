package auth

import (
	"net/http"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/chain"
	"github.com/traefikoidc/traefikoidc/session"
)

// stripCookies removes the cookies of all middlewares of the process before the backend
// sees them. Browsers send them all, and each is a session to any holder. It returns
// the Cookie headers as they were if it removed any, and false if there are too many.
// If it removes some from more than separateHeaders headers, the others become one
// header (RFC 9113, section 8.2.3), because each header costs calls.
func (m *Middleware) stripCookies(head http.Header) ([]string, bool) {
	cookies := head["Cookie"]
	if !m.o.StripCookies || len(cookies) == 0 {
		return nil, true
	}
	if tooLarge(cookies) {
		return nil, false
	}
	all := strings.Join(cookies, "; ")
	others := m.o.CookieNames.Others(all, m.o.Cookies.Name)
	list := cookies
	if len(cookies) > separateHeaders {
		list = []string{all}
	}
	taken := false
	var kept []string
	for _, c := range list {
		left, ok := m.stripper.Strip(c)
		if ok && others {
			left, ok = m.o.CookieNames.StripOthers(left, m.o.Cookies.Name)
		}
		if !ok {
			return nil, false
		}
		taken = taken || left != c
		if left != "" {
			kept = append(kept, left)
		}
	}
	if !taken {
		return nil, true
	}
	if kept == nil {
		delete(head, "Cookie")
	} else {
		head["Cookie"] = kept
	}
	return cookies, true
}

// keepOthers leaves the cookies before the session cookie and after it in the one
// Cookie header. It reports false, and keeps the header as it is, if the header exceeds
// maxKeptBytes or may hold more cookies that the backend must not see. Then
// stripCookies decides.
func (h *handler) keepOthers(head http.Header, before, after string) bool {
	if len(head["Cookie"][0]) > maxKeptBytes {
		return false
	}
	switch {
	case before == "":
		after = strings.TrimLeft(after, " \t")
	case after == "":
		after = strings.TrimSuffix(before, "; ")
	default:
		after = strings.TrimSuffix(before, " ") + after
	}
	if strings.Contains(after, h.name) {
		return h.keepButSignIns(head, after)
	}
	if len(h.names.Load().([]string)) > 1 && h.m.o.CookieNames.Others(after, h.name) {
		return false
	}
	head["Cookie"] = []string{after}
	return true
}

// keepButSignIns is keepOthers for a browser with cookies of sign-ins. Each browser has
// them for half a minute after a sign-in.
func (h *handler) keepButSignIns(head http.Header, others string) bool {
	left := h.signIns.ReplaceAllString("; "+others, "")
	kept := strings.TrimPrefix(left, "; ")
	if kept == left && kept != "" || strings.Contains(kept, h.name) || len(h.names.Load().([]string)) > 1 && h.m.o.CookieNames.Others(kept, h.name) {
		return false
	}
	if kept == "" {
		delete(head, "Cookie")
	} else {
		head["Cookie"] = []string{kept}
	}
	return true
}

// maxUnread is the number of unread passages after which a handler takes itself for
// the last of its chain.
const maxUnread = 100

// withPassage passes a request on. As the cookies are removed, it gives the later
// middlewares of the chain a passage: the original cookies, and the session found in
// them.
//
// Traefik does not reveal to a middleware whether others follow it, and a passage
// doubles the cost of a signed-in user's request. So a handler stops giving passages
// when none is read, unless one was read before. A later middleware without a passage
// finds no session until it reads the passage of a request that memory did not answer.
// The first request after the next sign-in is such a request.
func (h *handler) withPassage(w http.ResponseWriter, r *http.Request, cookies []string, found *session.Opened) {
	p := &chain.Passage{Cookies: cookies, Owner: h.owner, Callback: h.callback, Removed: r.Header["X-Forwarded-Prefix"]}
	if found != nil {
		p.Identity = h.m.o.Identity
		p.Name = h.name
		p.Value = found.Value()
	}
	h.next.ServeHTTP(w, r.WithContext(chain.WithPassage(r.Context(), p)))
	read := p.Read()
	h.hot.Mu.Lock()
	switch {
	case read:
		h.chained = true
		h.passages = true
	case h.passages && !h.chained:
		h.unread++
		h.passages = h.unread < maxUnread
	}
	h.hot.Mu.Unlock()
}

// asSent returns r with the cookies that the client sent, if an earlier middleware of
// the chain removed some of them. It adds the session that a middleware of the same
// group found. Only the plugin reads it; the backend gets r.
func (m *Middleware) asSent(r *http.Request) *http.Request {
	ctx := r.Context()
	cookies := chain.Cookies(ctx)
	p := chain.Session(ctx, m.o.Identity)
	if cookies == nil && p == nil {
		return r
	}
	if cookies == nil {
		cookies = r.Header["Cookie"]
	}
	if p != nil {
		if value, ok := m.sessions.Adopt(p.Name, p.Value); ok {
			cookies = append([]string{m.o.Cookies.Name + "=" + value}, cookies...)
		}
	}
	sent := r.WithContext(ctx)
	sent.Header = r.Header.Clone()
	sent.Header["Cookie"] = cookies
	return sent
}
