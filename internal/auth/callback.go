package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/session"
)

// answer has the parameters of the provider's redirect (RFC 6749 section 4.1.2, RFC
// 9207 section 2).
type answer struct {
	code, state, err string
	issuer           string
	issuerGiven      bool
}

// serveCallback ends a sign-in. Each step relies on the one before. The state is checked
// before any other parameter is trusted, and used up before the code is sent. Tokens
// are kept only after the ID token was verified.
func serveCallback(m *Middleware, w http.ResponseWriter, r *http.Request) {
	if m.unvisited(w, r) {
		return
	}
	v := m.admit(r)
	if v == nil {
		m.fail(w, r, tooMany, nil)
		return
	}
	defer v.leave()
	a, problem := parseAnswer(r.URL.RawQuery)
	if problem != "" {
		m.fail(w, r, badCallback(problem), nil)
		return
	}
	g, err := m.logins.Find(a.state, r)
	if errors.Is(err, session.ErrState) {
		m.fail(w, r, badCallback("foreign_state"), m.foreignState(r, a.state))
		return
	}
	if err != nil {
		m.resume(w, r, g, err)
		return
	}
	if err := m.o.Provider.CheckResponseIssuer(r.Context(), a.issuer, a.issuerGiven); err != nil {
		m.fail(w, r, verdict(err, badCallback("wrong_issuer")), err)
		return
	}
	if a.err != "" {
		m.providerRefused(w, r, g, a.err)
		return
	}
	if a.code == "" {
		m.fail(w, r, badCallback("no_code"), nil)
		return
	}
	m.finish(w, v, g, a.code)
}

// maxCode is the longest code that is redeemed.
const maxCode = 4 << 10

// visible is VSCHAR of RFC 6749, appendix A: the characters of a code.
const visible = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// parseAnswer reads the query of a callback, and names a problem with it. It refuses a
// repeated parameter, because two readers could take different values.
func parseAnswer(query string) (answer, string) {
	if len(query) > 16<<10 || strings.Count(query, "&") > maxParameters {
		return answer{}, "too_long"
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return answer{}, "malformed"
	}
	for _, name := range []string{"code", "state", "iss", "error", "error_description", "error_uri"} {
		if len(q[name]) > 1 {
			return answer{}, "repeated_" + name
		}
	}
	if code := q.Get("code"); len(code) > maxCode || strings.Trim(code, visible) != "" {
		return answer{}, "malformed_code"
	}
	if q.Get("state") == "" {
		return answer{}, "no_state"
	}
	_, given := q["iss"]
	return answer{
		code: q.Get("code"), state: q.Get("state"), err: q.Get("error"),
		issuer: q.Get("iss"), issuerGiven: given,
	}, ""
}

// resume leads a user on after a callback that cannot be used. It came twice, from
// another browser or too late, or the browser does not keep cookies. A user with a live
// session goes to the target. Otherwise the sign-in starts again, a few times.
func (m *Middleware) resume(w http.ResponseWriter, r *http.Request, g *session.Login, why error) {
	_, err := m.sessions.Load(r.Context(), r)
	switch {
	case err == nil:
		m.redirect(w, m.target(r, g))
	case !errors.Is(err, session.ErrNone):
		m.fail(w, r, storeDown, err)
	case errors.Is(why, session.ErrLoginExpired):
		m.failSignIn(w, r, signInExpired, why, m.target(r, g))
	case g.Attempt >= attemptsLimit:
		f, cause := m.loopCause(r, why)
		m.failSignIn(w, r, f, cause, m.target(r, g))
	default:
		m.signIn(w, r, journey{target: m.target(r, g), attempt: g.Attempt + 1, account: g.Account})
	}
}

// loopCause returns the reason that the cookie of a sign-in does not come back, as far
// as the request reveals it.
func (m *Middleware) loopCause(r *http.Request, why error) (failure, error) {
	switch {
	case m.o.Cookies.Domain != "":
		return cookieDomainRefused, fmt.Errorf("auth: the browser did not send back the cookie of cookieDomain %q: browsers refuse one for a public suffix, such as co.uk. Set cookieDomain to a domain of your own, or leave it out: %w", m.o.Cookies.Domain, why)
	case m.o.Cookies.Secure && r.TLS == nil && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "http"):
		return mixedSchemes, why
	case len(r.Header["Cookie"]) == 0:
		return cookiesBlocked, why
	}
	return signInLoop, why
}

// endSignIn deletes the cookies of g in the browser.
func (m *Middleware) endSignIn(w http.ResponseWriter, g *session.Login) {
	m.sendAll(w, m.logins.Delete(g))
}

