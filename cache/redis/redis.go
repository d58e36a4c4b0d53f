// Package redis keeps records in one data set in Redis, and changes them by scripts.
package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Options configure a Redis. Server is required.
type Options struct {
	Server  resp.Options           // address and connection of the Redis server
	Prefix  string                 // before every key, with a colon; zero: traefikoidc
	Breaker circuitbreaker.Options // Prober and Listener are set here
	// NoBreaker lets every call try Redis, after any number of failures.
	NoBreaker bool
	// Listener receives the breaker's transitions; nil: they are not reported.
	Listener circuitbreaker.Listener
	Now      func() time.Time // nil: time.Now
}

// Redis is a Backend on one Redis server, which expires the keys.
//
// Watchers learn of the changes made through this Redis, not of other replicas'.
type Redis struct {
	Prefix  string
	Client  *resp.Client
	Breaker *circuitbreaker.Breaker // nil: every call goes through
	now     func() time.Time

	mu       sync.Mutex // guards the fields below
	watchers []cache.Watcher
	failure  error // the last one that the breaker counted
	refusal  error // the last one of a Redis server that serves
}

// New returns a Redis that connects with the first call.
func New(o Options) *Redis {
	r := &Redis{Prefix: KeyPrefix(o.Prefix), Client: resp.NewClient(o.Server), now: o.Now}
	if r.now == nil {
		r.now = time.Now
	}
	if !o.NoBreaker {
		b := o.Breaker
		b.Prober = &prober{r: r}
		b.Listener = o.Listener
		r.Breaker = circuitbreaker.New(b)
	}
	return r
}

func KeyPrefix(prefix string) string {
	if prefix == "" {
		prefix = "traefikoidc"
	}
	return prefix + ":"
}

// Close ends the connections.
func (r *Redis) Close() {
	if r.Breaker != nil {
		r.Breaker.Close()
	}
	r.Client.Close()
}

// Get returns the value of key.
func (r *Redis) Get(ctx context.Context, key string) ([]byte, error) {
	if err := cache.CheckKey(key); err != nil {
		return nil, err
	}
	era, err := r.allow()
	if err != nil {
		return nil, err
	}
	value, err := r.Client.Get(ctx, r.Prefix+key)
	if err = r.done(ctx, era, err); err != nil {
		return nil, err
	}
	return value, nil
}

// Fresh is Get.
func (r *Redis) Fresh(ctx context.Context, key string) ([]byte, error) {
	return r.Get(ctx, key)
}

// Set stores value under the rule of records, by a script.
func (r *Redis) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	verdict, err := r.Merge(ctx, key, value, ttl)
	if err != nil {
		return err
	}
	if verdict == cache.Conflicts {
		return cache.ErrConflict
	}
	r.announce(key)
	return nil
}

// Merge writes value or leaves the stored one, and returns the verdict.
func (r *Redis) Merge(ctx context.Context, key string, value []byte, ttl time.Duration) (cache.Verdict, error) {
	if err := cache.CheckWrite(key, value, ttl); err != nil {
		return 0, err
	}
	n, err := r.run(ctx, mergeScript, key, value, ttl, 0)
	if err != nil {
		return 0, err
	}
	switch n {
	case 1:
		return cache.Replaces, nil
	case 0:
		return cache.Remains, nil
	}
	return cache.Conflicts, nil
}

// Add stores value if the key is absent. If an equal value is found after a lost reply,
// it was stored by this call, because distinct callers give distinct values.
func (r *Redis) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := cache.CheckWrite(key, value, ttl); err != nil {
		return err
	}
	if cache.IsLinked(value) {
		return indexOf(r).add(ctx, key, value, ttl)
	}
	era, err := r.allow()
	if err != nil {
		return err
	}
	added, err := r.Client.SetNX(ctx, r.Prefix+key, value, ttl)
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	if !added {
		return cache.ErrExists
	}
	r.announce(key)
	return nil
}

// CompareAndSet replaces a live record of that version, by a script.
func (r *Redis) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	if err := cache.CheckWrite(key, value, ttl); err != nil {
		return err
	}
	if err := cache.CheckSuccessor(version, value); err != nil {
		return err
	}
	n, err := r.run(ctx, compareScript, key, value, ttl, version)
	if err != nil {
		return err
	}
	switch n {
	case 1:
		r.announce(key)
		return nil
	case 0:
		return cache.ErrMiss
	}
	return cache.ErrConflict
}

