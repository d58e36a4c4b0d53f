package policy

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/spelling"
)

// The matchers of the language. Each takes one value or more, and holds if one of them
// matches.
const (
	matchClaim    = "Claim"
	matchPrefix   = "ClaimPrefix"
	matchRegexp   = "ClaimRegexp"
	matchUser     = "User"
	matchDomain   = "Domain"
	matchGroup    = "Group"
	matchRole     = "Role"
	matchScope    = "Scope"
	matchProvider = "Provider"
	matchACR      = "ACR"
)

var matcherNames = []string{
	matchClaim, matchPrefix, matchRegexp, matchUser, matchDomain, matchGroup, matchRole, matchScope, matchProvider, matchACR,
}

// matcherFault says that there is no matcher of a name, and which was probably meant;
// empty: there is one.
func matcherFault(name string) string {
	for _, n := range matcherNames {
		if n == name {
			return ""
		}
	}
	short := name
	if len(short) > 64 {
		short = short[:64] + "..."
	}
	if near := spelling.Nearest(name, matcherNames); near != "" {
		return "there is no matcher " + short + "; did you mean " + near + "?"
	}
	return "there is no matcher " + short + "; there are " + strings.Join(matcherNames, ", ")
}

// A matcher compares one source of a user's values with the values of the operator.
type matcher struct {
	source   string   // a claim's name, or a source below
	kind     string   // how the source is read
	folded   bool     // ASCII letters are compared without their case
	values   []string // nil: the matcher has prefixes or patterns
	prefixes []string
	patterns []*regexp.Regexp
}

// matcher returns the index of the matcher with these values. Otherwise it returns the
// index of the wrong value, or of a missing one, and its fault.
func (l *language) matcher(name string, values []string) (int, int, string) {
	key := name + "\x00" + strings.Join(values, "\x00")
	if i, ok := l.index[key]; ok {
		return i, 0, ""
	}
	m := &matcher{kind: name}
	first := 0
	switch name {
	case matchClaim, matchPrefix, matchRegexp:
		if len(values) < 2 {
			missing := len(values)
			return 0, missing, name + " needs the name of a claim, and a value"
		}
		m.source = values[0]
		m.kind = matchClaim
		first = 1
	case matchGroup:
		m.source = l.rules.GroupClaim
		m.kind = matchClaim
		m.folded = true
	case matchRole:
		m.source = l.rules.RoleClaim
		m.kind = matchClaim
		m.folded = true
	case matchUser, matchDomain:
		m.folded = true
	}
	if len(values) == first {
		return 0, first, name + " needs a value"
	}
	if bad, fault := l.fill(m, name, values[first:]); fault != "" {
		return 0, first + bad, fault
	}
	i := len(l.matchers)
	l.matchers = append(l.matchers, m)
	l.join(i, m)
	l.index[key] = i
	return i, 0, ""
}

// fill gives m its values. Otherwise it returns the index of the wrong value and its
// fault.
func (l *language) fill(m *matcher, name string, values []string) (int, string) {
	if name == matchPrefix {
		m.prefixes = values
		return 0, ""
	}
	for i, v := range values {
		if name == matchRegexp {
			re, err := regexp.Compile(v)
			if err != nil {
				return i, strings.TrimPrefix(err.Error(), "error parsing regexp: ") + " in the regular expression"
			}
			m.patterns = append(m.patterns, re)
			continue
		}
		if m.folded {
			v = lower(v)
		}
		if name == matchDomain {
			v = strings.TrimPrefix(v, "@")
			if !IsDomain(v) {
				return i, "the value of Domain is not a domain name such as example.com"
			}
		}
		if name == matchProvider && !l.isProvider(v) {
			return i, "the value of Provider is not the providerURL or the name of a provider of this middleware"
		}
		m.values = append(m.values, v)
	}
	return 0, ""
}

func (l *language) isProvider(name string) bool {
	for _, p := range l.providers {
		if p == name {
			return true
		}
	}
	return l.providers == nil
}

// A reading holds a user's values from one source. Partial: there is also a value that no
// matcher can read, such as a list in a list. A source without values is absent, unless
// empty is set.
type reading struct {
	values  []string
	empty   bool // the source is there and has no values
	partial bool
}

