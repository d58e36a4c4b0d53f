package auth

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/session"
)

const (
	slogDebug = slog.LevelDebug
	slogInfo  = slog.LevelInfo
	slogWarn  = slog.LevelWarn
)

// challenge is the one of every 401, which must have one (RFC 9110, section 15.5.2).
// No registered scheme describes a sign-in at a provider: Basic makes browsers ask for
// a password, and Bearer promises that an access token is taken. Clients ignore a
// scheme that they do not know.
const challenge = `OIDC realm="sign-in required"`

// A failure is one way in which a request does not get what it asked for: its
// status, and what a person can do about it. Its texts are constant: nothing that
// came from outside is ever shown.
type failure struct {
	status int
	code   string // for programs
	title  string
	advice string
	again  bool // a link to where the person wanted to go makes sense
}

var (
	notSignedIn = failure{http.StatusUnauthorized, "not_signed_in", "You are not signed in",
		"What you sent was not passed on. Open the page again to sign in, then repeat it.", true}
	notAllowed = failure{http.StatusForbidden, "not_allowed", "You are not allowed in here",
		"You are signed in, but this account may not open this page. Ask the people who run this site, or sign out and use another account.", false}
	signInExpired = failure{http.StatusBadRequest, "sign_in_expired", "The sign-in took too long",
		"A sign-in has to be finished within ten minutes. Try again.", true}
	signInLoop = failure{http.StatusBadRequest, "sign_in_loop", "The sign-in goes round in circles",
		"It came back several times without the cookie that belongs to it. Close other tabs of this site, allow its cookies, and try again.", true}
	cookiesBlocked = failure{http.StatusBadRequest, "cookies_blocked", "Your browser sends no cookies here",
		"The sign-in came back several times without any. Allow cookies for this site, and try again.", true}
	mixedSchemes = failure{http.StatusBadRequest, "http_and_https_mixed", "This address is not secure",
		"The sign-in's cookies are sent over https alone, and you came by http. Open the https address of this site.", false}
	sessionLost = failure{http.StatusBadGateway, "session_lost", "Your sign-in does not last",
		"You were signed in, but your session could not be found right after. Tell the people who run this site: its servers may not share sessions.", true}
	signedOutMeanwhile = failure{http.StatusBadRequest, "signed_out_meanwhile", "You were signed out while you signed in",
		"The provider ended this sign-in each time it was tried. Wait a moment, and try again.", true}
	accessDenied = failure{http.StatusForbidden, "access_denied", "You were not signed in",
		"The sign-in was declined. Try again, or use another account.", true}
	signInRefused = failure{http.StatusBadRequest, "sign_in_refused", "The provider refused the sign-in",
		"Try again. If it happens again, give the people who run this site the reference below.", true}
	signInInvalid = failure{http.StatusBadGateway, "sign_in_invalid", "The sign-in could not be verified",
		"What the provider answered does not hold. Try again; if it happens again, give the people who run this site the reference below.", true}
	providerFault = failure{http.StatusBadGateway, "provider_fault", "The provider could not sign you in",
		"It reported a fault of its own. Try again in a moment.", true}
	siteMisconfigured = failure{http.StatusBadGateway, "site_misconfigured", "This site is not set up correctly",
		"The sign-in service does not accept this site. Nothing is wrong with your account. Give the people who run this site the reference below.", true}
	providerDown = failure{http.StatusServiceUnavailable, "provider_unreachable", "The sign-in service cannot be reached",
		"Nothing is wrong with your account. Try again in a moment.", true}
	storeDown = failure{http.StatusServiceUnavailable, "sessions_unreachable", "Your session cannot be looked up right now",
		"You are not signed out. Try again in a moment.", true}
	tooMany = failure{http.StatusTooManyRequests, "too_many_requests", "That was too often",
		"So many sign-ins are under way or came from your network that this one has to wait. Try again in a moment.", true}
	notVisited = failure{http.StatusForbidden, "not_visited", "Nothing was done",
		"Your browser asked for this address ahead of a visit, or as a part of a page. Open it yourself.", false}
	wrongMethod = failure{http.StatusMethodNotAllowed, "wrong_method", "This address does not take such requests",
		"Go back to the page you wanted.", false}
	internalFault = failure{http.StatusInternalServerError, "internal", "Something went wrong here",
		"Try again. If it happens again, give the people who run this site the reference below.", true}
)

// badCallback is the failure of a callback that is not the end of a sign-in of ours.
// The person is told the same whatever is wrong with it; the code tells apart.
func badCallback(problem string) failure {
	return failure{http.StatusBadRequest, "callback_" + problem, "This sign-in cannot be completed",
		"The address does not belong to a sign-in that was started here. Go back to the page you wanted and sign in again.", true}
}

