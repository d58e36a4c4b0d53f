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

// setAccess sets the rules of m, its own paths, and the expressions that select the
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
	m.setRoutes()
	m.ruled = m.access.Ruled()
	special := []string{"(?:" + strings.Join(quoted(m.paths), "|") + ")$"}
	if public := m.o.Bypass.Begins(); public != nil {
		special = append(special, public.String())
	}
	var err error
	if m.special, err = oneOf(special); err != nil || !m.ruled {
		return err
	}
	return m.setShortcuts(special)
}

// oneOf compiles an expression for texts that begin as one of alternatives. The ^ applies
// to all of it: Go would otherwise try each alternative at each byte of a text.
func oneOf(alternatives []string) (*regexp.Regexp, error) {
	return regexp.Compile("^(?:" + strings.Join(alternatives, "|") + ")")
}

func quoted(paths []string) []string {
	var list []string
	for _, p := range paths {
		list = append(list, regexp.QuoteMeta(p))
	}
	return list
}

// maxShortcuts bounds the different shortcuts of a middleware. Requests without one go
// through policy.Access.Choose.
const maxShortcuts = 32

// A shortcut is a policy.Shortcut in its compiled form. Its expression also matches the
// paths of special, which have no place.
type shortcut struct {
	begins *regexp.Regexp
	places map[string]policy.Place
}

// setShortcuts sets the shortcuts of m by method and host. There is only one if no rule
// has either.
func (m *Middleware) setShortcuts(special []string) error {
	methods := m.access.Methods()
	hosts := m.access.Hosts()
	m.byMethod = methods != nil
	m.byHost = hosts != nil
	m.shortcuts = map[string]*shortcut{}
	m.hosts = map[string]string{}
	if !m.byMethod {
		methods = []string{""}
	}
	if !m.byHost {
		hosts = []string{""}
	}
	made := map[string]*shortcut{}
	for _, method := range methods {
		for _, host := range hosts {
			s := m.access.Shortcut(method, host)
			if made[s.Rules] == nil {
				if len(made) == maxShortcuts {
					continue
				}
				x, err := m.newShortcut(special, s)
				if err != nil {
					return err
				}
				made[s.Rules] = x
			}
			key := host
			if m.byMethod {
				key = method + " " + host
			}
			m.shortcuts[key] = made[s.Rules]
		}
	}
	return nil
}

// newShortcut compiles s. The plugin's own paths, which special begins with, come first,
// because a rule may have them too. The public paths come last.
func (m *Middleware) newShortcut(special []string, s *policy.Shortcut) (*shortcut, error) {
	begins, err := oneOf(append([]string{special[0], s.Begins}, special[1:]...))
	if err != nil {
		return nil, err
	}
	x := &shortcut{begins: begins, places: s.Places}
	for _, p := range m.paths {
		delete(x.places, p)
	}
	return x, nil
}

// maxHosts bounds the Host headers that m knows. When it is reached, all are dropped.
const maxHosts = 64

// learnHost records the host of the rules that a Host header means. Only requests of
// allowed users add one.
func (m *Middleware) learnHost(header string) {
	host := m.access.Host(header)
	if host == "" {
		return
	}
	m.hot.Mu.Lock()
	if len(m.hosts) >= maxHosts {
		for known := range m.hosts {
			delete(m.hosts, known)
		}
	}
	m.hosts[header] = host
	m.hot.Mu.Unlock()
}

// A ruledHandler is a handler of a middleware with access rules.
type ruledHandler struct {
	h         *handler
	m         *Middleware
	next      http.Handler
	hot       *session.Hot
	single    *shortcut // of all requests; nil: it depends on the method or the host
	shortcuts map[string]*shortcut
	byMethod  bool
	cookie    string
	strips    bool
	tells     bool
	plain     *regexp.Regexp

	hosts map[string]string // guarded by the lock of hot
}

func newRuled(h *handler) http.Handler {
	m := h.m
	u := &ruledHandler{
		h: h, m: m, next: h.next, hot: h.hot, shortcuts: m.shortcuts, byMethod: m.byMethod, hosts: m.hosts,
		cookie: h.cookie, strips: h.strips, tells: h.tells, plain: h.plain,
	}
	if !m.byMethod && !m.byHost {
		u.single = m.shortcuts[""]
	}
	return u
}

// ServeHTTP is handler.ServeHTTP with one more step: it finds the place of the request,
// and with it the session's verdict. Each is one function, because a call costs more
// than the rest of the step, and sites without rules skip it. A request whose URI is
// not the path that rules compare, or whose path is long, is left to serve.
func (u *ruledHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := u.h
	head := r.Header
	cookies := head["Cookie"]
	target, _, _ := strings.Cut(r.RequestURI, "?")
	if len(cookies) != 1 || len(head) > headers.MaxNames || r.Method == http.MethodConnect || r.Trailer != nil || r.TransferEncoding != nil || target != r.URL.Path || len(target) > policy.MaxPath ||
		head.WriteSubset(h.closed, h.harmless.Load().(map[string]bool)) != nil {
		u.m.serve(w, r, h)
		return
	}
	before, after, _ := strings.Cut(cookies[0], u.cookie)
	value, rest, _ := strings.Cut(after, ";")
	u.hot.Mu.Lock()
	found := u.hot.Opened[value]
	passages := h.passages
	of := u.hosts[r.Host]
	u.hot.Mu.Unlock()
	x := u.single
	if x == nil {
		if u.byMethod {
			of = r.Method + " " + of
		}
		x = u.shortcuts[of]
	}
	if found == nil || x == nil || h.since(found.Until) >= 0 || before != "" && !strings.HasSuffix(before, "; ") {
		u.m.serve(w, r, h)
		return
	}
	v := found.Verdicts[x.places[x.begins.FindString(target)]]
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
	if passages {
		h.withPassage(w, r, cookies, found)
		return
	}
	u.next.ServeHTTP(w, r)
}

// serveByRules is the end of serve where rules decide, or where requests without a
// session get another response than by default. Sent is r as the client sent it.
func (m *Middleware) serveByRules(w http.ResponseWriter, r, sent *http.Request, h *handler) {
	c := m.access.Choose(r)
	if c.Public {
		m.pass(w, r, h, nil)
		return
	}
	if other := m.asked(h, c); other != nil {
		other.m.serve(w, r, other)
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
		if m.byHost {
			m.learnHost(r.Host)
		}
		m.handOn(w, r, h, found, v.Headers)
		return
	}
	if c.Unauthenticated == policy.Pass {
		m.pass(w, r, h, nil)
		return
	}
	details := m.refusalDetails(found, v.Reason)
	if m.ruled {
		details = append(details, "rule", m.ruleOf(found, c))
	}
	m.refuse(w, r, found, details)
}

// anyAllowed reports whether one of the decisions allows the user.
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

// verdict returns the verdict of a session about a request. It allows the request only
// if all places of the choice do.
func (m *Middleware) verdict(o *session.Opened, c policy.Choice) *session.Verdict {
	if !m.ruled {
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

// notSignedInHere is notSignedIn where no sign-in begins.
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
