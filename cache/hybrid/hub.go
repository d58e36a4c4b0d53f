package hybrid

import (
	"context"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// A hub is shared by the parts of a Hybrid. They refer to it and to parts before them,
// never in a circle, because the interpreter mixes up types that do.
type hub struct {
	now       func() time.Time
	observer  Observer
	up        *upstream
	local     *local
	worker    *worker
	followers *cache.Followers // the stores that replace this one

	// mu guards the fields below and those of the parts, so that a decision and the
	// change of memory that follows from it are one.
	mu       *sync.Mutex
	watchers []cache.Watcher
	stats    *counts
}

// counts are numbers of reads, and of those that memory did not serve.
type counts struct {
	requests, misses uint64
}

func (h *hub) announceAll() {
	h.mu.Lock()
	watchers := h.watchers
	h.mu.Unlock()
	cache.AnnounceAll(watchers)
}

func (h *hub) observe(e Event, cause error) {
	if h.observer != nil {
		h.observer.Observe(e, cause)
	}
}

// unlockAndAnnounce releases the lock, and announces a change that took effect.
func (h *hub) unlockAndAnnounce(key string, err error) error {
	watchers := h.watchers
	h.mu.Unlock()
	if cache.Applied(err) {
		cache.Announce(watchers, key)
	}
	return err
}

func (h *hub) kick() {
	h.mu.Lock()
	h.worker.urge()
	h.mu.Unlock()
}

// compare handles the identity of the Redis server that responds now. All values are read
// again after a change of the server or the data set. They are read again too if the
// invalidation link leads to another server than the commands.
func (h *hub) compare(now cache.Identity) {
	link := h.up.tracker.Server()
	apart := link != "" && now.Run != "" && link != now.Run
	h.mu.Lock()
	met := h.up.met
	other := met && (now.Run != h.up.known.Run || now.DataSet != h.up.known.DataSet)
	evicts := met && now.Evicts != "" && h.up.known.Evicts == ""
	if met {
		h.up.known.Evicts = now.Evicts
	}
	if other || apart {
		h.up.checked = false
		h.local.stale()
	}
	h.mu.Unlock()
	if evicts {
		h.observe(MayEvict, nil)
	}
	if apart {
		h.up.tracker.Reconnect()
		h.up.redis.Client.Reconnect()
	}
	if other || apart {
		h.announceAll()
		h.kick()
	}
}

// publish announces a change to the other replicas. A replica that misses the message
// reads the value again after L1TTL.
func (h *hub) publish(key string) {
	h.mu.Lock()
	publishes := h.up.publishes
	h.mu.Unlock()
	if publishes && kept(key) {
		_, _ = h.up.redis.Client.Do(context.Background(), "PUBLISH", h.up.redis.Prefix+changesChannel, h.up.redis.Prefix+key)
	}
}

func newHub(o Options) *hub {
	h := &hub{now: o.Memory.Now, observer: o.Observer, mu: &sync.Mutex{}, stats: &counts{}, followers: &cache.Followers{}}
	h.local = newLocal(o)
	h.worker = &worker{mu: h.mu, journal: h.local.journal}
	h.local.work = h.worker
	return h
}
