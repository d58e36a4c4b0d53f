package traefikoidc

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*claim)(nil)
	_ any = (*closing)(nil)
	_ any = (*logBuilder)(nil)
	_ any = (*middlewareBuilder)(nil)
	_ any = (*namesBuilder)(nil)
	_ any = (*providerBuilder)(nil)
	_ any = (*providerCheck)(nil)
	_ any = (*made)(nil)
	_ any = (*memory)(nil)
	_ any = (*reading)(nil)
	_ any = (*readingBuilder)(nil)
	_ any = (*reminder)(nil)
	_ any = (*setup)(nil)
	_ any = (*setupBuilder)(nil)
	_ any = (*sharedMiddleware)(nil)
	_ any = (*sharedNames)(nil)
	_ any = (*sharedProvider)(nil)
	_ any = (*store)(nil)
	_ any = (*storeBuilder)(nil)
	_ any = (*user)(nil)
)
