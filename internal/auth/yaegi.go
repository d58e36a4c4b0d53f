package auth

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*Several)(nil)
	_ any = (*Siblings)(nil)
	_ any = (*Middleware)(nil)
	_ any = (*crossing)(nil)
	_ any = (*dressed)(nil)
	_ any = client(nil)
	_ any = (*firsts)(nil)
	_ any = failure{}
	_ any = (*handler)(nil)
	_ any = (*level)(nil)
	_ any = (*limiter)(nil)
	_ any = (*markerCount)(nil)
	_ any = page{}
	_ any = (*pages)(nil)
	_ any = (*refresher)(nil)
	_ any = (*revocation)(nil)
	_ any = (*ruledHandler)(nil)
	_ any = (*severalHandler)(nil)
	_ any = (*visit)(nil)
)
