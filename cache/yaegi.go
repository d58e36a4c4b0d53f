package cache

import "github.com/traefikoidc/traefikoidc/internal/background"

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ Store             = (*Memory)(nil)
	_ Transfer          = (*memoryTransfer)(nil)
	_ Backend           = (*Switch)(nil)
	_ background.Runner = (*gate)(nil)
	_ background.Runner = (*Trial)(nil)
	_ background.Runner = (*handoverEnd)(nil)
	_ Accepter          = (*Trial)(nil)
	_ any               = (*Handover)(nil)
	_ any               = (*Followers)(nil)
	_ any               = (*follower)(nil)
	_ any               = message{}
	_ any               = (*Owed)(nil)
	_ any               = (*Note)(nil)
	_ any               = (*Entry)(nil)
	_ any               = (*LRU)(nil)
	_ any               = Revocation{}
	_ any               = Lease{}
)
