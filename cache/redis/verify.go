package redis

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Verify tries the Redis server that o describes: it dials, authenticates, selects, and
// writes and reads a key of its own under the prefix. A store with changed options is
// verified before it is used. Errors say which step failed and name no secret.
func Verify(ctx context.Context, o Options) error {
	server := o.Server
	server.PoolSize = 1
	server.MinIdle = 0
	server.OperationTimeout = server.DialTimeout
	if server.OperationTimeout <= 0 {
		server.OperationTimeout = 5 * time.Second
	}
	client := resp.NewClient(server)
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("cache: verify: connect to Redis: %w", err)
	}
	nonce, err := newNonce()
	if err != nil {
		return err
	}
	key := KeyPrefix(o.Prefix) + "verify:" + nonce
	if err := client.Set(ctx, key, []byte(nonce), 10*time.Second); err != nil {
		return fmt.Errorf("cache: verify: write a key: %w", err)
	}
	read, err := client.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("cache: verify: read the key: %w", err)
	}
	if !bytes.Equal(read, []byte(nonce)) {
		return fmt.Errorf("cache: verify: Redis returned another value than was written: %w", cache.ErrUnavailable)
	}
	if _, err := client.Del(ctx, key); err != nil {
		return fmt.Errorf("cache: verify: remove the key: %w", err)
	}
	return nil
}

func newNonce() (string, error) {
	var b [12]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("cache: random: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}
