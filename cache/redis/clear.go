package redis

import (
	"context"
	"strings"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/resp"
)

// clearPage bounds the keys that a step of Clear reads and removes.
const clearPage = 500

// Clear removes every key with the prefix but the data-set id, in batches. Keys with
// other prefixes stay.
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

// unlink removes each key by a command of its own, because the keys are in different
// slots.
func (x *cleaner) unlink(ctx context.Context, keys []string) error {
	r := x.r
	var commands []resp.Command
	for _, k := range keys {
		if strings.HasPrefix(k, r.Prefix) && k != r.Prefix+dataSetKey {
			commands = append(commands, resp.Command{"UNLINK", k})
		}
	}
	if len(commands) == 0 {
		return nil
	}
	replies, err := r.Client.Phases(ctx, [][]resp.Command{commands})
	for i := 0; err == nil && i < len(replies); i++ {
		err = replies[i].Err()
	}
	return err
}

var globEscapes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// escapeGlob returns a pattern of SCAN that matches only s.
func escapeGlob(s string) string {
	return globEscapes.Replace(s)
}
