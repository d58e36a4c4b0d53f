package cache

import (
	"context"
	"strconv"
	"time"

	"github.com/traefikoidc/traefikoidc/resp"
)

// indexPage is how many members of an index are asked for at a time.
const indexPage = 1000

// revokeLua is Revocation.covers for a record, and the tombstone over it: 1 when it
// was written. A record that is listed and not there may be on its way.
const revokeLua = writeLua + `
if stored then
  if kind(stored) ~= 'live' or order(string.sub(stored, 28, 35), ARGV[3], 1) > 0 then return 0 end
  local links = string.sub(stored, 37, 36 + 17 * string.byte(stored, 36))
  if not string.find(links, ARGV[4], 1, true) then return 0 end
  if ARGV[5] ~= '' and not string.find(links, ARGV[5], 1, true) then return 0 end
end
redis.call('SET', key, value, 'PX', px)
return 1
`

var revokeScript = resp.NewScript(revokeLua, true, &revokeFallback{})

// revokeFallback does what revokeScript does.
type revokeFallback struct{}

// Decide implements resp.Fallback.
func (f *revokeFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	stored := values[0]
	if stored != nil {
		latest := int64(versionFrom(args[2]))
		if kindOf(stored) != liveRecord || issuedOf(stored) > latest || !linked(stored, args[3]) || args[4] != "" && !linked(stored, args[4]) {
			return nil, answer(0), nil
		}
	}
	return []resp.Command{{"SET", args[5], args[0], "PX", args[1]}}, answer(1), nil
}

// Revoke notes the revocations, then reads their indexes and writes tombstones.
func (r *Redis) Revoke(ctx context.Context, revocations []Revocation) error {
	_, err := r.revoke(ctx, revocations)
	return err
}

