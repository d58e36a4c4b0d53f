package auth

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// attemptsLimit is how often a callback may start the sign-in again by itself. After
// that the user gets a page with the reason.
const attemptsLimit = 2

// lossesLimit is how many sessions in a row may be lost before the user gets a page
// with the reason. Browsers stop after 20 redirects, and a sign-in has three.
const lossesLimit = 4

// completedLimit is how many sign-ins a browser may complete within seconds without a
// session here. After that the user gets a page with the reason. Two middlewares that
// overwrite each other's session reach it before the browser stops.
const completedLimit = 3

// askToSignIn answers a request without a session. A navigation is redirected to the
// provider. Any other request gets 401, so that a script's request or a form's body
// never becomes a redirect.
func (m *Middleware) askToSignIn(w http.ResponseWriter, r *http.Request, foreignCookie bool) {
	if foreignCookie {
		m.tellOfForeignCookie(r)
	}
	if !navigation(r) {
		m.fail(w, r, notSignedIn, nil)
		return
	}
	m.askVisitor(w, r, foreignCookie)
}

// askVisitor is askToSignIn for a navigation. It is a function of its own, so that the
// interpreter reserves no memory for it when a script's request is refused.
func (m *Middleware) askVisitor(w http.ResponseWriter, r *http.Request, foreignCookie bool) {
	if m.several != nil && m.several.asks(m, w, r) {
		return
	}
	if m.offersWindow && framed(r) {
		m.offerWindow(w, r)
		return
	}
	if err := m.misplaced(r); err != nil {
		m.fail(w, r, misplacedCallback, err)
		return
	}
	if f, err := m.unusableHost(r); err != nil {
		m.fail(w, r, f, err)
		return
	}
	if foreignCookie {
		m.o.Cookies.Send(w, m.o.Cookies.Delete(m.o.Cookies.Name))
	}
	if r.URL.Path == m.postLogoutPath && m.shownSignedOut(w, r) {
		return
	}
	lost := m.sessions.Lost(r)
	if lost >= lossesLimit {
		m.fail(w, r, sessionLost, nil)
		return
	}
	if lost == 0 && m.logins.Completed(r) >= completedLimit && !m.withheld(r) {
		m.fail(w, r, signInRepeats, errRepeats)
		return
	}
	m.insecureRequest(r)
	m.signIn(w, r, journey{target: m.returnTarget(r), attempt: lost})
}

// returnTarget returns the target of a sign-in that r starts. It is a path of this
// host. If the callback is on another host of the domain that shares the plugin's
// cookies, it is a URL.
func (m *Middleware) returnTarget(r *http.Request) string {
	target, ok := m.wanted(r)
	if !ok {
		m.logNoTarget(r, len(r.URL.RequestURI()))
	}
	return m.withOrigin(r, target)
}

// withOrigin returns a path of the host of r in the form that the callback needs.
func (m *Middleware) withOrigin(r *http.Request, target string) string {
	if m.callbackHost == "" {
		return target
	}
	host := m.host(r)
	if m.callbackHost == host || !m.sharesCookies(host) {
		return target
	}
	return m.origin(r) + target
}

// sharesCookies reports whether host, with a port or without, is in the domain of the
// plugin's cookies. The client sent it, so it must not contain characters that end the
// host's name for one reader and not for the next.
func (m *Middleware) sharesCookies(host string) bool {
	if m.o.Cookies.Domain == "" || !plainHost.MatchString(host) {
		return false
	}
	name, _, _ := strings.Cut(host, ":")
	return name == m.o.Cookies.Domain || strings.HasSuffix(name, "."+m.o.Cookies.Domain)
}

// plainHost matches a host's name in lower case, with a port or without.
var plainHost = regexp.MustCompile(`^[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]{1,5})?$`)

// own reports whether target is one of the plugin's own paths, which are no return
// targets.
func (m *Middleware) own(target string) bool {
	return policy.LeadsTo(target, m.reserved)
}

// A journey is the target of a sign-in, and how it began.
type journey struct {
	target      string
	attempt     int
	interactive bool // without the prompt=none of the configuration
	account     session.Account
}

// signIn sends the browser to the provider (OpenID Connect Core section 3.1.2.1).
func (m *Middleware) signIn(w http.ResponseWriter, r *http.Request, j journey) {
	v := m.admit(r)
	if v == nil {
		m.fail(w, r, tooMany, nil)
		return
	}
	defer v.leave()
	target := j.target
	if len(target) > policy.MaxTarget {
		target = policy.Compact(target)
	}
	g, err := m.logins.Start(r.Header["Cookie"], target, j.attempt, j.account)
	if err != nil {
		m.fail(w, r, internalFault, err)
		return
	}
	verifier := g.Verifier
	if m.o.WithoutPKCE {
		verifier = ""
	}
	callback := m.callbackAddress(r)
	to, err := m.o.Provider.AuthURL(r.Context(), oidc.AuthRequest{
		RedirectURI: callback, State: g.State, Nonce: g.Nonce,
		Verifier: verifier, Scopes: m.o.Scopes, Extra: m.authParams(j),
	})
	if err != nil {
		m.fail(w, r, providerDown, err)
		return
	}
	cookies, err := m.logins.Set(g, r)
	if err != nil {
		m.fail(w, r, internalFault, err)
		return
	}
	if m.partitioned {
		m.sendAll(w, cookies)
	} else {
		for _, c := range cookies {
			http.SetCookie(w, c)
		}
	}
	m.self.hosts.add(strings.ToLower(r.Host))
	if m.redirectURIs.add(callback) {
		m.logRedirectURI(r, callback)
	}
	m.redirect(w, to)
}

