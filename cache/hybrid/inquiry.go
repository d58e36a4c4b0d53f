package hybrid

// A flight is one read of L2 that any number of readers wait for.
type flight struct {
	done  chan struct{}
	value []byte
	err   error
}

// A token tells whether a key changed while it was being read or written: every
// change that becomes known counts gen up.
type token struct {
	refs int
	gen  uint64
}

// An inquiry is one read or write of L2 for a key, with what was so when it began.
type inquiry struct {
	key   string
	token *token
	gen   uint64
	epoch uint64
	held  bool // L1 had a value
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

// changed makes what is known of key stale, and what is being read of it.
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

// expect notes that the server will tell of a change that is made here: what
// was written need not be read again for that.
func (l *local) expect(key string) {
	if !kept(key) {
		return
	}
	if len(l.echoes) >= maxChanges {
		l.echoes = map[string]int{}
	}
	l.echoes[key]++
}

// heard reports whether word of a change is expected, and counts it as heard.
func (l *local) heard(key string) bool {
	n := l.echoes[key]
	if n > 1 {
		l.echoes[key] = n - 1
	} else {
		delete(l.echoes, key)
	}
	return n > 0
}

// kept reports whether L1 holds what is read under key.
func kept(key string) bool {
	return len(key) > 1 && key[1] == ':' && (key[0] == 's' || key[0] == 'r')
}

// maxChanges bounds the records that wait to be asked for again. What is beyond is
// asked for when somebody needs it.
const maxChanges = 4096
