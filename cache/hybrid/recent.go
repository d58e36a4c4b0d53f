package hybrid

import (
	"container/list"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

const (
	// recentSpan is the time for which a write is kept that a failover may lose.
	// Replication is asynchronous, and an old master accepts writes until it learns that
	// it is none.
	recentSpan = 30 * time.Second
	// recentBytes bounds the size of the kept writes.
	recentBytes = 16 << 20
)

// A recent keeps the latest writes that Redis has confirmed, to give them to the master
// that follows it. A nil recent keeps none. The lock of the Hybrid guards it.
type recent struct {
	list  *list.List // of *confirmed, the oldest first
	bytes int64
}

type confirmed struct {
	holding cache.Holding
	at      time.Time
}

func newRecent() *recent {
	return &recent{list: list.New()}
}

// put keeps a write that was confirmed now.
func (r *recent) put(c cache.Change, now time.Time) {
	if r == nil {
		return
	}
	if c.Op == cache.OpDelete {
		r.drop(c.Key)
		return
	}
	x := &confirmed{at: now, holding: cache.Holding{Key: c.Key, Value: c.Value, Expires: now.Add(c.TTL).UnixNano()}}
	r.list.PushBack(x)
	r.bytes += cache.Cost(c.Key, c.Value)
	r.trim(now)
}

// trim drops writes that are too old or too many.
func (r *recent) trim(now time.Time) {
	for first := r.list.Front(); first != nil; first = r.list.Front() {
		x := first.Value.(*confirmed)
		if r.bytes <= recentBytes && now.Sub(x.at) <= recentSpan {
			return
		}
		r.remove(first)
	}
}

// drop drops the writes of a key.
func (r *recent) drop(key string) {
	for at := r.list.Front(); at != nil; {
		next := at.Next()
		if at.Value.(*confirmed).holding.Key == key {
			r.remove(at)
		}
		at = next
	}
}

// clear drops all writes, because an operator flushed them.
func (r *recent) clear() {
	if r == nil {
		return
	}
	r.list.Init()
	r.bytes = 0
}

func (r *recent) remove(at *list.Element) {
	x := at.Value.(*confirmed)
	r.list.Remove(at)
	r.bytes -= cache.Cost(x.holding.Key, x.holding.Value)
}

// add appends the kept writes to held, by class. The rule of records decides among
// several writes of a key.
func (r *recent) add(held *[cache.Classes][]cache.Holding, now time.Time) {
	if r == nil {
		return
	}
	r.trim(now)
	for at := r.list.Front(); at != nil; at = at.Next() {
		x := at.Value.(*confirmed)
		c := cache.ClassOf(x.holding.Key, x.holding.Value)
		held[c] = append(held[c], x.holding)
	}
}
