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

var errThrottled = fmt.Errorf("oidc: keys were fetched only just now: %w", ErrInvalidToken)

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
	credit  int       // how many refetches are allowed at once
	earned  time.Time // when credit last grew
}

func newKeySet(e *endpoint) *keySet {
	return &keySet{now: e.breaker.now, call: e, flight: &flight{}, credit: refetchBurst}
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
// often: who sends tokens with invented key ids must not make us flood the
// provider. ErrInvalidToken: not again so soon.
func (s *keySet) newer(ctx context.Context, seen keyring) (keyring, error) {
	s.mu.Lock()
	known := s.version != seen.version
	allowed := known || s.flight.inProgress() || s.spendLocked()
	s.mu.Unlock()
	if !allowed {
		return keyring{}, errThrottled
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

func (s *keySet) spendLocked() bool {
	now := s.now()
	if grown := int(now.Sub(s.earned) / refetchInterval); grown > 0 {
		s.earned = now
		s.credit += grown
		if s.credit > refetchBurst || s.credit < 0 {
			s.credit = refetchBurst
		}
	}
	if s.credit == 0 {
		return false
	}
	s.credit--
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
