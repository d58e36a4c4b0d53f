package circuitbreaker

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*Breaker)(nil)
	_ any = (*Outcome)(nil)
	_ any = (*probe)(nil)
	_ any = (*window)(nil)
)
