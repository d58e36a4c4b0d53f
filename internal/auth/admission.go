package auth

import (
	"net/http"

	"github.com/traefikoidc/traefikoidc/internal/places"
)

// visitPlaces is how many requests of clients that are not signed in are served at a
// time: sign-ins, callbacks, logouts. Each can wait for the provider, and one network
// of clients has a part of them. That part is what the default of rateLimit lets come
// at once.
const visitPlaces = 1024

func newVisits() *places.Places {
	return places.New(visitPlaces, 0)
}

// A visit is a request that costs something and needs no session, while it is served.
type visit struct {
	m      *Middleware
	r      *http.Request
	client client
}

// admit returns the visit of r, whose leave must follow; or nil: so many requests of
// its client, or in all, are under way, or came lately, that it is not to be served.
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

// forgive makes a visit count for nothing in the limit of its client.
func (v *visit) forgive() {
	v.m.limits.forgive(v.client)
}
