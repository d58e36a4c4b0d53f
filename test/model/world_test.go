package model

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/session"
)

// conditions are the properties of a whole run.
type conditions struct {
	replicas int
	steps    int
	scripts  bool // the server knows scripts
	tracks   bool // the server knows tracking
	direct   bool // cacheMode redis
	small    bool // memory has room for few entries
	entries  int
	pool     int
	skewed   bool
	maxAge   time.Duration
	idle     time.Duration
	grace    time.Duration
	faults   bool
}

func draw(random *rand.Rand) conditions {
	chance := func(percent int) bool { return random.IntN(100) < percent }
	c := conditions{
		replicas: 2 + random.IntN(2), steps: 10 + random.IntN(12), scripts: chance(85), tracks: chance(85), direct: chance(10),
		entries: 1000, pool: 1 + random.IntN(6), skewed: chance(50), maxAge: time.Hour, grace: time.Duration(1+random.IntN(10)) * time.Second,
		faults: chance(85),
	}
	if chance(12) {
		c.small, c.entries = true, 4+random.IntN(8)
	}
	if chance(10) {
		c.maxAge = 70 * time.Second
	}
	if chance(15) {
		c.idle = 15 * time.Minute
	}
	return c
}

// A world is one run.
type world struct {
	seed     uint64
	c        conditions
	random   *rand.Rand // the driver's
	net      *network
	provider *provider
	keys     *session.Keyring
	began    time.Time

	processes int
	replicas  []*replica
	users     int
	taken     map[string]int // steps
	pending   sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	lives   []*life
	endings []*ending
	log     []string
	failure string
	wiped   time.Time // the server's last loss of all data
	flushed time.Time // the time at which an operator removed everything
	calm    bool      // every replica has heard of that, and could reach the server since
	answers [3]int
	events  map[hybrid.Event]int
	open    int // operations under way
	loud    bool
}

func newWorld(seed uint64, loud bool) *world {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("world"), seed))
	random := rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])))
	w := &world{seed: seed, random: random, began: time.Now(), loud: loud, events: map[hybrid.Event]int{}, taken: map[string]int{}}
	w.c = draw(random)
	w.net = &network{seed: random.Uint64()}
	w.net.server = newServer(w.net)
	w.net.server.scripts = w.c.scripts
	w.net.server.tracks = w.c.tracks
	w.provider = newProvider(rand.New(rand.NewPCG(random.Uint64(), 0)))
	w.provider.rotates = random.IntN(10) > 0
	w.provider.lifetime = time.Duration([]int{4, 4, 4, 8, 15, 60, 300}[random.IntN(7)]) * time.Second
	if random.IntN(2) == 0 {
		w.provider.trouble = 30
	}
	keys, err := session.NewKeyring([][]byte{[]byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		panic(err)
	}
	w.keys = keys
	for i := range w.c.replicas {
		skew := time.Duration(0)
		if w.c.skewed {
			skew = time.Duration(random.IntN(60_000)-30_000) * time.Millisecond
		}
		w.replicas = append(w.replicas, w.start(string(rune('A'+i)), skew))
	}
	return w
}

func (w *world) verbose() bool { return w.loud }

func (w *world) trace(format string, args ...any) {
	w.mu.Lock()
	w.traceLocked(format, args...)
	w.mu.Unlock()
}

func (w *world) traceLocked(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%12s  ", time.Since(w.began).Round(time.Microsecond))+fmt.Sprintf(format, args...))
}

func (w *world) saw(e hybrid.Event) {
	w.mu.Lock()
	w.events[e]++
	w.mu.Unlock()
}

// do runs an operation beside the others.
func (w *world) do(f func()) {
	w.pending.Add(1)
	w.mu.Lock()
	w.open++
	w.mu.Unlock()
	go func() {
		defer w.pending.Done()
		f()
		w.mu.Lock()
		w.open--
		w.mu.Unlock()
	}()
}