// sendAll adds cookies to a response.
func (m *Middleware) sendAll(w http.ResponseWriter, cookies []*http.Cookie) {
	for _, c := range cookies {
		m.o.Cookies.Send(w, c)
	}
}

// endFailedSignIn deletes the cookies of g, which failed, in the browser.
func (m *Middleware) endFailedSignIn(w http.ResponseWriter, r *http.Request, g *session.Login) {
	m.sendAll(w, m.logins.Fail(g, r))
}

// declined are the errors that are not about prompt=select_account: the user declined,
// or the provider is busy.
var declined = map[string]bool{"access_denied": true, "temporarily_unavailable": true}

// providerRefused shows the user that the provider refused the sign-in. A session of
// the user continues.
func (m *Middleware) providerRefused(w http.ResponseWriter, r *http.Request, g *session.Login, code string) {
	if oidc.NeedsInteraction(code) && m.o.AuthParams["prompt"] == "none" && g.Attempt == 0 {
		m.signIn(w, r, journey{target: m.target(r, g), attempt: g.Attempt + 1, interactive: true})
		return
	}
	m.endFailedSignIn(w, r, g)
	m.forgetChoice(w, r)
	if g.Account == session.ChosenAccount && !declined[code] && m.o.AuthParams["prompt"] == "" {
		m.signIn(w, r, journey{target: m.target(r, g), attempt: g.Attempt, account: session.NewAccount})
		return
	}
	f := signInRefused
	switch code {
	case "access_denied":
		f = accessDenied
	case "server_error", "temporarily_unavailable":
		f = providerFault
	}
	if oidc.KnownError(code) == "" {
		code = "of its own"
	}
	m.failSignIn(w, r, f, fmt.Errorf("auth: the provider answered with an error: %s%s", code, remedies[code]), m.target(r, g))
}

// finish sends the code once, after the client got its turn and the state was used up.
// While the provider must not be requested, finish changes nothing, so that the
// callback can come again.
func (m *Middleware) finish(w http.ResponseWriter, v *visit, g *session.Login, code string) {
	r := v.r
	turn, err := m.o.Provider.AwaitTurn(r.Context(), v.client.network())
	if err != nil {
		m.failSignIn(w, r, verdict(err, providerDown), err, m.target(r, g))
		return
	}
	defer turn.End()
	err = m.useOnce(v, g)
	if err != nil {
		turn.End()
	}
	switch {
	case errors.Is(err, session.ErrReplayed):
		m.resume(w, r, g, err)
		return
	case errors.Is(err, errMarkers):
		m.failSignIn(w, r, tooMany, err, m.target(r, g))
		return
	case err != nil:
		m.fail(w, r, storeDown, err)
		return
	}
	s, err := m.redeem(r, g, oidc.Exchange{Code: code, Turn: turn})
	if err != nil {
		m.endFailedSignIn(w, r, g)
		m.failSignIn(w, r, verdict(err, signInInvalid), err, m.target(r, g))
		return
	}
	if m.o.CheckReplays {
		m.markers.remove(v.client.network())
	}
	m.complete(w, r, g, s)
}

// errMarkers is returned when the callbacks of a network left too many replay markers.
var errMarkers = errors.New("auth: too many sign-ins of this network failed lately")

// useOnce records that the state is used, and with it nonce and verifier. A code needs
// no marker: the provider accepts it only for this nonce and this verifier.
func (m *Middleware) useOnce(v *visit, g *session.Login) error {
	if !m.o.CheckReplays {
		return nil
	}
	network := v.client.network()
	if !m.markers.add(network) {
		return errMarkers
	}
	err := m.replays.Use(v.r.Context(), "state", g.State, g.Expiry.Sub(m.o.Now())+markerSlack)
	if errors.Is(err, session.ErrReplayed) {
		m.markers.remove(network)
	}
	return err
}

// complete creates the session of s, whose ID token was verified.
func (m *Middleware) complete(w http.ResponseWriter, r *http.Request, g *session.Login, s *session.Session) {
	claims := claimsOf(s)
	subject := digest(claims.Text("sub"))
	allowed := anyAllowed(m.decide(claims))
	s.Refused = !allowed
	if m.signedInMeanwhile(r, g, subject) {
		m.endSignIn(w, g)
		m.redirect(w, m.target(r, g))
		return
	}
	s.Created = m.o.Now()
	origin := originOf(claims)
	value, err := m.sessions.Create(r.Context(), s, g.Attempt, origin)
	if errors.Is(err, session.ErrRevoked) {
		m.signInAgain(w, r, g, s, err)
		return
	}
	if err != nil {
		m.fail(w, r, storeDown, err)
		return
	}
	if _, err := m.sessions.End(r.Context(), r); err != nil {
		m.log(r, slogWarn, "the session before this sign-in could not be ended", "error", err.Error())
	}
	m.endOldest(r, origin, value, subject)
	m.o.Cookies.Send(w, m.o.Cookies.Set(m.o.Cookies.Name, value, m.o.MaxAge))
	m.endSignIn(w, g)
	if c, err := m.logins.Complete(r); err == nil {
		m.o.Cookies.Send(w, c)
	}
	if allowed {
		m.log(r, slogInfo, "signed in", "subject", subject)
	} else {
		m.log(r, slogInfo, "signed in, but not allowed", "subject", subject)
	}
	m.leadOn(w, r, m.target(r, g))
}

