package hybrid

import (
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// An upstream is one data set in Redis (L2). It decides if commands may be sent.
type upstream struct {
	redis   *redis.Redis
	tracker *resp.Links
	// subscriber replaces tracker where Redis refuses tracking.
	subscriber *resp.Tracker
	place      string // of the Redis server: its address, database and prefix

	// The lock of the Hybrid guards the fields below.
	tracking  bool           // invalidations arrive
	publishes bool           // replicas publish changes instead
	fallback  bool           // only memory serves
	met       bool           // Redis has responded once
	known     cache.Identity // of the Redis server from which the held values came
	breaks    uint64         // connections that had broken when it became known
	// Until then Redis may lack, after a loss of data, records that other replicas hold;
	// ns since 1970.
	incomplete int64
	// refusing: Redis serves and refuses writes. turn counts the notes that were tried
	// since.
	refusing bool
	turn     int
	// checked says that Redis was checked since the link to it came up. Until unproven,
	// leases that are being prolonged may be missing there; ns since 1970.
	checked  bool
	unproven int64
}

// restoring is the time that the other replicas may need to notice a loss of data and to
// give back their records.
const restoring = 3 * time.Second

// prolonging is the time that a holder of a lease may need to notice a restart of Redis
// and to prolong the lease. The restart may have lost it.
const prolonging = 5 * time.Second

// leases reports whether leases are given. A lease that Redis lacks has no holder then.
func (u *upstream) leases(now int64) bool {
	return u.checked && !u.fallback && now >= u.unproven
}

// lacks reports whether Redis had another data set than the known one at a read, or may
// still lack records that other replicas are about to give back.
func (u *upstream) lacks(dataSet string, now time.Time) bool {
	return u.isOther(dataSet) || now.UnixNano() < u.incomplete
}

// isOther reports whether a data set is not the known one, if there is a known one.
func (u *upstream) isOther(dataSet string) bool {
	return u.met && dataSet != u.known.DataSet
}

// isAnother reports whether id is of another process than the known one. If INFO is
// forbidden, any connection that broke since may have led to another one.
func (u *upstream) isAnother(id cache.Identity, breaks uint64) bool {
	if !u.met || id.Run != u.known.Run {
		return u.met
	}
	return id.Run == "" && breaks != u.breaks
}

// agree records the server and its data set, and reports whether one of them changed. The
// count of broken connections is that before id was requested.
func (u *upstream) agree(id cache.Identity, another bool, breaks uint64, now time.Time) bool {
	changed := !u.met || another || id.DataSet != u.known.DataSet
	if another {
		u.unproven = now.Add(prolonging).UnixNano()
		if id.DataSet != u.known.DataSet || u.redis.Client.InCluster() {
			u.incomplete = now.Add(restoring).UnixNano()
		}
	}
	u.checked = true
	u.met = true
	u.known = id
	u.breaks = breaks
	return changed
}

// restored ends the fallback, if there is one and the breaker is closed.
func (u *upstream) restored() bool {
	if !u.fallback || u.redis.Breaker != nil && u.redis.Breaker.State() != circuitbreaker.Closed {
		return false
	}
	u.fallback = false
	return true
}

// close ends the connections.
func (u *upstream) close() {
	u.tracker.Close()
	u.subscriber.Close()
	u.redis.Close()
}

// newUpstream returns an upstream that reports to others: the breaker's changes to l, and
// changes of keys by tracking or by messages of the other replicas.
func newUpstream(o Options, l circuitbreaker.Listener, tracked, published resp.Invalidations) *upstream {
	server := o.Redis.Server
	o.Redis.Listener = l
	o.Redis.Now = o.Memory.Now
	u := &upstream{redis: redis.New(o.Redis)}
	prefix := u.redis.Prefix
	u.place = fmt.Sprintf("%s %s %d %s", server.Network, server.Address, server.DB, prefix)
	u.tracker = resp.NewLinks(server, []string{prefix + "s:", prefix + "r:"}, tracked)
	u.subscriber = resp.NewSubscriber(server, prefix+changesChannel, published)
	return u
}

// changesChannel is the channel's name after the prefix.
const changesChannel = "changes"
