package cache

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/resp"
)

// Bounds of one Trim.
const (
	trimReads = 1024 // records that are looked at
	trimEnds  = 64   // records that are ended
)

// A listing is a live record that an index lists.
type listing struct {
	member member
	issued int64 // in s since 1970
}

func checkTrim(link string, most int) error {
	if len(link) != LinkSize || most < 1 {
		return fmt.Errorf("%w: link or number of a trim", ErrInvalid)
	}
	return nil
}

// oldest are those of the live records that were issued first, without newest, as
// many as there are more than most.
func oldest(live []listing, most int, newest string) []listing {
	excess := len(live) - most
	if excess > trimEnds {
		excess = trimEnds
	}
	var found []listing
	left := append([]listing{}, live...)
	for len(found) < excess {
		first := -1
		for i := range left {
			if left[i].member.key != newest && (first < 0 || left[i].issued < left[first].issued) {
				first = i
			}
		}
		if first < 0 {
			return found
		}
		found = append(found, left[first])
		left[first] = left[len(left)-1]
		left = left[:len(left)-1]
	}
	return found
}

// Trim removes the records: what is absent cannot come back.
func (m *Memory) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	if err := checkTrim(link, most); err != nil {
		return 0, err
	}
	now := m.now().UnixNano()
	var live []listing
	m.mu.Lock()
	index := m.lru.links[link]
	for i := 0; len(index) > most && i < len(index) && i < trimReads; i++ {
		if e := index[i]; e.expires > now {
			live = append(live, listing{member: member{key: e.key}, issued: issuedOf(e.value)})
		}
	}
	m.mu.Unlock()
	ended := oldest(live, most, newest)
	for _, x := range ended {
		if err := m.Delete(ctx, x.member.key); err != nil {
			return 0, err
		}
	}
	return len(ended), nil
}

// Trim writes tombstones over the records.
func (r *Redis) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	written, err := r.trim(ctx, link, most, newest)
	return len(written), err
}

// trim returns the tombstones that were written.
func (r *Redis) trim(ctx context.Context, link string, most int, newest string) ([]holding, error) {
	if err := checkTrim(link, most); err != nil {
		return nil, err
	}
	n, err := r.listed(ctx, link)
	if err != nil || n <= most {
		return nil, err
	}
	members, err := r.allMembers(ctx, link)
	if err != nil {
		return nil, err
	}
	live, over, err := r.headers(ctx, members)
	if err != nil {
		return nil, err
	}
	ended := oldest(live, most, newest)
	v := Revocation{Link: link, Mark: link, TTL: time.Second, Unproven: true}
	var victims []member
	for _, x := range ended {
		victims = append(victims, x.member)
		over = append(over, x.member)
		if at := time.Unix(x.issued, 0); at.After(v.Before) {
			v.Before = at
		}
	}
	written, err := r.revokeMembers(ctx, v, victims)
	if err == nil && len(over) > 0 {
		err = r.delist(ctx, link, over)
	}
	return written, err
}

// listed is how many records an index lists, also such as are over.
func (r *Redis) listed(ctx context.Context, link string) (int, error) {
	era, err := r.allow()
	if err != nil {
		return 0, err
	}
	reply, err := r.client.Do(ctx, "ZCARD", r.prefix+indexKey(link))
	var n int64
	if err == nil {
		n, err = reply.Integer()
	}
	return int(n), r.done(ctx, era, err)
}

// allMembers are the members of an index, each once, as far as trimReads goes.
func (r *Redis) allMembers(ctx context.Context, link string) ([]member, error) {
	seen := map[string]bool{}
	var all []member
	cursor := "0"
	for {
		next, found, err := r.members(ctx, link, cursor)
		if err != nil {
			return nil, err
		}
		for _, x := range found {
			if !seen[x.key] && len(all) < trimReads {
				seen[x.key] = true
				all = append(all, x)
			}
		}
		if next == "0" || len(all) >= trimReads {
			return all, nil
		}
		cursor = next
	}
}

// headers reads what has become of the records that an index lists: those that are
// live, and those that are revoked. One that is not there may be on its way to be
// stored, and stays listed.
func (r *Redis) headers(ctx context.Context, members []member) ([]listing, []member, error) {
	var live []listing
	var revoked []member
	for len(members) > 0 {
		n := 4 * batchItems
		if n > len(members) {
			n = len(members)
		}
		var commands []resp.Command
		for _, x := range members[:n] {
			commands = append(commands, resp.Command{"GETRANGE", r.prefix + x.key, "0", strconv.Itoa(HeaderSize - 1)})
		}
		era, err := r.allow()
		if err != nil {
			return nil, nil, err
		}
		replies, err := r.client.Pipeline(ctx, commands)
		for i := 0; err == nil && i < len(replies); i++ {
			var b []byte
			b, err = replies[i].Bytes()
			switch {
			case len(b) < HeaderSize || b[0] != recordFormat:
			case State(b[2]) == Live:
				live = append(live, listing{member: members[i], issued: issuedOf(b)})
			case State(b[2]) == Revoked:
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

// delist takes records that are revoked out of an index.
func (r *Redis) delist(ctx context.Context, link string, over []member) error {
	command := resp.Command{"ZREM", r.prefix + indexKey(link)}
	for _, x := range over {
		command = append(command, strings.TrimPrefix(x.key, "s:"))
	}
	era, err := r.allow()
	if err != nil {
		return err
	}
	reply, err := r.client.Do(ctx, command...)
	if err == nil {
		err = reply.Err()
	}
	return r.done(ctx, era, err)
}

// Trim asks L2, whose index is that of all replicas. Without L2 nothing is ended: the
// next sign-in sees to it.
func (h *Hybrid) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	h.mu.Lock()
	fallback := h.fallback
	h.mu.Unlock()
	if fallback {
		return 0, checkTrim(link, most)
	}
	written, err := h.l2.trim(context.Background(), link, most, newest)
	h.revoked(written)
	return len(written), err
}
