package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// RedisOptions configure a Redis. Server is required.
type RedisOptions struct {
	Server  resp.Options           // how to reach the server
	Prefix  string                 // stands before every key, with a colon; zero: traefikoidc
	Breaker circuitbreaker.Options // Prober and Listener are set here
	// NoBreaker lets every call try the server, however often it failed.
	NoBreaker bool
	// Listener is told of the breaker's transitions; nil: nobody is.
	Listener circuitbreaker.Listener
	Now      func() time.Time // nil: time.Now
}

// Redis is a Backend on one Redis server. Time to live is the server's to count.
//
// Watchers hear of the changes made through this Redis, not of other replicas'.
type Redis struct {
	prefix  string
	client  *resp.Client
	breaker *circuitbreaker.Breaker // nil: every call goes through
	now     func() time.Time

	mu       sync.Mutex // guards the fields below
	watchers []Watcher
	failure  error // the last that counted against the server
}

// NewRedis returns a Redis that connects with the first call.
func NewRedis(o RedisOptions) *Redis {
	r := &Redis{prefix: keyPrefix(o.Prefix), client: resp.NewClient(o.Server), now: o.Now}
	if r.now == nil {
		r.now = time.Now
	}
	if !o.NoBreaker {
		b := o.Breaker
		b.Prober = &prober{r: r}
		b.Listener = o.Listener
		r.breaker = circuitbreaker.New(b)
	}
	return r
}

func keyPrefix(prefix string) string {
	if prefix == "" {
		prefix = "traefikoidc"
	}
	return prefix + ":"
}

// Close ends the connections.
func (r *Redis) Close() {
	if r.breaker != nil {
		r.breaker.Close()
	}
	r.client.Close()
}

// Get returns the value of key.
func (r *Redis) Get(ctx context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	era, err := r.allow()
	if err != nil {
		return nil, err
	}
	value, err := r.client.Get(ctx, r.prefix+key)
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
	verdict, err := r.merge(ctx, key, value, ttl)
	if err != nil {
		return err
	}
	if verdict == conflicts {
		return ErrConflict
	}
	r.announce(key)
	return nil
}

// merge writes value, or leaves what is stored, and says which.
func (r *Redis) merge(ctx context.Context, key string, value []byte, ttl time.Duration) (verdict, error) {
	if err := checkWrite(key, value, ttl); err != nil {
		return 0, err
	}
	n, err := r.run(ctx, mergeScript, key, value, ttl, 0)
	if err != nil {
		return 0, err
	}
	switch n {
	case 1:
		return replaces, nil
	case 0:
		return remains, nil
	}
	return conflicts, nil
}

// Add stores value if the key is absent. A value that is found after a lost
// reply and equals value counts as stored: distinct callers give distinct values.
func (r *Redis) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := checkWrite(key, value, ttl); err != nil {
		return err
	}
	if isLinked(value) {
		return r.addLinked(ctx, key, value, ttl)
	}
	era, err := r.allow()
	if err != nil {
		return err
	}
	added, err := r.client.SetNX(ctx, r.prefix+key, value, ttl)
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	if !added {
		return ErrExists
	}
	r.announce(key)
	return nil
}

// CompareAndSet replaces a live record of that version, by a script.
func (r *Redis) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	if err := checkWrite(key, value, ttl); err != nil {
		return err
	}
	if err := checkSuccessor(version, value); err != nil {
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
		return ErrMiss
	}
	return ErrConflict
}

// Delete removes key.
func (r *Redis) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	era, err := r.allow()
	if err != nil {
		return err
	}
	_, err = r.client.Del(ctx, r.prefix+key)
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	r.announce(key)
	return nil
}

// Exists reports whether Get would return a value.
func (r *Redis) Exists(ctx context.Context, key string) (bool, error) {
	if err := checkKey(key); err != nil {
		return false, err
	}
	era, err := r.allow()
	if err != nil {
		return false, err
	}
	found, err := r.client.Exists(ctx, r.prefix+key)
	if err = r.done(ctx, era, err); err != nil {
		return false, err
	}
	return found, nil
}

// Health asks the server, unless the breaker is open.
func (r *Redis) Health(ctx context.Context) error {
	era, err := r.allow()
	if err != nil {
		return err
	}
	return r.done(ctx, era, r.client.Ping(ctx))
}

// Watch calls w for the changes made through r.
func (r *Redis) Watch(w Watcher) {
	r.mu.Lock()
	r.watchers = withWatcher(r.watchers, w)
	r.mu.Unlock()
}

// Unwatch ends Watch.
func (r *Redis) Unwatch(w Watcher) {
	r.mu.Lock()
	r.watchers = withoutWatcher(r.watchers, w)
	r.mu.Unlock()
}

func (r *Redis) announce(key string) {
	r.mu.Lock()
	watchers := r.watchers
	r.mu.Unlock()
	announce(watchers, key)
}

// allow asks the breaker for leave to call the server.
func (r *Redis) allow() (uint64, error) {
	if r.breaker == nil {
		return 0, nil
	}
	era, err := r.breaker.Allow()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return era, nil
}

// done tells the breaker how a call ended, and the caller what that means.
func (r *Redis) done(ctx context.Context, era uint64, err error) error {
	if err == nil {
		if r.breaker != nil {
			r.breaker.Done(era, circuitbreaker.Success)
		}
		return nil
	}
	o := outcome(ctx, err)
	r.note(o, err)
	if r.breaker != nil {
		r.breaker.Done(era, o)
	}
	if errors.Is(err, resp.ErrNil) {
		return ErrMiss
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// note remembers a failure that counts against the server.
func (r *Redis) note(o circuitbreaker.Outcome, err error) {
	if o == circuitbreaker.Failure || o == circuitbreaker.Denied {
		r.mu.Lock()
		r.failure = err
		r.mu.Unlock()
	}
}

// cause is the last failure that counted against the server.
func (r *Redis) cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// outcome is what the end of a call says about the server. Whatever the server
// answers to a command shows that it serves, unless it says that it does not. A
// caller who gave up says nothing; one whose deadline passed was not served.
func outcome(ctx context.Context, err error) circuitbreaker.Outcome {
	switch {
	case err == nil || errors.Is(err, resp.ErrNil):
		return circuitbreaker.Success
	case errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, resp.ErrClosed):
		return circuitbreaker.Ignored
	case errors.Is(err, resp.ErrNoAuth) || errors.Is(err, resp.ErrWrongPass) || errors.Is(err, resp.ErrDenied):
		return circuitbreaker.Denied
	case errors.Is(err, resp.ErrTerminal) || errors.Is(err, resp.ErrOOM) ||
		errors.Is(err, resp.ErrMisconf) || errors.Is(err, resp.ErrNoReplicas):
		return circuitbreaker.Success
	}
	return circuitbreaker.Failure
}
