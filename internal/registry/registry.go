// Package registry keeps what outlives a handler.
//
// Traefik builds every handler anew at each change of its configuration, and
// cancels the old ones before. So nothing is started per handler: what handlers
// share is kept here under a key made of what it was configured with, counted by
// the contexts of those who use it, and closed when nobody has used it for a
// while.
package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// Linger is how long a resource is kept that nobody uses any more: old handlers
// finish their requests, and new ones come after the old contexts are cancelled.
const Linger = time.Minute

// A Resource is something shared. Close releases it; it is called once, when
// nobody uses the resource any more.
type Resource interface {
	Close()
}

// A Builder makes a resource that the registry does not have yet. It is called
// with the registry locked: it must not block, and must not use the registry.
type Builder interface {
	Build() (Resource, error)
}

// A Registry is safe for concurrent use. There is one in the process, because the
// interpreter keeps package variables while handlers come and go.
type Registry struct {
	linger time.Duration

	mu      sync.Mutex // guards the fields below
	entries map[string]*entry
	users   map[<-chan struct{}]*user
	groups  map[string]*group
}

// A user is all whose contexts end together, such as the handlers of one generation of
// Traefik's configuration: it is told once that they do.
type user struct {
	g    *Registry
	done <-chan struct{}
	uses map[*entry]bool
}

// A group is whom one resource serves at a time: the key of that which does, and of
// that which is to.
type group struct {
	serving, wanted string
	turn            int // counts the changes of serving
}

type entry struct {
	key      string
	resource Resource
	users    int
	turn     int  // counts the times that somebody began to use it, so that an old timer does not end a new use
	claimed  bool // it serves a group, or did, or was to
}

// Shared is the registry of the process: the one package variable that changes.
var Shared = New(Linger)

// New returns an empty registry that closes a resource when nobody has used it
// for linger.
func New(linger time.Duration) *Registry {
	return &Registry{linger: linger, entries: map[string]*entry{}, users: map[<-chan struct{}]*user{}, groups: map[string]*group{}}
}

// Acquire returns the resource of key, made by b if there is none, for as long as
// ctx is not done. A nil b makes nothing: a key that is not kept is an error.
func (g *Registry) Acquire(ctx context.Context, key string, b Builder) (Resource, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.entries[key]
	if e == nil && b == nil {
		return nil, errors.New("registry: nothing is kept under this key any more")
	}
	if e == nil {
		r, err := b.Build()
		if err != nil {
			return nil, err
		}
		e = &entry{key: key, resource: r}
		g.entries[key] = e
	}
	g.user(ctx).use(e)
	return e.resource, nil
}

// user returns whoever uses things until ctx is done.
func (g *Registry) user(ctx context.Context) *user {
	done := ctx.Done()
	u := g.users[done]
	if u == nil {
		u = &user{g: g, done: done, uses: map[*entry]bool{}}
		g.users[done] = u
		background.Done(ctx, u)
	}
	return u
}

// use begins the use of an entry, if it is none yet.
func (u *user) use(e *entry) {
	e.turn++
	if !u.uses[e] {
		u.uses[e] = true
		e.users++
	}
}

// Again begins one more use of the resources of all keys, for as long as ctx is not
// done. Where one of them is not kept any more it begins none, and returns false.
func (g *Registry) Again(ctx context.Context, keys []string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	used := make([]*entry, 0, len(keys))
	for _, key := range keys {
		e := g.entries[key]
		if e == nil {
			return false
		}
		used = append(used, e)
	}
	u := g.user(ctx)
	for _, e := range used {
		u.use(e)
	}
	return true
}

// Kept returns the resource of key without using it, or nil if none is kept.
func (g *Registry) Kept(key string) Resource {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.entries[key]
	if e == nil {
		return nil
	}
	return e.resource
}

// Succeed notes that key is to serve the group of that name, such as the handlers
// of one middleware. It returns the key that serves until Serve says otherwise, and
// how often something else came to serve the group before that did.
// The key is "" if key serves already, or from now on, as nothing else does that is
// still kept. The resource that serves is not closed before it is acquired and let
// go of.
func (g *Registry) Succeed(name, key string) (string, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.groups[name]
	if x == nil {
		x = &group{}
		g.groups[name] = x
	}
	x.wanted = key
	if e := g.entries[key]; e != nil {
		e.claimed = true
	}
	before := g.entries[x.serving]
	if x.serving == key || before == nil {
		x.serves(key)
		return "", x.turn
	}
	before.turn++
	return x.serving, x.turn
}

// serves notes that key serves the group.
func (x *group) serves(key string) {
	if x.serving != key {
		x.serving = key
		x.turn++
	}
}

// Wants reports whether key is to serve a group, or serves it.
func (g *Registry) Wants(name, key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.groups[name]
	return x != nil && x.wanted == key
}

// Serve notes that key serves a group, if it is still to, and reports whether it is.
func (g *Registry) Serve(name, key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.groups[name]
	if x == nil || x.wanted != key {
		return false
	}
	x.serves(key)
	return true
}

// Serving returns the resource that serves a group, or nil if none does that is still
// kept.
func (g *Registry) Serving(name string) Resource {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.groups[name]
	if x == nil || g.entries[x.serving] == nil {
		return nil
	}
	return g.entries[x.serving].resource
}

// Replaced reports whether something else took the place of key in every group that
// it served or was to serve, or key is not kept any more.
func (g *Registry) Replaced(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.entries[key]
	if e == nil || !e.claimed {
		return e == nil
	}
	for _, x := range g.groups {
		if x.serving == key || x.wanted == key {
			return false
		}
	}
	return true
}

// Len returns how many resources are kept.
func (g *Registry) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.entries)
}

// Run is called when the contexts of u are done.
func (u *user) Run() {
	var over []*expiry
	u.g.mu.Lock()
	if u.g.users[u.done] == u {
		delete(u.g.users, u.done)
	}
	for e := range u.uses {
		e.users--
		if e.users == 0 {
			over = append(over, &expiry{g: u.g, e: e, turn: e.turn})
		}
	}
	u.g.mu.Unlock()
	for i := range over {
		u.g.expire(over[i])
	}
}

// expire closes an entry later, unless it is used until then.
func (g *Registry) expire(x *expiry) {
	background.After(g.linger, x)
}

// An expiry closes an entry that was not used since it was set.
type expiry struct {
	g    *Registry
	e    *entry
	turn int
}

// Run is called when the linger is over.
func (x *expiry) Run() {
	x.g.mu.Lock()
	over := x.e.users == 0 && x.e.turn == x.turn
	if over {
		delete(x.g.entries, x.e.key)
	}
	x.g.mu.Unlock()
	if over {
		x.e.resource.Close()
	}
}
