// Package policytest plays random access rules, users and requests against package
// policy. It has a second, plain implementation of the rules, which tests compare with
// the first, compiled and interpreted.
package policytest

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// A Case is one request of one user at a site with random rules.
type Case struct {
	Text    string // the rules, the user and the request, for a failure
	Verdict string // by package policy
	Plain   string // by the plain implementation
}

const (
	usersOfSite    = 10 // the first has no session
	requestsOfUser = 10
	// CasesOfSite is how many cases each seed plays.
	CasesOfSite = usersOfSite * requestsOfUser
)

// A rule is a random rule, with the tree of its expression.
type rule struct {
	written policy.AccessRule
	require *node // nil: none
}

// A game is a site with random rules.
type game struct {
	r      *rand.Rand
	rules  []rule
	lists  policy.Rules
	bypass []string
	mode   string
}

func newGame(seed int64) *game {
	g := &game{r: rand.New(rand.NewSource(seed))}
	n := g.r.Intn(7)
	for i := 0; i < n; i++ {
		g.rules = append(g.rules, g.rule(i == n-1))
	}
	if g.one(2) {
		g.lists.RolesAndGroups = []string{g.pick(words)}
	}
	if g.one(4) {
		g.lists.Users = []string{g.pick(addresses)}
	}
	if g.one(4) {
		g.lists.Domains = []string{g.pick(domains)}
	}
	if g.one(2) {
		g.bypass = []string{g.prefix()}
	}
	g.mode = g.pick([]string{"", policy.Auto, policy.Deny, policy.Redirect, policy.Pass})
	return g
}

// one reports true in one of n cases.
func (g *game) one(n int) bool {
	return g.r.Intn(n) == 0
}

func (g *game) pick(list []string) string {
	return list[g.r.Intn(len(list))]
}

var (
	prefixes  = []string{"/a", "/a/b", "/A", "/admin", "/admin/open", "/é", "/a/é", "/api"}
	methods   = []string{"GET", "POST", "DELETE", "HEAD"}
	hosts     = []string{"one.example", "two.example"}
	words     = []string{"admins", "staff", "Staff", "7", "true"}
	addresses = []string{"alice@one.example", "bob@two.example", "ALICE@one.example"}
	domains   = []string{"one.example", "two.example"}
	paths     = []string{
		"/", "/a", "/a/", "/a/b", "/a/b/c", "/A/B", "/ab", "/admin", "/ADMIN/open", "/admin/open", "/admin/OPEN/x", "/admin.json", "/Admin~", "/admin/open.json",
		"/a/é", "/é", "/É/x", "/\uff41dmin", "/a/b\u0301", "/api/v1", "/other", "/a_b", "/admin-x", "/a./b", "/a:b",
	}
	tricks = []string{"/a/../admin", "//admin", "/admin;x", "/a/%2e%2e/admin", "/a%2fb", "/%61dmin", "/a\\b", "/.", "/a%20b", "/a/%3Bb", "*"}
)

func (g *game) prefix() string {
	return g.pick(prefixes)
}

// rule returns a random rule. One that matches every request is the last.
func (g *game) rule(last bool) rule {
	var one rule
	w := &one.written
	for i := g.r.Intn(3); i > 0; i-- {
		w.Paths = append(w.Paths, g.prefix())
	}
	if g.one(3) {
		w.Methods = append(w.Methods, g.pick(methods))
	}
	if g.one(3) {
		w.Hosts = append(w.Hosts, g.pick(hosts))
	}
	if w.Paths == nil && w.Methods == nil && w.Hosts == nil && !last {
		w.Paths = []string{g.prefix()}
	}
	w.Unauthenticated = g.pick([]string{"", "", policy.Auto, policy.Deny, policy.Redirect, policy.Pass})
	if w.Unauthenticated != policy.Pass && !g.one(4) {
		one.require = g.tree(3)
		w.Require = one.require.text()
	}
	return one
}

// claims returns random claims: some are absent, some of another type.
func (g *game) claims() oidc.Claims {
	c := oidc.Claims{"sub": "1", "iss": "https://id.example"}
	shapes := []any{
		nil, "admins", json.Number("7"), true, []any{}, []any{"staff"}, []any{"Staff", "admins"}, []any{"other", []any{"x"}},
		map[string]any{}, map[string]any{"admins": true, "staff": false}, []any{map[string]any{"name": "staff"}, "x"},
	}
	for _, name := range []string{"groups", "roles", "dept"} {
		if i := g.r.Intn(len(shapes) + 1); i < len(shapes) {
			c[name] = shapes[i]
		}
	}
	if !g.one(4) {
		c["email"] = g.pick(addresses)
	}
	if !g.one(3) {
		verified := g.r.Intn(3) > 0
		c["email_verified"] = verified
	}
	if g.one(2) {
		c["acr"] = g.pick(words)
	}
	if g.one(2) {
		c["scope"] = g.pick([]string{"", "admins staff", "staff", "x"})
	}
	return c
}

