package circuitbreaker

import "github.com/traefikoidc/traefikoidc/internal/background"

// The interpreter works out the type of a method when it is first called, and
// keeps it without a lock. A type that is checked against an interface, below
// the declarations of its methods, has that done for all of them while it is
// loaded. So every type with methods is checked here, in the last file.
var (
	_ background.Runner                      = (*probe)(nil)
	_ interface{ State() State }             = (*Breaker)(nil)
	_ interface{ sum() (calls, failed int) } = (*window)(nil)
)
