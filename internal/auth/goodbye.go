package auth

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// If the last page of a sign-out is protected, the sign-out would end at the provider's
// form, which looks like a failure. It could also end in a new sign-in, by the session
// that the provider still has. So the way to that page has a state (OpenID Connect
// RP-Initiated Logout 1.0, section 2), which is sealed and short-lived. A request with
// it and without a session gets the page of a finished sign-out. The store has nothing
// about it.

// goodbyeLifetime is how long the state of a sign-out is valid.
const goodbyeLifetime = 10 * time.Minute

// goodbyePurpose names the key of such states.
const goodbyePurpose = "sign-out state"

// The last byte of a state is one of these: it records whether the provider ended its
// session.
const (
	endedHere  = "h"
	endedThere = "t"
)

// goodbyeState returns a state for the way back from a sign-out. It is empty if there
// is no randomness, because the sign-out matters more.
func (m *Middleware) goodbyeState(where string) string {
	until := strconv.FormatInt(m.o.Now().Add(goodbyeLifetime).Unix(), 10)
	state, err := m.o.Keys.Seal(goodbyePurpose, m.o.Identity, []byte(until+where))
	if err != nil {
		return ""
	}
	return state
}

// shownSignedOut answers a request for the page after a sign-out if it comes back from
// one, and reports whether it does.
func (m *Middleware) shownSignedOut(w http.ResponseWriter, r *http.Request) bool {
	g, back := m.backFromLogout(r)
	if back {
		m.signedOut(w, r, g)
	}
	return back
}

// backFromLogout reports whether r comes back from a sign-out of this plugin. The
// caller has checked that r has no session and has the path of the page after a
// sign-out. It returns the content of that page.
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

// A goodbye is the page at the end of a sign-out. It has the target of the next
// sign-in, and whether the provider ended its session too.
type goodbye struct {
	target string
	there  bool
}

// withoutState returns the target of r without its state, so that the page is not shown
// again.
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

// afterLogout returns the address after a sign-out in which the provider takes no part.
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
