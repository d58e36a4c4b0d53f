// Package auth is the middleware: the story of a request, one file a step.
//
// serve.go is the path of every request, signin.go sends a person to the
// provider, callback.go takes them back, renew.go keeps their tokens good, logout.go
// lets them go, at the provider's word backchannel.go and frontchannel.go; respond.go
// says what went wrong, to people in a page and to programs in JSON. purpose.go tells
// what a user asked for from what a browser fetches unasked.
package auth

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/places"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/internal/texts"
	"github.com/traefikoidc/traefikoidc/session"
)

// Options of a middleware. Provider, Backend, Keys, Identity, CallbackURL,
// LogoutPath and Rules are required.
type Options struct {
	Provider *oidc.Provider
	ClientID string
	Backend  cache.Backend
	Keys     *session.Keyring
	Identity string // issuer, relying party and session group
	Name     string // of the middleware, as the operator calls it

	CallbackURL   string // a path, or an absolute URL whose path is ours
	LogoutPath    string
	PostLogoutURL string // a path or URL; empty: the page that says "signed out"
	// Where the provider tells of logouts; empty: it does not.
	BackchannelPath  string
	FrontchannelPath string
	ForceHTTPS       bool // our own URLs are https, whatever the request came by

	Cookies      session.Cookies
	MaxAge       time.Duration
	Ages         *session.Ages // of all middlewares of the process; nil: of this one
	IdleTimeout  time.Duration
	RefreshGrace time.Duration        // how long before they expire tokens are renewed
	AlwaysAsk    bool                 // the store is asked for the session at each request
	StripCookies bool                 // the backend does not see our cookies
	CookieNames  *session.CookieNames // of all middlewares of the process; nil: of this one alone
	Siblings     *Siblings            // the middlewares of the process; nil: this one only

	Scopes       []string
	AuthParams   map[string]string // of the authorization request, beside ours
	WithoutPKCE  bool
	MaxAuthAge   time.Duration // oldest authentication accepted; zero: any
	UserInfo     UserInfo
	CheckReplays bool
	DenyReplays  bool // what cannot be checked in the shared store counts as a replay would

	Rules     *policy.Rules
	Bypass    *policy.Bypass // nil: there are no public paths
	Access    *policy.Access // made of Rules and Bypass too; nil: those only
	Cleaner   *headers.Cleaner
	Templates *headers.Templates // nil: none
	// RuleTemplates are those of requests that a rule of Access decides about, by its index:
	// Templates, and the headers of the rule in place of those of the same name. Nil: the
	// rule has no headers.
	RuleTemplates []*headers.Templates
	Minimal       bool // X-Forwarded-User alone

	PageTemplate string            // the operator's page; empty: the built-in one
	PageTexts    texts.Options     // in which languages pages are; zero: the browser chooses a built-in one
	Security     *headers.Security // nil: the strict headers of our own answers alone
	CORS         *headers.CORS     // nil: no scripts of other origins

	Rate           int            // sign-ins, callbacks and logouts a second for each client; zero: any
	TrustedProxies []netip.Prefix // whose X-Forwarded-For names the client

	Log *slog.Logger
	Now func() time.Time // nil: time.Now
}

// UserInfo says when the userinfo endpoint is asked at a sign-in.
type UserInfo int

const (
	// UserInfoAuto asks when the ID token lacks a claim that a rule or a header
	// needs.
	UserInfoAuto UserInfo = iota
	// UserInfoAlways asks at every sign-in; a failure is a failed sign-in.
	UserInfoAlways
	// UserInfoNever does not ask.
	UserInfoNever
)

// A Middleware is everything of one configuration that the handlers of all its
// routers share. It is safe for concurrent use.
type Middleware struct {
	o              Options
	callbackPath   string
	callbackHost   string   // with the port; empty: the host of each request
	owner          string   // of the callback
	paths          []string // that are ours
	postLogoutPath string   // where a sign-out ends
	postLogoutHost string   // on which host; empty: on that of each request
	access         *policy.Access
	byRules        bool                 // requests are decided by rules, or unauthenticated is not auto
	nobody         *session.Opened      // stands for no session where none is needed
	special        *regexp.Regexp       // paths that are ours or may be open
	ruled          bool                 // there are rules
	byMethod       bool                 // a rule has methods
	byHost         bool                 // a rule has hosts
	shortcuts      map[string]*shortcut // by method and host, if rules have them
	hosts          map[string]string    // hosts of shortcuts by Host headers; guarded by the lock of hot
	needed         []string
	sessions       *session.Manager
	hot            *session.Hot   // of sessions: these five are what each handler has
	harmless       *atomic.Value  // of the cleaner
	closed         io.Writer      // of the cleaner
	known          *atomic.Value  // of the cookie names
	signIns        *regexp.Regexp // the cookies of sign-ins
	logins         *session.Logins
	stripper       *session.Stripper
	replays        *session.ReplayGuard
	tokens         *session.ReplayGuard // of logout tokens, which are the client's, whatever the group
	limits         *limiter
	markers        *markerCount
	visits         *places.Places // of requests without a session, by network
	pages          *pages
	framed         string // the policy of the answer that the provider shows in a frame
	revokedPause   time.Duration
	partitioned    bool                          // cookieSameSite is partitioned
	offersWindow   bool                          // cookieSameSite is none: no sign-in in a frame
	uncounted      atomic.Bool                   // the log says that the sessions of a user could not be counted
	since          func(time.Time) time.Duration // how long a moment is past
	keysPause      time.Duration
	redirectURIs   *firsts // that the log has told
	nameless       *firsts // users without X-Forwarded-User whom the log has told of
	self           *sibling
	foreignTold    atomic.Int64 // when the log last said that there are foreign cookies, in ns since 1970; zero: never
	insecureTold   atomic.Bool  // the log says that users come by http
}