// revoke returns the tombstones that were written.
func (r *Redis) revoke(ctx context.Context, revocations []Revocation) ([]holding, error) {
	var written []holding
	for _, v := range revocations {
		if err := v.check(); err != nil {
			return written, err
		}
		some, err := r.revokeOne(ctx, v)
		written = append(written, some...)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (r *Redis) revokeOne(ctx context.Context, v Revocation) ([]holding, error) {
	cursor, members, err := r.noteAndList(ctx, v)
	if err != nil {
		return nil, err
	}
	var written []holding
	for {
		some, err := r.revokeMembers(ctx, v, members)
		written = append(written, some...)
		if err != nil || cursor == "0" {
			return written, err
		}
		cursor, members, err = r.members(ctx, v.Link, cursor)
		if err != nil {
			return written, err
		}
	}
}

// noteAndList notes a revocation and reads the first page of its index, in that
// order and in one round trip.
func (r *Redis) noteAndList(ctx context.Context, v Revocation) (string, []member, error) {
	if v.Unproven {
		return r.members(ctx, v.Link, "0")
	}
	era, err := r.allow()
	if err != nil {
		return "", nil, err
	}
	full := r.prefix + noteKey(v.Mark)
	replies, err := r.client.Pipeline(ctx, []resp.Command{
		append(resp.Command{"EVAL", mergeLua, "1", full}, scriptArgs(full, v.note(r.now()), v.TTL, 0)...),
		r.scanning(v.Link, "0"),
	})
	if err == nil {
		err = replies[0].Err()
	}
	cursor := ""
	var found []member
	if err == nil {
		cursor, found, err = membersOf(replies[1])
	}
	if scriptsRefused(err) {
		_ = r.done(ctx, era, err)
		if _, err := r.merge(ctx, noteKey(v.Mark), v.note(r.now()), v.TTL); err != nil {
			return "", nil, err
		}
		return r.members(ctx, v.Link, "0")
	}
	return cursor, found, r.done(ctx, era, err)
}

// A member is a record that an index lists.
type member struct {
	key string
	end int64 // of the record, in ms since 1970
}

func (r *Redis) scanning(link, cursor string) resp.Command {
	return resp.Command{"ZSCAN", r.prefix + indexKey(link), cursor, "COUNT", strconv.Itoa(indexPage)}
}

// members reads a page of an index, and the cursor of the next one.
func (r *Redis) members(ctx context.Context, link, cursor string) (string, []member, error) {
	era, err := r.allow()
	if err != nil {
		return "", nil, err
	}
	reply, err := r.client.Do(ctx, r.scanning(link, cursor)...)
	next := ""
	var found []member
	if err == nil {
		next, found, err = membersOf(reply)
	}
	return next, found, r.done(ctx, era, err)
}

func membersOf(reply resp.Reply) (string, []member, error) {
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
	var found []member
	for i := 0; i+1 < len(pairs); i += 2 {
		end, err := strconv.ParseFloat(pairs[i+1], 64)
		if err == nil && len(pairs[i]) < MaxKey-2 {
			found = append(found, member{key: "s:" + pairs[i], end: int64(end)})
		}
	}
	return string(reply.Elems[0].Str), found, nil
}

// revokeMembers writes tombstones over those of the members that v is about.
func (r *Redis) revokeMembers(ctx context.Context, v Revocation, members []member) ([]holding, error) {
	var written []holding
	now := r.now()
	for len(members) > 0 {
		n := batchItems
		if n > len(members) {
			n = len(members)
		}
		some, err := r.revokeBatch(ctx, v, members[:n], now)
		if scriptsRefused(err) {
			some, err = r.revokeSingly(ctx, v, members[:n], now)
		}
		written = append(written, some...)
		if err != nil {
			return written, err
		}
		members = members[n:]
	}
	return written, nil
}

func (r *Redis) revokeBatch(ctx context.Context, v Revocation, members []member, now time.Time) ([]holding, error) {
	era, err := r.allow()
	if err != nil {
		return nil, err
	}
	var commands []resp.Command
	var asked []member
	for _, x := range members {
		if x.left(now) <= 0 {
			continue
		}
		asked = append(asked, x)
		commands = append(commands, append(resp.Command{"EVAL", revokeLua, "1", r.prefix + x.key}, r.revokeArgs(v, x, now)...))
	}
	replies, err := r.client.Pipeline(ctx, commands)
	var written []holding
	for i := 0; err == nil && i < len(replies); i++ {
		var n int64
		n, err = replies[i].Integer()
		if n == 1 {
			written = append(written, asked[i].tombstone())
			r.announce(asked[i].key)
		}
	}
	return written, r.done(ctx, era, err)
}

func (r *Redis) revokeSingly(ctx context.Context, v Revocation, members []member, now time.Time) ([]holding, error) {
	var written []holding
	for _, x := range members {
		if x.left(now) <= 0 {
			continue
		}
		era, err := r.allow()
		if err != nil {
			return written, err
		}
		reply, err := r.client.Eval(ctx, revokeScript, []string{r.prefix + x.key}, r.revokeArgs(v, x, now))
		var n int64
		if err == nil {
			n, err = reply.Integer()
		}
		if err = r.done(ctx, era, err); err != nil {
			return written, err
		}
		if n == 1 {
			written = append(written, x.tombstone())
			r.announce(x.key)
		}
	}
	return written, nil
}

// left is how long a tombstone over x has to last, in ms.
func (x member) left(now time.Time) int64 {
	return x.end - now.UnixMilli() + ClockSkew.Milliseconds()
}

func (x member) tombstone() holding {
	end := time.UnixMilli(x.end).Add(ClockSkew)
	return holding{key: x.key, value: tombstone(1, end), expires: end.UnixNano()}
}

// revokeArgs end with what only the fallback needs: the whole key.
func (r *Redis) revokeArgs(v Revocation, x member, now time.Time) []string {
	px := strconv.FormatInt(x.left(now), 10)
	latest := string(versionBytes(uint64(v.latest())))
	return []string{string(x.tombstone().value), px, latest, v.Link, v.Also, r.prefix + x.key}
}
