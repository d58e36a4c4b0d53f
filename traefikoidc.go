// Package traefikoidc is a Traefik middleware plugin that signs users in with OpenID
// Connect.
//
// Traefik loads it from source and calls CreateConfig once for every middleware that
// names the plugin. It decodes the operator's options into the result. It calls New for
// every router that uses the middleware, again at each change of its dynamic
// configuration. New does not wait for the network: discovery is requested in the
// background.
package traefikoidc

import (
	"context"
	"net/http"

	"github.com/traefikoidc/traefikoidc/internal/config"
)

// Config holds the options of one middleware, as docs/configuration.md describes them.
type Config = config.Config

// CreateConfig returns the options' defaults.
func CreateConfig() *Config {
	return config.New()
}

// New returns the handler of one router, which passes permitted requests to next. The
// error names every option with a problem. Handlers of one middleware share their
// resources, and find them again after a reload. They are released when ctx is done for
// all of them.
func New(ctx context.Context, next http.Handler, c *Config, name string) (http.Handler, error) {
	m := again(ctx, c, name)
	if m == nil {
		var err error
		m, err = build(ctx, c, name)
		if err != nil {
			return nil, err
		}
	}
	if m.several != nil {
		return m.several.Handler(next), nil
	}
	return m.middleware.Handler(next), nil
}
