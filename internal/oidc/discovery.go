package oidc

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	metadataLife = time.Hour
	maxPause     = 30 * time.Second
)

// A discovery holds a provider's metadata. Metadata older than metadataLife is
// fetched again in the background. It is served meanwhile, and kept if that fails.
type discovery struct {
	options Options
	now     func() time.Time
	call    *endpoint
	flight  *flight

	mu       sync.Mutex // guards the fields below
	metadata *Metadata  // nil: never fetched
	fresh    time.Time  // metadata is not due before
	failures int        // in a row
	pause    time.Time  // after a failure: no fetch before
	failure  error      // the latest; nil after a success
}

func newDiscovery(o Options, e *endpoint) *discovery {
	return &discovery{options: o, now: o.Now, call: e, flight: &flight{}}
}

// Metadata returns the provider's metadata. The first call fetches it; other calls
// meanwhile wait for the same fetch. ErrUnavailable: there is none yet. After a
// failure, calls return it at once during a pause, which grows with each failure.
func (p *Provider) Metadata(ctx context.Context) (*Metadata, error) {
	d := p.discovery
	m, due, failure := d.state()
	if m != nil {
		if due {
			d.flight.start(d)
		}
		return m, nil
	}
	if !due {
		return nil, failure
	}
	if err := d.flight.wait(ctx, d); err != nil {
		return nil, err
	}
	m, _, failure = d.state()
	if m == nil {
		return nil, failure
	}
	return m, nil
}

// TryMetadata is Metadata for a caller that no user waits for. A failure makes no pause,
// so that the first user's call fetches again at once.
func (p *Provider) TryMetadata(ctx context.Context) (*Metadata, error) {
	m, err := p.Metadata(ctx)
	if err != nil {
		p.discovery.endPause()
	}
	return m, err
}

// DiscoveryURL returns the address of the metadata; empty: it is made from the
// operator's endpoints, and nothing is fetched.
func (p *Provider) DiscoveryURL() string {
	if staticMetadata(p.discovery.options) != nil {
		return ""
	}
	return p.discovery.options.discoveryURL()
}

func (d *discovery) endPause() {
	d.mu.Lock()
	d.failures = 0
	d.pause = time.Time{}
	d.mu.Unlock()
}

// state returns the metadata, whether it is due, and the latest failure.
func (d *discovery) state() (*Metadata, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	due := (d.metadata == nil || !now.Before(d.fresh)) && !now.Before(d.pause)
	failure := d.failure
	if failure == nil {
		failure = fmt.Errorf("oidc: discovery ended without a response: %w", ErrUnavailable)
	}
	return d.metadata, due, failure
}

// Run fetches the metadata, unless that has just been done.
func (d *discovery) Run() {
	if _, due, _ := d.state(); !due {
		return
	}
	m, err := d.fetch()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failure = err
		d.pause = d.now().Add(pauseAfter(d.failures))
		d.failures++
		return
	}
	d.metadata = m
	d.fresh = d.now().Add(metadataLife)
	d.failures = 0
	d.failure = nil
	d.pause = time.Time{}
}

func (d *discovery) fetch() (*Metadata, error) {
	if !isEndpoint(d.options.Issuer, d.options.AllowInsecureHTTP) {
		return nil, fmt.Errorf("oidc: discovery: providerURL is not an https URL: %w", ErrUnavailable)
	}
	if m := staticMetadata(d.options); m != nil {
		return m, nil
	}
	a, err := d.call.document(call{url: d.options.discoveryURL(), accept: "application/json"})
	if err != nil {
		return nil, err
	}
	m, err := parseMetadata(a.body, d.options)
	if err != nil {
		return nil, fmt.Errorf("oidc: discovery: the document at %s %v: %w", displayURL(d.options.discoveryURL()), err, ErrUnavailable)
	}
	return m, nil
}

// discoveryURL returns the address of the metadata: Options.DiscoveryURL, or that of
// OpenID Connect Discovery 1.0, section 4.
func (o Options) discoveryURL() string {
	if o.DiscoveryURL != "" {
		return o.DiscoveryURL
	}
	return strings.TrimSuffix(o.Issuer, "/") + "/.well-known/openid-configuration"
}

func (d *discovery) retryAt() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pause
}

// pauseAfter returns the pause after a failure that followed so many others: 1 s,
// doubled for each, at most maxPause.
func pauseAfter(failures int) time.Duration {
	if failures > 4 {
		return maxPause
	}
	return time.Second << uint(failures)
}
