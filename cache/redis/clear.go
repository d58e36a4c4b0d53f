package redis

import (
	"context"
	"strings"

	"github.com/traefikoidc/traefikoidc/cache"
)

// clearPage is how many keys a step of Clear looks at, and removes at most.
const clearPage = 500

// Clear removes every key with the prefix but the canary, in batches, and
// leaves other prefixes alone.
func (r *Redis) Clear(ctx context.Context) error {
	cursor := "0"
	for {
		era, err := r.allow()
		if err != nil {
			return err
		}
		keys, next, err := r.Client.Scan(ctx, cursor, escapeGlob(r.Prefix)+"*", clearPage)
		if err == nil {
			err = cleanerOf(r).unlink(ctx, keys)
		}
		if err = r.done(ctx, era, err); err != nil {
			return err
		}
		if next == "0" {
			break
		}
		cursor = next
	}
	r.mu.Lock()
	watchers := r.watchers
	r.mu.Unlock()
	cache.AnnounceAll(watchers)
	return nil
}

// A cleaner removes keys.
type cleaner struct {
	r *Redis
}

func cleanerOf(r *Redis) *cleaner {
	return &cleaner{r: r}
}

func (x *cleaner) unlink(ctx context.Context, keys []string) error {
	r := x.r
	command := []string{"UNLINK"}
	for _, k := range keys {
		if strings.HasPrefix(k, r.Prefix) && k != r.Prefix+canaryKey {
			command = append(command, k)
		}
	}
	if len(command) == 1 {
		return nil
	}
	_, err := r.Client.Do(ctx, command...)
	return err
}

var globEscapes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// escapeGlob makes a pattern of SCAN that matches s alone.
func escapeGlob(s string) string {
	return globEscapes.Replace(s)
}
