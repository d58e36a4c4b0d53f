package registry

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*Registry)(nil)
	_ any = (*expiry)(nil)
	_ any = (*group)(nil)
	_ any = (*holder)(nil)
)
