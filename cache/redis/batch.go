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

// A part has the places of the commands for one item: those that list it, and those that
// read its revocation entries.
type part struct {
	item      cache.Holding
	list, own int // the first command that lists it, and how many there are
	read, any int // the same of those that read
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
	var phases [3][]resp.Command
	var parts []part
	for _, x := range items {
		ttl := time.Duration(x.Expires - now)
		if ttl < time.Millisecond {
			continue
		}
		p := part{item: x, list: len(phases[0]), read: len(phases[1])}
		if cache.IsLinked(x.Value) {
			phases[0] = append(phases[0], indexOf(r).enlisting(x.Key, x.Value, r.now())...)
			phases[1] = append(phases[1], indexOf(r).readingEntries(x.Value)...)
		}
		p.own = len(phases[0]) - p.list
		p.any = len(phases[1]) - p.read
		full := r.Prefix + x.Key
		parts = append(parts, p)
		phases[2] = append(phases[2], append(resp.Command{"EVAL", mergeLua, "1", full}, scriptArgs(full, x.Value, ttl, 0)...))
	}
	replies, err := r.Client.Phases(ctx, phases[:])
	for i := 0; err == nil && i < len(replies); i++ {
		err = replies[i].Err()
	}
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	return b.revokeAllForbidden(ctx, parts, replies[:len(phases[0])], replies[len(phases[0]):])
}

// revokeAllForbidden revokes the items that a revocation entry forbids. It has the replies
// to the commands that list items, and to those that read entries.
func (b *batches) revokeAllForbidden(ctx context.Context, parts []part, listed, read []resp.Reply) error {
	r := b.r
	for _, p := range parts {
		_, err := enlisted(listed[p.list:p.list+p.own], p.item.Value)
		forbidden := false
		if err == nil {
			forbidden, err = enlisted(read[p.read:p.read+p.any], p.item.Value)
		}
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