// request returns a random request as a server receives it.
func (g *game) request() *http.Request {
	target := g.pick(paths)
	if g.one(4) {
		target = g.pick(tricks)
	}
	escaped := strings.NewReplacer("é", "%C3%A9", "É", "%C3%89", "\uff41", "%EF%BD%81", "\u0301", "%CC%81").Replace(target)
	u, err := url.ParseRequestURI(escaped)
	if err != nil {
		u = &url.URL{Path: target}
	}
	r := &http.Request{Method: g.pick(methods), Host: g.pick(hosts), URL: u, RequestURI: escaped, Header: http.Header{}}
	switch g.r.Intn(12) {
	case 0:
		r.Method = strings.ToLower(r.Method)
	case 1:
		r.Header["X-Http-Method-Override"] = []string{"DELETE"}
	case 2:
		r.Host = strings.ToUpper(r.Host) + ".:8443"
	case 3:
		r.Host = g.pick([]string{"", "one.example,two.example", "one.example:80:90", "one_example/", "[::1]", "one.e\u212aample"})
	}
	return r
}

// Play plays the cases of a seed.
func Play(seed int64) []Case {
	g := newGame(seed)
	lists, err := policy.NewRules(g.lists)
	if err != nil {
		return []Case{{Text: err.Error(), Verdict: "error"}}
	}
	bypass, err := policy.NewBypass(g.bypass)
	if err != nil {
		return []Case{{Text: err.Error(), Verdict: "error"}}
	}
	o := policy.AccessOptions{Lists: lists, Bypass: bypass, Unauthenticated: g.mode}
	for _, one := range g.rules {
		o.Rules = append(o.Rules, one.written)
	}
	a, problems := policy.NewAccess(o)
	if problems != nil {
		return []Case{{Text: fmt.Sprint(problems), Verdict: "error"}}
	}
	h := newHot(a)
	var cases []Case
	for i := 0; i < usersOfSite; i++ {
		var claims oidc.Claims
		if i > 0 {
			claims = g.claims()
		}
		decisions := a.Decisions(policy.Facts{Claims: claims, Provider: "https://id.example"})
		for j := 0; j < requestsOfUser; j++ {
			r := g.request()
			cases = append(cases, Case{
				Text:    fmt.Sprintf("seed %d: %+v, %+v, public %q, %q: claims %v: %s %s %q %v", seed, o.Rules, g.lists, g.bypass, g.mode, claims, r.Method, r.RequestURI, r.Host, r.Header),
				Verdict: h.verdict(a, decisions, claims != nil, r),
				Plain:   g.verdict(claims, r),
			})
		}
	}
	return cases
}

// verdict is that of package policy. A place that the map of places gives must be the one
// that Choose chooses.
func (h *hot) verdict(a *policy.Access, decisions []policy.Decision, signedIn bool, r *http.Request) string {
	c := a.Choose(r)
	if text := h.fault(c, r); text != "" {
		return text
	}
	if c.Public {
		return "public"
	}
	if !signedIn {
		return "without a session: " + c.Unauthenticated
	}
	allowed := decisions[c.Place].Allowed
	for _, p := range c.Also {
		allowed = allowed && decisions[p].Allowed
	}
	return fmt.Sprintf("place %d: %v", c.Place, allowed)
}

// hot holds the shortcuts of an Access, which replace Choose on the path of every request.
type hot struct {
	a         *policy.Access
	shortcuts map[string]*shortcut
}

type shortcut struct {
	begins *regexp.Regexp
	places map[string]policy.Place
}

func newHot(a *policy.Access) *hot {
	h := &hot{a: a, shortcuts: map[string]*shortcut{}}
	methods := a.Methods()
	if methods == nil {
		methods = []string{""}
	}
	hosts := a.Hosts()
	if hosts == nil {
		hosts = []string{""}
	}
	for _, m := range methods {
		for _, host := range hosts {
			s := a.Shortcut(m, host)
			h.shortcuts[m+" "+host] = &shortcut{begins: regexp.MustCompile(s.Begins), places: s.Places}
		}
	}
	return h
}

// fault says that the shortcut of r gives another place than c; empty: it does not, or
// there is none.
func (h *hot) fault(c policy.Choice, r *http.Request) string {
	target, _, _ := strings.Cut(r.RequestURI, "?")
	if target != r.URL.Path || len(r.Header) > 0 {
		return ""
	}
	method := ""
	if h.a.Methods() != nil {
		method = r.Method
	}
	host := ""
	if h.a.Hosts() != nil {
		host = h.a.Host(r.Host)
	}
	s := h.shortcuts[method+" "+host]
	if s == nil {
		return ""
	}
	text := s.begins.FindString(r.URL.Path)
	place := s.places[text]
	if place != 0 && (place != c.Place || len(c.Also) > 0) {
		return fmt.Sprintf("the text %q has the place %d, and not %v", text, place, c)
	}
	return ""
}

// Verdicts returns the verdicts by package policy of the cases of n seeds.
func Verdicts(first int64, n int) []string {
	var list []string
	for i := 0; i < n; i++ {
		for _, c := range Play(first + int64(i)) {
			list = append(list, c.Verdict)
		}
	}
	return list
}
