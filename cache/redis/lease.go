package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/resp"
)

// The verdicts of acquireLua.
const (
	leaseYours = 1
	leaseMiss  = 2
	leaseMoved = 3
	leaseHeld  = 4
	leaseSpent = 5
)

// acquireScript is Lease.Acquirable and its effect. It returns a verdict and the record.
// Its keys are the lease, the record and the entry of the used grant.
var acquireScript = resp.NewScript(recordLua+`
local held, record, used = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3])
if not record or kind(record) == 'foreign' then return {2, ''} end
if kind(record) ~= 'live' or string.sub(record, 4, 11) ~= ARGV[3] then return {3, record} end
if held and held ~= ARGV[1] then return {4, record} end
if used and string.sub(used, 1, #ARGV[4]) == ARGV[4] and used ~= ARGV[5] then return {5, record} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[6])
return {1, record}
`, true, &acquireFallback{})

// prolongScript is Lease.MayProlong and its effect. It returns 1 when the lease is the
// owner's. Its keys are the lease and the entry of the used grant.
var prolongScript = resp.NewScript(`
local held, used = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if held and held ~= ARGV[1] then return 0 end
if used and string.sub(used, 1, #ARGV[3]) == ARGV[3] and used ~= ARGV[4] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
return 1
`, true, &prolongFallback{})

// releaseScript ends the lease KEYS[1] of the owner ARGV[1]. It removes KEYS[2] if that
// has the value ARGV[2], which is not empty then.
var releaseScript = resp.NewScript(`
if ARGV[2] ~= '' and redis.call('GET', KEYS[2]) == ARGV[2] then redis.call('DEL', KEYS[2]) end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`, true, &releaseFallback{})

// Acquire requests a lease from Redis.
func (r *Redis) Acquire(ctx context.Context, l cache.Lease) ([]byte, error) {
	return r.AcquireIn(ctx, l, "")
}

// AcquireIn gives a lease only in the data set with the id dataSet, because another one
// lacks the leases that were given before. An empty id allows any.
//
// The data-set id is in another slot than the lease, so that no script has both. It is
// read after the lease was taken. An id that is gone never comes back, so it was there
// before.
func (r *Redis) AcquireIn(ctx context.Context, l cache.Lease, dataSet string) ([]byte, error) {
	record, err := acquire(ctx, r, l)
	if dataSet == "" || err != nil && !errors.Is(err, cache.ErrMiss) {
		return record, err
	}
	found, failed := r.Get(ctx, dataSetKey)
	if failed == nil && string(found) == dataSet {
		return record, err
	}
	if err == nil {
		_ = r.Release(ctx, l, true)
	}
	return nil, fmt.Errorf("%w: Redis may have lost its data", cache.ErrUnavailable)
}

func acquire(ctx context.Context, r *Redis, l cache.Lease) ([]byte, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	era, err := r.allow()
	if err != nil {
		return nil, err
	}
	keys := []string{r.Prefix + l.Key(), r.Prefix + l.Record, r.Prefix + l.UsedKey()}
	args := []string{
		l.Owner, milliseconds(l.TTL), string(versionBytes(l.Version)), l.UsedBy(), l.Used(), milliseconds(l.Keep), keys[0], keys[2],
	}
	reply, err := r.Client.Eval(ctx, acquireScript, keys, args)
	if err == nil && (reply.Kind != resp.Array || len(reply.Elems) != 2) {
		err = resp.ErrProtocol
	}
	if err = r.done(ctx, era, err); err != nil {
		return nil, err
	}
	return leaseVerdict(reply)
}

func leaseVerdict(reply resp.Reply) ([]byte, error) {
	record := reply.Elems[1].Str
	switch reply.Elems[0].Int {
	case leaseYours:
		return record, nil
	case leaseMoved:
		return record, cache.ErrConflict
	case leaseHeld:
		return record, cache.ErrExists
	case leaseSpent:
		return record, cache.ErrSpent
	}
	return nil, cache.ErrMiss
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}

// acquireFallback does the same as acquireScript.
type acquireFallback struct{}

// Decide implements resp.Fallback.
func (f *acquireFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	l := cache.Lease{Owner: args[0], Version: versionFrom(args[2]), Grant: args[3][:len(args[3])-1]}
	err := l.Acquirable(values[0], values[1], values[2])
	if errors.Is(err, cache.ErrSpent) {
		// A command that does nothing lets Redis confirm that the values go together,
		// because a lease may have been taken between the reading of two.
		return []resp.Command{{"EXISTS", args[6]}}, leaseReply(leaseSpent, values[1]), nil
	}
	if err != nil {
		return nil, leaseReply(verdictOf(err), values[1]), nil
	}
	return []resp.Command{{"SET", args[6], args[0], "PX", args[1]}, {"SET", args[7], args[4], "PX", args[5]}}, leaseReply(leaseYours, values[1]), nil
}

func verdictOf(err error) int64 {
	switch {
	case errors.Is(err, cache.ErrConflict):
		return leaseMoved
	case errors.Is(err, cache.ErrExists):
		return leaseHeld
	case errors.Is(err, cache.ErrSpent):
		return leaseSpent
	}
	return leaseMiss
}

func leaseReply(verdict int64, record []byte) resp.Reply {
	return resp.Reply{Kind: resp.Array, Elems: []resp.Reply{{Kind: resp.Int, Int: verdict}, {Kind: resp.Bulk, Str: record}}}
}

// Prolong extends a lease for its TTL from now.
func (r *Redis) Prolong(ctx context.Context, l cache.Lease) error {
	n, err := onLease(ctx, r, prolongScript, l, []string{l.Owner, milliseconds(l.TTL), l.UsedBy(), l.Used(), milliseconds(l.Keep)})
	if err == nil && n == 0 {
		return cache.ErrMiss
	}
	return err
}

// Release ends a lease.
func (r *Redis) Release(ctx context.Context, l cache.Lease, unused bool) error {
	used := ""
	if unused {
		used = l.Used()
	}
	_, err := onLease(ctx, r, releaseScript, l, []string{l.Owner, used})
	return err
}

// onLease runs a script on the keys of a lease. They follow its arguments for the
// fallback.
func onLease(ctx context.Context, r *Redis, s *resp.Script, l cache.Lease, args []string) (int64, error) {
	if err := l.Check(); err != nil {
		return 0, err
	}
	era, err := r.allow()
	if err != nil {
		return 0, err
	}
	keys := []string{r.Prefix + l.Key(), r.Prefix + l.UsedKey()}
	reply, err := r.Client.Eval(ctx, s, keys, append(args, keys[0], keys[1]))
	var n int64
	if err == nil {
		n, err = reply.Integer()
	}
	return n, r.done(ctx, era, err)
}

// prolongFallback does the same as prolongScript.
type prolongFallback struct{}

// Decide implements resp.Fallback.
func (f *prolongFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	l := cache.Lease{Owner: args[0], Grant: args[2][:len(args[2])-1]}
	if !l.MayProlong(values[0], values[1]) {
		return nil, answer(0), nil
	}
	return []resp.Command{{"SET", args[5], args[0], "PX", args[1]}, {"SET", args[6], args[3], "PX", args[4]}}, answer(1), nil
}

// releaseFallback does the same as releaseScript.
type releaseFallback struct{}

// Decide implements resp.Fallback.
func (f *releaseFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	var commands []resp.Command
	if args[1] != "" && string(values[1]) == args[1] {
		commands = append(commands, resp.Command{"DEL", args[3]})
	}
	if string(values[0]) == args[0] {
		commands = append(commands, resp.Command{"DEL", args[2]})
	}
	return commands, answer(1), nil
}
