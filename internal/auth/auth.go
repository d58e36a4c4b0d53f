// Package auth is the middleware. Each step of a request has a file:
//
//	serve.go         the path of every request
//	signin.go        the redirect to the provider
//	callback.go      the end of the sign-in
//	refresh.go       token refresh
//	logout.go        the end of a session at the user's request
//	backchannel.go   its end at the provider's request
//	frontchannel.go  the same, by a frame in the provider's page
//	respond.go       failures: a page for users, JSON for API clients
//	several.go       several providers: the choice between their middlewares
//	choose.go        the page on which users choose
//	purpose.go       requests that a browser sends without its user
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

// Options of a middleware. Provider, Backend, Keys, Identity, CallbackURL, LogoutPath
// and Rules are required.
type Options struct {
	Provider *oidc.Provider
	ClientID string
	Backend  cache.Backend
	Keys     *session.Keyring
	Identity string // issuer, relying party and session group
	Name     string // of the middleware, in the operator's configuration

	// For several providers, see [NewSeveral]. Entry is the name of the provider among
	// them, and Label its name for users.
	Entry, Label  string
	ChoosePath    string   // of the page on which users choose a provider
	RuleProviders []string // the provider that a rule of Access asks for, by its index; empty: any
	ListsClosed   bool     // no user of this provider passes where no rule matches

	CallbackURL   string // a path, or an absolute URL whose path the plugin serves
	LogoutPath    string
	PostLogoutURL string // a path or URL; empty: the page that says "signed out"
	// The provider announces logouts at these paths; empty: it does not.
	BackchannelPath  string
	FrontchannelPath string
	ForceHTTPS       bool // the plugin's own URLs are https, even where the request came by http

	Cookies      session.Cookies
	MaxAge       time.Duration
	Ages         *session.Ages // of all middlewares of the process; nil: of this one
	IdleTimeout  time.Duration
	RefreshGrace time.Duration        // tokens are refreshed this long before they expire
	AlwaysRead   bool                 // the store is read for the session at each request
	StripCookies bool                 // the plugin's cookies do not reach the backend
	CookieNames  *session.CookieNames // of all middlewares of the process; nil: only of this one
	Siblings     *Siblings            // the middlewares of the process; nil: only this one

	Scopes       []string
	AuthParams   map[string]string // of the authorization request, in addition to the plugin's
	WithoutPKCE  bool
	MaxAuthAge   time.Duration // oldest authentication accepted; zero: any
	UserInfo     UserInfo
	CheckReplays bool
	DenyReplays  bool // a token that cannot be checked in the shared store is refused like a replay

	Rules     *policy.Rules
	Bypass    *policy.Bypass // nil: there are no public paths
	Access    *policy.Access // has Rules and Bypass too; nil: only those
	Cleaner   *headers.Cleaner
	Templates *headers.Templates // nil: none
	// RuleTemplates are the templates of requests that a rule of Access decides about,
	// by its index. They are Templates with the headers of the rule, which replace
	// those of the same name. Nil: the rule has no headers.
	RuleTemplates []*headers.Templates
	Minimal       bool // X-Forwarded-User only

	PageTemplate string            // the operator's page; empty: the built-in one
	PageTexts    texts.Options     // the languages of pages; zero: the browser chooses a built-in one
	Security     *headers.Security // nil: only the strict headers of the plugin's own responses
	CORS         *headers.CORS     // nil: scripts of other origins have no access

	Rate           int            // sign-ins, callbacks and logouts a second for each client; zero: any
	TrustedProxies []netip.Prefix // their X-Forwarded-For names the client

	Log *slog.Logger
	Now func() time.Time // nil: time.Now
}

// UserInfo selects the sign-ins at which the userinfo endpoint is requested.
type UserInfo int

const (
	// UserInfoAuto requests userinfo when the ID token lacks a claim that a rule or a
	// header needs.
	UserInfoAuto UserInfo = iota
	// UserInfoAlways requests it at every sign-in. A failure is a failed sign-in.
	UserInfoAlways
	// UserInfoNever does not request it.
	UserInfoNever
)

