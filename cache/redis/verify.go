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

// Verify reaches the server that o describes: it dials, authenticates, selects,
// and writes and reads a canary of its own under the prefix. A store whose
// options changed is verified before it is used. Errors say which step failed
// and name no secret.
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
		return fmt.Errorf("cache: verify: reaching Redis: %w", err)
	}
	nonce, err := newNonce()
	if err != nil {
		return err
	}
	key := KeyPrefix(o.Prefix) + "verify:" + nonce
	if err := client.Set(ctx, key, []byte(nonce), 10*time.Second); err != nil {
		return fmt.Errorf("cache: verify: writing: %w", err)
	}
	read, err := client.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("cache: verify: reading: %w", err)
	}
	if !bytes.Equal(read, []byte(nonce)) {
		return fmt.Errorf("cache: verify: read something else than was written: %w", cache.ErrUnavailable)
	}
	if _, err := client.Del(ctx, key); err != nil {
		return fmt.Errorf("cache: verify: removing: %w", err)
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
