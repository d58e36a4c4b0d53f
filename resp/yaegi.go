package resp

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*Client)(nil)
	_ any = (*CommandStats)(nil)
	_ any = Limits{}
	_ any = (*Location)(nil)
	_ any = (*Options)(nil)
	_ any = Options{}
	_ any = (*Reader)(nil)
	_ any = Reply{}
	_ any = (*Sentinels)(nil)
	_ any = TLSFiles{}
	_ any = (*Tracker)(nil)
	_ any = (*batch)(nil)
	_ any = (*conn)(nil)
	_ any = (*count)(nil)
	_ any = (*failovers)(nil)
	_ any = (*guard)(nil)
	_ any = (*listening)(nil)
	_ any = (*locating)(nil)
	_ any = (*opening)(nil)
	_ any = (*patrol)(nil)
	_ any = (*pinging)(nil)
	_ any = (*pool)(nil)
	_ any = (*question)(nil)
	_ any = (*record)(nil)
	_ any = (*sentinel)(nil)
	_ any = (*sweep)(nil)
	_ any = (*task)(nil)
	_ any = (*tlsCache)(nil)
	_ any = (*watching)(nil)
)
