package drive

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

var issued = time.Unix(1700000000, 0)

// linked is a record of the session sid of the user g.
func linked(version uint64, sid string, g int) []byte {
	end := time.Now().Add(time.Hour)
	user := fmt.Sprintf("user %11d", g)
	h := cache.Header{KeyID: 1, State: cache.Live, Version: version, Expiry: end, End: end, Issued: issued, Links: []cache.Link{
		{Name: fmt.Sprintf("%-16s", sid), Listed: true}, {Name: user, Listed: true},
	}}
	return append(cache.AppendHeader(nil, h), sid...)
}

func revocation(sid, user string) []cache.Revocation {
	r := cache.Revocation{Link: fmt.Sprintf("%-16s", sid), Before: issued, TTL: time.Minute}
	r.Name = r.Link
	if user != "" {
		r.Also = user
		r.Name = fmt.Sprintf("%-16s", "+"+sid)
	}
	return []cache.Revocation{r}
}

// lifeOfGrant creates two sessions of g, refreshes one of them under a lease, and revokes
// the other.
func lifeOfGrant(b cache.Backend, g int) string {
	ctx := context.Background()
	n := strconv.Itoa(g)
	kept, ended := "s:{k}kept"+n, "s:{e}ended"+n
	for _, key := range []string{kept, ended} {
		if err := b.Add(ctx, key, linked(1, key[5:], g), time.Hour); err != nil {
			return key + ": " + err.Error()
		}
	}
	if wrong := refreshed(b, kept, g); wrong != "" {
		return kept + ": " + wrong
	}
	if err := b.Revoke(ctx, revocation(ended[5:], fmt.Sprintf("user %11d", g+1))); err != nil {
		return ended + ": " + err.Error()
	}
	if v, err := b.Get(ctx, ended); err != nil || string(v) != string(linkedAs(v, ended[5:], g)) {
		return ended + ": ended for another user"
	}
	if err := b.Revoke(ctx, revocation(ended[5:], fmt.Sprintf("user %11d", g))); err != nil {
		return ended + ": " + err.Error()
	}
	v, err := b.Get(ctx, ended)
	if h, _, e := cache.ParseRecord(v); err != nil || e != nil || h.State != cache.Revoked {
		return ended + ": not revoked"
	}
	v, err = b.Get(ctx, kept)
	if h, payload, e := cache.ParseRecord(v); err != nil || e != nil || h.State != cache.Live || h.Version != 2 || string(payload) != kept[5:] {
		return kept + ": not as it was refreshed"
	}
	return trimmed(b, g)
}

// trimmed gives one user three sessions. Two of them may stay.
func trimmed(b cache.Backend, g int) string {
	ctx := context.Background()
	n := strconv.Itoa(g)
	keys := []string{"s:{a}a" + n, "s:{b}b" + n, "s:{c}c" + n}
	for i, key := range keys {
		if err := b.Add(ctx, key, linked(1, key[5:], 1000000+g), time.Hour); err != nil {
			return key + ": " + err.Error()
		}
		ended, err := b.Trim(ctx, fmt.Sprintf("user %11d", 1000000+g), 2, key)
		if err != nil || ended != i/2 {
			return key + ": trimmed " + strconv.Itoa(ended)
		}
	}
	left := 0
	for _, key := range keys {
		v, err := b.Get(ctx, key)
		if h, _, e := cache.ParseRecord(v); err == nil && e == nil && h.State == cache.Live && string(linkedAs(v, key[5:], 1000000+g)) == string(v) {
			left++
		}
		if err := b.Delete(ctx, key); err != nil {
			return key + ": " + err.Error()
		}
	}
	if left != 2 {
		return n + ": " + strconv.Itoa(left) + " are left"
	}
	return ""
}

// linkedAs is the record that v ought to be: linked, with v's own times.
func linkedAs(v []byte, sid string, g int) []byte {
	h, payload, err := cache.ParseRecord(v)
	if err != nil || string(payload) != sid || h.Links[1].Name != fmt.Sprintf("user %11d", g) {
		return nil
	}
	return v
}

func refreshed(b cache.Backend, key string, g int) string {
	ctx := context.Background()
	l := cache.Lease{Record: key, Version: 1, Grant: "grant of " + key, Owner: strconv.Itoa(g), TTL: time.Minute, Keep: time.Hour}
	v, err := b.Acquire(ctx, l)
	if err != nil {
		return "acquire: " + err.Error()
	}
	if _, payload, err := cache.ParseRecord(v); err != nil || string(payload) != key[5:] {
		return "acquired another record: " + string(payload)
	}
	other := l
	other.Owner = "another"
	if _, err := b.Acquire(ctx, other); !errors.Is(err, cache.ErrExists) {
		return "acquired twice"
	}
	if err := b.Prolong(ctx, l); err != nil {
		return "prolong: " + err.Error()
	}
	if err := b.CompareAndSet(ctx, key, 1, linked(2, key[5:], g), time.Hour); err != nil {
		return "refresh: " + err.Error()
	}
	if err := b.Release(ctx, l, false); err != nil {
		return "release: " + err.Error()
	}
	other.Version = 2
	if _, err := b.Acquire(ctx, other); !errors.Is(err, cache.ErrSpent) {
		return "a used grant was given again"
	}
	return ""
}