// Delete removes key.
func (r *Redis) Delete(ctx context.Context, key string) error {
	if err := cache.CheckKey(key); err != nil {
		return err
	}
	era, err := r.allow()
	if err != nil {
		return err
	}
	_, err = r.Client.Del(ctx, r.Prefix+key)
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	r.announce(key)
	return nil
}

// Exists reports whether Get would return a value.
func (r *Redis) Exists(ctx context.Context, key string) (bool, error) {
	if err := cache.CheckKey(key); err != nil {
		return false, err
	}
	era, err := r.allow()
	if err != nil {
		return false, err
	}
	found, err := r.Client.Exists(ctx, r.Prefix+key)
	if err = r.done(ctx, era, err); err != nil {
		return false, err
	}
	return found, nil
}

// Health sends a PING to Redis, unless the breaker is open.
func (r *Redis) Health(ctx context.Context) error {
	era, err := r.allow()
	if err != nil {
		return err
	}
	return r.done(ctx, era, r.Client.Ping(ctx))
}

// Watch calls w for the changes made through r.
func (r *Redis) Watch(w cache.Watcher) {
	r.mu.Lock()
	r.watchers = cache.WithWatcher(r.watchers, w)
	r.mu.Unlock()
}

// Unwatch ends Watch.
func (r *Redis) Unwatch(w cache.Watcher) {
	r.mu.Lock()
	r.watchers = cache.WithoutWatcher(r.watchers, w)
	r.mu.Unlock()
}

func (r *Redis) announce(key string) {
	r.mu.Lock()
	watchers := r.watchers
	r.mu.Unlock()
	cache.Announce(watchers, key)
}

// allow returns ErrUnavailable if the breaker allows no call to Redis.
func (r *Redis) allow() (uint64, error) {
	if r.Breaker == nil {
		return 0, nil
	}
	era, err := r.Breaker.Allow()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", cache.ErrUnavailable, err)
	}
	return era, nil
}

// done reports the result of a call to the breaker, and returns the error for the caller.
func (r *Redis) done(ctx context.Context, era uint64, err error) error {
	if err == nil {
		if r.Breaker != nil {
			r.Breaker.Done(era, circuitbreaker.Success)
		}
		return nil
	}
	o := Outcome(ctx, err)
	r.keepFailure(o, err)
	if Refusal(err) && !errors.Is(err, resp.ErrNil) {
		r.mu.Lock()
		r.refusal = err
		r.mu.Unlock()
	}
	if r.Breaker != nil {
		r.Breaker.Done(era, o)
	}
	if errors.Is(err, resp.ErrNil) {
		return cache.ErrMiss
	}
	return fmt.Errorf("%w: %w", cache.ErrUnavailable, err)
}

// keepFailure keeps a failure of Redis itself, by the outcome for the breaker.
func (r *Redis) keepFailure(o circuitbreaker.Outcome, err error) {
	if o == circuitbreaker.Failure || o == circuitbreaker.Denied {
		r.mu.Lock()
		r.failure = err
		r.mu.Unlock()
	}
}

// LastRefusal returns the last refusal of a Redis server that serves; nil: there was
// none.
func LastRefusal(r *Redis) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refusal
}

// Cause returns the last failure that the breaker counted.
func (r *Redis) Cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// Outcome returns the outcome of a call for the breaker. Every reply to a command shows
// that Redis serves, unless the reply denies that. A call that its caller cancelled shows
// nothing. A call whose deadline passed was not served.
func Outcome(ctx context.Context, err error) circuitbreaker.Outcome {
	switch {
	case err == nil || errors.Is(err, resp.ErrNil):
		return circuitbreaker.Success
	case errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, resp.ErrClosed):
		return circuitbreaker.Ignored
	case errors.Is(err, resp.ErrHandshake) || errors.Is(err, resp.ErrNoAuth) || errors.Is(err, resp.ErrWrongPass) || errors.Is(err, resp.ErrDenied):
		return circuitbreaker.Denied
	case errors.Is(err, resp.ErrTerminal) || errors.Is(err, resp.ErrOOM) ||
		errors.Is(err, resp.ErrMisconf) || errors.Is(err, resp.ErrNoReplicas):
		return circuitbreaker.Success
	}
	return circuitbreaker.Failure
}

// prober probes by a write, which a replica refuses.
type prober struct {
	r *Redis
}

// Probe implements circuitbreaker.Prober.
func (p *prober) Probe() circuitbreaker.Outcome {
	ctx := context.Background()
	err := p.r.Client.Set(ctx, p.r.Prefix+probeKey, []byte("1"), 10*time.Second)
	o := Outcome(ctx, err)
	p.r.keepFailure(o, err)
	return o
}
