// Package registry keeps resources that outlive a handler.
//
// Traefik builds every handler anew at each change of its configuration, and cancels the
// old ones before. So nothing is started per handler. Resources that handlers share are
// kept here under a key made from their configuration. The registry counts the contexts
// that use a resource, and closes it some time after its last use.
package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// Linger is the time for which an unused resource is kept. Old handlers finish their
// requests in it, and new ones come after the old contexts are cancelled.
const Linger = time.Minute

// A Resource is shared by handlers. Close releases it. It is called once, after the last
// use.
type Resource interface {
	Close()
}

// A Builder makes a resource that the registry does not have yet. It is called with the
// registry locked, so it must not block and must not use the registry.
type Builder interface {
	Build() (Resource, error)
}

// A Registry is safe for concurrent use. There is one in the process, because the
// interpreter keeps package variables while handlers come and go.
type Registry struct {
	linger time.Duration

	mu      sync.Mutex // guards the fields below
	entries map[string]*entry
	holders map[<-chan struct{}]*holder
	groups  map[string]*group
}

// A holder is a set of handlers with contexts that end together, such as those of one
// generation of Traefik's configuration. It learns once that they ended.
type holder struct {
	g    *Registry
	done <-chan struct{}
	uses map[*entry]bool
}

// A group is a set of handlers that one resource serves at a time. It has the key of the
// resource that serves, and of the one that is to serve.
type group struct {
	serving, wanted string
	turn            int // number of changes of serving
}

type entry struct {
	key      string
	resource Resource
	holders  int
	turn     int  // number of uses so far, so that an old timer does not end a new use
	claimed  bool // it serves a group, served one, or was to
}

// Shared is the registry of the process: the one package variable that changes.
var Shared = New(Linger)

// New returns an empty registry that closes a resource when it was unused for linger.
func New(linger time.Duration) *Registry {
	return &Registry{linger: linger, entries: map[string]*entry{}, holders: map[<-chan struct{}]*holder{}, groups: map[string]*group{}}
}

// Acquire returns the resource of key, made by b if there is none, for as long as ctx is
// not done. A nil b makes nothing: then a key without a resource is an error.
func (g *Registry) Acquire(ctx context.Context, key string, b Builder) (Resource, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.entries[key]
	if e == nil && b == nil {
		return nil, errors.New("registry: there is no resource under this key any more")
	}
	if e == nil {
		r, err := b.Build()
		if err != nil {
			return nil, err
		}
		e = &entry{key: key, resource: r}
		g.entries[key] = e
	}
	g.holder(ctx).use(e)
	return e.resource, nil
}

// holder returns the holder of ctx, until ctx is done.
func (g *Registry) holder(ctx context.Context) *holder {
	done := ctx.Done()
	h := g.holders[done]
	if h == nil {
		h = &holder{g: g, done: done, uses: map[*entry]bool{}}
		g.holders[done] = h
		background.Done(ctx, h)
	}
	return h
}

// use begins the use of an entry, if it is none yet.
func (h *holder) use(e *entry) {
	e.turn++
	if !h.uses[e] {
		h.uses[e] = true
		e.holders++
	}
}

// Again begins one more use of the resources of all keys, for as long as ctx is not done.
// If one of them is not kept any more, it begins none, and returns false.
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
	h := g.holder(ctx)
	for _, e := range used {
		h.use(e)
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

// Succeed records that key is to serve the group of that name, such as the handlers of
// one middleware. It returns the key that serves until Serve is called, and the number of
// times that another key came to serve the group before that one did.
//
// The returned key is "" if key serves already. It is also "" if key serves from now on,
// because no other kept resource does. The resource that serves is not closed before it
// is acquired and released.
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

// serves records that key serves the group.
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

// Serve records that key serves a group, if that is still wanted, and reports whether it
// is.
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

// Serving returns the resource that serves a group, or nil if there is none that is kept.
func (g *Registry) Serving(name string) Resource {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.groups[name]
	if x == nil || g.entries[x.serving] == nil {
		return nil
	}
	return g.entries[x.serving].resource
}

// Replaced reports whether another key took the place of key in every group that it
// served or was to serve, or key is not kept any more.
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

// Len returns the number of resources that are kept.
func (g *Registry) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.entries)
}

// Run is called when the contexts of h are done.
func (h *holder) Run() {
	var over []*expiry
	h.g.mu.Lock()
	if h.g.holders[h.done] == h {
		delete(h.g.holders, h.done)
	}
	for e := range h.uses {
		e.holders--
		if e.holders == 0 {
			over = append(over, &expiry{g: h.g, e: e, turn: e.turn})
		}
	}
	h.g.mu.Unlock()
	for i := range over {
		h.g.expire(over[i])
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
	over := x.e.holders == 0 && x.e.turn == x.turn
	if over {
		delete(x.g.entries, x.e.key)
	}
	x.g.mu.Unlock()
	if over {
		x.e.resource.Close()
	}
}
