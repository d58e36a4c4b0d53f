// Package chain passes data from a middleware to later middlewares in the chain of the
// same request. The data are in the request's context, under a random key that is known
// only inside the plugin. No client, backend or other plugin can forge them.
package chain

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"sync/atomic"
)

// Key is the context key of the latest passage. It is a string, because under the
// interpreter a type of ours is equal to types of the same shape in other plugins.
var Key = newKey()

// newKey returns a random key. The plugin makes one each time it is loaded.
func newKey() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // if it fails: clients cannot set context values anyway
	return "traefikoidc chain " + base64.RawURLEncoding.EncodeToString(b)
}

// A Passage is the data of one middleware about a request that it passes on.
type Passage struct {
	Cookies  []string // the Cookie headers that it received; nil: it removed no cookie
	Identity string   // of the session that it found; empty: it looked for none
	Name     string   // of the session's cookie
	Value    string   // of the session's cookie
	Owner    string   // of the callback: middlewares of one owner can serve each other's
	Callback string   // callbackURL of the middleware
	Removed  []string // the X-Forwarded-Prefix headers that it received

	before *Passage // of the middleware before it; nil: none
	read   atomic.Bool
}

// WithPassage returns a context that contains p and the passages in ctx. p must belong
// to one request only.
func WithPassage(ctx context.Context, p *Passage) context.Context {
	p.before = last(ctx)
	return context.WithValue(ctx, Key, p)
}

func last(ctx context.Context) *Passage {
	p, _ := ctx.Value(Key).(*Passage)
	return p
}

// Read reports whether a later middleware looked at p.
func (p *Passage) Read() bool {
	return p.read.Load()
}

// Cookies returns the Cookie headers that the client sent; nil: no earlier middleware
// removed a cookie. The slice must not be changed.
func Cookies(ctx context.Context) []string {
	var sent []string
	for p := last(ctx); p != nil; p = p.before {
		p.read.Store(true)
		if p.Cookies != nil {
			sent = p.Cookies
		}
	}
	return sent
}

// Callback returns the passage of the earliest middleware of the owner; nil: there is none.
// A later one may get other paths than the browser asks for.
func Callback(ctx context.Context, owner string) *Passage {
	var earliest *Passage
	for p := last(ctx); p != nil; p = p.before {
		p.read.Store(true)
		if p.Owner == owner {
			earliest = p
		}
	}
	return earliest
}

// Session returns the passage of the latest earlier middleware that found a session of
// the identity; nil: there is none.
func Session(ctx context.Context, identity string) *Passage {
	for p := last(ctx); p != nil; p = p.before {
		p.read.Store(true)
		if p.Identity == identity {
			return p
		}
	}
	return nil
}
