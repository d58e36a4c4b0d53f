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
	"github.com/traefikoidc/traefikoidc/internal/texts"
	"github.com/traefikoidc/traefikoidc/session"
)

const (
	slogDebug = slog.LevelDebug
	slogInfo  = slog.LevelInfo
	slogWarn  = slog.LevelWarn
)

// challenge is the challenge that every 401 must have (RFC 9110, section 15.5.2). No
// registered scheme describes a sign-in at a provider. Basic makes browsers request a
// password, and Bearer promises that an access token is accepted. Clients ignore a
// scheme that they do not know.
const challenge = `OIDC realm="sign-in required"`

// A failure is one way in which a request is refused. Package texts has its title and
// its advice to the user, by its code.
type failure struct {
	status int
	code   string // for API clients
	again  bool   // a link to the page that the user requested makes sense
}

// callbackCode begins the codes of callbacks, which share their texts.
const callbackCode = "callback_"

// text returns the key of the failure's title and advice, without their endings.
func (f failure) text() string {
	if strings.HasPrefix(f.code, callbackCode) {
		return "callback"
	}
	return f.code
}

var (
	notSignedIn        = failure{http.StatusUnauthorized, "not_signed_in", true}
	notAllowed         = failure{http.StatusForbidden, "not_allowed", false}
	signInExpired      = failure{http.StatusBadRequest, "sign_in_expired", true}
	signInLoop         = failure{http.StatusBadRequest, "sign_in_loop", true}
	cookiesBlocked     = failure{http.StatusBadRequest, "cookies_blocked", true}
	mixedSchemes       = failure{http.StatusBadRequest, "http_and_https_mixed", false}
	sessionLost        = failure{http.StatusBadGateway, "session_lost", true}
	signedOutMeanwhile = failure{http.StatusBadRequest, "signed_out_meanwhile", true}
	accessDenied       = failure{http.StatusForbidden, "access_denied", true}
	signInRefused      = failure{http.StatusBadRequest, "sign_in_refused", true}
	signInInvalid      = failure{http.StatusBadGateway, "sign_in_invalid", true}
	providerFault      = failure{http.StatusBadGateway, "provider_fault", true}
	siteMisconfigured  = failure{http.StatusBadGateway, "site_misconfigured", true}
	providerDown       = failure{http.StatusServiceUnavailable, "provider_unreachable", true}
	storeDown          = failure{http.StatusServiceUnavailable, "sessions_unreachable", true}
	tooMany            = failure{http.StatusTooManyRequests, "too_many_requests", true}
	notVisited         = failure{http.StatusForbidden, "not_visited", false}
	wrongMethod        = failure{http.StatusMethodNotAllowed, "wrong_method", false}
	internalFault      = failure{http.StatusInternalServerError, "internal", true}
)

// badCallback is the failure of a callback that ends no sign-in of this plugin. All
// problems have the same text for the user, and a code each.
func badCallback(problem string) failure {
	return failure{http.StatusBadRequest, callbackCode + problem, true}
}

// verdict returns the failure for an error on the provider's side. It returns otherwise
// for an error of the request itself.
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

// fail answers a request with f, and logs err under the reference on the page.
func (m *Middleware) fail(w http.ResponseWriter, r *http.Request, f failure, err error) {
	p := page{failure: f}
	if f.again {
		p.target, _ = m.wanted(r)
	}
	m.answer(w, r, p, err)
}

// refuseMethod responds to a method that a path of the plugin does not serve.
func refuseMethod(m *Middleware, w http.ResponseWriter, r *http.Request) {
	m.fail(w, r, wrongMethod, nil)
}

// failSignIn is fail for a sign-in with the given target.
func (m *Middleware) failSignIn(w http.ResponseWriter, r *http.Request, f failure, err error, target string) {
	m.answer(w, r, page{failure: f, target: target}, err)
}

// refuse answers a user that the rules do not admit. One line of the log has the
// reference, the reason and the claims that decided. The page names the signed-in user.
func (m *Middleware) refuse(w http.ResponseWriter, r *http.Request, o *session.Opened, details []any) {
	wanted, _ := m.wanted(r)
	m.answer(w, r, page{
		failure: notAllowed, user: o.User(), another: m.anotherAccount(wanted), back: m.before(r), details: details,
	}, nil)
}

// refusalDetails returns the log's details of a refused user: the claims that the rules
// used, and the requested scopes. The provider may send claims only with their scope.
func (m *Middleware) refusalDetails(o *session.Opened, reason string) []any {
	details := []any{"subject", o.Subject, "reason", reason}
	if o.Looked() == "" {
		return details
	}
	left := m.o.Provider.LeftOut(m.o.Scopes)
	details = append(details, "claims", o.Looked(), "scopes", strings.Join(m.o.Scopes, " "))
	if len(left) > 0 {
		details = append(details, "scopesNotOffered", strings.Join(left, " "))
	}
	return details
}

// answer writes the response of p: a page for users, JSON for API clients. It gives the
// reference of the line in the log. The level is debug for a 401, which scripts receive
// often, and for requests that browsers send unasked.
func (m *Middleware) answer(w http.ResponseWriter, r *http.Request, p page, err error) {
	if m.several != nil {
		p.choose = m.several.link(m, r, p)
	}
	if p.failure.status >= 400 && p.choices == nil {
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
		p.reload = m.askToWait(h, r, p.failure)
	}
	if wantsHTML(r) && (p.failure.status != http.StatusUnauthorized || p.choices != nil || r.Header.Get("Sec-Fetch-Mode") == "navigate") {
		m.pages.write(w, r, removedPrefix(r)+m.o.LogoutPath, p)
		return
	}
	told := map[string]string{"error": p.failure.code, "message": texts.Sentences(p.failure.code)}
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

// askToWait sets Retry-After. It returns the seconds after which a page repeats the
// request by itself, or zero.
func (m *Middleware) askToWait(h http.Header, r *http.Request, f failure) int {
	wait := m.retryAfter(f)
	h.Set("Retry-After", strconv.Itoa(wait))
	if f.status != http.StatusServiceUnavailable || r.Method != http.MethodGet || r.URL.Path == m.o.LogoutPath {
		return 0
	}
	return within(wait, leastReload, mostReload)
}

// leastReload and mostReload bound the seconds after which a page about an unreachable
// service repeats the request by itself.
const (
	leastReload = 10
	mostReload  = 60
)

func within(n, least, most int) int {
	switch {
	case n < least:
		return least
	case n > most:
		return most
	}
	return n
}

// retryAfter returns the seconds that a client should wait.
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

// reference returns a number that a user can read out, and that the log has too.
func reference() string {
	b := make([]byte, 10)
	if _, err := rand.Read(b); err != nil {
		return "none"
	}
	return base32.StdEncoding.EncodeToString(b)[:10]
}

// log writes a line about r, with its path. It omits the query, which may hold a code.
func (m *Middleware) log(r *http.Request, level slog.Level, text string, args ...any) {
	if !m.o.Log.Enabled(context.Background(), level) {
		return
	}
	m.o.Log.Log(context.Background(), level, text, append(args, "host", brief(r.Host), "path", brief(r.URL.Path))...)
}
