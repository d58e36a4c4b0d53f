package hybrid

// Event is something that happened to the link between L1 and L2, of which an
// operator wants to know.
type Event int

// The events of a Hybrid.
const (
	Connected       Event = iota // Redis answered for the first time
	BreakerOpened                // Redis failed too often
	FellBack                     // from now on memory alone serves
	Restored                     // Redis has what memory kept for it, and serves again
	TrackingUp                   // changes by other replicas arrive as they happen
	TrackingDown                 // they do not: what is held is asked again at L1TTL
	Restarted                    // another Redis process, with the same data
	DataLost                     // another Redis process, without the data: it was given what is held here
	InfoRefused                  // the server does not say which process it is and whether it evicts
	MayEvict                     // the server's maxmemory-policy may evict revocations
	WritesRefused                // Redis serves and refuses writes, which wait here
	WritesAccepted               // it takes them again
	JournalOverflow              // an outage's journal had no room: a write was refused or dropped
	ReplayFound                  // a mark made in an outage had been made elsewhere too
)

var eventTexts = map[Event]string{
	Connected:       "Redis cache initialized",
	BreakerOpened:   "Circuit breaker opened",
	FellBack:        "Falling back to memory cache: sessions are NOT shared with other replicas until Redis serves again",
	Restored:        "Redis connection restored",
	TrackingUp:      "Redis invalidation link up",
	TrackingDown:    "Redis invalidation link down",
	Restarted:       "Redis restarted with its data",
	DataLost:        "Redis lost its data, restoring what this replica holds",
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

// An Observer is told of events, outside of any lock. The error is the cause, or
// nil; it names neither keys nor secrets. Observe must return quickly.
type Observer interface {
	Observe(e Event, cause error)
}