// logRedirectURI logs the redirect URI that must be registered at the provider. If it
// is not, only the provider's own page reports that. The line also has the scopes that
// are not requested because discovery does not offer them, such as a misspelt one.
func (m *Middleware) logRedirectURI(r *http.Request, uri string) {
	details := []any{"redirectURI", brief(uri), "client", m.o.ClientID}
	if left := m.o.Provider.LeftOut(m.o.Scopes); len(left) > 0 {
		details = append(details, "scopesNotOffered", strings.Join(left, " "))
	}
	m.log(r, slogInfo, "the provider is asked to redirect to this URI; it must be registered there exactly so", details...)
}

// prompts are the values of prompt that request an account (OpenID Connect Core,
// section 3.1.2.1).
var prompts = map[session.Account]string{session.ChosenAccount: "select_account", session.NewAccount: "login"}

// authParams returns the operator's parameters of the authorization request.
func (m *Middleware) authParams(j journey) map[string]string {
	if j.account == session.AnyAccount && !j.interactive {
		return m.o.AuthParams
	}
	return m.promptFor(j)
}

// promptFor returns the operator's parameters with the prompt of j. A prompt of the
// operator replaces it, except for a none that the sign-in has dropped.
func (m *Middleware) promptFor(j journey) map[string]string {
	params := map[string]string{}
	for k, v := range m.o.AuthParams {
		params[k] = v
	}
	if j.interactive {
		delete(params, "prompt")
	}
	if m.o.AuthParams["prompt"] == "" && prompts[j.account] != "" {
		params["prompt"] = prompts[j.account]
	}
	return params
}

// redirect sends the browser to a URL. The response must not be cached: it may set
// cookies, and its address may hold a code.
func (m *Middleware) redirect(w http.ResponseWriter, to string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Cookie")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

// Prepare computes the view of a session in this middleware (session.Preparer).
func (m *Middleware) Prepare(s *session.Session) session.View {
	claims := claimsOf(s)
	v := session.View{Subject: digest(claims.Text("sub")), End: m.authEnd(s, claims)}
	decisions := m.decide(claims)
	d := decisions[policy.PlaceLists]
	v.Allowed = anyAllowed(decisions)
	v.Reason = d.Reason
	if v.Allowed {
		v.Headers = m.headersFor(s, claims, m.o.Templates)
		m.warnNameless(claims)
	}
	if !v.Allowed || m.ruled {
		v.Looked = m.looked(claims)
		v.User = m.userName(claims)
	}
	if m.ruled {
		v.Verdicts = m.verdicts(s, claims, decisions, v.Headers)
	}
	return v
}

// looked returns, for each claim that the rules use, whether it is present and its
// shape. It includes the value only at the level debug.
func (m *Middleware) looked(claims oidc.Claims) string {
	values := m.o.Log.Enabled(context.Background(), slogDebug)
	var told []string
	for _, name := range m.access.Claims() {
		text := name + ": " + claims.Shape(name)
		if v, ok := claims.Lookup(name); ok && values {
			written, _ := json.Marshal(v)
			text += " " + brief(string(written))
		}
		told = append(told, text)
	}
	return strings.Join(told, "; ")
}

// decide returns the decisions about a user with these claims, by place. It decides
// anew each time, also for a session that began under other options. Provider.Recheck
// decides about tenants and audiences, and the rules about users.
func (m *Middleware) decide(claims oidc.Claims) []policy.Decision {
	if err := m.o.Provider.Recheck(claims); err != nil {
		return m.access.Refused(err.Error())
	}
	decisions := m.access.Decisions(policy.Facts{Claims: claims, Provider: m.o.Provider.Issuer(), Name: m.o.Entry})
	if m.o.Entry != "" {
		m.keepApart(decisions)
	}
	if _, overage := claims["_claim_names"]; !overage {
		return decisions
	}
	for i := range decisions {
		if !decisions[i].Allowed {
			decisions[i].Reason += "; the provider left claims out of the token (_claim_names), such as too many groups"
		}
	}
	return decisions
}

// authEnd returns when the user's authentication exceeds max_age, which ends the
// session here; zero: max_age is not set. If the provider did not send the time of the
// authentication, the session has ended already. A sign-in would fail for the same
// reason.
func (m *Middleware) authEnd(s *session.Session, claims oidc.Claims) time.Time {
	if m.o.MaxAuthAge <= 0 {
		return time.Time{}
	}
	at, known := claims.Instant("auth_time")
	if !known {
		at = s.AuthTime
	}
	if at.IsZero() {
		return s.Created
	}
	return at.Add(m.o.MaxAuthAge + m.o.Provider.Skew())
}
