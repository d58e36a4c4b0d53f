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

// A ReplayGuard lets a value be used once, by the replica that is first.
type ReplayGuard struct {
	Backend  cache.Backend
	Keys     *Keyring
	Identity string // issuer and relying party
	// Strict refuses values that only this process could check, as in an outage of Redis.
	Strict bool
}

// Used returns ErrReplayed when value has a replay marker, and ErrUnavailable when the
// store could not be reached. It is for callers that do nothing for a replay. The first
// use is decided by Use.
func (g *ReplayGuard) Used(ctx context.Context, kind, value string) error {
	for _, digest := range g.Keys.digests("replay", g.Identity, kind, value) {
		used, err := g.Backend.Exists(ctx, "j:"+digest)
		if err != nil {
			return fmt.Errorf("%w: replay marker: %w", ErrUnavailable, err)
		}
		if used {
			return ErrReplayed
		}
	}
	return nil
}

// Use sets a replay marker for value, of a kind such as "state", for lifetime. It returns
// ErrReplayed when there was one before. It returns ErrUnavailable when the store could
// not be reached, or, with Strict, does not have the marker yet. The marker is written
// under every key of the keyring, so that replicas in the middle of a key rotation agree.
func (g *ReplayGuard) Use(ctx context.Context, kind, value string, lifetime time.Duration) error {
	owner, err := random(12)
	if err != nil {
		return err
	}
	nonce := []byte(base64.RawURLEncoding.EncodeToString(owner))
	for _, digest := range g.Keys.digests("replay", g.Identity, kind, value) {
		err := g.Backend.Add(ctx, "j:"+digest, nonce, lifetime)
		if errors.Is(err, cache.ErrExists) {
			return ErrReplayed
		}
		if !cache.Applied(err) || g.Strict && err != nil {
			return fmt.Errorf("%w: replay marker: %w", ErrUnavailable, err)
		}
	}
	return nil
}
