package oidc

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	keysLife    = time.Hour // where the provider does not say
	keysMinLife = 5 * time.Minute
	keysMaxLife = 24 * time.Hour
	keysMaxAge  = 48 * time.Hour // of keys that cannot be fetched again
	keysPause   = 5 * time.Second

	refetchBurst    = 3
	refetchInterval = 10 * time.Second
)

// ErrKeysThrottled is returned, as an ErrUnavailable, when a token names a key that
// is not known, and the keys were fetched too often lately to look for it now.
var ErrKeysThrottled = fmt.Errorf("oidc: the keys were fetched only just now: %w", ErrUnavailable)

// A keySet holds a provider's keys. What was got is kept until something better
// is: an answer that is no key set changes nothing.
type keySet struct {
	now    func() time.Time
	call   *endpoint
	flight *flight

	mu      sync.Mutex // guards the fields below
	from    string     // where keys came from
	keys    []*key
	version int // counts what was got
	got     time.Time
	fresh   time.Time // until then keys are not fetched again
	pause   time.Time // after a failure: nothing is fetched before

	// Anybody can send logout tokens: their invented key ids must not hold up the
	// tokens that the provider gave to us. So each has a credit, guarded by mu.
	tokens, logouts *credit
}

// A credit is how many times keys may be fetched before they are due. It grows by
// one each refetchInterval, up to refetchBurst.
type credit struct {
	left   int
	earned time.Time // when left last grew
}

func newKeySet(e *endpoint) *keySet {
	return &keySet{
		now: e.breaker.now, call: e, flight: &flight{},
		tokens: &credit{left: refetchBurst}, logouts: &credit{left: refetchBurst},
	}
}

// A keyring is a version of the keys.
type keyring struct {
	keys    []*key
	version int
	url     string
}

// current is the keys, fetched if there are none or they are old.
// ErrUnavailable: there are none.
func (s *keySet) current(ctx context.Context, url string) (keyring, error) {
	s.mu.Lock()
	due := s.isDueLocked(url)
	s.mu.Unlock()
	if due {
		if err := s.flight.wait(ctx, &keyFetch{set: s, url: url}); err != nil {
			return keyring{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 || s.now().Sub(s.got) > keysMaxAge {
		return keyring{}, fmt.Errorf("oidc: the provider's keys could not be fetched: %w", ErrUnavailable)
	}
	return keyring{s.keys, s.version, url}, nil
}

func (s *keySet) isDueLocked(url string) bool {
	now := s.now()
	old := len(s.keys) == 0 || s.from != url || !now.Before(s.fresh)
	return old && !now.Before(s.pause)
}

// newer is the keys after those that did not do. They are fetched anew, but not
// often, so that tokens with invented key ids do not make us flood the provider.
// ErrKeysThrottled: not again so soon. ErrUnavailable: the fetch failed.
func (s *keySet) newer(ctx context.Context, seen keyring, c *credit) (keyring, error) {
	s.mu.Lock()
	known := s.version != seen.version
	allowed := known || s.flight.inProgress() || c.spend(s.now())
	s.mu.Unlock()
	if !allowed {
		return keyring{}, ErrKeysThrottled
	}
	if !known {
		fetch := &keyFetch{set: s, url: seen.url, instead: seen.version}
		if err := s.flight.wait(ctx, fetch); err != nil {
			return keyring{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version == seen.version {
		return keyring{}, fmt.Errorf("oidc: the provider's keys could not be fetched again: %w", ErrUnavailable)
	}
	return keyring{s.keys, s.version, seen.url}, nil
}

func (c *credit) spend(now time.Time) bool {
	if grown := int(now.Sub(c.earned) / refetchInterval); grown > 0 {
		c.earned = now
		c.left += grown
		if c.left > refetchBurst || c.left < 0 {
			c.left = refetchBurst
		}
	}
	if c.left == 0 {
		return false
	}
	c.left--
	return true
}

// A keyFetch fetches keys once: instead of a version that did not do, or because
// they are due.
type keyFetch struct {
	set     *keySet
	url     string
	instead int // zero: only if they are due
}

// Run does nothing where another fetch has just done it.
func (f *keyFetch) Run() {
	s := f.set
	s.mu.Lock()
	needed := s.isDueLocked(f.url) || (f.instead != 0 && f.instead == s.version)
	s.mu.Unlock()
	if !needed {
		return
	}
	keys, life, err := s.fetch(f.url)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.pause = s.now().Add(keysPause)
		return
	}
	s.keys, s.from = keys, f.url
	s.version++
	s.got = s.now()
	s.fresh = s.got.Add(life)
	s.pause = time.Time{}
}

func (s *keySet) fetch(url string) ([]*key, time.Duration, error) {
	a, err := s.call.document(call{url: url, accept: "application/jwk-set+json, application/json"})
	if err != nil {
		return nil, 0, err
	}
	keys, err := parseKeys(a.body)
	return keys, cacheLife(a.header.Get("Cache-Control")), err
}

// cacheLife is the max-age of a Cache-Control header, within bounds.
func cacheLife(header string) time.Duration {
	for _, part := range strings.Split(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		seconds, err := strconv.ParseUint(value, 10, 31)
		if !strings.EqualFold(name, "max-age") || err != nil {
			continue
		}
		life := time.Duration(seconds) * time.Second
		if life < keysMinLife {
			return keysMinLife
		}
		if life > keysMaxLife {
			return keysMaxLife
		}
		return life
	}
	return keysLife
}
