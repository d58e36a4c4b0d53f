package traefikoidc

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// A sharedProvider is the provider of all middlewares that name it with the same client.
type sharedProvider struct {
	provider  *oidc.Provider
	transport *http.Transport
	end       context.CancelFunc // of the check
}

// lastCalls is how long a call that began before the provider was closed may continue.
const lastCalls = 20 * time.Second

// Close ends the check and closes the idle connections to the provider. A call in
// progress keeps its connection, which is closed later.
func (p *sharedProvider) Close() {
	p.end()
	p.transport.CloseIdleConnections()
	var r background.Runner = &closing{transport: p.transport}
	background.After(lastCalls, r)
}

// A closing closes the idle connections of a provider that is no longer used.
type closing struct {
	transport *http.Transport
}

// Run implements background.Runner.
func (c *closing) Run() {
	c.transport.CloseIdleConnections()
}

type providerBuilder struct {
	s   *config.Settings
	log *slog.Logger
}

// Build returns the provider of the settings. It does not wait for the network: a check
// requests discovery in the background.
func (b *providerBuilder) Build() (registry.Resource, error) {
	p, c := b.s.Provider, b.s.Client
	t := oidc.TransportOptions{AllowPrivate: p.AllowPrivate, InsecureSkipVerify: p.InsecureSkipVerify, Trusted: []string{
		p.Issuer, p.DiscoveryURL, p.AuthorizationURL, p.TokenURL, p.UserinfoURL, p.JWKSURL, p.RevocationURL, p.EndSessionURL,
	}}
	if p.Proxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	if p.CAPEM != "" {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM([]byte(p.CAPEM))
	}
	var key *oidc.AssertionKey
	if c.AssertionKey != "" {
		var err error
		key, err = oidc.ParseAssertionKey(c.AssertionKey, c.AssertionKeyID, c.AssertionAlg)
		if err != nil {
			return nil, fmt.Errorf("traefikoidc: clientAssertionPrivateKey: %w", err)
		}
	}
	transport := oidc.NewTransport(t)
	client := &http.Client{}
	client.Transport = transport
	provider := oidc.NewProvider(oidc.Options{
		Issuer: p.Issuer, ClientID: c.ID, ClientSecret: c.Secret, ClientAuthMethod: c.AuthMethod, AssertionKey: key,
		HTTPClient: client, AllowInsecureHTTP: p.AllowHTTP, SigningAlgs: p.SigningAlgs,
		TrustedAudiences: p.TrustedAudiences, AllowedTenants: p.AllowedTenants,
		DiscoveryURL: p.DiscoveryURL, AuthorizationURL: p.AuthorizationURL, TokenURL: p.TokenURL, UserinfoURL: p.UserinfoURL,
		JWKSURL: p.JWKSURL, AllowMissingNonce: p.AllowMissingNonce, LogoutMaxAge: b.s.Logout.TokenMaxAge,
		RevocationURL: p.RevocationURL, EndSessionURL: p.EndSessionURL, MaxAge: b.s.SignIn.MaxAge,
	})
	done, end := context.WithCancel(context.Background())
	var check background.Runner = &providerCheck{provider: provider, done: done, log: b.log}
	background.Start(check)
	return &sharedProvider{provider: provider, transport: transport, end: end}, nil
}

// A providerCheck requests the provider's metadata once, before a user needs it, and
// logs the result. A mistake in providerURL then shows at start-up, and the first
// sign-in does not wait for discovery.
type providerCheck struct {
	provider *oidc.Provider
	done     context.Context // the provider is no longer used
	log      *slog.Logger
}

// Run implements background.Runner.
func (c *providerCheck) Run() {
	if c.done.Err() != nil {
		return
	}
	m, err := c.provider.TryMetadata(c.done)
	if c.done.Err() != nil {
		return
	}
	if err != nil {
		c.log.Warn("the provider cannot be used: sign-ins fail until it can; check providerURL, discoveryURL and the provider", "error", err.Error())
		return
	}
	url := c.provider.DiscoveryURL()
	if url == "" {
		url = "none: authorizationURL, tokenURL and jwksURL are set, and the provider was not asked"
	}
	c.log.Info("provider ready", "issuer", m.Issuer, "discovery", url)
	if len(m.Unusable) > 0 {
		c.log.Warn("the discovery document has endpoints that are no absolute https URLs and are not used; correct them at the provider, or set userinfoURL, revocationURL or oidcEndSessionURL",
			"endpoints", strings.Join(m.Unusable, " "), "discovery", url)
	}
}
