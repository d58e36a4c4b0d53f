package policy

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*Access)(nil)
	_ any = (*Bypass)(nil)
	_ any = (*Rules)(nil)
	_ any = (*accessCompiler)(nil)
	_ any = (*accessRule)(nil)
	_ any = (*expression)(nil)
	_ any = (*language)(nil)
	_ any = (*matcher)(nil)
	_ any = (*parsing)(nil)
)
