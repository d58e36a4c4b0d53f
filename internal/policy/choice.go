package policy

import (
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A Choice says which rules decide about a request.
type Choice struct {
	Place Place // that decides, and has the headers to set
	// Also are further places. The user must satisfy their rules too, because another
	// server may read the request so that they match.
	Also []Place
	// Unauthenticated is the response if the request has no session.
	Unauthenticated string
	// Public: the path is one of Bypass, and needs no session.
	Public bool
}

// A target holds the parts of a request that rules compare. A part that another server
// could read differently is not sure.
type target struct {
	path, method, host             string
	pathSure, methodSure, hostSure bool
	plain                          bool   // the path is sure, and in ASCII
	foreign                        bool   // the path has letters beyond ASCII, which some servers replace
	begin                          string // of such a path, in lower case and after a line break: the part that they keep
}

// How far a rule matches a request.
type extent int

const (
	matchNone extent = iota
	matchMaybe
	matchFully
)

// Choose returns the rules that decide about r: the first that matches, or the allowed
// lists. A rule that restricts access also applies if another server may read the request
// so that it matches. Some servers ignore the case of letters, or an ending of the last
// segment. A path, a method or a host may also have two readings. No rule with Pass
// applies to a path that has two.
func (a *Access) Choose(r *http.Request) Choice {
	if len(a.rules) > 0 {
		return a.chooseRule(r)
	}
	return Choice{Place: PlaceLists, Unauthenticated: a.o.Unauthenticated, Public: a.o.Bypass.Matches(r)}
}

// chooseRule is Choose where there are rules. It is a function of its own, so that the
// interpreter makes no room for it elsewhere.
func (a *Access) chooseRule(r *http.Request) Choice {
	q := a.read(r)
	c := Choice{Place: PlaceLists, Unauthenticated: a.o.Unauthenticated}
	for i, rule := range a.rules {
		// These are the cases in which many rules need no call of matches, which costs more.
		if q.methodSure && rule.methods != nil && !rule.methods[q.method] || q.hostSure && rule.hosts != nil && !rule.hosts[q.host] ||
			q.plain && rule.folded != nil && !rule.folded.MatchString(q.path) {
			continue
		}
		m := matchMaybe
		if q.foreign && rule.folded != nil && !rule.folded.MatchString(q.path) {
			if !strings.Contains(rule.lines, q.begin) {
				continue
			}
		} else if q.pathSure || rule.folded == nil {
			m = rule.matches(q)
		}
		if m == matchNone || rule.mode == Pass && (m == matchMaybe || !q.pathSure) {
			continue
		}
		if m == matchFully {
			c.Place = Place(i + 2)
			c.Unauthenticated = rule.mode
			break
		}
		c.Also = append(c.Also, Place(i+2))
	}
	if len(c.Also) > 0 && c.Unauthenticated == Pass {
		c.Unauthenticated = a.rules[c.Also[0]-2].mode
	}
	if c.Place == PlaceLists && len(c.Also) == 0 {
		c.Public = a.o.Bypass.Matches(r)
	}
	return c
}

// matches reports how far a rule matches a request. For a foreign path that folded does not
// match, chooseRule decides.
func (rule *accessRule) matches(q *target) extent {
	result := matchFully
	if rule.hosts != nil {
		if q.hostSure && !rule.hosts[q.host] {
			return matchNone
		}
		if !q.hostSure {
			result = matchMaybe
		}
	}
	if rule.methods != nil {
		if q.methodSure && !rule.methods[q.method] {
			return matchNone
		}
		if !q.methodSure {
			result = matchMaybe
		}
	}
	if rule.exact == nil || q.pathSure && rule.exact.MatchString(q.path) {
		return result
	}
	if q.pathSure && !rule.folded.MatchString(q.path) {
		return matchNone
	}
	return matchMaybe
}

// methodOverride matches the name of a header by which some servers take another method,
// among names in lines. Servers with CGI variables read any other character in place of a
// hyphen.
var methodOverride = regexp.MustCompile(`(?im)^X[^a-z0-9\n](?:Http[^a-z0-9\n])?(?:Original[^a-z0-9\n])?Method(?:[^a-z0-9\n]?Override)?$`)

// Bounds of the header in which methodOverride is searched.
const (
	maxHeaders     = 200
	maxHeaderBytes = 16 << 10
)

// overridesMethod reports whether some servers may take another method than that of the
// request line.
func overridesMethod(h http.Header) bool {
	if len(h) > maxHeaders {
		return true
	}
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	lines := strings.Join(names, "\n")
	return len(lines) > maxHeaderBytes || methodOverride.MatchString(lines)
}

// read returns the parts of r that rules compare.
func (a *Access) read(r *http.Request) *target {
	q := &target{path: r.URL.Path, method: r.Method, pathSure: unambiguous(r) && !endsInDot.MatchString(r.URL.Path), methodSure: true, hostSure: true}
	if q.pathSure {
		q.plain = isASCII(q.path)
		q.foreign = !q.plain
	}
	if q.foreign {
		q.begin = "\n" + keptBegin(q.path)
		// Rules see the path as far as the longest of theirs and the next character. Three
		// bytes may be a spelling of one, as the sign of Kelvin is of k.
		if most := 3*a.longest + utf8.UTFMax; len(q.path) > most {
			q.path = q.path[:most]
		}
	}
	if a.byMethod {
		q.methodSure = methodToken.MatchString(r.Method) && !overridesMethod(r.Header)
	}
	if a.byHost {
		q.host = hostOf(r.Host)
		q.hostSure = q.host != ""
	}
	return q
}

// endsInDot matches paths with a segment that ends in a dot or a space, which some servers
// remove.
var endsInDot = regexp.MustCompile(`[. ](?:/|$)`)

// hostName matches the name of a host, or an IPv4 address, in lower case; hostPort matches
// one with a port, or with the dot of a fully qualified name.
var (
	hostName = regexp.MustCompile(`^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$`)
	hostPort = regexp.MustCompile(`^([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::[0-9]{1,5})?$`)
)

// hostOf returns the name in a Host header, in lower case, without a port. It returns an
// empty string if servers could read the header in different ways.
func hostOf(host string) string {
	if len(host) > 300 {
		return ""
	}
	parts := hostPort.FindStringSubmatch(lower(host))
	if parts == nil {
		return ""
	}
	return parts[1]
}

var asciiPart = regexp.MustCompile(`^[\x00-\x7f]*`)

// keptBegin returns the part of a path before its first letter beyond ASCII, in lower
// case and without its last character, to which a mark may be added.
func keptBegin(path string) string {
	begin := asciiPart.FindString(path)
	if begin == "" {
		return ""
	}
	return strings.ToLower(begin[:len(begin)-1])
}
