package policytest

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*game)(nil)
	_ any = (*hot)(nil)
	_ any = (*node)(nil)
)