// signIn makes a session at r.
func (w *world) signIn(r *replica) {
	w.users++
	name := fmt.Sprintf("p%d", w.users)
	f, token := w.provider.begin()
	l := &life{
		name: name, subject: fmt.Sprintf("sub%d", w.random.IntN(3)), sid: fmt.Sprintf("sid%d", w.random.IntN(5)),
		begun: time.Now(), issued: time.Now().Unix(), family: f, place: place{holders: map[*replica]bool{}},
	}
	w.do(func() {
		a := &account{}
		time.Sleep(time.Duration(len(name)) * time.Millisecond) // the ID token is under way
		s := &session.Session{
			Created: r.now(), IDToken: name, AccessToken: "access", RefreshToken: token, AccessExpiry: r.now().Add(w.provider.lifetime),
		}
		l.expiry = s.Created.Add(w.c.maxAge)
		value, err := r.manager().Create(context.WithValue(context.Background(), accountKey{}, a), s, 0, session.Origin{
			Issuer: "issuer", Subject: l.subject, SessionID: l.sid, Issued: time.Unix(l.issued, 0),
		})
		w.mu.Lock()
		defer w.mu.Unlock()
		now := time.Now()
		w.traceLocked("%s: sign-in of %s (%s %s) since %s: %v, journalled %t", r, name, l.subject, l.sid, l.begun.Sub(w.began), err, a.journal)
		if r.dead() || err != nil {
			if err != nil && !r.dead() && errors.Is(err, session.ErrRevoked) {
				for _, e := range w.endings {
					if e.covers(l, leeway) {
						return
					}
				}
				w.failLocked("sign-in of %s refused as revoked without a logout", name)
			}
			return
		}
		l.value, l.born = value, now
		if !a.journal {
			l.since = now
		} else if w.c.small {
			l.quietly = true
		}
		if !w.c.small {
			l.holders[r] = true
		}
		w.lives = append(w.lives, l)
	})
}

// visit makes a request with the cookie of l to r.
func (w *world) visit(r *replica, l *life) {
	w.do(func() {
		start := time.Now()
		a, subject, err := r.request(l.value)
		if w.loud || a != served {
			w.trace("%s: request of %s since %s: %s %v", r, l.name, start.Sub(w.began), a, err)
		}
		w.judge(r, l, start, a, subject, err)
	})
}

// signOut is the user's logout at r.
func (w *world) signOut(r *replica, l *life) {
	e := w.beginEnding(r, fmt.Sprintf("logout of %s at %s", l.name, r))
	e.life = l
	w.do(func() {
		a := &account{}
		_, err := r.manager().End(context.WithValue(context.Background(), accountKey{}, a), withCookie(l.value))
		w.endEnding(e, a, err)
	})
}

// backChannel is a logout by the provider, sent to r.
func (w *world) backChannel(r *replica, all session.Ending) {
	e := w.beginEnding(r, fmt.Sprintf("back-channel logout of %s %s at %s", all.Subject, all.SessionID, r))
	e.all = all
	w.do(func() {
		a := &account{}
		err := r.manager().EndAll(context.WithValue(context.Background(), accountKey{}, a), all)
		w.endEnding(e, a, err)
	})
}

func (w *world) beginEnding(r *replica, name string) *ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &ending{name: name, by: r, begun: time.Now(), place: place{holders: map[*replica]bool{}}, seen: map[sight]bool{}, told: map[*replica]bool{}}
	w.endings = append(w.endings, e)
	w.traceLocked("%s begins", name)
	return e
}

func (w *world) endEnding(e *ending, a *account, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.traceLocked("%s: %v, journalled %t", e.name, err, a.journal)
	if e.by.dead() || err != nil {
		return
	}
	e.done = time.Now()
	e.born = e.done
	if a.written && !a.journal {
		e.since = e.done
	}
	if !w.c.small || a.journal {
		e.holders[e.by] = true
	}
}
