package session

// Types with methods, converted once while the sources are loaded: see "Methods"
// in docs/ARCHITECTURE.md. This file is the last by name.
var (
	_ any = (*Ages)(nil)
	_ any = (*CookieNames)(nil)
	_ any = Cookies{}
	_ any = (*Keyring)(nil)
	_ any = (*Login)(nil)
	_ any = (*Logins)(nil)
	_ any = (*Manager)(nil)
	_ any = (*Opened)(nil)
	_ any = (*ReplayGuard)(nil)
	_ any = (*Session)(nil)
	_ any = (*Stripper)(nil)
	_ any = (*Verdict)(nil)
	_ any = (*flight)(nil)
	_ any = (*heartbeat)(nil)
	_ any = (*masterKey)(nil)
	_ any = opening{}
	_ any = plan{}
	_ any = (*refresh)(nil)
	_ any = ticket{}
	_ any = (*waiter)(nil)
)
