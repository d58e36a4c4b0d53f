package auth

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// A sign-out whose last page is protected would end at the provider's form, which
// looks like a failure, or in a sign-in by the session that the provider still has. So
// the way to that page has a state of ours (OpenID Connect RP-Initiated Logout 1.0,
// section 2), sealed and short-lived: a request with it and without a session is shown
// that it is signed out. Nothing is stored for it.

// goodbyeLifetime is how long after a sign-out its state is taken.
const goodbyeLifetime = 10 * time.Minute

// goodbyePurpose names the key of such states.
const goodbyePurpose = "sign-out state"

// The last byte of a state says whether the provider ended its session.
const (
	endedHere  = "h"
	endedThere = "t"
)

// goodbyeState returns a state for the way back from a sign-out; empty if there is no
// randomness, since the sign-out counts more.
func (m *Middleware) goodbyeState(where string) string {
	until := strconv.FormatInt(m.o.Now().Add(goodbyeLifetime).Unix(), 10)
	state, err := m.o.Keys.Seal(goodbyePurpose, m.o.Identity, []byte(until+where))
	if err != nil {
		return ""
	}
	return state
}

// shownSignedOut answers a request for the page after a sign-out that comes back from
// one. It reports whether r is that.
func (m *Middleware) shownSignedOut(w http.ResponseWriter, r *http.Request) bool {
	g, back := m.backFromLogout(r)
	if back {
		m.signedOut(w, r, g)
	}
	return back
}

// backFromLogout reports whether r, which has no session, has the path of the page
// after a sign-out, comes back from one of ours. It returns what that page shows.
func (m *Middleware) backFromLogout(r *http.Request) (goodbye, bool) {
	if m.postLogoutHost != "" && !strings.EqualFold(m.postLogoutHost, r.Host) {
		return goodbye{}, false
	}
	state, ok := onlyParameter(r, "state")
	if !ok {
		return goodbye{}, false
	}
	plain, err := m.o.Keys.Open(goodbyePurpose, m.o.Identity, state)
	if err != nil || len(plain) < 2 {
		return goodbye{}, false
	}
	last := len(plain) - 1
	until, err := strconv.ParseInt(string(plain[:last]), 10, 64)
	if err != nil || m.o.Now().Unix() >= until {
		return goodbye{}, false
	}
	return goodbye{target: m.withoutState(r), there: string(plain[last:]) == endedThere}, true
}

// A goodbye is the page at the end of a sign-out: where the next sign-in leads, and
// whether the provider has ended its session too.
type goodbye struct {
	target string
	there  bool
}

// withoutState is where r leads once its state is dropped, so that the page is not
// shown again.
func (m *Middleware) withoutState(r *http.Request) string {
	q, _ := url.ParseQuery(r.URL.RawQuery)
	q.Del("state")
	to := r.URL.EscapedPath()
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	target, ok := policy.ReturnTarget(to, policy.MaxSignInTarget)
	if !ok || m.own(target) {
		return "/"
	}
	return target
}

// afterLogout is where a sign-out leads that the provider has no part in.
func (m *Middleware) afterLogout(r *http.Request) string {
	to := m.absolute(r, m.o.PostLogoutURL)
	state := m.goodbyeState(endedHere)
	if state == "" || m.postLogoutHost != "" && !strings.EqualFold(m.postLogoutHost, r.Host) || strings.Contains(to, "#") {
		return to
	}
	sep := "?"
	if strings.Contains(to, "?") {
		sep = "&"
	}
	return to + sep + "state=" + state
}
