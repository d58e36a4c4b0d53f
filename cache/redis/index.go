package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/resp"
)

// An index is a sorted set of record keys, without their s:, by the record's end.
// It lasts as long as any of them may.

// enlistLua adds a member to an index, and removes the members that ended.
const enlistLua = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
`

// index lists records under their index keys in Redis.
type index struct {
	r *Redis
}

// indexOf returns a new index at each use, because the interpreter mixes up types that
// refer to each other.
func indexOf(r *Redis) *index {
	return &index{r: r}
}

// enlisting returns the commands that list a record under its index keys. They come before
// those that read its revocation entries, and these before the write of the record. A
// revocation does the same in the other order, so that one of the two finds the other.
func (x *index) enlisting(key string, record []byte, now time.Time) []resp.Command {
	var commands []resp.Command
	for _, link := range cache.ListedLinks(record) {
		a := x.enlistArgs(key, record, link, now)
		commands = append(commands, resp.Command{"EVAL", enlistLua, "1", a[0], a[1], a[2], a[3], a[4]})
	}
	return commands
}

// plainEnlisting returns the same without scripts. An index then lasts as long as the
// record that was added last.
func (x *index) plainEnlisting(key string, record []byte, now time.Time) []resp.Command {
	var commands []resp.Command
	for _, link := range cache.ListedLinks(record) {
		a := x.enlistArgs(key, record, link, now)
		commands = append(commands, resp.Command{"ZADD", a[0], a[1], a[2]}, resp.Command{"ZREMRANGEBYSCORE", a[0], "-inf", a[3]},
			resp.Command{"PEXPIRE", a[0], a[4]})
	}
	return commands
}

// enlistArgs returns five values: the index, the score, the member, the score up to which
// members ended for certain, and the lifetime of the index.
func (x *index) enlistArgs(key string, record []byte, link string, now time.Time) []string {
	r := x.r
	end := cache.EndOf(record)
	return []string{
		r.Prefix + cache.IndexKey(link), strconv.FormatInt(end, 10), strings.TrimPrefix(key, "s:"),
		strconv.FormatInt(now.Add(-cache.ClockSkew).UnixMilli(), 10),
		strconv.FormatInt(end-now.UnixMilli()+cache.ClockSkew.Milliseconds(), 10),
	}
}

// readingEntries returns the commands that read the revocation entries of a record.
func (x *index) readingEntries(record []byte) []resp.Command {
	r := x.r
	var commands []resp.Command
	for _, link := range cache.LinksOf(record) {
		commands = append(commands, resp.Command{"GET", r.Prefix + cache.RevocationKey(link.Name)})
	}
	return commands
}

// enlisted returns the result of enlisting and reading commands: whether a revocation entry forbids
// the record, or the first error.
func enlisted(replies []resp.Reply, record []byte) (bool, error) {
	forbidden := false
	for i := range replies {
		b, err := replies[i].Bytes()
		switch {
		case replies[i].Kind == resp.Int || errors.Is(err, resp.ErrNil):
		case err != nil:
			return false, err
		case cache.Forbids(b, record):
			forbidden = true
		}
	}
	return forbidden, nil
}

// scriptsRefused reports whether err says that Redis runs no scripts.
func scriptsRefused(err error) bool {
	return errors.Is(err, resp.ErrNoPerm) || errors.Is(err, resp.ErrUnknownCommand)
}

// add is Add for a record with index keys, in one round trip.
func (x *index) add(ctx context.Context, key string, record []byte, ttl time.Duration) error {
	r := x.r
	era, err := r.allow()
	if err != nil {
		return err
	}
	enlists := x.enlisting(key, record, r.now())
	reads := x.readingEntries(record)
	n := len(enlists) + len(reads)
	write := resp.Command{"SET", r.Prefix + key, string(record), "PX", milliseconds(ttl), "NX"}
	replies, err := r.Client.Phases(ctx, [][]resp.Command{enlists, reads, {write}})
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
		forbidden, err = x.enlistPlainly(ctx, key, record)
	}
	if err = r.done(ctx, era, err); err != nil {
		return err
	}
	if forbidden {
		return x.revokeForbidden(ctx, key, record)
	}
	if !added {
		return cache.ErrExists
	}
	r.announce(key)
	return nil
}

func (x *index) enlistPlainly(ctx context.Context, key string, record []byte) (bool, error) {
	r := x.r
	replies, err := r.Client.Phases(ctx, [][]resp.Command{x.plainEnlisting(key, record, r.now()), x.readingEntries(record)})
	if err != nil {
		return false, err
	}
	return enlisted(replies, record)
}

// revokeForbidden revokes a record that came after its revocation.
func (x *index) revokeForbidden(ctx context.Context, key string, record []byte) error {
	r := x.r
	value, ttl := cache.TombstoneOf(record, r.now())
	if ttl < time.Millisecond {
		return cache.ErrConflict
	}
	if err := r.Set(ctx, key, value, ttl); err != nil {
		return err
	}
	return cache.ErrConflict
}

// indexPage is the number of members of an index that are requested at a time.
const indexPage = 1000

func (x *index) scanning(link, cursor string) resp.Command {
	r := x.r
	return resp.Command{"ZSCAN", r.Prefix + cache.IndexKey(link), cursor, "COUNT", strconv.Itoa(indexPage)}
}

// members reads a page of an index, and the cursor of the next one.
func (x *index) members(ctx context.Context, link, cursor string) (string, []cache.Member, error) {
	r := x.r
	era, err := r.allow()
	if err != nil {
		return "", nil, err
	}
	reply, err := r.Client.Do(ctx, x.scanning(link, cursor)...)
	next := ""
	var found []cache.Member
	if err == nil {
		next, found, err = membersOf(reply)
	}
	return next, found, r.done(ctx, era, err)
}

func membersOf(reply resp.Reply) (string, []cache.Member, error) {
	if err := reply.Err(); err != nil {
		return "", nil, err
	}
	if reply.Kind != resp.Array || len(reply.Elems) != 2 {
		return "", nil, resp.ErrProtocol
	}
	pairs, err := reply.Elems[1].Strings()
	if err != nil {
		return "", nil, err
	}
	var found []cache.Member
	for i := 0; i+1 < len(pairs); i += 2 {
		end, err := strconv.ParseFloat(pairs[i+1], 64)
		if err == nil && len(pairs[i]) < cache.MaxKey-2 {
			found = append(found, cache.Member{Key: "s:" + pairs[i], End: int64(end)})
		}
	}
	return string(reply.Elems[0].Str), found, nil
}

// left returns the lifetime of a tombstone over x, in ms.
func left(x cache.Member, now time.Time) int64 {
	return x.End - now.UnixMilli() + cache.ClockSkew.Milliseconds()
}

// tombstoneOver returns the tombstone over x.
func tombstoneOver(x cache.Member) cache.Holding {
	end := time.UnixMilli(x.End).Add(cache.ClockSkew)
	return cache.Holding{Key: x.Key, Value: cache.Tombstone(1, end), Expires: end.UnixNano()}
}
