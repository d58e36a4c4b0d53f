package traefikoidc

import (
	"sync"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// A memory holds the records of stores without Redis. If a store replaces one that
// differs only by the bounds of memory, both share it, so that other bounds sign nobody
// out.
type memory struct {
	records *cache.Memory

	mu    sync.Mutex        // guards bound; not held during calls of the registry
	bound map[string]bounds // by the registry's key of the stores that use it
}

// bounds are the options of a store in memory.
type bounds struct {
	Entries int
	Bytes   int64
}

func boundsOf(r config.Redis) bounds {
	b := bounds{Entries: r.L1Entries, Bytes: r.L1Bytes}
	if b.Entries == 0 {
		b.Entries = cache.DefaultEntries
	}
	if b.Bytes == 0 {
		b.Bytes = cache.DefaultBytes
	}
	return b
}

// memoryAfter returns the memory of the store before, or a new one if it has none.
func memoryAfter(before *store, b bounds) *memory {
	if before != nil && before.memory != nil {
		return before.memory
	}
	o := cache.MemoryOptions{MaxEntries: b.Entries, MaxBytes: b.Bytes, MarkerBytes: markerBytes}
	return &memory{records: cache.NewMemory(o), bound: map[string]bounds{}}
}

// join adds a store by the registry's key.
func (m *memory) join(key string, b bounds) {
	m.mu.Lock()
	m.bound = m.without(key)
	m.bound[key] = b
	m.mu.Unlock()
}

// without returns a copy of bound without a store, because other goroutines read bound.
func (m *memory) without(key string) map[string]bounds {
	copied := map[string]bounds{}
	for k, b := range m.bound {
		if k != key {
			copied[k] = b
		}
	}
	return copied
}

// leave removes a store that is closed.
func (m *memory) leave(key string) {
	m.mu.Lock()
	m.bound = m.without(key)
	m.mu.Unlock()
	m.fit()
}

// fit applies the largest bounds of the stores that are in use.
func (m *memory) fit() {
	m.mu.Lock()
	bound := m.bound
	m.mu.Unlock()
	var most bounds
	for key, b := range bound {
		if registry.Shared.Replaced(key) {
			continue
		}
		if b.Entries > most.Entries {
			most.Entries = b.Entries
		}
		if b.Bytes > most.Bytes {
			most.Bytes = b.Bytes
		}
	}
	if most.Entries > 0 {
		m.records.Resize(most.Entries, most.Bytes)
	}
}
