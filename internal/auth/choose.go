package auth

import (
	"net/http"
	"net/url"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

const (
	// providerParameter is the parameter with the name of the provider that a user chose,
	// and targetParameter the one with the return target of that sign-in.
	providerParameter = "provider"
	targetParameter   = "target"
)

var chooseProvider = failure{http.StatusUnauthorized, "choose_provider", false}

// asks answers a request without a session, which m would answer, if another middleware
// is to do so or if the user is to choose. It returns false if m answers it.
func (s *Several) asks(m *Middleware, w http.ResponseWriter, r *http.Request) bool {
	n := m.ruleProvider(m.access.Choose(r))
	if n == nil {
		n = s.chosen(r.Header["Cookie"])
	}
	if n == m {
		return s.saysGoodbye(m, w, r)
	}
	if n != nil {
		n.askVisitor(w, r, false)
		return true
	}
	if s.saysGoodbye(nil, w, r) {
		return true
	}
	for _, x := range s.all {
		if err := x.misplaced(r); err != nil {
			m.fail(w, r, misplacedCallback, err)
			return true
		}
	}
	target, _ := m.wanted(r)
	s.offer(m, w, r, target)
	return true
}

// saysGoodbye answers a request that comes back from a sign-out at the provider of
// another middleware than m.
func (s *Several) saysGoodbye(m *Middleware, w http.ResponseWriter, r *http.Request) bool {
	for _, x := range s.all {
		if x != m && r.URL.Path == x.postLogoutPath && x.shownSignedOut(w, r) {
			return true
		}
	}
	return false
}

// offer responds with the page on which the user chooses a provider.
func (s *Several) offer(m *Middleware, w http.ResponseWriter, r *http.Request, target string) {
	var choices []map[string]string
	for _, x := range s.all {
		choices = append(choices, map[string]string{"Label": x.o.Label, "Target": m.choiceAddress(r, x.o.Entry, target)})
	}
	m.answer(w, r, page{failure: chooseProvider, choices: choices}, nil)
}

// choiceAddress returns the address at which a sign-in at a provider begins, and from
// there leads to target. Without a name, it is that of the page to choose.
func (m *Middleware) choiceAddress(r *http.Request, name, target string) string {
	q := url.Values{targetParameter: {policy.Compact(target)}}
	if name != "" {
		q.Set(providerParameter, name)
	}
	return removedPrefix(r) + m.o.ChoosePath + "?" + q.Encode()
}

// link returns the address at which the user of a page chooses another provider. It is
// empty if that is no remedy.
func (s *Several) link(m *Middleware, r *http.Request, p page) string {
	switch {
	case p.choices != nil || p.confirm || p.window || p.onward:
		return ""
	case !p.failure.again && p.failure.code != notAllowed.code && p.label != "label.sign_in_again":
		return ""
	}
	target := p.target
	if target == "" {
		target, _ = m.wanted(r)
	}
	return m.choiceAddress(r, "", target)
}

// serveChoice begins a sign-in at the provider that the user chose, and remembers the
// choice. Without a choice it responds with the page. It also does so if another site
// sent the user here, so that no site chooses for them.
func serveChoice(m *Middleware, w http.ResponseWriter, r *http.Request) {
	if m.unvisited(w, r) {
		return
	}
	target, ok := m.targetIn(r, targetParameter)
	if !ok {
		target = removedPrefix(r) + "/"
	}
	name, _ := onlyParameter(r, providerParameter)
	n := m.several.entry(name)
	if n == nil || fromElsewhere(r) {
		if _, path := m.splitTarget(target); path != "" {
			target = path
		}
		m.several.offer(m, w, r, target)
		return
	}
	m.forgetChoice(w, r)
	n.o.Cookies.Send(w, n.logins.Choose())
	if f, err := n.unusableHost(r); err != nil {
		n.fail(w, r, f, err)
		return
	}
	n.signIn(w, r, journey{target: target})
}

// forgetChoice deletes the cookies that remember a choice, so that the user can choose
// again.
func (m *Middleware) forgetChoice(w http.ResponseWriter, r *http.Request) {
	if m.several == nil {
		return
	}
	for _, x := range m.several.all {
		if x.logins.Chosen(r.Header["Cookie"]) {
			x.o.Cookies.Send(w, x.logins.ForgetChoice())
		}
	}
}
