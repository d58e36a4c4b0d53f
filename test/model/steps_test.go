package model

import (
	"time"

	"github.com/traefikoidc/traefikoidc/session"
)

// A step is an event of a run. It is chosen in proportion to its weight.
type step struct {
	name   string
	weight int
	fault  bool
	take   func(w *world) bool // false: not now
}

var steps = []step{
	{"sign-in", 14, false, func(w *world) bool { w.signIn(w.anyReplica()); return true }},
	{"request", 40, false, func(w *world) bool {
		l := w.anyLife()
		if l != nil {
			w.visit(w.anyReplica(), l)
		}
		return l != nil
	}},
	{"requests", 10, false, (*world).burst},
	{"everyone", 4, false, (*world).everyone},
	{"refresh", 8, false, (*world).refresh},
	{"logout", 5, false, func(w *world) bool {
		l := w.anyLife()
		if l != nil {
			w.signOut(w.anyReplica(), l)
		}
		return l != nil
	}},
	{"back-channel logout", 4, false, (*world).providerLogout},
	{"end at the provider", 1, false, func(w *world) bool {
		l := w.anyLife()
		if l != nil {
			w.trace("the provider ends %s", l.name)
			w.provider.end(l.family)
		}
		return l != nil
	}},
	{"cut", 2, true, (*world).cut},
	{"reset", 1, true, func(w *world) bool {
		r := w.anyReplica()
		w.trace("%s: connections reset", r)
		r.path().reset()
		w.mu.Lock()
		r.well, r.hears = time.Now(), time.Now()
		w.calm = false
		w.mu.Unlock()
		return true
	}},
	{"stall", 2, true, (*world).stall},
	{"hiccup", 3, true, (*world).hiccup},
	{"deaf", 3, true, func(w *world) bool {
		r := w.anyReplica()
		w.trace("%s: invalidation link stalls", r)
		r.path().stall(false, false, true)
		return true
	}},
	{"heal", 8, true, func(w *world) bool {
		r := w.anyReplica()
		if !r.ill && !r.deaf {
			return false
		}
		w.heal(r)
		return true
	}},
	{"crash", 2, true, (*world).crash},
	{"stop", 1, true, (*world).stop},
	{"recover", 7, true, func(w *world) bool { return w.recover(w.random.IntN(3) > 0) }},
	{"flush", 1, true, (*world).flush},
	{"full", 1, true, (*world).fill},
	{"room", 5, true, (*world).room},
	{"move", 1, true, (*world).move},
	{"kill", 1, true, (*world).kill},
	{"reload", 3, false, (*world).reload},
	{"spoil", 2, true, (*world).spoil},
	{"mend", 4, true, func(w *world) bool {
		r := w.anyReplica()
		if !r.spoilt {
			return false
		}
		w.mend(r)
		return true
	}},
}

func (w *world) anyReplica() *replica {
	return w.replicas[w.random.IntN(len(w.replicas))]
}

// anyLife returns a session, mostly one of the newest.
func (w *world) anyLife() *life {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.lives)
	if n == 0 {
		return nil
	}
	if w.random.IntN(2) == 0 {
		return w.lives[max(0, n-1-w.random.IntN(3))]
	}
	return w.lives[w.random.IntN(n)]
}

// burst sends many requests at once, of one session at all replicas.
func (w *world) burst() bool {
	l := w.anyLife()
	if l == nil {
		return false
	}
	for range 2 + w.random.IntN(5) {
		w.visit(w.anyReplica(), l)
	}
	return true
}

// refresh sends many requests of one session when its tokens are due. Now and then a
// mishap happens meanwhile.
func (w *world) refresh() bool {
	l := w.anyLife()
	if l == nil || w.provider.lifetime > 15*time.Second {
		return false
	}
	time.Sleep(w.provider.lifetime/2 + time.Duration(w.random.Int64N(int64(w.provider.lifetime))))
	w.settle()
	for range 1 + w.random.IntN(2) {
		for _, r := range w.replicas {
			w.visit(r, l)
		}
		time.Sleep(time.Duration(w.random.IntN(3000)) * time.Microsecond)
	}
	if w.random.IntN(3) > 0 {
		return true
	}
	time.Sleep(time.Duration(w.random.IntN(60)) * time.Millisecond)
	switch w.random.IntN(4) {
	case 0:
		w.signOut(w.anyReplica(), l)
	case 1:
		w.providerLogout()
	default:
		if w.c.faults {
			mishaps[w.random.IntN(len(mishaps))](w)
		}
	}
	return true
}

