package cache

import (
	"context"
	"time"
)

// Get calls the store that serves, and so do the methods below.
func (s *Switch) Get(ctx context.Context, key string) ([]byte, error) {
	serving := s.begin()
	defer s.end()
	return serving.Get(ctx, key)
}

// Set implements Backend.
func (s *Switch) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	serving := s.begin()
	defer s.end()
	return serving.Set(ctx, key, value, ttl)
}

// Add implements Backend.
func (s *Switch) Add(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	serving := s.begin()
	defer s.end()
	return serving.Add(ctx, key, value, ttl)
}

// CompareAndSet implements Backend.
func (s *Switch) CompareAndSet(ctx context.Context, key string, version uint64, value []byte, ttl time.Duration) error {
	serving := s.begin()
	defer s.end()
	return serving.CompareAndSet(ctx, key, version, value, ttl)
}

// Fresh implements Backend.
func (s *Switch) Fresh(ctx context.Context, key string) ([]byte, error) {
	serving := s.begin()
	defer s.end()
	return serving.Fresh(ctx, key)
}

// Revoke implements Backend.
func (s *Switch) Revoke(ctx context.Context, revocations []Revocation) error {
	serving := s.begin()
	defer s.end()
	return serving.Revoke(ctx, revocations)
}

// Trim implements Backend.
func (s *Switch) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	serving := s.begin()
	defer s.end()
	return serving.Trim(ctx, link, most, newest)
}

// Acquire implements Backend.
func (s *Switch) Acquire(ctx context.Context, l Lease) ([]byte, error) {
	serving := s.begin()
	defer s.end()
	return serving.Acquire(ctx, l)
}

// Prolong implements Backend.
func (s *Switch) Prolong(ctx context.Context, l Lease) error {
	serving := s.begin()
	defer s.end()
	return serving.Prolong(ctx, l)
}

// Release implements Backend.
func (s *Switch) Release(ctx context.Context, l Lease, unused bool) error {
	serving := s.begin()
	defer s.end()
	return serving.Release(ctx, l, unused)
}

// Delete implements Backend.
func (s *Switch) Delete(ctx context.Context, key string) error {
	serving := s.begin()
	defer s.end()
	return serving.Delete(ctx, key)
}

// Exists implements Backend.
func (s *Switch) Exists(ctx context.Context, key string) (bool, error) {
	serving := s.begin()
	defer s.end()
	return serving.Exists(ctx, key)
}

// Clear implements Backend.
func (s *Switch) Clear(ctx context.Context) error {
	serving := s.begin()
	defer s.end()
	return serving.Clear(ctx)
}

// Health implements Backend.
func (s *Switch) Health(ctx context.Context) error {
	serving := s.begin()
	defer s.end()
	return serving.Health(ctx)
}

// Watch implements Backend.
func (s *Switch) Watch(w Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = WithWatcher(s.watchers, w)
	s.serving.Watch(w)
}

// Unwatch implements Backend.
func (s *Switch) Unwatch(w Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = WithoutWatcher(s.watchers, w)
	s.serving.Unwatch(w)
}