// Facts are the input of expressions and allowed lists: the claims of a user, and the
// issuer of the user's session.
type Facts struct {
	Claims   oidc.Claims
	Provider string
	// Name is that of the provider among several; empty: there is one.
	Name string
}

// A source has the values that matchers of one kind compare, such as a claim. It finds the
// matchers of a value by a map, so that their number hardly matters.
type source struct {
	reader *matcher // a matcher of the source
	all    []int    // indexes of its matchers
	exact  map[string][]int
	folded map[string][]int
	others []int // those with prefixes or patterns
}

// join adds the matcher with an index to its source.
func (l *language) join(i int, m *matcher) {
	key := m.kind + " " + m.source
	s := l.sources[key]
	if s == nil {
		s = &source{reader: m, exact: map[string][]int{}, folded: map[string][]int{}}
		l.sources[key] = s
	}
	s.all = append(s.all, i)
	if len(m.values) == 0 {
		s.others = append(s.others, i)
	}
	for _, v := range m.values {
		if m.folded {
			s.folded[v] = append(s.folded[v], i)
		} else {
			s.exact[v] = append(s.exact[v], i)
		}
	}
}

// evaluate returns the value of each matcher.
func (l *language) evaluate(f Facts) []truth {
	values := make([]truth, len(l.matchers))
	for _, s := range l.sources {
		r := l.read(s.reader, f)
		if !r.partial && (len(r.values) > 0 || r.empty) {
			for _, i := range s.all {
				values[i] = no
			}
		}
		for _, v := range r.values {
			for _, i := range s.exact[v] {
				values[i] = yes
			}
			for _, i := range s.folded[lower(v)] {
				values[i] = yes
			}
			for _, i := range s.others {
				if l.matchers[i].matches(v) {
					values[i] = yes
				}
			}
		}
	}
	return values
}

// matches compares a value with prefixes and patterns.
func (m *matcher) matches(v string) bool {
	for _, p := range m.prefixes {
		if strings.HasPrefix(v, p) {
			return true
		}
	}
	for _, re := range m.patterns {
		if re.MatchString(v) {
			return true
		}
	}
	return false
}

// read reads the source of a matcher.
func (l *language) read(m *matcher, f Facts) reading {
	switch m.kind {
	case matchUser:
		return single(l.rules.User(f.Claims))
	case matchDomain:
		if !l.rules.usable(f.Claims, l.rules.DomainClaim) {
			return reading{}
		}
		return single(domainOf(f.Claims.Text(l.rules.DomainClaim)))
	case matchProvider:
		r := single(f.Provider)
		if f.Name != "" {
			r.values = append(r.values, f.Name)
		}
		return r
	case matchACR:
		return single(f.Claims.Text("acr"))
	case matchScope:
		return scopes(f.Claims)
	}
	if !l.rules.usable(f.Claims, m.source) {
		return reading{}
	}
	return claimed(f.Claims, m.source)
}

// single reads a source with one value; empty: none.
func single(value string) reading {
	if value == "" {
		return reading{}
	}
	return reading{values: []string{value}}
}

// claimed reads a claim: the names that oidc.Claims.List finds in it, or true or false as
// a text.
func claimed(c oidc.Claims, name string) reading {
	v, found := c.Lookup(name)
	if !found {
		return reading{}
	}
	if b, ok := v.(bool); ok {
		return single(strconv.FormatBool(b))
	}
	r := reading{values: c.List(name)}
	if list, ok := v.([]any); ok {
		r.empty = len(list) == 0
		r.partial = len(r.values) < len(list)
	}
	if _, ok := v.(map[string]any); ok {
		r.empty = len(r.values) == 0
	}
	return r
}

// scopes reads the claims scope (RFC 8693, section 4.2) and scp: one text with spaces
// between the scopes, or a list.
func scopes(c oidc.Claims) reading {
	for _, name := range []string{"scope", "scp"} {
		v, found := c.Lookup(name)
		if !found {
			continue
		}
		if text, ok := v.(string); ok {
			values := strings.Fields(text)
			return reading{values: values, empty: len(values) == 0}
		}
		if _, ok := v.(json.Number); ok {
			return reading{partial: true}
		}
		return claimed(c, name)
	}
	return reading{}
}
