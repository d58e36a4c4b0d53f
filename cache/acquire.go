package cache

import (
	"context"
	"errors"
	"strconv"
	"time"

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

// acquireScript is Lease.acquirable, and what follows from it: a verdict and the
// record. Its keys are the lease, the record and the note of the used grant.
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

// holdScript prolongs the lease KEYS[1] of the owner ARGV[1] for ARGV[2] ms, or ends
// it with a time of 0: 1 when it was the owner's. Where ARGV[3] is not empty it is
// taken off KEYS[2].
var holdScript = resp.NewScript(`
if ARGV[3] ~= '' and redis.call('GET', KEYS[2]) == ARGV[3] then redis.call('DEL', KEYS[2]) end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`, true, &holdFallback{})

// Acquire asks the server for a lease.
func (r *Redis) Acquire(ctx context.Context, l Lease) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	era, err := r.allow()
	if err != nil {
		return nil, err
	}
	keys := []string{r.prefix + l.key(), r.prefix + l.Record, r.prefix + l.usedKey()}
	args := []string{
		l.Owner, milliseconds(l.TTL), string(versionBytes(l.Version)), l.usedBy(), l.used(), milliseconds(l.Keep),
		keys[0], keys[2],
	}
	reply, err := r.client.Eval(ctx, acquireScript, keys, args)
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
		return record, ErrConflict
	case leaseHeld:
		return record, ErrExists
	case leaseSpent:
		return record, ErrSpent
	}
	return nil, ErrMiss
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}

// acquireFallback does what acquireScript does.
type acquireFallback struct{}

// Decide implements resp.Fallback.
func (f *acquireFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	l := Lease{Owner: args[0], Version: versionFrom(args[2]), Grant: args[3][:len(args[3])-1]}
	err := l.acquirable(values[0], values[1], values[2])
	if errors.Is(err, ErrSpent) {
		// A command that does nothing has the server confirm that the values go
		// together: a lease may have been taken between the reading of two.
		return []resp.Command{{"EXISTS", args[6]}}, leaseReply(leaseSpent, values[1]), nil
	}
	if err != nil {
		return nil, leaseReply(verdictOf(err), values[1]), nil
	}
	return []resp.Command{{"SET", args[6], args[0], "PX", args[1]}, {"SET", args[7], args[4], "PX", args[5]}}, leaseReply(leaseYours, values[1]), nil
}

func verdictOf(err error) int64 {
	switch {
	case errors.Is(err, ErrConflict):
		return leaseMoved
	case errors.Is(err, ErrExists):
		return leaseHeld
	case errors.Is(err, ErrSpent):
		return leaseSpent
	}
	return leaseMiss
}

func leaseReply(verdict int64, record []byte) resp.Reply {
	return resp.Reply{Kind: resp.Array, Elems: []resp.Reply{{Kind: resp.Int, Int: verdict}, {Kind: resp.Bulk, Str: record}}}
}

// Prolong lets a lease last for its TTL from now.
func (r *Redis) Prolong(ctx context.Context, l Lease) error {
	n, err := r.hold(ctx, l, milliseconds(l.TTL), "")
	if err == nil && n == 0 {
		return ErrMiss
	}
	return err
}

// Release ends a lease.
func (r *Redis) Release(ctx context.Context, l Lease, unused bool) error {
	used := ""
	if unused {
		used = l.used()
	}
	_, err := r.hold(ctx, l, "0", used)
	return err
}

func (r *Redis) hold(ctx context.Context, l Lease, px, used string) (int64, error) {
	if err := l.check(); err != nil {
		return 0, err
	}
	era, err := r.allow()
	if err != nil {
		return 0, err
	}
	keys := []string{r.prefix + l.key(), r.prefix + l.usedKey()}
	reply, err := r.client.Eval(ctx, holdScript, keys, []string{l.Owner, px, used, keys[0], keys[1]})
	var n int64
	if err == nil {
		n, err = reply.Integer()
	}
	return n, r.done(ctx, era, err)
}

// holdFallback does what holdScript does.
type holdFallback struct{}

// Decide implements resp.Fallback.
func (f *holdFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	var commands []resp.Command
	if args[2] != "" && string(values[1]) == args[2] {
		commands = append(commands, resp.Command{"DEL", args[4]})
	}
	if string(values[0]) != args[0] {
		return commands, answer(0), nil
	}
	if args[1] == "0" {
		return append(commands, resp.Command{"DEL", args[3]}), answer(1), nil
	}
	return append(commands, resp.Command{"PEXPIRE", args[3], args[1]}), answer(1), nil
}
