package config

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = Environment{}
	_ any = (*Record)(nil)
	_ any = (*reader)(nil)
	_ any = (*severalReader)(nil)
)
