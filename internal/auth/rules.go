package auth

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

// setAccess sets the rules of m, its own paths, and the expression that selects the
// requests that ServeHTTP leaves to serve.
func (m *Middleware) setAccess() error {
	m.access = m.o.Access
	if m.access == nil {
		a, problems := policy.NewAccess(policy.AccessOptions{Lists: m.o.Rules, Bypass: m.o.Bypass})
		if problems != nil {
			return errors.New("auth: " + problems[0].Text)
		}
		m.access = a
	}
	m.byRules = m.access.Ruled() || m.access.Unauthenticated() != policy.Auto
	m.nobody = &session.Opened{}
	m.paths = m.ownPaths()
	if m.access.Ruled() {
		m.places = m.access.Places()
		for _, p := range m.paths {
			delete(m.places, p)
		}
	}
	special, err := regexp.Compile(specialPaths(m.paths, m.access, m.o.Bypass))
	m.special = special
	return err
}

// specialPaths is an expression for the paths of requests that are not simply the
// backend's: those of m, and those of rules and of public paths. It may match more, not
// less. With rules, its matches are the texts of policy.Access.Places.
func specialPaths(own []string, a *policy.Access, b *policy.Bypass) string {
	var quoted []string
	for _, p := range own {
		quoted = append(quoted, regexp.QuoteMeta(p))
	}
	text := "^(?:" + strings.Join(quoted, "|") + ")$"
	if a.Ruled() {
		text += "|" + a.Begins()
	}
	if public := b.Begins(); public != nil {
		text += "|" + public.String()
	}
	return text
}

// A ruledHandler is a handler of a middleware with access rules.
type ruledHandler struct {
	h       *handler
	m       *Middleware
	next    http.Handler
	hot     *session.Hot
	special *regexp.Regexp
	places  map[string]policy.Place
	mark    string
	strips  bool
	tells   bool
	plain   *regexp.Regexp
}

func newRuled(h *handler) http.Handler {
	u := &ruledHandler{
		h: h, m: h.m, next: h.next, hot: h.hot, special: h.special, places: h.m.places, mark: h.mark, strips: h.strips, tells: h.tells, plain: h.plain,
	}
	return u
}

// ServeHTTP is handler.ServeHTTP with one more step: the place of the request, and with it
// the verdict that the session holds. Both are one function each, because a call costs
// more than the rest of the step, and sites without rules have none of it. A request whose
// URI is not the path that rules compare is left to serve.
func (u *ruledHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := u.h
	head := r.Header
	cookies := head["Cookie"]
	target, _, _ := strings.Cut(r.RequestURI, "?")
	if len(cookies) != 1 || len(head) > headers.MaxNames || r.Method == http.MethodConnect || r.Trailer != nil || r.TransferEncoding != nil || target != r.URL.Path ||
		head.WriteSubset(h.closed, h.harmless.Load().(map[string]bool)) != nil {
		u.m.serve(w, r, h)
		return
	}
	place := u.places[u.special.FindString(target)]
	before, after, _ := strings.Cut(cookies[0], u.mark)
	value, rest, _ := strings.Cut(after, ";")
	u.hot.Mu.Lock()
	found := u.hot.Opened[value]
	marks := h.marks
	u.hot.Mu.Unlock()
	if found == nil || h.since(found.Until) >= 0 || before != "" && !strings.HasSuffix(before, "; ") {
		u.m.serve(w, r, h)
		return
	}
	v := found.Verdicts[place]
	if !v.Allowed {
		u.m.serve(w, r, h)
		return
	}
	if u.strips {
		if before == "" && rest == "" {
			delete(head, "Cookie")
		} else if !h.keepOthers(head, before, rest) {
			u.m.handOn(w, r, h, found, v.Headers)
			return
		}
	} else if len(cookies[0]) > maxCookieBytes {
		u.m.refuseCookies(w, r)
		return
	}
	for _, f := range v.Headers {
		head[f.Name] = []string{f.Value}
	}
	if u.tells {
		if len(r.RequestURI) <= policy.MaxTarget && u.plain.MatchString(r.RequestURI) {
			head[headers.RequestRedirect] = []string{r.RequestURI}
		} else {
			tellTarget(r)
		}
	}
	if marks {
		h.passMarked(w, r, cookies, found)
		return
	}
	u.next.ServeHTTP(w, r)
}

