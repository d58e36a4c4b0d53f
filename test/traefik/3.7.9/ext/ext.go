// Package ext stands in for a folder of Traefik's repository that has no module
// of its own. Traefik's middlewares and routers embed its types; they are empty in
// the open-source Traefik.
package ext

// HTTP extends a middleware's configuration.
type HTTP struct{}

// Router extends a router's configuration.
type Router struct{}