// mishaps are events during a token refresh.
var mishaps = []func(w *world) bool{(*world).cut, (*world).stall, (*world).crash, (*world).stop, (*world).kill, (*world).kill, (*world).lose}

func (w *world) cut() bool {
	r := w.anyReplica()
	w.trace("%s: link cut", r)
	r.path().cut()
	return true
}

func (w *world) stall() bool {
	r := w.anyReplica()
	both := w.random.IntN(3)
	w.trace("%s: link stalls, up %t back %t", r, both != 1, both != 2)
	r.path().stall(both != 1, both != 2, false)
	return true
}

// hiccup is a stall that is over before a replica without requests notices.
func (w *world) hiccup() bool {
	r := w.anyReplica()
	if r.ill || r.deaf {
		return false
	}
	w.trace("%s: link hiccups", r)
	r.path().stall(true, true, false)
	w.reckon()
	for range 1 + w.random.IntN(3) {
		if l := w.anyLife(); l != nil {
			w.visit(r, l)
		}
	}
	time.Sleep(time.Duration(100+w.random.IntN(1000)) * time.Millisecond)
	w.heal(r)
	return true
}

func (w *world) crash() bool {
	w.trace("server crashes")
	w.net.server.crash()
	return true
}

// lose ends the server. It is soon back, without its data.
func (w *world) lose() bool {
	w.crash()
	w.reckon()
	time.Sleep(time.Duration(w.random.IntN(1000)) * time.Millisecond)
	w.recover(false)
	w.reckon()
	time.Sleep(time.Duration(w.random.IntN(3000)) * time.Millisecond)
	return w.everyone()
}

func (w *world) stop() bool {
	w.trace("server stops")
	w.net.server.stop()
	return true
}

// everyone sends a request of every session.
func (w *world) everyone() bool {
	w.mu.Lock()
	lives := append([]*life(nil), w.lives...)
	w.mu.Unlock()
	for _, l := range lives {
		w.visit(w.anyReplica(), l)
	}
	return len(lives) > 0
}

func (w *world) providerLogout() bool {
	l := w.anyLife()
	if l == nil {
		return false
	}
	all := session.Ending{Issuer: "issuer", Before: time.Unix(time.Now().Unix(), 0)}
	which := w.random.IntN(3)
	if which != 0 {
		all.Subject = l.subject
	}
	if which != 1 {
		all.SessionID = l.sid
	}
	w.backChannel(w.anyReplica(), all)
	return true
}

// heal mends the link of r.
func (w *world) heal(r *replica) {
	if r.spoilt {
		w.mend(r)
		return
	}
	dead := w.random.IntN(2) == 0
	w.trace("%s: link heals, held connections are dead: %t", r, dead)
	r.path().heal(dead)
}

// recover lets the server serve again.
func (w *world) recover(withData bool) bool {
	s := w.net.server
	switch {
	case w.net.stopped:
		w.trace("server proceeds")
		s.proceed()
	case w.net.down:
		w.trace("server starts, with its data: %t", withData)
		if !withData {
			w.wipe(false)
		}
		s.start(withData, time.Duration(w.random.IntN(3))*100*time.Millisecond)
	default:
		return false
	}
	return true
}

func (w *world) flush() bool {
	if w.net.down || w.net.stopped || w.random.IntN(3) > 0 {
		return false
	}
	w.trace("FLUSHALL")
	w.wipe(true)
	w.net.mu.Lock()
	w.net.server.flush()
	w.net.mu.Unlock()
	return true
}

// fill has the server refuse writes and serve reads, like one without room.
func (w *world) fill() bool {
	if w.net.server.full || w.net.down {
		return false
	}
	w.trace("the server refuses writes")
	w.net.server.fill()
	return true
}

// room ends fill.
func (w *world) room() bool {
	if !w.net.server.full {
		return false
	}
	w.trace("the server takes writes again")
	w.net.server.room()
	return true
}

// move has the server's name lead to a promoted replica.
func (w *world) move() bool {
	if w.net.down || w.net.stopped {
		return false
	}
	w.trace("the server's name leads to another process")
	w.net.server.move()
	return true
}

// kill ends a replica's process and starts another in its place.
func (w *world) kill() bool {
	i := w.random.IntN(len(w.replicas))
	r := w.replicas[i]
	w.trace("%s: killed", r)
	r.close()
	w.replicas[i] = w.start(r.name[:1], r.skew)
	return true
}

