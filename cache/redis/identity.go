package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Keys of the cache's own, after the prefix.
const (
	canaryKey = "epoch" // names the data set; it lives as long as that does
	probeKey  = "probe"
)

// Identify asks which server and which data set answer. A data set that has no
// canary gets one.
func (r *Redis) Identify(ctx context.Context) (cache.Identity, error) {
	era, err := r.allow()
	if err != nil {
		return cache.Identity{}, err
	}
	nonce, err := newNonce()
	if err != nil {
		return cache.Identity{}, err
	}
	replies, err := r.Client.Pipeline(ctx, []resp.Command{
		{"INFO", "server"},
		{"SET", r.Prefix + canaryKey, nonce, "NX"},
		{"GET", r.Prefix + canaryKey},
		{"INFO", "server"},
		{"INFO", "memory"},
	})
	var canary []byte
	if err == nil {
		canary, err = replies[2].Bytes()
	}
	// A server that refuses writes has no canary if it had none before.
	if unwritten := replies[1].Err(); errors.Is(err, resp.ErrNil) && Refusal(unwritten) {
		err = r.done(ctx, era, unwritten)
		return cache.Identity{}, err
	}
	if err = r.done(ctx, era, err); err != nil {
		return cache.Identity{}, fmt.Errorf("%w: canary: %w", cache.ErrUnavailable, err)
	}
	// A pipeline may be finished on a second connection.
	run := resp.InfoField(replies[0], "run_id")
	if run != resp.InfoField(replies[3], "run_id") {
		return cache.Identity{}, fmt.Errorf("%w: server changed meanwhile", cache.ErrUnavailable)
	}
	return cache.Identity{Run: run, DataSet: string(canary), Evicts: evictionPolicy(replies[4])}, nil
}

// evictionPolicy is the policy of a server that may evict what has not expired.
func evictionPolicy(r resp.Reply) string {
	policy := resp.InfoField(r, "maxmemory_policy")
	if limit := resp.InfoField(r, "maxmemory"); policy == "noeviction" || limit == "0" {
		return ""
	}
	return policy
}

// Confirm reads key together with the canary, which it returns second: only from a
// data set that has its canary is an absent key gone.
func (r *Redis) Confirm(ctx context.Context, key string) ([]byte, string, error) {
	era, err := r.allow()
	if err != nil {
		return nil, "", err
	}
	replies, err := r.Client.Pipeline(ctx, []resp.Command{
		{"GET", r.Prefix + key},
		{"GET", r.Prefix + canaryKey},
	})
	if err != nil {
		return nil, "", r.done(ctx, era, err)
	}
	value, err := replies[0].Bytes()
	return value, string(replies[1].Str), r.done(ctx, era, err)
}
