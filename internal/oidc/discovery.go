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

// A discovery holds a provider's metadata, once it has been got. Metadata that
// has become old is served while it is fetched anew, and kept where that fails.
type discovery struct {
	options Options
	now     func() time.Time
	call    *endpoint
	flight  *flight

	mu       sync.Mutex // guards the fields below
	metadata *Metadata  // nil: never got
	fresh    time.Time  // until then it is not fetched again
	failures int
	pause    time.Time // after a failure: nothing is fetched before
	failure  error     // the latest
}

func newDiscovery(o Options, e *endpoint) *discovery {
	return &discovery{options: o, now: o.Now, call: e, flight: &flight{}}
}

// Metadata is what discovery says. It is fetched when it is first asked for,
// once for all who ask. ErrUnavailable: there is none yet; for a while after a
// failure without asking again, each time a little longer.
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

// state is the metadata, whether it should be fetched, and the latest failure.
func (d *discovery) state() (*Metadata, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	due := (d.metadata == nil || !now.Before(d.fresh)) && !now.Before(d.pause)
	failure := d.failure
	if failure == nil {
		failure = fmt.Errorf("oidc: discovery ended without an answer: %w", ErrUnavailable)
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
		return nil, fmt.Errorf("oidc: discovery: the issuer is no https URL: %w", ErrUnavailable)
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
		return nil, fmt.Errorf("oidc: discovery: the document at %s %v: %w", shown(d.options.discoveryURL()), err, ErrUnavailable)
	}
	return m, nil
}

// discoveryURL is OpenID Connect Discovery 1.0, section 4, unless the operator
// wrote another address.
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

// pauseAfter is the pause after so many failures before: 1 s, doubled each time.
func pauseAfter(failures int) time.Duration {
	if failures > 4 {
		return maxPause
	}
	return time.Second << uint(failures)
}
