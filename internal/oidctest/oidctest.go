// Package oidctest is an OpenID provider for tests and demonstrations. It is a real HTTP
// server that signs users in by the rules of the specifications. A test can make it break
// these rules with [Provider.Set].
//
// It has no passwords. Never expose it to a network.
package oidctest

import (
	"crypto/ecdsa"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The names of the endpoints, for [Provider.Count], [Provider.Last] and
// [Behaviour].Faults.
const (
	Discovery  = "discovery"
	JWKS       = "jwks"
	Authorize  = "authorize"
	Token      = "token"
	UserInfo   = "userinfo"
	Revocation = "revocation"
	EndSession = "end_session"

	// Refresh names the requests to Token with the grant type refresh_token. Beside
	// those of Token they have a count, a last request and a fault of their own.
	Refresh = "refresh"
)

// Options configure a provider. The zero value is a provider on a free loopback port
// with the client "client" and the client secret "secret".
type Options struct {
	Listener net.Listener // nil: a free port of 127.0.0.1
	Issuer   string       // as clients see it; empty: the listener's address
	TLS      bool         // serves https with a certificate that [Provider.Client] trusts

	ClientID               string   // empty: "client"
	ClientSecret           string   // empty: "secret"
	Public                 bool     // the client has no secret
	RedirectURIs           []string // compared exactly; empty: any
	PostLogoutRedirectURIs []string // compared exactly; empty: any
	BackchannelLogoutURI   string   // receives a logout token when a session ends here; empty: none is sent
	FrontchannelLogoutURI  string   // opens in a frame of the page that ends a session; empty: no frame
	Clients                []Client // further clients

	// Deliver sends the logout tokens; nil: [http.DefaultTransport].
	Deliver http.RoundTripper

	// ClientKey verifies the client's assertions, signed with ES256
	// (private_key_jwt); nil: the client's secret verifies them.
	ClientKey *ecdsa.PublicKey

	Users     []User // empty: [DefaultUsers]
	AutoLogin string // subject of the user to sign in without a page; empty: the page asks

	SigningAlg      string        // of ID tokens; empty: RS256
	AccessLifetime  time.Duration // of access tokens; zero: 5 minutes
	IDTokenLifetime time.Duration // zero: AccessLifetime
	JWTAccessTokens bool          // access tokens are signed (RFC 9068), not opaque

	// HoldDiscovery holds requests for discovery, uncounted, until it is closed, so
	// that a test can change the behaviour first. Nil holds none.
	HoldDiscovery <-chan struct{}

	Now func() time.Time // nil: time.Now
}

// A Client is a registered relying party.
type Client struct {
	ID, Secret             string // empty Secret: a public client
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	BackchannelLogoutURI   string
	FrontchannelLogoutURI  string
}

// A Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	options Options
	issuer  string
	prefix  string // the issuer's path
	clients map[string]Client
	server  *httptest.Server // nil: made by NewHandler
	mux     *http.ServeMux

	mu        sync.Mutex // guards the fields below
	behaviour Behaviour
	keys      []*Key // the last one signs
	counts    map[string]int
	last      map[string]Request
	grants    map[string]*grant   // by code
	refresh   map[string]*refresh // by refresh token
	access    map[string]*grant   // by access token
	sessions  map[string]*session // by cookie
	changed   map[string]User     // by subject: users as changed by Change
	delivered []Delivery
}

// A Request is a request that an endpoint received.
type Request struct {
	Method string
	Header http.Header
	Form   url.Values
}

// New starts a provider. It panics if it cannot listen.
func New(o Options) *Provider {
	l := o.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			panic(fmt.Sprintf("oidctest: listen: %v", err))
		}
	}
	if o.Issuer == "" {
		o.Issuer = "http://" + l.Addr().String()
		if o.TLS {
			o.Issuer = "https://" + l.Addr().String()
		}
	}
	p := NewHandler(o)
	p.server = &httptest.Server{Listener: l, Config: &http.Server{
		Handler: p.Handler(), ReadHeaderTimeout: 10 * time.Second,
	}}
	p.server.Config.ErrorLog = discardLog()
	if o.TLS {
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	return p
}

// NewHandler makes a provider without a server. The caller serves its Handler at
// Options.Issuer.
func NewHandler(o Options) *Provider {
	fillDefaults(&o)
	p := &Provider{
		options: o, issuer: o.Issuer, clients: map[string]Client{},
		counts: map[string]int{}, last: map[string]Request{},
		grants: map[string]*grant{}, refresh: map[string]*refresh{},
		access: map[string]*grant{}, sessions: map[string]*session{}, changed: map[string]User{},
	}
	if u, err := url.Parse(o.Issuer); err == nil {
		p.prefix = strings.TrimSuffix(u.Path, "/")
	}
	for _, c := range append(o.Clients, Client{
		ID: o.ClientID, Secret: o.ClientSecret,
		RedirectURIs: o.RedirectURIs, PostLogoutRedirectURIs: o.PostLogoutRedirectURIs,
		BackchannelLogoutURI: o.BackchannelLogoutURI, FrontchannelLogoutURI: o.FrontchannelLogoutURI,
	}) {
		p.clients[c.ID] = c
	}
	p.keys = []*Key{NewKey(o.SigningAlg)}
	p.routes()
	return p
}

func fillDefaults(o *Options) {
	if o.ClientID == "" {
		o.ClientID = "client"
	}
	if o.ClientSecret == "" {
		o.ClientSecret = "secret"
	}
	if o.Public {
		o.ClientSecret = ""
	}
	if o.SigningAlg == "" {
		o.SigningAlg = "RS256"
	}
	if o.AccessLifetime == 0 {
		o.AccessLifetime = 5 * time.Minute
	}
	if o.IDTokenLifetime == 0 {
		o.IDTokenLifetime = o.AccessLifetime
	}
	if len(o.Users) == 0 {
		o.Users = DefaultUsers()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Deliver == nil {
		o.Deliver = http.DefaultTransport
	}
}

// URL returns the issuer.
func (p *Provider) URL() string { return p.issuer }

// Endpoint returns the URL of an endpoint by its name.
func (p *Provider) Endpoint(name string) string {
	return strings.TrimSuffix(p.issuer, "/") + paths()[name]
}

// Handler returns a handler that serves the endpoints below the issuer's path.
func (p *Provider) Handler() http.Handler { return p.mux }

// Client returns a client that trusts the provider's certificate, follows no redirects
// and keeps no cookies.
func (p *Provider) Client() *http.Client {
	c := &http.Client{CheckRedirect: stay}
	if p.server != nil && p.server.TLS != nil {
		pool := p.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		c.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	}
	return c
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close ends the server and its connections.
func (p *Provider) Close() {
	if p.server != nil {
		p.server.CloseClientConnections()
		p.server.Close()
	}
}

// Count returns the number of requests that an endpoint received. The names
// "code_reuse" and "refresh_reuse" count codes and refresh tokens that were used again.
func (p *Provider) Count(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[name]
}

// Last returns the latest request that an endpoint received.
func (p *Provider) Last(name string) Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[name]
}

func (p *Provider) now() time.Time { return p.options.Now() }