// endOldest bounds the sessions of a user, who has a new one.
func (m *Middleware) endOldest(r *http.Request, o session.Origin, newest, subject string) {
	ended, err := m.sessions.EndOldest(r.Context(), o, newest)
	if ended > 0 {
		m.log(r, slogWarn, "the oldest sessions of a user ended: the user has too many", "subject", subject, "ended", ended, "most", session.MaxSessions)
	}
	if err == nil {
		return
	}
	level := slogDebug
	if !m.uncounted.Swap(true) {
		level = slogWarn
	}
	m.log(r, level, "the sessions of a user could not be counted, so that their number is not bounded; check that the Redis user may run ZCARD, GETRANGE and ZREM", "error", err.Error())
}

// signInAgain handles a sign-in that the provider ended with a logout before it was
// complete. The next ID token must be of a later second than that logout.
func (m *Middleware) signInAgain(w http.ResponseWriter, r *http.Request, g *session.Login, s *session.Session, why error) {
	background.Start(&revocation{m: m, session: s})
	m.endFailedSignIn(w, r, g)
	if g.Attempt >= attemptsLimit {
		m.failSignIn(w, r, signedOutMeanwhile, why, m.target(r, g))
		return
	}
	m.log(r, slogInfo, "signed out by the provider during the sign-in", "subject", digest(claimsOf(s).Text("sub")))
	background.Pause(r.Context(), m.revokedPause)
	m.signIn(w, r, journey{target: m.target(r, g), attempt: g.Attempt + 1, account: g.Account})
}

// originOf returns the names by which the provider ends a session.
func originOf(claims oidc.Claims) session.Origin {
	o := session.Origin{Issuer: claims.Text("iss"), Subject: claims.Text("sub"), SessionID: claims.Text("sid")}
	o.Issued, _ = claims.Instant("iat")
	return o
}

// signedInMeanwhile reports whether this browser has a session of the same user that
// another tab created while g was in progress. That session is kept: its page may still
// be loading, and its requests would have no session.
//
// The cookie of a session takes some time to reach the browser, and the clocks of
// replicas differ. So a session that is slightly older than g is kept too, unless the
// browser had it when g began.
func (m *Middleware) signedInMeanwhile(r *http.Request, g *session.Login, subject string) bool {
	since := g.Started
	if !g.SentSession {
		since = since.Add(-cache.ClockSkew)
	}
	o, err := m.sessions.Load(r.Context(), r)
	return err == nil && o.Allowed && o.Subject == subject && o.Created().After(since)
}

// redeem exchanges the code of x for a session that is not stored yet.
func (m *Middleware) redeem(r *http.Request, g *session.Login, x oidc.Exchange) (*session.Session, error) {
	x.RedirectURI = m.callbackAddress(r)
	if !m.o.WithoutPKCE {
		x.Verifier = g.Verifier
	}
	t, err := m.o.Provider.Redeem(r.Context(), x)
	if err != nil {
		return nil, err
	}
	claims, err := m.o.Provider.VerifyIDToken(r.Context(), t.IDToken, oidc.Expect{
		Nonce: g.Nonce, AccessToken: t.AccessToken, MaxAge: m.o.MaxAuthAge,
	})
	if err != nil {
		return nil, err
	}
	s := &session.Session{
		IDToken: t.IDToken, AccessToken: t.AccessToken,
		RefreshToken: t.RefreshToken, AccessExpiry: expiryOf(t, claims),
	}
	if t.AccessToken != "" && m.asksUserInfo(claims) && m.offersUserInfo(r.Context()) {
		info, err := m.o.Provider.UserInfo(r.Context(), t.AccessToken, claims.Text("sub"))
		if err != nil {
			return nil, err
		}
		s.UserInfo = info
	}
	return s, nil
}

// offersUserInfo reports whether to request userinfo. Without an endpoint its claims
// are missing, unless the operator requires userinfo at every sign-in.
func (m *Middleware) offersUserInfo(ctx context.Context) bool {
	if m.o.UserInfo == UserInfoAlways {
		return true
	}
	d, err := m.o.Provider.Metadata(ctx)
	return err != nil || d.UserinfoEndpoint != ""
}
