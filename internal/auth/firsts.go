package auth

import "sync"

const (
	// maxRedirectURIs bounds the redirect URIs in the log. A site has a few hosts, and
	// the client chooses the Host header.
	maxRedirectURIs = 16
	// maxNameless bounds the users that the log names as without X-Forwarded-User.
	maxNameless = 4096
)

// firsts remembers keys, so that the log has one line for each. It is safe for
// concurrent use.
type firsts struct {
	most int // keys that it remembers; further ones are taken for known

	mu   sync.Mutex // guards seen
	seen map[string]bool
}

func newFirsts(most int) *firsts {
	return &firsts{most: most, seen: map[string]bool{}}
}

// add reports whether key comes for the first time.
func (f *firsts) add(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[key] || len(f.seen) >= f.most {
		return false
	}
	f.seen[key] = true
	return true
}

// has reports whether key came already and is remembered.
func (f *firsts) has(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[key]
}
