package policy

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

const (
	maxRules = 1000
	// maxPaths bounds the paths of all rules together.
	maxPaths = 4096
)

// Responses to a request without a session.
const (
	// Auto redirects navigations to the provider and answers anything else with 401.
	Auto = "auto"
	// Redirect redirects every GET request to the provider.
	Redirect = "redirect"
	// Deny answers with 401.
	Deny = "deny"
	// Pass lets the request pass without identity headers.
	Pass = "pass"
)

// An AccessRule decides about the requests that it matches. The zero value matches all
// requests, and all users that are signed in satisfy it.
type AccessRule struct {
	Paths   []string // canonical prefixes that end at the boundary of a segment; nil: every path
	Methods []string // nil: every method; GET includes HEAD
	Hosts   []string // nil: every host; names only, without a port
	Require string   // an expression; empty: every signed-in user
	// Unauthenticated is Auto, Redirect, Deny or Pass; empty is that of AccessOptions, but
	// Auto in place of Pass.
	Unauthenticated string
}

// AccessOptions configure an Access.
type AccessOptions struct {
	Rules           []AccessRule
	Lists           *Rules   // the allowed lists, for requests that no rule matches
	Bypass          *Bypass  // public paths, which count only where no rule matches
	Unauthenticated string   // of requests that no rule matches; empty: Auto
	Providers       []string // issuers and names that Provider may name; nil: any
}

// A Problem is an error in one option of a rule.
type Problem struct {
	Rule   int    // counted from 0
	Option string // paths, methods, hosts, require or unauthenticated; empty: the rule
	Text   string
}

// A Place is a rule, as its index and 2, or the allowed lists. Zero is no
// place.
type Place int

// PlaceLists is the place of requests that no rule matches: the allowed lists.
const PlaceLists Place = 1

// Access decides, for each request, which users may pass: by the first rule that matches,
// and by the allowed lists if none does. It is safe for concurrent use.
type Access struct {
	o           AccessOptions
	rules       []*accessRule
	language    *language
	expressions []*expression // each text once
	byMethod    bool          // a rule has methods
	byHost      bool          // a rule has hosts
	longest     int           // path of a rule, in bytes
}

type accessRule struct {
	// exact matches the rule's paths. folded matches them whatever their case, and with an
	// ending of the last segment, such as .json. Nil: every path.
	exact, folded *regexp.Regexp
	foldedText    string   // the text of folded without its ^
	lines         string   // the paths in lower case, each after a line break
	texts         []string // the texts that exact matches
	methods       map[string]bool
	hosts         map[string]bool
	require       int // index of an expression; -1: none
	mode          string
}

// NewAccess returns an Access, or all problems of its rules.
func NewAccess(o AccessOptions) (*Access, []Problem) {
	if o.Unauthenticated == "" {
		o.Unauthenticated = Auto
	}
	if len(o.Rules) > maxRules {
		return nil, []Problem{{Rule: maxRules, Text: fmt.Sprintf("there are more than %d rules", maxRules)}}
	}
	c := &accessCompiler{seen: map[string]int{}}
	c.a = &Access{o: o, language: &language{rules: o.Lists, providers: o.Providers, index: map[string]int{}, sources: map[string]*source{}}}
	for i := range o.Rules {
		c.add(i, &o.Rules[i])
	}
	if c.problems != nil {
		return nil, c.problems
	}
	return c.a, nil
}

// An accessCompiler collects the rules of an Access, and their problems.
type accessCompiler struct {
	a        *Access
	seen     map[string]int // indexes of expressions by their texts
	paths    int            // so far
	all      int            // number of a rule that matches every request; 0: none
	problems []Problem
}

func (c *accessCompiler) problem(i int, option, text string) {
	c.problems = append(c.problems, Problem{Rule: i, Option: option, Text: text})
}

func (c *accessCompiler) add(i int, o *AccessRule) {
	rule := &accessRule{require: -1, mode: o.Unauthenticated}
	switch o.Unauthenticated {
	case "":
		rule.mode = c.a.o.Unauthenticated
		if rule.mode == Pass {
			rule.mode = Auto
		}
	case Auto, Redirect, Deny, Pass:
	default:
		c.problem(i, "unauthenticated", "is none of auto, redirect, deny, pass")
	}
	if o.Require != "" {
		rule.require = c.expression(i, o.Require)
		if o.Unauthenticated == Pass {
			c.problem(i, "require", "protects nothing with unauthenticated: pass, because a request without a session passes; leave one of the two out")
		}
	}
	every := c.setPaths(i, rule, o.Paths)
	rule.methods = c.methodSet(i, o.Methods)
	rule.hosts = c.hostSet(i, o.Hosts)
	if c.all != 0 {
		c.problem(i, "", fmt.Sprintf("is never reached, because accessRules[%d] matches every request", c.all-1))
	} else if every && rule.methods == nil && rule.hosts == nil && len(o.Methods) == 0 && len(o.Hosts) == 0 {
		c.all = i + 1
	}
	c.a.byMethod = c.a.byMethod || rule.methods != nil
	c.a.byHost = c.a.byHost || rule.hosts != nil
	c.a.rules = append(c.a.rules, rule)
}

// expression returns the index of the expression of a text.
func (c *accessCompiler) expression(i int, text string) int {
	if at, ok := c.seen[text]; ok {
		return at
	}
	e, fault := c.a.language.parse(text)
	if fault != "" {
		c.problem(i, "require", fault)
		return -1
	}
	at := len(c.a.expressions)
	c.a.expressions = append(c.a.expressions, e)
	c.seen[text] = at
	return at
}

