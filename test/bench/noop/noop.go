// Package noop is a Traefik plugin that passes every request on. It measures the cost of
// any interpreted plugin.
package noop

import (
	"context"
	"net/http"
)

// Config has one option without an effect. A different value makes a different
// configuration.
type Config struct {
	Generation string
}

// CreateConfig returns the default options.
func CreateConfig() *Config { return &Config{} }

type handler struct {
	next http.Handler
}

// New makes the handler of the plugin.
func New(_ context.Context, next http.Handler, _ *Config, _ string) (http.Handler, error) {
	return &handler{next: next}, nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.next.ServeHTTP(w, r)
}
