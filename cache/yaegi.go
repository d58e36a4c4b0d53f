package cache

import (
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/resp"
)

// The interpreter works out the type of a method when it is first called, and
// keeps it without a lock. A type that is checked against an interface, below
// the declarations of its methods, has that done for all of them while it is
// loaded. So every type with methods is checked here, in the last file.
var (
	_ Backend                     = (*Memory)(nil)
	_ Backend                     = (*Redis)(nil)
	_ Backend                     = (*Hybrid)(nil)
	_ circuitbreaker.Listener     = (*Hybrid)(nil)
	_ circuitbreaker.Prober       = (*prober)(nil)
	_ resp.Invalidations          = (*link)(nil)
	_ resp.Fallback               = (*mergeFallback)(nil)
	_ resp.Fallback               = (*compareFallback)(nil)
	_ background.Runner           = (*tick)(nil)
	_ background.Runner           = (*retry)(nil)
	_ background.Runner           = (*reconciliation)(nil)
	_ interface{ oldest() int64 } = (*journal)(nil)
	_ interface{ Text() string }  = Connected
)
