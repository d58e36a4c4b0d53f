package oidc

// The interpreter computes the type of a method at its first call. Two first calls at
// the same time are a data race in the interpreter. Converting a type to an interface
// computes the types of all its methods while the sources load. That covers only
// methods that are compiled already, so this file must be the last by name.
var (
	_ any = (*AssertionKey)(nil)
	_ any = (*Provider)(nil)
	_ any = Claims(nil)
	_ any = Expect{}
	_ any = (*Metadata)(nil)
	_ any = Options{}
	_ any = (*Turn)(nil)
	_ any = (*answer)(nil)
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
