package redis

import (
	"context"
	"errors"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// MergeAll merges items, each as Merge does, with few round trips. It returns the keys
// that Redis refuses to write, and ErrUnavailable when Redis could not be reached.
func (r *Redis) MergeAll(ctx context.Context, items []cache.Holding, now int64) ([]string, error) {
	var refused []string
	for len(items) > 0 {
		n := batch(items)
		err := batchesOf(r).mergeBatch(ctx, items[:n], now)
		if Refusal(err) {
			var some []string
			some, err = batchesOf(r).mergeSingly(ctx, items[:n], now)
			refused = append(refused, some...)
		}
		if err != nil {
			return nil, err
		}
		items = items[n:]
	}
	return refused, nil
}

// Refusal reports whether err says that Redis serves, but refuses this command.
func Refusal(err error) bool {
	return err != nil && Outcome(context.Background(), err) == circuitbreaker.Success
}

// Bounds of one round trip of MergeAll.
const (
	BatchItems = 64
	batchBytes = 256 << 10
)

// batch returns the number of items for one round trip.
func batch(items []cache.Holding) int {
	n := 1
	size := len(items[0].Value)
	for n < len(items) && n < BatchItems && size+len(items[n].Value) <= batchBytes {
		size += len(items[n].Value)
		n++
	}
	return n
}

// A part has the places in a pipeline of the commands for one item: those that list it,
// and the one that merges it.
type part struct {
	item       cache.Holding
	first, end int
}

// batches write many records with few round trips.
type batches struct {
	r *Redis
}

func batchesOf(r *Redis) *batches {
	return &batches{r: r}
}

// mergeBatch merges items in one round trip, and revokes those that a revocation entry
// forbids.
func (b *batches) mergeBatch(ctx context.Context, items []cache.Holding, now int64) error {
	r := b.r
	era, err := r.allow()
	if err != nil {
		return err
	}
	var commands []resp.Command
	var parts []part
	for _, x := range items {
		ttl := time.Duration(x.Expires - now)
		if ttl < time.Millisecond {
			continue
		}
		first := len(commands)
		if cache.IsLinked(x.Value) {
			commands = append(commands, indexOf(r).enlisting(x.Key, x.Value, r.now())...)
		}
		full := r.Prefix + x.Key
		parts = append(parts, part{item: x, first: first, end: len(commands)})
		commands = append(commands, append(resp.Command{"EVAL", mergeLua, "1", full}, scriptArgs(full, x.Value, ttl, 0)...))
	}
	replies, err := r.Client.Pipeline(ctx, commands)
	for i := 0; err == nil && i < len(replies); i++ {
		err = replies[i].Err()
	}
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	return b.revokeAllForbidden(ctx, parts, replies)
}

func (b *batches) revokeAllForbidden(ctx context.Context, parts []part, replies []resp.Reply) error {
	r := b.r
	for _, p := range parts {
		forbidden, err := enlisted(replies[p.first:p.end], p.item.Value)
		if err == nil && forbidden {
			err = indexOf(r).revokeForbidden(ctx, p.item.Key, p.item.Value)
		}
		if err != nil && !errors.Is(err, cache.ErrConflict) {
			return err
		}
	}
	return nil
}

// mergeSingly merges items one by one, for a Redis that refuses some of them, or scripts.
func (b *batches) mergeSingly(ctx context.Context, items []cache.Holding, now int64) ([]string, error) {
	var refused []string
	for _, x := range items {
		ttl := time.Duration(x.Expires - now)
		if ttl < time.Millisecond {
			continue
		}
		err := b.mergeOne(ctx, x, ttl)
		if Refusal(err) {
			refused = append(refused, x.Key)
		} else if err != nil {
			return nil, err
		}
	}
	return refused, nil
}

func (b *batches) mergeOne(ctx context.Context, x cache.Holding, ttl time.Duration) error {
	r := b.r
	if cache.IsLinked(x.Value) {
		era, err := r.allow()
		if err != nil {
			return err
		}
		forbidden, err := indexOf(r).enlistPlainly(ctx, x.Key, x.Value)
		if err = r.done(ctx, era, err); err != nil {
			return err
		}
		if forbidden {
			err = indexOf(r).revokeForbidden(ctx, x.Key, x.Value)
			if errors.Is(err, cache.ErrConflict) {
				return nil
			}
			return err
		}
	}
	_, err := r.Merge(ctx, x.Key, x.Value, ttl)
	return err
}
