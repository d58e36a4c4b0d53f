package hybrid

// A flight is one read from Redis. Any number of readers wait for it.
type flight struct {
	done  chan struct{}
	value []byte
	err   error
}

// A token detects a change of a key while it is read or written. Every change that
// becomes known increases gen.
type token struct {
	refs int
	gen  uint64
}

// An inquiry is one read or write in Redis for a key, with the state at its begin.
type inquiry struct {
	key   string
	token *token
	gen   uint64
	epoch uint64
	held  bool // memory had a value
}

func (l *local) begin(key string, held bool) inquiry {
	t := l.tokens[key]
	if t == nil {
		t = &token{}
		l.tokens[key] = t
	}
	t.refs++
	return inquiry{key: key, token: t, gen: t.gen, epoch: l.epoch, held: held}
}

func (l *local) end(q inquiry) {
	q.token.refs--
	if q.token.refs == 0 {
		delete(l.tokens, q.key)
	}
}

// current reports whether nothing changed since q began.
func (l *local) current(q inquiry) bool {
	return q.token.gen == q.gen && q.epoch == l.epoch
}

// changed makes the value of key stale, and reads of it that are under way.
func (l *local) changed(key string) {
	if e := l.l1.Entries[key]; e != nil {
		e.Stale = true
	}
	if t := l.tokens[key]; t != nil {
		t.gen++
	}
	delete(l.flights, key)
}

// stale makes everything stale.
func (l *local) stale() {
	l.epoch++
	l.flights = map[string]*flight{}
}

// expect records that Redis will report a change that is made here. The written value
// need not be read again for it.
func (l *local) expect(key string) {
	if !kept(key) {
		return
	}
	if len(l.echoes) >= maxChanges {
		l.echoes = map[string]int{}
	}
	l.echoes[key]++
}

// heard reports whether a change of key is expected, and removes the expectation.
func (l *local) heard(key string) bool {
	n := l.echoes[key]
	if n > 1 {
		l.echoes[key] = n - 1
	} else {
		delete(l.echoes, key)
	}
	return n > 0
}

// kept reports whether memory holds values of key.
func kept(key string) bool {
	return len(key) > 1 && key[1] == ':' && (key[0] == 's' || key[0] == 'r')
}

// maxChanges bounds the records that wait to be read again. Further ones are read when
// they are needed.
const maxChanges = 4096
