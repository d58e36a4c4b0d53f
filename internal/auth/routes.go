package auth

import (
	"net/http"
	"sort"
	"strings"
)

// A route is a path that the plugin serves itself. Its requests never reach a backend.
// This file is later by name than those of its functions: see "Other first uses" in
// docs/ARCHITECTURE.md.
type route struct {
	methods []string
	serve   func(m *Middleware, w http.ResponseWriter, r *http.Request)
	refuse  func(m *Middleware, w http.ResponseWriter, r *http.Request) // responds to another method
}

// setRoutes sets the routes of m. A path that is empty has no route.
func (m *Middleware) setRoutes() {
	m.routes = map[string]*route{
		m.callbackPath:       {[]string{http.MethodGet}, serveCallback, refuseMethod},
		m.o.LogoutPath:       {[]string{http.MethodGet, http.MethodPost}, serveLogout, refuseMethod},
		m.o.BackchannelPath:  {[]string{http.MethodPost}, serveBackchannel, refuseBackchannelMethod},
		m.o.ChoosePath:       {[]string{http.MethodGet}, serveChoice, refuseMethod},
		m.o.FrontchannelPath: {[]string{http.MethodGet}, serveFrontchannel, refuseFrontchannelMethod},
	}
	delete(m.routes, "")
	for path := range m.routes {
		m.paths = append(m.paths, path)
	}
	sort.Strings(m.paths)
	m.reserved = m.paths
}

// serveOwn serves a route. It turns a panic into a response, which would otherwise end
// the connection without a reason.
func (m *Middleware) serveOwn(w http.ResponseWriter, r *http.Request) {
	defer m.recovered(w, r)
	x := m.routes[r.URL.Path]
	for _, method := range x.methods {
		if r.Method == method {
			x.serve(m, w, r)
			return
		}
	}
	w.Header().Set("Allow", strings.Join(x.methods, ", "))
	x.refuse(m, w, r)
}
