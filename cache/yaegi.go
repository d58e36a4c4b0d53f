package cache

import (
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ Backend                 = (*Memory)(nil)
	_ Backend                 = (*Redis)(nil)
	_ Backend                 = (*Hybrid)(nil)
	_ circuitbreaker.Listener = (*Hybrid)(nil)
	_ circuitbreaker.Prober   = (*prober)(nil)
	_ resp.Invalidations      = (*link)(nil)
	_ resp.Invalidations      = (*whisper)(nil)
	_ resp.Fallback           = (*mergeFallback)(nil)
	_ resp.Fallback           = (*compareFallback)(nil)
	_ resp.Fallback           = (*revokeFallback)(nil)
	_ resp.Fallback           = (*acquireFallback)(nil)
	_ resp.Fallback           = (*prolongFallback)(nil)
	_ resp.Fallback           = (*releaseFallback)(nil)
	_ background.Runner       = (*tick)(nil)
	_ background.Runner       = (*retry)(nil)
	_ background.Runner       = (*reconciliation)(nil)
	_ background.Runner       = (*refreshing)(nil)
	_ background.Runner       = (*doubting)(nil)
	_ Store                   = (*Memory)(nil)
	_ Store                   = (*Hybrid)(nil)
	_ any                     = (*Handover)(nil)
	_ any                     = (*followers)(nil)
	_ any                     = (*follower)(nil)
	_ any                     = message{}
	_ any                     = (*owed)(nil)
	_ any                     = (*note)(nil)
	_ any                     = (*journal)(nil)
	_ any                     = (*entry)(nil)
	_ any                     = (*lru)(nil)
	_ any                     = (*flight)(nil)
	_ any                     = inquiry{}
	_ any                     = Revocation{}
	_ any                     = Lease{}
	_ any                     = member{}
	_ any                     = Event(0)
)