// New returns a middleware. It asks nothing of the network.
func New(o Options) (*Middleware, error) {
	since := time.Since
	if o.Now != nil {
		since = func(t time.Time) time.Duration { return o.Now().Sub(t) }
	} else {
		o.Now = time.Now
	}
	callback, err := url.Parse(o.CallbackURL)
	if err != nil {
		return nil, err
	}
	if o.CookieNames == nil {
		o.CookieNames = session.NewCookieNames()
	}
	if o.Siblings == nil {
		o.Siblings = &Siblings{}
	}
	if o.Security == nil {
		if o.Security, err = headers.NewSecurity(headers.SecurityOptions{}); err != nil {
			return nil, err
		}
	}
	p, err := newPages(o.PageTemplate, o.PageTexts)
	if err != nil {
		return nil, err
	}
	m := &Middleware{
		o: o, callbackPath: callback.Path, callbackHost: canonicalHost(callback.Host, callback.Scheme), pages: p,
		logins:   &session.Logins{Keys: o.Keys, Identity: o.Identity, Cookies: o.Cookies, Now: o.Now},
		stripper: o.Cookies.Stripper(),
		limits:   newLimiter(o.Rate, o.TrustedProxies, o.Now),
		visits:   newVisits(),
		markers:  newMarkerCount(o.Now),

		redirectURIs: newFirsts(maxRedirectURIs), nameless: newFirsts(maxNameless),
		replays: &session.ReplayGuard{Backend: o.Backend, Keys: o.Keys, Identity: o.Identity, Strict: o.DenyReplays},
		tokens:  &session.ReplayGuard{Backend: o.Backend, Keys: o.Keys, Identity: o.Provider.Issuer() + "\n" + o.ClientID, Strict: true},
		since:   since, framed: framePolicy(o.Provider.Issuer()), revokedPause: time.Second, keysPause: keysPause, partitioned: o.Cookies.SameSite == session.Partitioned, offersWindow: o.Cookies.SameSite == session.None,
	}
	if err := m.setPostLogout(); err != nil {
		return nil, err
	}
	if err := m.setAccess(); err != nil {
		return nil, err
	}
	m.needed = m.neededClaims()
	m.sessions = m.newSessions()
	m.hot = m.sessions.Hot()
	m.owner = m.callbackOwner()
	m.harmless = o.Cleaner.Harmless()
	m.closed = o.Cleaner.Closed()
	m.known = o.CookieNames.Known()
	m.signIns = o.Cookies.SignIns()
	o.CookieNames.Add(o.Cookies.Name)
	m.self = &sibling{name: o.Name, identity: o.Identity, callback: o.CallbackURL, path: m.callbackPath, logins: m.logins, hosts: newFirsts(hostsKept)}
	o.Siblings.add(m.self)
	return m, nil
}

// setPostLogout notes where a sign-out ends.
func (m *Middleware) setPostLogout() error {
	u, err := url.Parse(m.postLogout())
	if err != nil {
		return err
	}
	m.postLogoutPath = u.Path
	if u.Path == "" {
		m.postLogoutPath = "/"
	}
	m.postLogoutHost = u.Host
	return nil
}

// newSessions returns the manager of the sessions, which asks m what a session means
// here and how its tokens are refreshed.
func (m *Middleware) newSessions() *session.Manager {
	o := m.o
	var view session.Preparer = m
	n := &renewer{m: m}
	var renews session.Renewer = n
	var observes session.Observer = n
	return session.NewManager(session.Options{
		Backend: o.Backend, Keys: o.Keys, Identity: o.Identity, Cookies: o.Cookies,
		MaxAge: o.MaxAge, Ages: o.Ages, IdleTimeout: o.IdleTimeout, AlwaysAsk: o.AlwaysAsk, Preparer: view, Now: o.Now,
		Client: o.ClientID, Renewer: renews, Grace: o.RefreshGrace, RetryAfter: n.retryAfter, Observer: observes,
	})
}

// Close lets go of the store; sessions live on in it. Backends that others serve may
// see the cookies of this middleware then.
func (m *Middleware) Close() {
	m.o.CookieNames.Remove(m.o.Cookies.Name)
	m.o.Siblings.remove(m.self)
	m.sessions.Close()
}

// Handler returns the handler of one router: what may pass goes on to next.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	next = m.dress(next)
	h := &handler{
		m: m, next: next, hot: m.hot, since: m.since, harmless: m.harmless, closed: m.closed, special: m.special,
		name: m.o.Cookies.Name, mark: m.o.Cookies.Name + "=", signIns: m.signIns, strips: m.o.StripCookies, tells: !m.o.Minimal,
		plain: policy.PlainTarget, names: m.known, marks: true, owner: m.owner, callback: m.o.CallbackURL,
	}
	var served http.Handler = h
	if m.ruled {
		served = newRuled(h)
	}
	if m.o.CORS != nil {
		return newCrossing(served, m.o.CORS)
	}
	return served
}

// ownPaths are those that are ours and never the backend's.
func (m *Middleware) ownPaths() []string {
	paths := []string{m.callbackPath, m.o.LogoutPath}
	for _, p := range []string{m.o.BackchannelPath, m.o.FrontchannelPath} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}
