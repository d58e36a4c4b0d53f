package hybrid

import (
	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ cache.Store             = (*Hybrid)(nil)
	_ cache.Transfer          = (*transfer)(nil)
	_ circuitbreaker.Listener = (*link)(nil)
	_ resp.Invalidations      = (*link)(nil)
	_ resp.Invalidations      = (*messages)(nil)
	_ background.Runner       = (*ageing)(nil)
	_ background.Runner       = (*tick)(nil)
	_ background.Runner       = (*retry)(nil)
	_ background.Runner       = (*working)(nil)
	_ background.Runner       = (*refreshing)(nil)
	_ background.Runner       = (*rechecking)(nil)
	_ task                    = (*reconciler)(nil)
	_ any                     = (*journal)(nil)
	_ any                     = (*recent)(nil)
	_ any                     = (*local)(nil)
	_ any                     = (*reader)(nil)
	_ any                     = (*hub)(nil)
	_ any                     = (*rechecks)(nil)
	_ any                     = (*refreshes)(nil)
	_ any                     = (*sender)(nil)
	_ any                     = (*upstream)(nil)
	_ any                     = (*worker)(nil)
	_ any                     = (*writer)(nil)
	_ any                     = (*flight)(nil)
	_ any                     = inquiry{}
	_ any                     = Event(0)
)
