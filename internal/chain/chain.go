// Package chain holds what a middleware tells those that come later in the chain of
// the same request: in the request's context, under keys that nobody outside the
// plugin knows, so that no client, no backend and no other plugin can say it.
package chain

import (
	"context"
	"crypto/rand"
	"encoding/base64"
)

// cookies is the key of the Cookie headers that the client sent. A key is a text: the
// interpreter gives types of ours no identity of their own.
var cookies = newKey("cookies")

// newKey returns a key that is made anew whenever the plugin is loaded.
func newKey(name string) string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // a key that is not random is still one that no client can use
	return "traefikoidc " + name + " " + base64.RawURLEncoding.EncodeToString(b)
}

// WithCookies returns a context that tells the later middlewares of a chain the Cookie
// headers of the request, because some of them are taken out. Those that ctx tells
// already are from an earlier middleware, and stay: the client sent them.
func WithCookies(ctx context.Context, headers []string) context.Context {
	if Cookies(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, cookies, headers)
}

// Cookies returns the Cookie headers that the client sent, if an earlier middleware of
// the chain took some of them out; otherwise nil. They must not be changed.
func Cookies(ctx context.Context) []string {
	headers, _ := ctx.Value(cookies).([]string)
	return headers
}
