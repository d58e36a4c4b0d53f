package auth

import (
	"net/http"

	"github.com/traefikoidc/traefikoidc/internal/places"
)

// visitPlaces is the number of requests of clients without a session that are served at
// the same time: sign-ins, callbacks and logouts. Each can wait for the provider. One
// network of clients gets a part of the places: as many as the default of rateLimit
// admits at once.
const visitPlaces = 1024

func newVisits() *places.Places {
	return places.New(visitPlaces, 0)
}

// A visit is a request that causes work and needs no session, while it is served.
type visit struct {
	m      *Middleware
	r      *http.Request
	client client
}

// admit returns the visit of r, which the caller must end with leave. It returns nil if
// too many requests are being served, in all or of the client's network, or if the
// client exceeds rateLimit.
func (m *Middleware) admit(r *http.Request) *visit {
	v := &visit{m: m, r: r, client: m.limits.client(r)}
	if !m.visits.TryTake(v.client.network()) {
		return nil
	}
	if !m.limits.allow(v.client) {
		v.leave()
		return nil
	}
	return v
}

func (v *visit) leave() {
	v.m.visits.Leave(v.client.network())
}

// forgive returns the visit to the limit of its client.
func (v *visit) forgive() {
	v.m.limits.forgive(v.client)
}
