package hybrid

// Event is a change of the connection to Redis that concerns the operator.
type Event int

// The events of a Hybrid.
const (
	Connected       Event = iota // Redis responded for the first time
	BreakerOpened                // Redis failed too often
	FellBack                     // from now on only memory serves
	Restored                     // Redis has the writes of the outage, and serves again
	TrackingUp                   // changes by other replicas arrive as they happen
	TrackingDown                 // they do not: the values in memory are read again after L1TTL
	Restarted                    // another Redis process, with the same data
	DataLost                     // another Redis process, without the data: it is given the records of this replica
	InfoRefused                  // Redis does not report its process and its eviction policy
	MayEvict                     // its maxmemory-policy may evict revocations
	WritesRefused                // Redis serves and refuses writes, which wait here
	WritesAccepted               // it accepts them again
	JournalOverflow              // an outage's journal is full: a write was refused or dropped
	ReplayFound                  // a replay marker set in an outage was set elsewhere too
)

var eventTexts = map[Event]string{
	Connected:       "Redis cache initialized",
	BreakerOpened:   "Circuit breaker opened",
	FellBack:        "Falling back to memory cache: sessions are NOT shared with other replicas until Redis serves again",
	Restored:        "Redis connection restored",
	TrackingUp:      "Redis invalidation link up",
	TrackingDown:    "Redis invalidation link down",
	Restarted:       "Redis restarted with its data",
	DataLost:        "Redis lost its data, restoring the records of this replica",
	InfoRefused:     "Redis does not answer INFO: a maxmemory-policy that evicts is not noticed; grant +info to redis.username",
	MayEvict:        "Redis may evict sessions and revocations: set maxmemory-policy to noeviction",
	WritesRefused:   "Redis refuses writes: sessions and sign-outs wait in memory; check maxmemory, the disk, and the privileges of redis.username",
	WritesAccepted:  "Redis takes writes again",
	JournalOverflow: "Redis outage journal is full",
	ReplayFound:     "A value was used twice during the Redis outage",
}

// Text is the constant text of e, for a log.
func (e Event) Text() string {
	return eventTexts[e]
}

// An Observer receives events, outside of any lock. The error is the cause, or nil. It
// names neither keys nor secrets. Observe must return quickly.
type Observer interface {
	Observe(e Event, cause error)
}
