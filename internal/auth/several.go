package auth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/internal/chain"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// Several is the middlewares of one configuration with several providers: one for each.
// Each has an identity, a session cookie, a callback path and logout paths of its own,
// so that nothing of one provider is valid at another. Several selects the middleware of
// a request. It is safe for concurrent use.
type Several struct {
	all   []*Middleware
	usual *Middleware // of users who have not chosen; nil: they choose on a page
}

// NewSeveral returns the middlewares all as one. They have the same Access, LogoutPath,
// ChoosePath and RuleProviders, and each an Entry and a cookie name. Usual is the index
// of the provider of users who have not chosen; -1: none.
func NewSeveral(all []*Middleware, usual int) *Several {
	s := &Several{all: all}
	if usual >= 0 {
		s.usual = all[usual]
	}
	var paths []string
	for _, m := range all {
		paths = append(paths, m.paths...)
	}
	for _, m := range all {
		m.several = s
		m.reserved = paths
		m.limits = all[0].limits
		m.visits = all[0].visits
		m.markers = all[0].markers
	}
	return s
}

// Close closes the middlewares.
func (s *Several) Close() {
	for _, m := range s.all {
		m.Close()
	}
}

// A severalHandler is one router's use of Several.
type severalHandler struct {
	s       *Several
	all     []*handler
	served  []http.Handler          // of all, by index
	cookies []string                // of sessions, with "=", by index
	first   http.Handler            // of requests without a session
	own     map[string]http.Handler // of the paths that only one middleware serves
}

// Handler returns the handler of one router. It passes permitted requests to next.
func (s *Several) Handler(next http.Handler) http.Handler {
	x := &severalHandler{s: s, own: map[string]http.Handler{}}
	for _, m := range s.all {
		served := m.handler(next, x)
		x.served = append(x.served, served)
		x.cookies = append(x.cookies, m.o.Cookies.Name+"=")
		for _, p := range m.paths {
			if p != m.o.LogoutPath && p != m.o.ChoosePath {
				x.own[p] = served
			}
		}
		if x.first == nil || m == s.usual {
			x.first = served
		}
	}
	return x
}

// ServeHTTP gives a request to the middleware whose session cookie it has. Most have the
// cookie of one.
func (x *severalHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cookies := r.Header["Cookie"]
	if len(cookies) != 1 || x.own[r.URL.Path] != nil {
		x.pick(r).ServeHTTP(w, r)
		return
	}
	at := -1
	for i, c := range x.cookies {
		if strings.Contains(cookies[0], c) {
			if at >= 0 {
				x.pick(r).ServeHTTP(w, r)
				return
			}
			at = i
		}
	}
	if at < 0 {
		x.pick(r).ServeHTTP(w, r)
		return
	}
	x.served[at].ServeHTTP(w, r)
}

// pick returns the handler of a request that has a path of one provider, the session
// cookies of several, or none. Of several sessions, that of the chosen provider is used,
// or else that of defaultProvider, or else the first.
func (x *severalHandler) pick(r *http.Request) http.Handler {
	if own := x.own[r.URL.Path]; own != nil {
		return own
	}
	ctx := r.Context()
	cookies := r.Header["Cookie"]
	passage := ctx.Value(chain.Key) != nil
	if earlier := chain.Cookies(ctx); earlier != nil {
		cookies = earlier
	}
	if len(cookies) == 0 && !passage || tooLarge(cookies) {
		return x.first
	}
	last := x.first
	for _, m := range x.s.ordered(cookies) {
		sent := r
		if passage {
			sent = m.asSent(r)
		}
		if !m.logins.Sends(sent.Header["Cookie"]) {
			continue
		}
		_, err := m.sessions.Load(ctx, sent)
		if err == nil || !errors.Is(err, session.ErrNone) {
			return x.of(m)
		}
		if last == x.first {
			last = x.of(m)
		}
	}
	return last
}

// of returns the handler of a middleware.
func (x *severalHandler) of(m *Middleware) http.Handler {
	for i, h := range x.all {
		if h.m == m {
			return x.served[i]
		}
	}
	return x.first
}

// ordered returns the middlewares: that of the chosen provider first, then that of
// defaultProvider, then the others.
func (s *Several) ordered(cookies []string) []*Middleware {
	chosen := s.chosen(cookies)
	var list []*Middleware
	for _, m := range s.all {
		if m == chosen {
			list = append([]*Middleware{m}, list...)
		} else {
			list = append(list, m)
		}
	}
	return list
}

// chosen returns the middleware of the provider that the user chose, or else that of
// defaultProvider, or nil.
func (s *Several) chosen(cookies []string) *Middleware {
	for _, m := range s.all {
		if m.logins.Chosen(cookies) {
			return m
		}
	}
	return s.usual
}

// entry returns the middleware of the provider with a name, or nil.
func (s *Several) entry(name string) *Middleware {
	for _, m := range s.all {
		if name != "" && m.o.Entry == name {
			return m
		}
	}
	return nil
}

// asked returns the handler of another provider that the rule of c asks for, or nil.
func (m *Middleware) asked(h *handler, c policy.Choice) *handler {
	if h.several == nil {
		return nil
	}
	other := m.ruleProvider(c)
	if other == nil || other == m {
		return nil
	}
	for _, x := range h.several.all {
		if x.m == other {
			return x
		}
	}
	return nil
}

// ruleProvider returns the middleware of the provider that the rule of c asks for, or
// nil. If a request can be read in two ways, the first rule that asks for one applies.
// It is the same for each m of a Several, so that a request is handed on at most once.
func (m *Middleware) ruleProvider(c policy.Choice) *Middleware {
	for _, place := range append([]policy.Place{c.Place}, c.Also...) {
		i := int(place) - 2
		if i >= 0 && i < len(m.o.RuleProviders) && m.o.RuleProviders[i] != "" {
			return m.several.entry(m.o.RuleProviders[i])
		}
	}
	return nil
}

// keepApart refuses a user where a rule asks for another provider. It also does so where
// no rule matches, if the allowed lists are those of another provider.
func (m *Middleware) keepApart(decisions []policy.Decision) {
	if m.o.ListsClosed {
		decisions[policy.PlaceLists] = policy.Decision{Reason: "the allowed lists are for defaultProvider, and no rule lets users of the provider " + m.o.Entry + " pass here"}
	}
	for i, name := range m.o.RuleProviders {
		if name != "" && name != m.o.Entry {
			decisions[i+2] = policy.Decision{Reason: "the access rule asks for the provider " + name}
		}
	}
}

// endOthers ends the sessions that a user who signs out has at the providers other than
// that of m. It returns false if it responded that this is not possible now.
func (s *Several) endOthers(m *Middleware, w http.ResponseWriter, r *http.Request) bool {
	for _, other := range s.all {
		if other == m || !other.logins.Sends(r.Header["Cookie"]) {
			continue
		}
		if err := other.endHere(w, r); err != nil {
			m.fail(w, r, storeDown, err)
			return false
		}
	}
	m.forgetChoice(w, r)
	return true
}

// endHere ends the session of r, but not that of the provider.
func (m *Middleware) endHere(w http.ResponseWriter, r *http.Request) error {
	ended, err := m.sessions.End(r.Context(), r)
	if err != nil {
		return err
	}
	m.o.Cookies.Send(w, m.o.Cookies.Delete(m.o.Cookies.Name))
	if ended != nil {
		m.log(r, slogInfo, "signed out", "subject", digest(claimsOf(ended).Text("sub")))
		background.Start(&revocation{m: m, session: ended})
	}
	return nil
}