// A Middleware is the part of a configuration that the handlers of all its routers
// share. It is safe for concurrent use.
type Middleware struct {
	o              Options
	callbackPath   string
	callbackHost   string            // with the port; empty: the host of each request
	owner          string            // of the callback
	routes         map[string]*route // the paths that the plugin serves
	paths          []string          // of routes, sorted
	reserved       []string          // paths that are no return targets: those of all providers
	postLogoutPath string            // of the page after a sign-out
	postLogoutHost string            // of the page after a sign-out; empty: the host of each request
	access         *policy.Access
	byRules        bool                 // requests are decided by rules, or unauthenticated is not auto
	nobody         *session.Opened      // is returned for no session where none is needed
	special        *regexp.Regexp       // the plugin's own paths, and those that may be public
	ruled          bool                 // there are rules
	byMethod       bool                 // a rule has methods
	byHost         bool                 // a rule has hosts
	shortcuts      map[string]*shortcut // by method and host, if rules have them
	hosts          map[string]string    // hosts of shortcuts by Host headers; guarded by the lock of hot
	needed         []string
	sessions       *session.Manager
	hot            *session.Hot   // of sessions: each handler has these five
	harmless       *atomic.Value  // of the cleaner
	closed         io.Writer      // of the cleaner
	known          *atomic.Value  // of the cookie names
	signIns        *regexp.Regexp // the cookies of sign-ins
	logins         *session.Logins
	stripper       *session.Stripper
	replays        *session.ReplayGuard
	tokens         *session.ReplayGuard // of logout tokens; one for each client, in every session group
	limits         *limiter
	markers        *markerCount
	visits         *places.Places // of requests without a session, by network
	pages          *pages
	framed         string // the policy of the response in the provider's frame
	revokedPause   time.Duration
	partitioned    bool                          // cookieSameSite is partitioned
	offersWindow   bool                          // cookieSameSite is none: no sign-in in a frame
	uncounted      atomic.Bool                   // the log has the line that a user's sessions could not be counted
	since          func(time.Time) time.Duration // the time since a moment
	keysPause      time.Duration
	redirectURIs   *firsts  // in the log already
	nameless       *firsts  // users without X-Forwarded-User who are in the log already
	several        *Several // that m is a part of; nil: there is one provider
	self           *sibling
	foreignTold    atomic.Int64 // when the log last had a line about foreign cookies, in ns since 1970; zero: never
	insecureTold   atomic.Bool  // the log has the line that users come by http
}

// New returns a middleware. It makes no network request.
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

// setPostLogout sets the place where a sign-out ends.
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

// newSessions returns the manager of the sessions. It calls m to prepare a session, and
// to refresh its tokens.
func (m *Middleware) newSessions() *session.Manager {
	o := m.o
	var view session.Preparer = m
	n := &refresher{m: m}
	var refreshes session.Refresher = n
	var observes session.Observer = n
	return session.NewManager(session.Options{
		Backend: o.Backend, Keys: o.Keys, Identity: o.Identity, Cookies: o.Cookies,
		MaxAge: o.MaxAge, Ages: o.Ages, IdleTimeout: o.IdleTimeout, AlwaysRead: o.AlwaysRead, Preparer: view, Now: o.Now,
		Client: o.ClientID, Refresher: refreshes, Grace: o.RefreshGrace, RetryAfter: n.retryAfter, Observer: observes,
	})
}

// Close releases the store, which keeps the sessions. From then on, backends of other
// middlewares may see the cookies of this one.
func (m *Middleware) Close() {
	m.o.CookieNames.Remove(m.o.Cookies.Name)
	m.o.Siblings.remove(m.self)
	m.sessions.Close()
}

// Handler returns the handler of one router. It passes permitted requests to next.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	return m.handler(next, nil)
}

// handler is Handler for the part of x; nil: there is one provider.
func (m *Middleware) handler(next http.Handler, x *severalHandler) http.Handler {
	next = m.dress(next)
	h := &handler{
		m: m, next: next, hot: m.hot, since: m.since, harmless: m.harmless, closed: m.closed, special: m.special,
		name: m.o.Cookies.Name, cookie: m.o.Cookies.Name + "=", signIns: m.signIns, strips: m.o.StripCookies, tells: !m.o.Minimal,
		plain: policy.PlainTarget, names: m.known, passages: true, owner: m.owner, callback: m.o.CallbackURL,
	}
	if x != nil {
		h.several = x
		x.all = append(x.all, h)
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
