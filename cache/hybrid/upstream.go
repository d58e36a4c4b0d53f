package hybrid

import (
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// An upstream is one data set in Redis (L2), and whether it may be asked.
type upstream struct {
	redis   *redis.Redis
	tracker *resp.Tracker
	// subscriber stands in for tracker where the server refuses tracking.
	subscriber *resp.Tracker
	place      string // of the server: its address, database and prefix

	// The lock of the Hybrid guards the fields below.
	tracking bool           // invalidations arrive
	whispers bool           // replicas tell each other instead
	fallback bool           // memory alone serves
	met      bool           // L2 has answered once
	known    cache.Identity // of the L2 that the values held came from
	breaks   uint64         // connections that had broken when it became known
	// Until when L2 may lack, after a loss of data, records that other replicas
	// hold; ns since 1970.
	incomplete int64
	// refusing: the server serves and refuses writes. turn counts the notes that were
	// tried since.
	refusing bool
	turn     int
	// Whether the server was looked at since the link to it came up, and until when
	// leases may be missing there that are being prolonged; ns since 1970.
	checked  bool
	unproven int64
}

// restoring is how long the other replicas may take to notice a loss of data and to
// give back what they hold.
const restoring = 3 * time.Second

// prolonging is how long a holder of a lease may take to notice that the server was
// restarted, which may have lost it the last it was told, and to prolong.
const prolonging = 5 * time.Second

// leases reports whether leases are given: a lease that the server does not have
// is nobody's.
func (u *upstream) leases(now int64) bool {
	return u.checked && !u.fallback && now >= u.unproven
}

// lacks reports whether L2 has been another data set than the known one at a read,
// or may still lack records that other replicas are about to give back.
func (u *upstream) lacks(dataSet string, now time.Time) bool {
	return u.isOther(dataSet) || now.UnixNano() < u.incomplete
}

// isOther reports whether a data set is not the known one, if there is a known one.
func (u *upstream) isOther(dataSet string) bool {
	return u.met && dataSet != u.known.DataSet
}

// isAnother reports whether id is of another process than the known one. Where INFO is
// forbidden, any connection that broke since may have led to another one.
func (u *upstream) isAnother(id cache.Identity, breaks uint64) bool {
	if !u.met || id.Run != u.known.Run {
		return u.met
	}
	return id.Run == "" && breaks != u.breaks
}

// agree takes note of the server and its data set, and reports whether one of them is
// another than before. The count of broken connections is that before id was requested.
func (u *upstream) agree(id cache.Identity, another bool, breaks uint64, now time.Time) bool {
	changed := !u.met || another || id.DataSet != u.known.DataSet
	if another {
		u.unproven = now.Add(prolonging).UnixNano()
		if id.DataSet != u.known.DataSet {
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

// newUpstream returns an upstream that tells what happens to it: the breaker to l, and
// changes by tracking or by messages of the other replicas.
func newUpstream(o Options, l circuitbreaker.Listener, tracked, told resp.Invalidations) *upstream {
	server := o.Redis.Server
	o.Redis.Listener = l
	o.Redis.Now = o.Memory.Now
	u := &upstream{redis: redis.New(o.Redis)}
	prefix := u.redis.Prefix
	u.place = fmt.Sprintf("%s %s %d %s", server.Network, server.Address, server.DB, prefix)
	u.tracker = resp.NewTracker(server, []string{prefix + "s:", prefix + "r:"}, tracked)
	u.subscriber = resp.NewSubscriber(server, prefix+whisperChannel, told)
	return u
}

// whisperChannel is the channel's name after the prefix.
const whisperChannel = "changes"