// serveByRules is the end of serve where rules decide, or where requests without a session
// get another response than by default. Sent is r as the client sent it.
func (m *Middleware) serveByRules(w http.ResponseWriter, r, sent *http.Request, h *handler) {
	c := m.access.Choose(r)
	if c.Public {
		m.pass(w, r, h, nil)
		return
	}
	found := m.findByRules(w, sent, c.Unauthenticated)
	if found == nil {
		return
	}
	if found == m.nobody {
		m.pass(w, r, h, nil)
		return
	}
	v := m.verdict(found, c)
	if v.Allowed {
		m.learnNames(r.Header, found)
		m.handOn(w, r, h, found, v.Headers)
		return
	}
	if c.Unauthenticated == policy.Pass {
		m.pass(w, r, h, nil)
		return
	}
	details := m.refusalDetails(found, v.Reason)
	if m.places != nil {
		details = append(details, "rule", m.ruleOf(found, c))
	}
	m.refuse(w, r, found, details)
}

// anyAllowed reports whether a place allows the user.
func anyAllowed(decisions []policy.Decision) bool {
	for _, d := range decisions {
		if d.Allowed {
			return true
		}
	}
	return false
}

// verdicts returns the verdicts of a session by place. Fields are the headers of places
// whose rule has none of its own. Places with the same verdict share one.
func (m *Middleware) verdicts(s *session.Session, claims oidc.Claims, decisions []policy.Decision, fields []session.Field) []*session.Verdict {
	allowed := &session.Verdict{Allowed: true, Headers: fields}
	refused := map[string]*session.Verdict{}
	list := make([]*session.Verdict, 0, len(decisions))
	for place, d := range decisions {
		i := place - 2
		switch {
		case !d.Allowed:
			if refused[d.Reason] == nil {
				refused[d.Reason] = &session.Verdict{Reason: d.Reason}
			}
			list = append(list, refused[d.Reason])
		case i >= 0 && i < len(m.o.RuleTemplates) && m.o.RuleTemplates[i] != nil:
			list = append(list, &session.Verdict{Allowed: true, Own: true, Headers: m.headersFor(s, claims, m.o.RuleTemplates[i])})
		default:
			list = append(list, allowed)
		}
	}
	return list
}

// verdict returns the verdict of a session about a request. It allows the request only if
// all places of the choice do.
func (m *Middleware) verdict(o *session.Opened, c policy.Choice) *session.Verdict {
	if m.places == nil {
		return &session.Verdict{Allowed: o.Allowed, Reason: o.Reason, Headers: o.Headers}
	}
	for _, p := range c.Also {
		if !o.Verdicts[p].Allowed {
			return o.Verdicts[p]
		}
	}
	return o.Verdicts[c.Place]
}

// ruleOf names the rule that refuses a session, for the log.
func (m *Middleware) ruleOf(o *session.Opened, c policy.Choice) string {
	for _, p := range c.Also {
		if !o.Verdicts[p].Allowed {
			return fmt.Sprintf("accessRules[%d], for a path, a method or a host that can be read in two ways", p-2)
		}
	}
	if c.Place == policy.PlaceLists {
		return "none; the allowed lists"
	}
	return fmt.Sprintf("accessRules[%d]", c.Place-2)
}

// notSignedInHere is notSignedIn where a sign-in does not begin.
var notSignedInHere = failure{http.StatusUnauthorized, "not_signed_in", false}

// findByRules is find with a mode, the response to a request without a session. If it is
// Pass, findByRules returns m.nobody.
func (m *Middleware) findByRules(w http.ResponseWriter, r *http.Request, mode string) *session.Opened {
	defer m.recovered(w, r)
	o, err := m.sessions.Load(r.Context(), r)
	if err == nil {
		return o
	}
	if !errors.Is(err, session.ErrNone) {
		m.fail(w, r, storeDown, err)
		return nil
	}
	foreign := errors.Is(err, session.ErrForeign)
	switch mode {
	case policy.Pass:
		return m.nobody
	case policy.Deny:
		m.fail(w, r, notSignedInHere, nil)
	case policy.Redirect:
		m.redirectToSignIn(w, r, foreign)
	default:
		m.askToSignIn(w, r, foreign)
	}
	return nil
}

// redirectToSignIn sends the client of any GET request to the provider. Other methods,
// upgrades and requests ahead of a visit get 401.
func (m *Middleware) redirectToSignIn(w http.ResponseWriter, r *http.Request, foreignCookie bool) {
	if foreignCookie {
		m.tellOfForeignCookie(r)
	}
	if r.Method != http.MethodGet || upgrade(r) || aheadOfVisit(r) {
		m.fail(w, r, notSignedIn, nil)
		return
	}
	m.askVisitor(w, r, foreignCookie)
}
