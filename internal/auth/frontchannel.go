package auth

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/session"
)

// serveFrontchannel serves the frame that the provider's page requests when a user signed
// out there (OpenID Connect Front-Channel Logout 1.0). The browser sends no cookie of
// this site into a frame of another site. So iss and sid name the session, and both are
// required: the provider reveals a sid only to parties of that session. The provider
// ends its tokens itself.
//
// An unknown sid gets the same 200 as a session that was ended, so that the response
// does not reveal which sids exist. The store keeps no entry for it, because any client
// can invent any number of them.
func serveFrontchannel(m *Middleware, w http.ResponseWriter, r *http.Request) {
	v := m.admit(r)
	if v == nil {
		m.answerFrame(w, r, http.StatusTooManyRequests, "Too many requests.")
		return
	}
	defer v.leave()
	iss, sid, ok := frontchannelQuery(r.URL.RawQuery)
	if !ok {
		m.answerFrame(w, r, http.StatusBadRequest, "One iss and one sid are required.")
		return
	}
	err := m.o.Provider.CheckResponseIssuer(r.Context(), iss, true)
	if errors.Is(err, oidc.ErrUnavailable) {
		m.log(r, slogWarn, "front-channel logout refused", "error", err.Error())
		m.answerFrame(w, r, http.StatusServiceUnavailable, "Not signed out: the provider could not be asked. Try again.")
		return
	}
	if err != nil {
		m.answerFrame(w, r, http.StatusBadRequest, "The iss is not that of the provider.")
		return
	}
	before := m.o.Now().Add(cache.ClockSkew) // sessions have the time of the provider's clock
	if err := m.sessions.EndAll(r.Context(), session.Ending{Issuer: iss, SessionID: sid, Before: before, Unproven: true}); err != nil {
		m.log(r, slogWarn, "front-channel logout not told to every replica", "error", err.Error())
		m.answerFrame(w, r, http.StatusServiceUnavailable, "Not signed out everywhere. Try again.")
		return
	}
	m.log(r, slogInfo, "signed out by the provider's page")
	m.answerFrame(w, r, http.StatusOK, "Signed out.")
}

// refuseFrontchannelMethod responds to a method of no frame.
func refuseFrontchannelMethod(m *Middleware, w http.ResponseWriter, r *http.Request) {
	m.answerFrame(w, r, http.StatusMethodNotAllowed, "This address is for GET.")
}

// maxSessionID bounds a sid, in bytes, as it does in a logout token.
const maxSessionID = 1024

// frontchannelQuery returns iss and sid, which must each occur once.
func frontchannelQuery(query string) (string, string, bool) {
	if len(query) > 16<<10 || strings.Count(query, "&") > maxParameters {
		return "", "", false
	}
	q, err := url.ParseQuery(query)
	if err != nil || len(q["iss"]) != 1 || len(q["sid"]) != 1 {
		return "", "", false
	}
	iss, sid := q.Get("iss"), q.Get("sid")
	return iss, sid, iss != "" && sid != "" && len(sid) <= maxSessionID
}

// framePolicy permits only the provider's pages to show a response in a frame.
func framePolicy(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return "default-src 'none'; frame-ancestors 'none'"
	}
	return "default-src 'none'; frame-ancestors " + u.Scheme + "://" + u.Host
}

func (m *Middleware) answerFrame(w http.ResponseWriter, r *http.Request, status int, text string) {
	h := w.Header()
	m.ownHeaders(h, r)
	h.Del("X-Frame-Options")
	h.Set("Content-Security-Policy", m.framed)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		h.Set("Retry-After", "2")
	}
	page := "<!doctype html>\n<html lang=\"en\"><title>Sign-out</title><p>" + text + "</p></html>\n"
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, page)
	}
}
