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
	keys     *Keyring
	identity string
	add      func(ctx context.Context, key string, value []byte, ttl time.Duration) error // bound as Manager's methods are
}

// NewReplayGuard returns a guard that keeps its marks in b, for an identity made of
// issuer and relying party.
func NewReplayGuard(b cache.Backend, k *Keyring, identity string) *ReplayGuard {
	return &ReplayGuard{keys: k, identity: identity, add: b.Add}
}

// Use marks value, of a kind such as "state", as used for lifetime. It returns
// ErrReplayed when it was marked before, and ErrUnavailable when the store could
// not be asked. The mark is written under every key of the keyring, so that
// replicas in the middle of a key rotation agree.
func (g *ReplayGuard) Use(ctx context.Context, kind, value string, lifetime time.Duration) error {
	owner, err := random(12)
	if err != nil {
		return err
	}
	nonce := []byte(base64.RawURLEncoding.EncodeToString(owner))
	for _, mark := range g.keys.Mark("replay", g.identity, kind, value) {
		err := g.add(ctx, "j:"+mark, nonce, lifetime)
		if errors.Is(err, cache.ErrExists) {
			return ErrReplayed
		}
		if !cache.Applied(err) {
			return fmt.Errorf("%w: replay mark: %w", ErrUnavailable, err)
		}
	}
	return nil
}
