package policy

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// A Shortcut decides about most requests of one method and one host as [Access.Choose]
// does, by one regular expression and one map.
type Shortcut struct {
	// Begins is an expression for the beginnings of paths that a rule may decide about, or
	// that need Choose. It begins with ^, which applies to all of it: Go would otherwise try
	// each of its alternatives at each byte of a path.
	Begins string
	// Places has the only place that decides about a request, by the text that Begins matches
	// in its path. Requests with other texts need Choose. So do requests with a RequestURI
	// other than that path, with or without a query, those whose path exceeds MaxPath, and
	// those with a header that overrides the method.
	Places map[string]Place
	// Rules is equal for shortcuts with the same rules.
	Rules string
}

// notSimple matches paths that need Choose. They have a character that paths of rules
// seldom have, an empty segment, or a segment that begins or ends with a dot.
const notSimple = `(?:[^/]|[A-Za-z0-9/_~.!$&'()*+,=:@-]*?(?:[^A-Za-z0-9/_~.!$&'()*+,=:@-]|//|/\.|\.(?:/|$)))`

// complicated matches the texts that notSimple matches. No such text has a place.
var complicated = regexp.MustCompile("^" + notSimple)

// Shortcut returns the shortcut of requests with a method and a host. Method must be one of
// Methods, if these are not nil, and host a result of Host.
func (a *Access) Shortcut(method, host string) *Shortcut {
	s := &Shortcut{Places: map[string]Place{"": PlaceLists}}
	parts := []string{notSimple}
	taken := map[string]bool{}
	for i, rule := range a.rules {
		if rule.methods != nil && !rule.methods[method] || rule.hosts != nil && !rule.hosts[host] {
			continue
		}
		s.Rules += fmt.Sprintf("%d ", i)
		if rule.exact == nil {
			// No rule behind it decides, and no path is without a match.
			parts = append(parts, "/")
			s.Places["/"] = Place(i + 2)
			break
		}
		parts = append(parts, rule.foldedText)
		own := map[string]bool{}
		for _, text := range rule.texts {
			own[lower(text)] = true
			if !taken[lower(text)] && !complicated.MatchString(text) {
				s.Places[text] = Place(i + 2)
			}
		}
		for text := range own {
			taken[text] = true
		}
	}
	s.Begins = "^(?:" + strings.Join(parts, "|") + ")"
	return s
}

// Methods returns the methods that have shortcuts: those of rules, and common ones. Nil:
// no rule has methods.
func (a *Access) Methods() []string {
	if !a.byMethod {
		return nil
	}
	methods := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
	for _, rule := range a.rules {
		for m := range rule.methods {
			methods = appendNew(methods, m)
		}
	}
	return methods
}

// noHost is the host of requests that no rule names.
const noHost = "-"

// Hosts returns the hosts that have shortcuts: those of rules, and noHost. Nil: no rule has
// hosts.
func (a *Access) Hosts() []string {
	if !a.byHost {
		return nil
	}
	hosts := []string{noHost}
	for _, rule := range a.rules {
		for h := range rule.hosts {
			hosts = appendNew(hosts, h)
		}
	}
	return hosts
}

// Host returns the one of Hosts that a Host header means. It returns an empty string if
// servers could read the header in different ways.
func (a *Access) Host(header string) string {
	name := hostOf(header)
	if name == "" {
		return ""
	}
	for _, rule := range a.rules {
		if rule.hosts[name] {
			return name
		}
	}
	return noHost
}
