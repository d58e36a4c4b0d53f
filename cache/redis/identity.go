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
	dataSetKey = "epoch" // the data-set id; it lasts as long as the data set
	probeKey   = "probe"
)

// Identify returns the Redis server and the data set that respond. A data set without an
// id gets one.
func (r *Redis) Identify(ctx context.Context) (cache.Identity, error) {
	era, err := r.allow()
	if err != nil {
		return cache.Identity{}, err
	}
	nonce, err := newNonce()
	if err != nil {
		return cache.Identity{}, err
	}
	before, err := Processes(ctx, r)
	if err != nil {
		return cache.Identity{}, r.done(ctx, era, err)
	}
	replies, err := r.Client.Pipeline(ctx, []resp.Command{
		{"INFO", "server"},
		{"SET", r.Prefix + dataSetKey, nonce, "NX"},
		{"GET", r.Prefix + dataSetKey},
		{"INFO", "server"},
		{"INFO", "memory"},
	})
	var dataSet []byte
	if err == nil {
		dataSet, err = replies[2].Bytes()
	}
	// A Redis server that refuses writes has no data-set id if it had none before.
	if unwritten := replies[1].Err(); errors.Is(err, resp.ErrNil) && Refusal(unwritten) {
		err = r.done(ctx, era, unwritten)
		return cache.Identity{}, err
	}
	if err = r.done(ctx, era, err); err != nil {
		return cache.Identity{}, fmt.Errorf("%w: read the data-set id: %w", cache.ErrUnavailable, err)
	}
	// A pipeline may be finished on a second connection.
	run := resp.InfoField(replies[0], "run_id")
	same := run == resp.InfoField(replies[3], "run_id")
	if r.Client.InCluster() {
		run, err = Processes(ctx, r)
		same = err == nil && run == before
	}
	if !same {
		return cache.Identity{}, fmt.Errorf("%w: the Redis server changed meanwhile", cache.ErrUnavailable)
	}
	return cache.Identity{Run: run, DataSet: string(dataSet), Evicts: evictionPolicy(replies[4])}, nil
}

// Processes returns the processes of the masters of a cluster as one text. It is empty if
// there is no cluster, or if INFO is refused.
func Processes(ctx context.Context, r *Redis) (string, error) {
	if !r.Client.InCluster() {
		return "", nil
	}
	runs, err := r.Client.Runs(ctx)
	if Refusal(err) {
		return "", nil
	}
	return runs, err
}

// evictionPolicy returns the policy of a Redis server that may evict keys before they
// expire.
func evictionPolicy(r resp.Reply) string {
	policy := resp.InfoField(r, "maxmemory_policy")
	if limit := resp.InfoField(r, "maxmemory"); policy == "noeviction" || limit == "0" {
		return ""
	}
	return policy
}

// Confirm reads key together with the data-set id, which it returns second. An absent key
// is gone only if the data set has its id.
func (r *Redis) Confirm(ctx context.Context, key string) ([]byte, string, error) {
	era, err := r.allow()
	if err != nil {
		return nil, "", err
	}
	replies, err := r.Client.Pipeline(ctx, []resp.Command{
		{"GET", r.Prefix + key},
		{"GET", r.Prefix + dataSetKey},
	})
	if err != nil {
		return nil, "", r.done(ctx, era, err)
	}
	value, err := replies[0].Bytes()
	return value, string(replies[1].Str), r.done(ctx, era, err)
}
