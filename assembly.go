package traefikoidc

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/auth"
	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// acquire returns the middleware of s and name, with the provider and the store
// that it shares with others.
func acquire(ctx context.Context, s *config.Settings, name string, log *slog.Logger) (*auth.Middleware, error) {
	var pb registry.Builder = &providerBuilder{s: s}
	p, err := shared(ctx, pb, "provider", s.Provider, s.Client, s.SignIn.MaxAge)
	if err != nil {
		return nil, err
	}
	var sb registry.Builder = &storeBuilder{s: s}
	store, err := shared(ctx, sb, "store", s.Redis.L1Entries, s.Redis.L1Bytes)
	if err != nil {
		return nil, err
	}
	var mb registry.Builder = &middlewareBuilder{
		s: s, name: name, log: log, provider: p.(*sharedProvider).provider, backend: store.(*sharedStore).backend,
	}
	m, err := shared(ctx, mb, "middleware", name, s)
	if err != nil {
		return nil, err
	}
	return m.(*auth.Middleware), nil
}

// shared returns the resource that is configured with parts. The registry's key is
// a digest of them, because there are secrets among them.
func shared(ctx context.Context, b registry.Builder, kind string, parts ...any) (registry.Resource, error) {
	text, err := json.Marshal(parts)
	if err != nil {
		return nil, fmt.Errorf("traefikoidc: %s: %w", kind, err)
	}
	sum := sha256.Sum256(text)
	return registry.Shared.Acquire(ctx, kind+" "+base64.RawURLEncoding.EncodeToString(sum[:]), b)
}

// newLogger writes to w what is at level or above it.
func newLogger(w io.Writer, level, name string) *slog.Logger {
	var l slog.Level
	if l.UnmarshalText([]byte(level)) != nil {
		l = slog.LevelInfo
	}
	h := slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})
	return slog.New(h).With("plugin", "traefikoidc", "middleware", name)
}

type sharedProvider struct {
	provider  *oidc.Provider
	transport *http.Transport
}

// Close ends the connections to the provider.
func (p *sharedProvider) Close() {
	p.transport.CloseIdleConnections()
}

type providerBuilder struct {
	s *config.Settings
}

// Build returns the provider of the settings; it asks it nothing.
func (b *providerBuilder) Build() (registry.Resource, error) {
	p, c := b.s.Provider, b.s.Client
	t := oidc.TransportOptions{Issuer: p.Issuer, AllowPrivate: p.AllowPrivate, InsecureSkipVerify: p.InsecureSkipVerify}
	if p.CAPEM != "" {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM([]byte(p.CAPEM))
	}
	transport := oidc.NewTransport(t)
	client := &http.Client{}
	client.Transport = transport
	return &sharedProvider{transport: transport, provider: oidc.NewProvider(oidc.Options{
		Issuer: p.Issuer, ClientID: c.ID, ClientSecret: c.Secret, ClientAuthMethod: c.AuthMethod,
		HTTPClient: client, AllowInsecureHTTP: p.AllowHTTP, SigningAlgs: p.SigningAlgs,
		RevocationURL: p.RevocationURL, EndSessionURL: p.EndSessionURL, MaxAge: b.s.SignIn.MaxAge,
	})}, nil
}

type sharedStore struct {
	backend cache.Backend
}

// Close has nothing to end: the memory goes with the last who holds it.
func (s *sharedStore) Close() {}

type storeBuilder struct {
	s *config.Settings
}

// Build returns the store of the settings.
func (b *storeBuilder) Build() (registry.Resource, error) {
	s := &sharedStore{}
	s.backend = cache.NewMemory(cache.MemoryOptions{MaxEntries: b.s.Redis.L1Entries, MaxBytes: b.s.Redis.L1Bytes})
	return s, nil
}

type middlewareBuilder struct {
	s        *config.Settings
	name     string
	log      *slog.Logger
	provider *oidc.Provider
	backend  cache.Backend
}

// Build returns the middleware of the settings, and tells the operator once what
// is dangerous about them.
func (b *middlewareBuilder) Build() (registry.Resource, error) {
	o, err := b.options()
	if err != nil {
		return nil, fmt.Errorf("traefikoidc: %w", err)
	}
	m, err := auth.New(o)
	if err != nil {
		return nil, fmt.Errorf("traefikoidc: %w", err)
	}
	for _, w := range b.s.Warnings {
		b.log.Warn(w)
	}
	b.log.Info("middleware ready", "issuer", b.s.Provider.Issuer, "client", b.s.Client.ID, "sessions", "memory")
	return m, nil
}
