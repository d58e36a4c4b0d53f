package cache

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// An index is a sorted set of record keys, without their s:, by the record's end.
// It lasts as long as any of them may.

// enlistLua enters a member in an index, and clears it of those that ended.
const enlistLua = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
`

// enlisting are the commands that come before a record is written: it is listed
// under its links, then the notes of revocations are read. Who revokes does the same
// in the other order, so that one of the two finds the other.
func (r *Redis) enlisting(key string, record []byte, now time.Time) []resp.Command {
	var commands []resp.Command
	for _, link := range listedLinks(record) {
		a := r.enlistArgs(key, record, link, now)
		commands = append(commands, resp.Command{"EVAL", enlistLua, "1", a[0], a[1], a[2], a[3], a[4]})
	}
	return r.readingNotes(commands, record)
}

// plainEnlisting does without scripts: an index then lasts as long as the record
// that was entered last.
func (r *Redis) plainEnlisting(key string, record []byte, now time.Time) []resp.Command {
	var commands []resp.Command
	for _, link := range listedLinks(record) {
		a := r.enlistArgs(key, record, link, now)
		commands = append(commands, resp.Command{"ZADD", a[0], a[1], a[2]}, resp.Command{"ZREMRANGEBYSCORE", a[0], "-inf", a[3]},
			resp.Command{"PEXPIRE", a[0], a[4]})
	}
	return r.readingNotes(commands, record)
}

// enlistArgs are the index, the score, the member, the score up to which members
// ended for certain, and how long the index has to last.
func (r *Redis) enlistArgs(key string, record []byte, link string, now time.Time) []string {
	end := endOf(record)
	return []string{
		r.prefix + indexKey(link), strconv.FormatInt(end, 10), strings.TrimPrefix(key, "s:"),
		strconv.FormatInt(now.Add(-ClockSkew).UnixMilli(), 10),
		strconv.FormatInt(end-now.UnixMilli()+ClockSkew.Milliseconds(), 10),
	}
}

func listedLinks(record []byte) []string {
	var names []string
	for _, link := range linksOf(record) {
		if link.Listed {
			names = append(names, link.Name)
		}
	}
	return names
}

func (r *Redis) readingNotes(commands []resp.Command, record []byte) []resp.Command {
	for _, link := range linksOf(record) {
		commands = append(commands, resp.Command{"GET", r.prefix + noteKey(link.Name)})
	}
	return commands
}

// isLinked reports whether a value has to be enlisted before it is written.
func isLinked(value []byte) bool {
	return kindOf(value) == liveRecord && value[countAt] != 0
}

// enlisted reads what became of enlisting commands: whether a note forbids the
// record, or the first error.
func enlisted(replies []resp.Reply, record []byte) (bool, error) {
	forbidden := false
	for i := range replies {
		b, err := replies[i].Bytes()
		switch {
		case replies[i].Kind == resp.Int || errors.Is(err, resp.ErrNil):
		case err != nil:
			return false, err
		case forbids(b, record):
			forbidden = true
		}
	}
	return forbidden, nil
}

// scriptsRefused reports whether err says that the server runs no scripts.
func scriptsRefused(err error) bool {
	return errors.Is(err, resp.ErrNoPerm) || errors.Is(err, resp.ErrUnknownCommand)
}

// addLinked is Add for a record with links, in one round trip.
func (r *Redis) addLinked(ctx context.Context, key string, record []byte, ttl time.Duration) error {
	era, err := r.allow()
	if err != nil {
		return err
	}
	commands := r.enlisting(key, record, r.now())
	n := len(commands)
	commands = append(commands, resp.Command{"SET", r.prefix + key, string(record), "PX", milliseconds(ttl), "NX"})
	replies, err := r.client.Pipeline(ctx, commands)
	forbidden := false
	added := false
	if err == nil {
		added = replies[n].Kind == resp.Status
		err = replies[n].Err()
	}
	if err == nil {
		forbidden, err = enlisted(replies[:n], record)
	}
	if scriptsRefused(err) {
		forbidden, err = r.enlistPlainly(ctx, key, record)
	}
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	if forbidden {
		return r.bury(ctx, key, record)
	}
	if !added {
		return ErrExists
	}
	r.announce(key)
	return nil
}

func (r *Redis) enlistPlainly(ctx context.Context, key string, record []byte) (bool, error) {
	replies, err := r.client.Pipeline(ctx, r.plainEnlisting(key, record, r.now()))
	if err != nil {
		return false, err
	}
	return enlisted(replies, record)
}

// bury revokes a record for which a revocation came first.
func (r *Redis) bury(ctx context.Context, key string, record []byte) error {
	value, ttl := tombstoneOf(record, r.now())
	if ttl < time.Millisecond {
		return ErrConflict
	}
	if err := r.Set(ctx, key, value, ttl); err != nil {
		return err
	}
	return ErrConflict
}

// mergeAll merges items, each as merge does, with few round trips. It returns
// the keys that the server refuses to write, and ErrUnavailable when it could not
// be asked.
func (r *Redis) mergeAll(ctx context.Context, items []holding, now int64) ([]string, error) {
	var refused []string
	for len(items) > 0 {
		n := batch(items)
		err := r.mergeBatch(ctx, items[:n], now)
		if refusal(err) {
			var some []string
			some, err = r.mergeSingly(ctx, items[:n], now)
			refused = append(refused, some...)
		}
		if err != nil {
			return nil, err
		}
		items = items[n:]
	}
	return refused, nil
}

// refusal reports whether err says that the server serves, but not this.
func refusal(err error) bool {
	return err != nil && outcome(context.Background(), err) == circuitbreaker.Success
}

// Bounds of one round trip of mergeAll.
const (
	batchItems = 64
	batchBytes = 256 << 10
)

// batch is how many of items make one round trip.
func batch(items []holding) int {
	n := 1
	size := len(items[0].value)
	for n < len(items) && n < batchItems && size+len(items[n].value) <= batchBytes {
		size += len(items[n].value)
		n++
	}
	return n
}

// A part is where the commands for one item stand in a pipeline: those that enlist
// it, and the one that merges it.
type part struct {
	item       holding
	first, end int
}

// mergeBatch merges items in one round trip, and buries those that a note forbids.
func (r *Redis) mergeBatch(ctx context.Context, items []holding, now int64) error {
	era, err := r.allow()
	if err != nil {
		return err
	}
	var commands []resp.Command
	var parts []part
	for _, x := range items {
		ttl := time.Duration(x.expires - now)
		if ttl < time.Millisecond {
			continue
		}
		first := len(commands)
		if isLinked(x.value) {
			commands = append(commands, r.enlisting(x.key, x.value, r.now())...)
		}
		full := r.prefix + x.key
		parts = append(parts, part{item: x, first: first, end: len(commands)})
		commands = append(commands, append(resp.Command{"EVAL", mergeLua, "1", full}, scriptArgs(full, x.value, ttl, 0)...))
	}
	replies, err := r.client.Pipeline(ctx, commands)
	for i := 0; err == nil && i < len(replies); i++ {
		err = replies[i].Err()
	}
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	return r.buryForbidden(ctx, parts, replies)
}

func (r *Redis) buryForbidden(ctx context.Context, parts []part, replies []resp.Reply) error {
	for _, p := range parts {
		forbidden, err := enlisted(replies[p.first:p.end], p.item.value)
		if err == nil && forbidden {
			err = r.bury(ctx, p.item.key, p.item.value)
		}
		if err != nil && !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return nil
}

// mergeSingly merges items where some are refused, or scripts are.
func (r *Redis) mergeSingly(ctx context.Context, items []holding, now int64) ([]string, error) {
	var refused []string
	for _, x := range items {
		ttl := time.Duration(x.expires - now)
		if ttl < time.Millisecond {
			continue
		}
		err := r.mergeOne(ctx, x, ttl)
		if refusal(err) {
			refused = append(refused, x.key)
		} else if err != nil {
			return nil, err
		}
	}
	return refused, nil
}

func (r *Redis) mergeOne(ctx context.Context, x holding, ttl time.Duration) error {
	if isLinked(x.value) {
		era, err := r.allow()
		if err != nil {
			return err
		}
		forbidden, err := r.enlistPlainly(ctx, x.key, x.value)
		if err = r.done(ctx, era, err); err != nil {
			return err
		}
		if forbidden {
			err = r.bury(ctx, x.key, x.value)
			if errors.Is(err, ErrConflict) {
				return nil
			}
			return err
		}
	}
	_, err := r.merge(ctx, x.key, x.value, ttl)
	return err
}