// verdict returns what an error of the provider's side means to the person;
// otherwise is for those that say the request itself was wrong.
func verdict(err error, otherwise failure) failure {
	switch {
	case errors.Is(err, oidc.ErrKeysThrottled):
		return otherwise
	case errors.Is(err, oidc.ErrUnavailable):
		return providerDown
	case errors.Is(err, oidc.ErrLost):
		return providerFault
	case errors.Is(err, oidc.ErrInvalidGrant):
		return signInRefused
	case errors.Is(err, oidc.ErrClientRefused):
		return siteMisconfigured
	case errors.Is(err, oidc.ErrRejected):
		return providerFault
	case errors.Is(err, session.ErrUnavailable):
		return storeDown
	}
	return otherwise
}

// fail answers a request with f, and leaves err in the log under the reference
// that the person is given.
func (m *Middleware) fail(w http.ResponseWriter, r *http.Request, f failure, err error) {
	p := page{failure: f}
	if f.again {
		p.target = m.wanted(r)
	}
	m.answer(w, r, p, err)
}

// wanted is the page that r asks for, as far as a link may lead there. Who comes to
// sign out goes on to do so; who comes by a callback begins anew.
func (m *Middleware) wanted(r *http.Request) string {
	if r.URL.Path == m.o.LogoutPath {
		return m.o.LogoutPath
	}
	target, ok := targetOf(r)
	if !ok || m.own(target) {
		return "/"
	}
	return target
}

// failSignIn is fail for a sign-in that was to lead to target.
func (m *Middleware) failSignIn(w http.ResponseWriter, r *http.Request, f failure, err error, target string) {
	m.answer(w, r, page{failure: f, target: target}, err)
}

// refuse answers a user whom the rules do not let in. One line of the log has the
// reference, the reason and all that the reason can come from.
func (m *Middleware) refuse(w http.ResponseWriter, r *http.Request, o *session.Opened) {
	m.answer(w, r, page{failure: notAllowed, signOut: true, details: m.refusalDetails(o)}, nil)
}

// refusalDetails says why a user is not let in: the claims that the rules looked at, and
// the scopes that the provider was asked for, without which it may not send them.
func (m *Middleware) refusalDetails(o *session.Opened) []any {
	details := []any{"subject", o.Subject, "reason", o.Reason}
	if o.Looked == "" {
		return details
	}
	left := m.o.Provider.LeftOut(m.o.Scopes)
	details = append(details, "claims", o.Looked, "scopes", strings.Join(m.o.Scopes, " "))
	if len(left) > 0 {
		details = append(details, "scopesNotOffered", strings.Join(left, " "))
	}
	return details
}

// answer writes the response of p: a page for people, JSON for programs. A
// reference is given where the log has it too; of a 401, which scripts meet all day,
// and of what browsers fetch unasked, at the level debug.
func (m *Middleware) answer(w http.ResponseWriter, r *http.Request, p page, err error) {
	if p.failure.status >= 400 {
		p.reference = reference()
		level := slogWarn
		if p.failure.status == http.StatusUnauthorized || p.failure.code == notVisited.code {
			level = slogDebug
		} else if p.failure.status == http.StatusRequestHeaderFieldsTooLarge {
			level = slogInfo
		}
		args := []any{"reference", p.reference, "code", p.failure.code}
		if err != nil {
			args = append(args, "error", err.Error())
		}
		args = append(args, p.details...)
		m.log(r, level, "request refused", args...)
	}
	h := w.Header()
	m.ownHeaders(h, r)
	switch p.failure.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(m.retryAfter(p.failure)))
	}
	if wantsHTML(r) && (p.failure.status != http.StatusUnauthorized || r.Header.Get("Sec-Fetch-Mode") == "navigate") {
		m.pages.write(w, r, m.o.LogoutPath, p)
		return
	}
	told := map[string]string{"error": p.failure.code, "message": p.failure.title + ". " + p.failure.advice}
	if p.reference != "" {
		told["reference"] = p.reference
	}
	body, _ := json.Marshal(told)
	h.Set("Content-Type", "application/json")
	w.WriteHeader(p.failure.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n'))
	}
}

// retryAfter is how many seconds a client had better wait.
func (m *Middleware) retryAfter(f failure) int {
	if f.code != providerDown.code {
		return 2
	}
	s := int((m.o.Provider.RetryAfter() + time.Second - 1) / time.Second)
	if s < 1 {
		return 1
	}
	return s
}

// reference is a number that a person can read out and the log has too.
func reference() string {
	b := make([]byte, 10)
	if _, err := rand.Read(b); err != nil {
		return "none"
	}
	return base32.StdEncoding.EncodeToString(b)[:10]
}

// log writes a line about r. Its path is told, its query never: it may hold a code.
func (m *Middleware) log(r *http.Request, level slog.Level, text string, args ...any) {
	if !m.o.Log.Enabled(context.Background(), level) {
		return
	}
	m.o.Log.Log(context.Background(), level, text, append(args, "host", brief(r.Host), "path", brief(r.URL.Path))...)
}
