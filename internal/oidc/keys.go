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
	keysLife    = time.Hour // without a max-age of the provider
	keysMinLife = 5 * time.Minute
	keysMaxLife = 24 * time.Hour
	keysMaxAge  = 48 * time.Hour // of keys when fetching them again fails
	keysPause   = 5 * time.Second

	refetchBurst    = 3
	refetchInterval = 10 * time.Second
)

// ErrKeysThrottled is returned, as an ErrUnavailable, when a token names an unknown
// key and the keys were fetched too often lately to be fetched again now.
var ErrKeysThrottled = fmt.Errorf("oidc: the provider's keys were fetched a moment ago and are not fetched again yet: %w", ErrUnavailable)

// A keySet holds a provider's keys. They are kept until a fetch returns a valid key
// set; any other response changes nothing.
type keySet struct {
	now    func() time.Time
	call   *endpoint
	flight *flight

	mu      sync.Mutex // guards the fields below
	from    string     // URL of keys
	keys    []*key
	version int // counts the fetches that succeeded
	got     time.Time
	fresh   time.Time // keys are not due before
	pause   time.Time // after a failure: no fetch before

	// Logout tokens can come from anybody. Invented key ids in them must not delay
	// tokens that the provider sent to us, so each kind has a credit, guarded by mu.
	tokens, logouts *credit
}

// A credit is the number of times that keys may be fetched before they are due. It
// grows by one each refetchInterval, up to refetchBurst.
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

// A keyring is one version of the keys.
type keyring struct {
	keys    []*key
	version int
	url     string
}

// current returns the keys. It fetches them if there are none or they are due.
// ErrUnavailable: there are no keys that are young enough.
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

// newer returns a later version of the keys than seen, none of which verified a
// token. It fetches them if there is none, at the cost of c, so that tokens with
// invented key ids do not make us flood the provider. ErrKeysThrottled: c is used up.
// ErrUnavailable: the fetch failed.
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

// spend takes one from the credit and reports whether there was one.
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

// A keyFetch is one fetch of the keys: because they are due, or because no key of
// the version instead verified a token.
type keyFetch struct {
	set     *keySet
	url     string
	instead int // zero: fetches only if the keys are due
}

// Run fetches the keys unless another fetch has just done so.
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

// cacheLife returns the max-age of a Cache-Control header, limited to keysMinLife and
// keysMaxLife; keysLife: there is no max-age.
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
