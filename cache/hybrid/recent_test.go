package hybrid

import (
	"strconv"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
)

// The writes that a failover may lose are given to the next master by class, as long as
// they are recent.
func TestRecentWrites(t *testing.T) {
	r := newRecent()
	now := time.Unix(1000, 0)
	live, revoked := cachetest.Record(cache.Live, 1, "payload"), cachetest.Record(cache.Revoked, 2, "")
	r.put(cache.Change{Op: cache.OpSet, Key: "s:old", Value: live, TTL: time.Hour}, now)
	now = now.Add(recentSpan + time.Second)
	r.put(cache.Change{Op: cache.OpSet, Key: "s:live", Value: live, TTL: time.Hour}, now)
	r.put(cache.Change{Op: cache.OpSet, Key: "s:ended", Value: revoked, TTL: time.Hour}, now)
	r.put(cache.Change{Op: cache.OpAdd, Key: "j:used", Value: []byte("nonce"), TTL: time.Hour}, now)
	r.put(cache.Change{Op: cache.OpSet, Key: "s:gone", Value: live, TTL: time.Hour}, now)
	r.put(cache.Change{Op: cache.OpDelete, Key: "s:gone"}, now)
	var held [cache.Classes][]cache.Holding
	r.add(&held, now)
	for class, want := range map[cache.Class]string{cache.Revocations: "s:ended", cache.Markers: "j:used", cache.Others: "s:live"} {
		if len(held[class]) != 1 || held[class][0].Key != want || held[class][0].Expires != now.Add(time.Hour).UnixNano() {
			t.Errorf("class %d: %+v, want only %s", class, held[class], want)
		}
	}
}

func TestRecentWritesAreBounded(t *testing.T) {
	r := newRecent()
	now := time.Unix(1000, 0)
	value := make([]byte, 1<<20)
	for i := 0; i < 100; i++ {
		r.put(cache.Change{Op: cache.OpSet, Key: "s:" + strconv.Itoa(i), Value: value, TTL: time.Hour}, now)
	}
	if r.bytes > recentBytes || r.list.Len() < 10 {
		t.Errorf("%d bytes in %d writes", r.bytes, r.list.Len())
	}
	if r.clear(); r.bytes != 0 || r.list.Len() != 0 {
		t.Errorf("%d bytes in %d writes are left", r.bytes, r.list.Len())
	}
	var none *recent
	none.put(cache.Change{Op: cache.OpSet, Key: "s:k", Value: value}, now)
	none.add(nil, now)
	none.clear()
}
