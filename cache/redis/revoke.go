package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/resp"
)

// revokeLua is Revocation.Covers for a record, and the tombstone over it. It returns 1
// when the tombstone was written. A record that is listed and absent may be on its way.
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

// revokeFallback does the same as revokeScript.
type revokeFallback struct{}

// Decide implements resp.Fallback.
func (f *revokeFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	stored := values[0]
	if stored != nil {
		latest := int64(versionFrom(args[2]))
		if cache.KindOf(stored) != cache.LiveRecord || cache.IssuedOf(stored) > latest || !cache.Linked(stored, args[3]) || args[4] != "" && !cache.Linked(stored, args[4]) {
			return nil, answer(0), nil
		}
	}
	return []resp.Command{{"SET", args[5], args[0], "PX", args[1]}}, answer(1), nil
}

// Revoke writes the revocation entries, then reads their indexes and writes tombstones.
func (r *Redis) Revoke(ctx context.Context, revocations []cache.Revocation) error {
	_, err := r.RevokeListed(ctx, revocations)
	return err
}

// RevokeListed is Revoke, and returns the tombstones that were written.
func (r *Redis) RevokeListed(ctx context.Context, revocations []cache.Revocation) ([]cache.Holding, error) {
	var written []cache.Holding
	for _, v := range revocations {
		if err := v.Check(); err != nil {
			return written, err
		}
		some, err := revokerOf(r).revokeOne(ctx, v)
		written = append(written, some...)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (k *revoker) revokeOne(ctx context.Context, v cache.Revocation) ([]cache.Holding, error) {
	r := k.r
	cursor, members, err := k.writeAndList(ctx, v)
	if err != nil {
		return nil, err
	}
	var written []cache.Holding
	for {
		some, err := k.revokeMembers(ctx, v, members)
		written = append(written, some...)
		if err != nil || cursor == "0" {
			return written, err
		}
		cursor, members, err = indexOf(r).members(ctx, v.Link, cursor)
		if err != nil {
			return written, err
		}
	}
}

// writeAndList writes a revocation entry and reads the first page of its index, in that
// order and in one round trip.
func (k *revoker) writeAndList(ctx context.Context, v cache.Revocation) (string, []cache.Member, error) {
	r := k.r
	if v.Unproven {
		return indexOf(r).members(ctx, v.Link, "0")
	}
	era, err := r.allow()
	if err != nil {
		return "", nil, err
	}
	full := r.Prefix + cache.RevocationKey(v.Name)
	replies, err := r.Client.Pipeline(ctx, []resp.Command{
		append(resp.Command{"EVAL", mergeLua, "1", full}, scriptArgs(full, v.Record(r.now()), v.TTL, 0)...),
		indexOf(r).scanning(v.Link, "0"),
	})
	if err == nil {
		err = replies[0].Err()
	}
	cursor := ""
	var found []cache.Member
	if err == nil {
		cursor, found, err = membersOf(replies[1])
	}
	if scriptsRefused(err) {
		_ = r.done(ctx, era, err)
		if _, err := r.Merge(ctx, cache.RevocationKey(v.Name), v.Record(r.now()), v.TTL); err != nil {
			return "", nil, err
		}
		return indexOf(r).members(ctx, v.Link, "0")
	}
	return cursor, found, r.done(ctx, era, err)
}

// revokeMembers writes tombstones over the members that v covers.
func (k *revoker) revokeMembers(ctx context.Context, v cache.Revocation, members []cache.Member) ([]cache.Holding, error) {
	r := k.r
	var written []cache.Holding
	now := r.now()
	for len(members) > 0 {
		n := BatchItems
		if n > len(members) {
			n = len(members)
		}
		some, err := k.revokeBatch(ctx, v, members[:n], now)
		if scriptsRefused(err) {
			some, err = k.revokeSingly(ctx, v, members[:n], now)
		}
		written = append(written, some...)
		if err != nil {
			return written, err
		}
		members = members[n:]
	}
	return written, nil
}

func (k *revoker) revokeBatch(ctx context.Context, v cache.Revocation, members []cache.Member, now time.Time) ([]cache.Holding, error) {
	r := k.r
	era, err := r.allow()
	if err != nil {
		return nil, err
	}
	var commands []resp.Command
	var sent []cache.Member
	for _, x := range members {
		if left(x, now) <= 0 {
			continue
		}
		sent = append(sent, x)
		commands = append(commands, append(resp.Command{"EVAL", revokeLua, "1", r.Prefix + x.Key}, k.revokeArgs(v, x, now)...))
	}
	replies, err := r.Client.Phases(ctx, [][]resp.Command{commands})
	var written []cache.Holding
	for i := 0; err == nil && i < len(replies); i++ {
		var n int64
		n, err = replies[i].Integer()
		if n == 1 {
			written = append(written, tombstoneOver(sent[i]))
			r.announce(sent[i].Key)
		}
	}
	return written, r.done(ctx, era, err)
}

func (k *revoker) revokeSingly(ctx context.Context, v cache.Revocation, members []cache.Member, now time.Time) ([]cache.Holding, error) {
	r := k.r
	var written []cache.Holding
	for _, x := range members {
		if left(x, now) <= 0 {
			continue
		}
		era, err := r.allow()
		if err != nil {
			return written, err
		}
		reply, err := r.Client.Eval(ctx, revokeScript, []string{r.Prefix + x.Key}, k.revokeArgs(v, x, now))
		var n int64
		if err == nil {
			n, err = reply.Integer()
		}
		if err = r.done(ctx, era, err); err != nil {
			return written, err
		}
		if n == 1 {
			written = append(written, tombstoneOver(x))
			r.announce(x.Key)
		}
	}
	return written, nil
}

// revokeArgs returns the arguments of revokeScript. The last one, the whole key, is only
// for the fallback.
func (k *revoker) revokeArgs(v cache.Revocation, x cache.Member, now time.Time) []string {
	r := k.r
	px := strconv.FormatInt(left(x, now), 10)
	latest := string(versionBytes(uint64(v.Latest())))
	return []string{string(tombstoneOver(x).Value), px, latest, v.Link, v.Also, r.Prefix + x.Key}
}

// A revoker writes tombstones over the records of an index.
type revoker struct {
	r *Redis
}

func revokerOf(r *Redis) *revoker {
	return &revoker{r: r}
}
