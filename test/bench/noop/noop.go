// Package noop is a Traefik plugin that hands every request on: the measure of
// what any interpreted plugin costs.
package noop

import (
	"context"
	"net/http"
)

// Config has one option, which changes nothing but the configuration.
type Config struct {
	Generation string
}

// CreateConfig returns the defaults.
func CreateConfig() *Config { return &Config{} }

type handler struct {
	next http.Handler
}

// New builds a handler, as Traefik asks of a plugin.
func New(_ context.Context, next http.Handler, _ *Config, _ string) (http.Handler, error) {
	return &handler{next: next}, nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.next.ServeHTTP(w, r)
}