// reload changes the options of a replica's store, or puts them back.
func (w *world) reload() bool {
	if w.c.direct {
		return false // opened sessions are nowhere else, and a reload begins without them
	}
	r := w.anyReplica()
	r.load(1 + w.random.IntN(6))
	return true
}

// spoil has the options of a replica lead nowhere for good, as after a change of the
// server's password. Only other options end that outage.
func (w *world) spoil() bool {
	r := w.anyReplica()
	if w.c.direct || r.spoilt || r.mending.Load() {
		return false
	}
	w.trace("%s: the options lead nowhere", r)
	r.spoilt = true
	r.path().cut()
	return true
}

// mend gives such a replica options that lead to the server.
func (w *world) mend(r *replica) {
	r.spoilt = false
	r.mending.Store(true)
	r.paths = append(r.paths, w.net.path(uint64(1000*len(r.paths)+w.processes)))
	r.load(1 + w.random.IntN(6))
}

// longestRefused is the pause after which a replica tries again to write to a server that
// refused, with the time that the attempt takes.
const longestRefused = 31 * time.Second

// reckon records which replicas can reach the server.
func (w *world) reckon() {
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, r := range w.replicas {
		p := r.path()
		ill := r.mending.Load() || p.refused || p.up || p.back || w.net.down || w.net.stopped || w.net.server.full
		if r.ill && !ill {
			r.well = now
			if w.net.server.loading.After(now) {
				r.well = w.net.server.loading
			}
			if roomed := w.net.server.roomed.Add(longestRefused); roomed.After(r.well) {
				r.well = roomed
			}
		}
		if r.deaf && !p.told {
			r.hears = now
		}
		r.ill, r.deaf = ill, p.told
		w.calm = w.calm && !ill && !r.deaf
	}
	w.settleLocked(now)
}

// drive takes the steps of a run.
func (w *world) drive() {
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	for taken := 0; taken < w.c.steps && w.failure == ""; {
		at := w.random.IntN(total)
		for _, s := range steps {
			if at -= s.weight; at >= 0 {
				continue
			}
			if s.fault && !w.c.faults {
				break
			}
			if s.take(w) {
				w.taken[s.name]++
				w.reckon()
				w.pass()
			}
			taken++
			break
		}
	}
}

// pass lets time pass, mostly so little that operations are still under way.
func (w *world) pass() {
	most := 1000
	switch at := w.random.IntN(20); {
	case at < 5:
		most = 100_000
	case at < 9:
		most = 1_500_000
	case at < 10:
		most = 8_000_000
	}
	time.Sleep(time.Duration(w.random.IntN(most)) * time.Microsecond)
	w.settle()
}

// finish heals everything, and sends a request of every session everywhere.
func (w *world) finish() {
	w.trace("everything heals")
	w.recover(true)
	w.room()
	for _, r := range w.replicas {
		if r.ill || r.deaf {
			w.heal(r)
		}
	}
	for range 100 {
		if w.reckon(); !w.mending() {
			break
		}
		time.Sleep(time.Second)
	}
	w.await()
	if left := time.Until(w.net.server.roomed.Add(longestRefused)); left > 0 {
		time.Sleep(left)
	}
	time.Sleep(2 * recovery)
	w.trace("the last requests")
	w.mu.Lock()
	lives := append([]*life(nil), w.lives...)
	w.mu.Unlock()
	for _, r := range w.replicas {
		for _, l := range lives {
			w.visit(r, l)
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.await()
	w.checkGrants()
}

// mending reports whether there are options that do not serve yet.
func (w *world) mending() bool {
	for _, r := range w.replicas {
		if r.mending.Load() {
			return true
		}
	}
	return false
}

// await waits for the operations under way.
func (w *world) await() {
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		w.mu.Lock()
		open := w.open
		w.mu.Unlock()
		if open == 0 {
			return
		}
	}
	w.mu.Lock()
	w.failLocked("%d operations do not end", w.open)
	w.mu.Unlock()
}

// checkGrants checks that no grant was sent twice.
func (w *world) checkGrants() {
	w.provider.mu.Lock()
	reused := w.provider.reused
	w.provider.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, token := range reused {
		w.failLocked("a grant was sent twice: %s", token)
	}
}

// close ends the run.
func (w *world) close() {
	for _, r := range w.replicas {
		r.close()
	}
	time.Sleep(20 * time.Second)
	w.net.server.rest()
}
