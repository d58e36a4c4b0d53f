package headers

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*CORS)(nil)
	_ any = (*Cleaner)(nil)
	_ any = Data{}
	_ any = (*Templates)(nil)
	_ any = (*guard)(nil)
	_ any = (*output)(nil)
	_ any = (*trailerGuard)(nil)
)
