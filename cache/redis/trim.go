package redis

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Trim writes tombstones over the records.
func (r *Redis) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	written, err := r.TrimListed(ctx, link, most, newest)
	return len(written), err
}

// TrimListed returns the tombstones that were written.
func (r *Redis) TrimListed(ctx context.Context, link string, most int, newest string) ([]cache.Holding, error) {
	if err := cache.CheckTrim(link, most); err != nil {
		return nil, err
	}
	n, err := indexOf(r).listed(ctx, link)
	if err != nil || n <= most {
		return nil, err
	}
	members, err := indexOf(r).allMembers(ctx, link)
	if err != nil {
		return nil, err
	}
	live, over, err := indexOf(r).headers(ctx, members)
	if err != nil {
		return nil, err
	}
	ended := cache.Oldest(live, most, newest)
	v := cache.Revocation{Link: link, Name: link, TTL: time.Second, Unproven: true}
	var victims []cache.Member
	for _, x := range ended {
		victims = append(victims, x)
		over = append(over, x)
		if at := time.Unix(x.Issued, 0); at.After(v.Before) {
			v.Before = at
		}
	}
	written, err := revokerOf(r).revokeMembers(ctx, v, victims)
	if err == nil && len(over) > 0 {
		err = indexOf(r).delist(ctx, link, over)
	}
	return written, err
}

// listed returns the number of records in an index, ended ones included.
func (x *index) listed(ctx context.Context, link string) (int, error) {
	r := x.r
	era, err := r.allow()
	if err != nil {
		return 0, err
	}
	reply, err := r.Client.Do(ctx, "ZCARD", r.Prefix+cache.IndexKey(link))
	var n int64
	if err == nil {
		n, err = reply.Integer()
	}
	return int(n), r.done(ctx, era, err)
}

// allMembers returns the members of an index, each once, up to TrimReads of them.
func (x *index) allMembers(ctx context.Context, link string) ([]cache.Member, error) {
	seen := map[string]bool{}
	var all []cache.Member
	cursor := "0"
	for {
		next, found, err := x.members(ctx, link, cursor)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if !seen[m.Key] && len(all) < cache.TrimReads {
				seen[m.Key] = true
				all = append(all, m)
			}
		}
		if next == "0" || len(all) >= cache.TrimReads {
			return all, nil
		}
		cursor = next
	}
}

// headers reads the state of the records that an index lists. It returns the live ones
// and the revoked ones. An absent one may be on its way to be stored, and stays listed.
func (x *index) headers(ctx context.Context, members []cache.Member) ([]cache.Member, []cache.Member, error) {
	r := x.r
	var live []cache.Member
	var revoked []cache.Member
	for len(members) > 0 {
		n := 4 * BatchItems
		if n > len(members) {
			n = len(members)
		}
		var commands []resp.Command
		for _, m := range members[:n] {
			commands = append(commands, resp.Command{"GETRANGE", r.Prefix + m.Key, "0", strconv.Itoa(cache.HeaderSize - 1)})
		}
		era, err := r.allow()
		if err != nil {
			return nil, nil, err
		}
		replies, err := r.Client.Phases(ctx, [][]resp.Command{commands})
		for i := 0; err == nil && i < len(replies); i++ {
			var b []byte
			b, err = replies[i].Bytes()
			switch {
			case len(b) < cache.HeaderSize || b[0] != cache.RecordFormat:
			case cache.State(b[2]) == cache.Live:
				live = append(live, cache.Member{Key: members[i].Key, End: members[i].End, Issued: cache.IssuedOf(b)})
			case cache.State(b[2]) == cache.Revoked:
				revoked = append(revoked, members[i])
			}
		}
		if err = r.done(ctx, era, err); err != nil {
			return nil, nil, err
		}
		members = members[n:]
	}
	return live, revoked, nil
}

// delist removes revoked records from an index.
func (x *index) delist(ctx context.Context, link string, over []cache.Member) error {
	r := x.r
	command := resp.Command{"ZREM", r.Prefix + cache.IndexKey(link)}
	for _, m := range over {
		command = append(command, strings.TrimPrefix(m.Key, "s:"))
	}
	era, err := r.allow()
	if err != nil {
		return err
	}
	reply, err := r.Client.Do(ctx, command...)
	if err == nil {
		err = reply.Err()
	}
	return r.done(ctx, era, err)
}