// setPaths sets the expressions of a rule's paths, and reports whether it matches every
// path. The prefix / does.
func (c *accessCompiler) setPaths(i int, rule *accessRule, paths []string) bool {
	var parts []string
	var texts []string
	lines := ""
	c.paths += len(paths)
	if c.paths > maxPaths {
		c.problem(i, "paths", fmt.Sprintf("are more than %d in all rules", maxPaths))
		return false
	}
	every := len(paths) == 0
	for _, p := range paths {
		if p == "/" {
			every = true
			continue
		}
		if fault := prefixFault(p); fault != "" {
			c.problem(i, "paths", fmt.Sprintf("%.100q %s", p, fault))
			continue
		}
		p = strings.TrimRight(p, "/")
		if len(p) > c.a.longest {
			c.a.longest = len(p)
		}
		parts = append(parts, regexp.QuoteMeta(p))
		texts = append(texts, p, p+"/")
		lines += "\n" + strings.ToLower(p)
	}
	if every || len(parts) == 0 {
		return every
	}
	text := "(?:" + strings.Join(parts, "|") + ")"
	rule.exact = regexp.MustCompile("^" + text + "(?:/|$)")
	rule.foldedText = "(?i:" + text + `)(?:[^\p{L}\p{N}_-]|$)`
	rule.folded = regexp.MustCompile("^" + rule.foldedText)
	rule.texts = texts
	rule.lines = lines
	return false
}

// token matches a method (RFC 9110, section 9.1) that is written as methods are.
var methodToken = regexp.MustCompile("^[A-Z0-9!#$%&'*+.^_`|~-]{1,64}$")

func (c *accessCompiler) methodSet(i int, methods []string) map[string]bool {
	var set map[string]bool
	for _, m := range methods {
		m = strings.ToUpper(m)
		if !methodToken.MatchString(m) {
			c.problem(i, "methods", fmt.Sprintf("%.100q is no method", m))
			continue
		}
		if set == nil {
			set = map[string]bool{}
		}
		set[m] = true
		if m == http.MethodGet {
			set[http.MethodHead] = true
		}
	}
	return set
}

func (c *accessCompiler) hostSet(i int, hosts []string) map[string]bool {
	var set map[string]bool
	for _, h := range hosts {
		name := strings.ToLower(h)
		if !hostName.MatchString(name) {
			c.problem(i, "hosts", fmt.Sprintf("%.100q is not the name of a host, such as app.example.com", h))
			continue
		}
		if set == nil {
			set = map[string]bool{}
		}
		set[name] = true
	}
	return set
}

// Decisions evaluates the rules and the allowed lists on the facts of a session. The
// results are by place. The result of place 0 allows no user.
func (a *Access) Decisions(f Facts) []Decision {
	if len(a.rules) == 0 {
		return []Decision{{Reason: noDecision}, a.o.Lists.allow(f.Claims)}
	}
	values := a.language.evaluate(f)
	results := make([]bool, len(a.expressions))
	for i, e := range a.expressions {
		results[i] = e.value(values) == yes
	}
	decisions := make([]Decision, 0, len(a.rules)+2)
	decisions = append(decisions, Decision{Reason: noDecision}, a.o.Lists.allow(f.Claims))
	for _, rule := range a.rules {
		d := Decision{Allowed: true, Reason: "allowed"}
		if rule.require >= 0 && !results[rule.require] {
			d = Decision{Reason: "the user does not satisfy require of the access rule"}
		}
		decisions = append(decisions, d)
	}
	return decisions
}

const noDecision = "no rule decides"

// Ruled reports whether there are rules.
func (a *Access) Ruled() bool {
	return len(a.rules) > 0
}

// Unauthenticated is the response to requests without a session that no rule matches.
func (a *Access) Unauthenticated() string {
	return a.o.Unauthenticated
}

// Refused returns decisions that allow nobody, in place of [Access.Decisions].
func (a *Access) Refused(reason string) []Decision {
	decisions := make([]Decision, len(a.rules)+2)
	for i := range decisions {
		decisions[i].Reason = reason
	}
	return decisions
}

// Claims returns the names of the claims that the expressions and the allowed lists use,
// each once. A refusal has its cause in one of them.
func (a *Access) Claims() []string {
	names := a.o.Lists.claims()
	for _, m := range a.language.matchers {
		switch m.kind {
		case matchUser:
			names = appendNew(names, a.o.Lists.UserClaim)
		case matchDomain:
			names = appendNew(names, a.o.Lists.DomainClaim)
		case matchACR:
			names = appendNew(names, "acr")
		case matchScope:
			names = appendNew(names, "scope")
		case matchProvider:
			names = appendNew(names, "iss")
		default:
			names = appendNew(names, m.source)
		}
	}
	return names
}

// Needed returns the names of the claims that the expressions use and that a userinfo
// response may have, each once.
func (a *Access) Needed() []string {
	var names []string
	for _, m := range a.language.matchers {
		switch m.kind {
		case matchUser:
			names = appendNew(names, a.o.Lists.UserClaim)
		case matchDomain:
			names = appendNew(names, a.o.Lists.DomainClaim)
		case matchClaim:
			names = appendNew(names, m.source)
		}
	}
	return names
}
