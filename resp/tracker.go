package resp

// An Invalidations is told which keys changed. Its methods are called one at a
// time.
type Invalidations interface {
	// Up is called when every change from now on will be told.
	Up()
	// Down is called when changes are missed from now on, and why.
	Down(err error)
	// Invalidate is called when keys changed, expired or were removed; nil means all.
	Invalidate(keys []string)
}

// A Tracker follows the changes of keys by RESP3 client tracking.
type Tracker struct {
	o        Options
	prefixes []string
	h        Invalidations
}

// NewTracker returns a Tracker of the keys that begin with one of prefixes.
func NewTracker(o Options, prefixes []string, h Invalidations) *Tracker {
	return &Tracker{o: o.withDefaults(), prefixes: prefixes, h: h}
}

// Start begins to follow, and to connect again whenever the connection is lost.
func (t *Tracker) Start() {}

// Close ends it. No method of the Invalidations is called after it returns.
func (t *Tracker) Close() {}
