package session

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// ErrReplayed is returned when a value was used before.
var ErrReplayed = errors.New("session: used before")

// A ReplayGuard lets a value be used once, by whichever replica is first.
type ReplayGuard struct {
	Backend  cache.Backend
	Keys     *Keyring
	Identity string // issuer and relying party
	// Strict refuses what only this process could check, as in an outage of Redis.
	Strict bool
}

// Used returns ErrReplayed when value was marked before, and ErrUnavailable when the
// store could not be asked. It is the question of whom a replay must not make do
// anything; who is first is decided by Use.
func (g *ReplayGuard) Used(ctx context.Context, kind, value string) error {
	for _, mark := range g.Keys.Mark("replay", g.Identity, kind, value) {
		used, err := g.Backend.Exists(ctx, "j:"+mark)
		if err != nil {
			return fmt.Errorf("%w: replay mark: %w", ErrUnavailable, err)
		}
		if used {
			return ErrReplayed
		}
	}
	return nil
}

// Use marks value, of a kind such as "state", as used for lifetime. It returns
// ErrReplayed when it was marked before, and ErrUnavailable when the store could
// not be asked, or, with Strict, has not got the mark yet. The mark is written under
// every key of the keyring, so that replicas in the middle of a key rotation agree.
func (g *ReplayGuard) Use(ctx context.Context, kind, value string, lifetime time.Duration) error {
	owner, err := random(12)
	if err != nil {
		return err
	}
	nonce := []byte(base64.RawURLEncoding.EncodeToString(owner))
	for _, mark := range g.Keys.Mark("replay", g.Identity, kind, value) {
		err := g.Backend.Add(ctx, "j:"+mark, nonce, lifetime)
		if errors.Is(err, cache.ErrExists) {
			return ErrReplayed
		}
		if !cache.Applied(err) || g.Strict && err != nil {
			return fmt.Errorf("%w: replay mark: %w", ErrUnavailable, err)
		}
	}
	return nil
}
