package redis

import (
	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ cache.Backend         = (*Redis)(nil)
	_ circuitbreaker.Prober = (*prober)(nil)
	_ resp.Fallback         = (*mergeFallback)(nil)
	_ resp.Fallback         = (*compareFallback)(nil)
	_ resp.Fallback         = (*revokeFallback)(nil)
	_ resp.Fallback         = (*acquireFallback)(nil)
	_ resp.Fallback         = (*prolongFallback)(nil)
	_ resp.Fallback         = (*releaseFallback)(nil)
	_ any                   = (*index)(nil)
	_ any                   = (*batches)(nil)
	_ any                   = (*revoker)(nil)
	_ any                   = (*cleaner)(nil)
)
