// Package oidc is the relying party's side of OpenID Connect: discovery, keys,
// tokens and their checks, the endpoints of the provider, logout tokens. It serves
// no HTTP.
//
// A [Provider] is one client at one provider. It sends no request before the first
// call that needs one. Metadata and keys are fetched once for all calls that wait,
// kept, and refreshed.
//
// Errors name the failed check or endpoint in constant words, with the address of
// the endpoint where that helps. They never contain a token, a claim's value, a
// secret or free text from the provider.
package oidc

import (
	"errors"
	"net/http"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/places"
)

var (
	// ErrUnavailable is returned when no request reached the provider, or the
	// provider responded that it cannot serve now. The call may be repeated after
	// [Provider.RetryAfter].
	ErrUnavailable = errors.New("provider unavailable")
	// ErrInvalidToken is returned when a token, a token response or a userinfo
	// response fails a check.
	ErrInvalidToken = errors.New("invalid token")
	// ErrInvalidGrant is returned when the provider reports that a code or a refresh
	// token is invalid, expired or used up.
	ErrInvalidGrant = errors.New("invalid grant")
	// ErrRejected is returned when the provider refused the request: by an OAuth
	// error other than invalid_grant, or by a status without a known OAuth error.
	ErrRejected = errors.New("rejected by the provider")
	// ErrClientRefused is returned, as an ErrRejected, when the provider does not know
	// the client, or refuses its secret, its key or its type of grant. The cause is
	// the option clientID, clientSecret or clientAuthMethod, or the registration of
	// the client at the provider.
	ErrClientRefused = errors.New("the provider refuses the client")
	// ErrLost is returned when a request was sent and its response was lost. A code
	// or refresh token in that request may be used up and must not be sent again.
	ErrLost = errors.New("response lost")
)

const (
	defaultSkew    = time.Minute
	defaultTimeout = 15 * time.Second
	maxBody        = 1 << 20
)

// Options describe the provider and the client at it. Issuer and ClientID are
// required.
type Options struct {
	Issuer   string // compared exactly with the issuer in discovery and tokens
	ClientID string

	ClientSecret     string        // empty: a public client
	ClientAuthMethod string        // empty: chosen from those in discovery
	AssertionKey     *AssertionKey // for private_key_jwt

	HTTPClient *http.Client  // only its Transport is used; nil: a NewTransport without options
	Timeout    time.Duration // of one call to the provider; zero: 15 s

	// AllowInsecureHTTP permits http URLs for the issuer and for every endpoint in
	// discovery.
	AllowInsecureHTTP bool

	SigningAlgs      []string // empty: those in discovery, without HS*
	TrustedAudiences []string // permitted in aud beside ClientID
	AllowedTenants   []string // of an issuer with many tenants; "*": all of them

	// DiscoveryURL is the address of the metadata; empty:
	// /.well-known/openid-configuration below Issuer. The document must name Issuer
	// in both cases.
	DiscoveryURL string
	// These endpoints replace those in discovery; empty: the endpoint in discovery.
	// With AuthorizationURL, TokenURL and JWKSURL no discovery document is fetched.
	AuthorizationURL, TokenURL, UserinfoURL, JWKSURL string
	RevocationURL, EndSessionURL                     string

	AllowMissingNonce bool // accepts an ID token of a sign-in without a nonce

	MaxAge            time.Duration // max_age of sign-ins, sent and checked; zero: neither
	LogoutMaxAge      time.Duration // of logout tokens without exp; zero: exp is required
	RequireLogoutType bool          // logout tokens must have typ logout+jwt
	Skew              time.Duration // tolerated between the clocks; zero: 60 s

	Now func() time.Time // nil: time.Now
}

// A Provider is a client's view of one provider. It is safe for concurrent use.
type Provider struct {
	options Options
	now     func() time.Time

	discovery  *discovery
	keys       *keySet
	token      *endpoint // the token endpoint, for codes
	refresh    *endpoint // the token endpoint, for refresh tokens
	userinfo   *endpoint
	revocation *endpoint
}

// NewProvider makes a Provider. It starts no goroutine and sends no request.
func NewProvider(o Options) *Provider {
	if o.Skew == 0 {
		o.Skew = defaultSkew
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	client := newCallClient(o.HTTPClient)
	p := &Provider{options: o, now: o.Now}
	p.discovery = newDiscovery(o, newDocument("discovery", client, o))
	p.keys = newKeySet(newDocument("keys", client, o))
	unshared := unsharedConnections(client)
	p.token = newEndpoint("token endpoint", unshared, o)
	p.refresh = newEndpoint("token endpoint", unshared, o)
	p.refresh.places = places.New(refreshPlaces, callRoom)
	p.userinfo = newEndpoint("userinfo", client, o)
	p.revocation = newEndpoint("revocation", client, o)
	return p
}

// Issuer returns Options.Issuer.
func (p *Provider) Issuer() string {
	return p.options.Issuer
}

// Skew returns the tolerated difference between the provider's clock and ours.
func (p *Provider) Skew() time.Duration {
	return p.options.Skew
}

// RetryAfter returns how long a user should wait before the next sign-in: the rest
// of the pause of discovery and of the token endpoint, in whole seconds, at least one.
func (p *Provider) RetryAfter() time.Duration {
	return p.untilRetry(p.token)
}

// RefreshRetryAfter is RetryAfter for token refreshes.
func (p *Provider) RefreshRetryAfter() time.Duration {
	return p.untilRetry(p.refresh)
}

func (p *Provider) untilRetry(e *endpoint) time.Duration {
	until := p.discovery.retryAt()
	if t := e.retryAt(); t.After(until) {
		until = t
	}
	wait := until.Sub(p.now())
	if wait < time.Second {
		return time.Second
	}
	return (wait + time.Second - 1).Truncate(time.Second)
}
