// Package oidc is the relying party's side of OpenID Connect without the
// serving of HTTP: discovery, keys, tokens and their checks, the endpoints of
// the provider, logout tokens.
//
// A [Provider] stands for one client at one provider. It needs no network until
// it is first asked for something, and then finds out what it must: metadata and
// keys are fetched once for everybody who waits, kept, and refreshed.
//
// Errors name what failed in constant words. They never carry a token, a claim's
// value, a secret or a text that the provider sent.
package oidc

import (
	"errors"
	"net/http"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/places"
)

var (
	// ErrUnavailable is returned when the provider could not be asked, or
	// answered that it cannot serve. What was asked may be asked again, after
	// [Provider.RetryAfter].
	ErrUnavailable = errors.New("provider unavailable")
	// ErrInvalidToken is returned when something that the provider sent fails a
	// check: a token, a token response, a userinfo response.
	ErrInvalidToken = errors.New("invalid token")
	// ErrInvalidGrant is returned when the provider says that a code or a refresh
	// token is not, or no longer, valid.
	ErrInvalidGrant = errors.New("invalid grant")
	// ErrRejected is returned when the provider refused the request itself: an
	// OAuth error other than invalid_grant, or an answer that is none.
	ErrRejected = errors.New("rejected by the provider")
	// ErrClientRefused is returned, as an ErrRejected, when the provider does not know
	// the client or refuses its secret, its key or what it asks for: the operator's
	// clientID, clientSecret or clientAuthMethod is wrong, or the client's registration.
	ErrClientRefused = errors.New("the provider refuses the client")
	// ErrLost is returned when a request was sent and its answer was lost. A code
	// or refresh token that was in it may be used up, and must not be sent again.
	ErrLost = errors.New("answer lost")
)

const (
	defaultSkew    = time.Minute
	defaultTimeout = 15 * time.Second
	maxBody        = 1 << 20
)

// Options say which provider, and as which client. Only Issuer and ClientID are
// required.
type Options struct {
	Issuer   string // compared exactly with what discovery and tokens name
	ClientID string

	ClientSecret     string        // empty: a public client
	ClientAuthMethod string        // empty: what discovery offers
	AssertionKey     *AssertionKey // of private_key_jwt

	HTTPClient *http.Client  // only its Transport is used; nil: one of our own
	Timeout    time.Duration // of one call to the provider; zero: 15 s

	// AllowInsecureHTTP permits http where https is required, for the issuer and
	// for every endpoint that discovery names.
	AllowInsecureHTTP bool

	SigningAlgs      []string // empty: what discovery offers, without HS*
	TrustedAudiences []string // may stand beside ClientID in an ID token
	AllowedTenants   []string // of an issuer with many; "*": all of them

	// DiscoveryURL is where the metadata is; empty: /.well-known/openid-configuration
	// below Issuer. The document must name Issuer all the same.
	DiscoveryURL string
	// Endpoints that replace the discovered ones; empty: discovered. With
	// AuthorizationURL, TokenURL and JWKSURL there is no discovery.
	AuthorizationURL, TokenURL, UserinfoURL, JWKSURL string
	RevocationURL, EndSessionURL                     string

	AllowMissingNonce bool // an ID token of a sign-in may have none

	MaxAge            time.Duration // asked for, and checked; zero: not
	LogoutMaxAge      time.Duration // of logout tokens without exp; zero: exp is required
	RequireLogoutType bool          // logout tokens must say typ logout+jwt
	Skew              time.Duration // between the clocks; zero: 60 s

	Now func() time.Time // nil: time.Now
}

// A Provider is safe for concurrent use.
type Provider struct {
	options Options
	now     func() time.Time

	discovery  *discovery
	keys       *keySet
	token      *endpoint // for codes
	refresh    *endpoint // the token endpoint, for refresh tokens
	userinfo   *endpoint
	revocation *endpoint
}

// NewProvider starts nothing and needs no network.
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

// Issuer is the provider's issuer identifier, as it is configured.
func (p *Provider) Issuer() string {
	return p.options.Issuer
}

// Skew is how far the provider's clock may be from ours.
func (p *Provider) Skew() time.Duration {
	return p.options.Skew
}

// RetryAfter is how long it takes until a sign-in makes sense again: whole seconds,
// at least one.
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
