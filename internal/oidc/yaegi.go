package oidc

// The interpreter works out the type of a method when it is first called; two
// first calls at once are a data race in there. Converting a type to an
// interface makes it do so for all methods of the type, while the sources are
// loaded, of what it has compiled so far: so this file must be the last by name.
var (
	_ any = (*AssertionKey)(nil)
	_ any = (*Provider)(nil)
	_ any = Claims(nil)
	_ any = Expect{}
	_ any = (*Metadata)(nil)
	_ any = Options{}
	_ any = (*Turn)(nil)
	_ any = algorithm{}
	_ any = (*breaker)(nil)
	_ any = (*credit)(nil)
	_ any = (*discovery)(nil)
	_ any = (*endpoint)(nil)
	_ any = (*flight)(nil)
	_ any = (*flightTask)(nil)
	_ any = (*guardedDialer)(nil)
	_ any = (*jsonWalk)(nil)
	_ any = (*jwt)(nil)
	_ any = (*key)(nil)
	_ any = (*keyFetch)(nil)
	_ any = (*keySet)(nil)
	_ any = (*sendTrace)(nil)
	_ any = (*waiter)(nil)
)
