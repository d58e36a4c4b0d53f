// Package chain holds what a middleware tells those that come later in the chain of
// the same request: in the request's context, under a key that nobody outside the
// plugin knows, so that no client, no backend and no other plugin can say it.
package chain

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"sync/atomic"
)

// Key is that of the latest passage in a context. It is a text: the interpreter gives
// types of ours no identity of their own.
var Key = newKey()

// newKey returns a key that is made anew whenever the plugin is loaded.
func newKey() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // a key that is not random is still one that no client can use
	return "traefikoidc chain " + base64.RawURLEncoding.EncodeToString(b)
}

// A Passage is what one middleware tells of a request that it lets pass.
type Passage struct {
	Cookies  []string // the Cookie headers that it saw; nil: it took none out
	Identity string   // of the middlewares that can open the session that it found; empty: it asked for none
	Name     string   // of the session's cookie
	Value    string   // of the session's cookie

	before *Passage // of the middleware before it; nil: there is none
	read   atomic.Bool
}

// WithPassage returns a context that tells the later middlewares p, beside what those
// before said. P belongs to this one request.
func WithPassage(ctx context.Context, p *Passage) context.Context {
	p.before = last(ctx)
	return context.WithValue(ctx, Key, p)
}

func last(ctx context.Context) *Passage {
	p, _ := ctx.Value(Key).(*Passage)
	return p
}

// Read reports whether a later middleware asked for what p tells.
func (p *Passage) Read() bool {
	return p.read.Load()
}

// Cookies returns the Cookie headers that the client sent, if an earlier middleware of
// the chain took some of them out; otherwise nil. They must not be changed.
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

// Session returns the passage of the latest middleware before that found a session of
// the identity; nil: none did.
func Session(ctx context.Context, identity string) *Passage {
	for p := last(ctx); p != nil; p = p.before {
		p.read.Store(true)
		if p.Identity == identity {
			return p
		}
	}
	return nil
}
